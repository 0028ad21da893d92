"""Geometry of boxes: overlap, optimal pairing of two lists, and what is computed from a pairing.

    matching = match(gold, given, match_labels=True)
    METRICS["f1"](matching, 0.5)

Pairs are assigned so that their summed overlap is largest (Hungarian algorithm): a greedy matcher depends on the
order of the boxes. Overlaps of n gold and m given boxes cost n x m; both are bounded by box_reading.MAX_BOXES.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reward_fns.texts.normal import normalised

Corners = tuple[float, float, float, float]


class Box(NamedTuple):
    """Left, top, right, bottom, and what is inside."""

    corners: Corners
    label: str = ""


class Pair(NamedTuple):
    """A gold box and the given box that was assigned to it, by index."""

    gold: int
    given: int
    overlap: float
    """IoU; 1.0 or 0.0 for points."""
    giou: float


@dataclass(frozen=True)
class Matching:
    """The best assignment of given boxes to gold boxes. Boxes without a partner appear in no pair."""

    gold: tuple[Box, ...]
    given: tuple[Box, ...]
    pairs: tuple[Pair, ...]

    @property
    def larger(self) -> int:
        return max(len(self.gold), len(self.given))


def area(box: Corners) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def iou(one: Corners, two: Corners) -> float:
    """Intersection over union; 0 for boxes without area, unless they are the same box."""
    shared = max(0.0, min(one[2], two[2]) - max(one[0], two[0])) * max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
    union = area(one) + area(two) - shared
    if union <= 0.0:
        return float(one == two)
    return shared / union


def giou(one: Corners, two: Corners) -> float:
    """Generalised IoU (Rezatofighi et al. 2019) in [-1, 1]: IoU minus the share of the common hull that neither box
    covers."""
    hull = (max(one[2], two[2]) - min(one[0], two[0])) * (max(one[3], two[3]) - min(one[1], two[1]))
    overlap = iou(one, two)
    if hull <= 0.0:
        return overlap
    shared = max(0.0, min(one[2], two[2]) - max(one[0], two[0])) * max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
    union = area(one) + area(two) - shared
    return overlap - (hull - union) / hull


def contains(box: Corners, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def match(gold: Sequence[Box], given: Sequence[Box], match_labels: bool, inside: bool = False) -> Matching:
    """The assignment with the largest summed overlap.

    Args:
        match_labels: boxes with different labels never pair; a missing label fits every label.
        inside: given boxes are points, and overlap means lying inside.
    """
    scores = []
    for gold_box in gold:
        row = []
        for given_box in given:
            if match_labels and not same_label(gold_box.label, given_box.label):
                row.append(0.0)
            elif inside:
                row.append(float(contains(gold_box.corners, *given_box.corners[:2])))
            else:
                row.append(iou(gold_box.corners, given_box.corners))
        scores.append(row)
    pairs = tuple(
        Pair(i, j, scores[i][j], giou(gold[i].corners, given[j].corners) if not inside else scores[i][j])
        for i, j in assign(scores)
        if not match_labels or same_label(gold[i].label, given[j].label)
    )
    return Matching(tuple(gold), tuple(given), pairs)


def same_label(one: str, two: str) -> bool:
    return not one or not two or normalised(one) == normalised(two)


def assign(scores: list[list[float]]) -> list[tuple[int, int]]:
    """Row and column pairs with the largest sum: scipy for many boxes, a direct answer for one."""
    if not scores or not scores[0]:
        return []
    if len(scores) == 1:
        row = scores[0]
        return [(0, max(range(len(row)), key=row.__getitem__))]
    if len(scores[0]) == 1:
        return [(max(range(len(scores)), key=lambda i: scores[i][0]), 0)]
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(scores, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True)]


# ------------------------------------------------------------------------------------------------------------ metrics


def mean_iou(matching: Matching, threshold: float) -> float:
    """Sum of overlaps over the longer of both lists: missing and superfluous boxes count as overlap 0. Nothing against
    nothing is 1."""
    if matching.larger == 0:
        return 1.0
    return sum(pair.overlap for pair in matching.pairs) / matching.larger


def mean_giou(matching: Matching, threshold: float) -> float:
    """As ``mean_iou`` with GIoU, mapped from [-1, 1] to [0, 1]; a box without a partner counts 0."""
    if matching.larger == 0:
        return 1.0
    return sum((pair.giou + 1.0) / 2.0 for pair in matching.pairs) / matching.larger


def _hits(matching: Matching, threshold: float) -> int:
    return sum(pair.overlap >= threshold and pair.overlap > 0 for pair in matching.pairs)


def precision(matching: Matching, threshold: float) -> float:
    """Share of given boxes that found a gold box."""
    if not matching.given:
        return float(not matching.gold)
    return _hits(matching, threshold) / len(matching.given)


def recall(matching: Matching, threshold: float) -> float:
    """Share of gold boxes that were found."""
    if not matching.gold:
        return float(not matching.given)
    return _hits(matching, threshold) / len(matching.gold)


def f1(matching: Matching, threshold: float) -> float:
    """2 hits / (gold + given); nothing against nothing is 1."""
    total = len(matching.gold) + len(matching.given)
    return 2 * _hits(matching, threshold) / total if total else 1.0


def average_precision(matching: Matching, threshold: float) -> float:
    """Area under precision over recall with the given boxes in their order (the model lists what it is surest of
    first).

    Precision at each hit is replaced by the best precision at that or a later one, as in the VOC definition since 2010.
    """
    if not matching.gold:
        return float(not matching.given)
    hit = {pair.given for pair in matching.pairs if pair.overlap >= threshold and pair.overlap > 0}
    precisions = []
    found = 0
    for place in range(len(matching.given)):
        found += place in hit
        precisions.append(found / (place + 1))
    total = 0.0
    best = 0.0
    for place in reversed(range(len(precisions))):
        best = max(best, precisions[place])
        if place in hit:
            total += best
    return total / len(matching.gold)


def count(matching: Matching, threshold: float) -> float:
    """1 for the right number of boxes, falling in a straight line to 0 when as many are missing or too many as there
    should be."""
    difference = abs(len(matching.gold) - len(matching.given))
    return max(0.0, 1.0 - difference / max(1, len(matching.gold)))


METRICS: dict[str, Callable[[Matching, float], float]] = {
    "iou": mean_iou,
    "giou": mean_giou,
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "ap": average_precision,
    "count": count,
}
