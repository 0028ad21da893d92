"""Which rows go, and because of whom.

    twins = find_duplicates(prints, Thresholds())               # {row: Twin(other row, ...)}; the first row stays
    found = find_contaminated(prints, benchmark, Thresholds())

Everything works on fingerprints (prints.py); rows are numbers, in the order in which they are preferred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.dedupe.pictures import BITS, PicturePrint, distance, near_pairs
from data_prep.dedupe.prints import RowPrint
from data_prep.dedupe.texts import N, overlap

BOILERPLATE = 200
"""Rows that share a gram from which on it says nothing ("as shown in the figure, what is the value of")."""

MOST_COMPARED = 400
"""Rows that one row is compared with, the first ones: one image may carry thousands of questions."""


@dataclass(frozen=True)
class Thresholds:
    """From where two things are alike."""

    image_distance: int = 4
    """Bits of 64 by which perceptual hashes may differ."""

    text_overlap: float = 0.7
    """Share of common 8-grams."""

    needs_both: bool = False
    """Contaminated only if image *and* question are a benchmark's; by default one of them is enough."""


@dataclass(frozen=True)
class Twin:
    """The row because of which another one goes."""

    other: int
    reason: str
    image_distance: int | None
    """Of the farthest pair of images; None without images."""

    text_overlap: float


def find_duplicates(prints: Sequence[RowPrint], at: Thresholds) -> dict[int, Twin]:
    """Rows that repeat an earlier row that stays."""
    alike = _alike_pictures(prints, prints, at.image_distance)
    of_text = _rows_of_grams(prints, lambda found: not found.pictures)
    of_picture = _rows_of_pictures(prints)
    twins: dict[int, Twin] = {}
    for index, found in enumerate(prints):
        candidates = _sharing(found, of_picture, alike) if found.pictures else _overlapping(found, of_text)
        for other in [number for number in candidates if number < index and number not in twins][:MOST_COMPARED]:
            twin = _twin(found, prints[other], other, at)
            if twin is not None:
                twins[index] = twin
                break
    return twins


def _twin(one: RowPrint, two: RowPrint, other: int, at: Thresholds) -> Twin | None:
    same_answer = one.answer == two.answer
    # "... find AB" and "... find BC" about one figure overlap almost wholly: their answers tell them apart.
    if (not same_answer and one.text != two.text) or len(one.pictures) != len(two.pictures):
        return None
    apart = pictures_apart(one, two)
    share = 1.0 if one.text == two.text else overlap(one.grams, two.grams)
    if share < at.text_overlap or (apart is not None and apart > at.image_distance):
        return None
    return Twin(other, "duplicate" if same_answer else "duplicate with another answer", apart, share)


def pictures_apart(one: RowPrint, two: RowPrint) -> int | None:
    """Bits between the farthest pair of images in their order; 64 where they cannot be compared; None without any."""
    if not one.pictures or not two.pictures:
        return None
    return max(_bits(a, b) for a, b in zip(one.pictures, two.pictures, strict=False))


def _bits(one: PicturePrint, two: PicturePrint) -> int:
    if one.digest == two.digest:
        return 0
    return BITS if one.hash is None or two.hash is None else distance(one.hash, two.hash)


def find_contaminated(prints: Sequence[RowPrint], benchmark: Sequence[RowPrint], at: Thresholds) -> dict[int, Twin]:
    """Rows that a benchmark asks too; `Twin.other` is a number of the benchmark."""
    alike = _alike_pictures(prints, benchmark, at.image_distance)
    of_picture = _rows_of_pictures(benchmark)
    # A question of few words ("How many are there?") is no evidence: everybody asks it.
    of_text = _rows_of_grams(benchmark, lambda found: found.n_words >= N)
    twins: dict[int, Twin] = {}
    for index, found in enumerate(prints):
        by_image = next(iter(_sharing(found, of_picture, alike)), None)
        by_text = _most_overlapping(found, benchmark, of_text, at.text_overlap) if found.n_words >= N else None
        if (by_image is None or by_text is None) if at.needs_both else (by_image is None and by_text is None):
            continue
        reason = "image and question" if by_image is not None and by_text else "question" if by_text else "image"
        other = by_text[0] if by_text else by_image
        assert other is not None
        apart = None if by_image is None else _nearest(found, benchmark[by_image])
        share = by_text[1] if by_text else overlap(found.grams, benchmark[other].grams)
        twins[index] = Twin(other, reason, apart, share)
    return twins


def _nearest(one: RowPrint, two: RowPrint) -> int:
    """Bits between the two images that are most alike."""
    return min(_bits(a, b) for a in one.pictures for b in two.pictures)


Key = bytes | int
"""An image by its file, or by its perceptual hash."""


def _keys(found: RowPrint) -> list[Key]:
    return [key for picture in found.pictures for key in (picture.digest, picture.hash) if key is not None]


def _rows_of_pictures(prints: Sequence[RowPrint]) -> dict[Key, list[int]]:
    rows: dict[Key, list[int]] = {}
    for index, found in enumerate(prints):
        for key in set(_keys(found)):
            rows.setdefault(key, []).append(index)
    return rows


def _alike_pictures(ours: Sequence[RowPrint], theirs: Sequence[RowPrint], most: int) -> dict[int, list[int]]:
    """Perceptual hash -> the other side's hashes that are near it."""
    one, two = (
        np.array(sorted({p.hash for found in prints for p in found.pictures if p.hash is not None}), np.uint64)
        for prints in (ours, theirs)
    )
    near: dict[int, list[int]] = {}
    for i, j in near_pairs(one, two, most):
        near.setdefault(int(one[i]), []).append(int(two[j]))
    return near


def _sharing(found: RowPrint, of_picture: dict[Key, list[int]], alike: dict[int, list[int]]) -> list[int]:
    """Rows with an image that is alike to one of this row's, in order."""
    rows: set[int] = set()
    for picture in found.pictures:
        rows.update(of_picture.get(picture.digest, ()))
        for near in alike.get(picture.hash, ()) if picture.hash is not None else ():
            rows.update(of_picture.get(near, ()))
    return sorted(rows)


def _rows_of_grams(prints: Sequence[RowPrint], chosen: Callable[[RowPrint], bool]) -> dict[int, list[int]]:
    """Gram -> the rows that have it; those of boilerplate are left out unless they are a whole question."""
    rows: dict[int, list[int]] = {}
    for index, found in enumerate(prints):
        if chosen(found):
            for gram in found.grams.tolist():
                rows.setdefault(gram, []).append(index)
    return {
        gram: found for gram, found in rows.items() if len(found) <= BOILERPLATE or len(prints[found[0]].grams) == 1
    }


def _overlapping(found: RowPrint, of_text: dict[int, list[int]]) -> list[int]:
    """Rows by how many grams they share, most first."""
    shared: Counter[int] = Counter()
    for gram in found.grams.tolist():
        shared.update(of_text.get(gram, ())[: BOILERPLATE * 2])
    return [row for row, _count in shared.most_common()]


def _most_overlapping(
    found: RowPrint, others: Sequence[RowPrint], of_text: dict[int, list[int]], least: float
) -> tuple[int, float] | None:
    best = [(overlap(found.grams, others[row].grams), -row) for row in _overlapping(found, of_text)[:8]]
    if not best or max(best)[0] < least:
        return None
    share, row = max(best)
    return -row, share
