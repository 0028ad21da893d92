"""Files through deduplication: fingerprints of all rows, a decision, the rows that stay.

outcome = deduplicate([Path("orsta.parquet"), Path("virl.parquet")], out, against=[Path("mathvista.parquet")])

OUT/NAME.parquet      the rows of each file that stay; earlier files are preferred to later ones
OUT/removed.jsonl     every row that went: its file, number, id, why, because of whom, distance and overlap
OUT/removed.html      pairs to look at: those that just went and those that just stayed
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq

from data_prep import schema
from data_prep.dedupe.decide import Thresholds, Twin, find_contaminated, find_duplicates
from data_prep.dedupe.prints import RowPrint, benchmark_prints, row_prints
from data_prep.errors import UserError
from data_prep.files import locked, replacing, sweep, write_text
from data_prep.images import ImageError, image_bytes
from data_prep.pages import page
from data_prep.writer import RowWriter

SHOWN = 24
"""Pairs on the page, half of them beyond the thresholds."""

LOOSER = 4
"""Bits, and a tenth of overlap each, beyond the thresholds up to which pairs that stayed are shown."""


@dataclass(frozen=True)
class Pair:
    """Two rows on the page; texts are untrusted."""

    one: str
    two: str
    why: str
    went: bool
    questions: tuple[str, str]
    pictures: tuple[bytes, bytes]


@dataclass
class Outcome:
    """What became of the files."""

    files: dict[str, int] = field(default_factory=dict)
    """File -> rows that stayed."""

    removed: Counter[str] = field(default_factory=Counter)
    """By reason."""

    def text(self) -> str:
        lines = [f"{file}: {count} rows" for file, count in self.files.items()]
        return "\n".join(lines + [f"removed: {count} x {reason}" for reason, count in self.removed.most_common()])


@dataclass(frozen=True)
class _Row:
    file: Path
    index: int


def deduplicate(
    files: Sequence[Path],
    out: Path,
    against: Sequence[Path] = (),
    at: Thresholds | None = None,
) -> Outcome:
    """Remove duplicates within and across files, and what the files of `against` ask too.

    Raises:
        UserError: a file cannot be read, two have the same name, or nothing would be left.
    """
    at = at or Thresholds()
    names = _names(files)
    with locked(out):
        sweep(out)
        rows: list[_Row] = []
        prints: list[RowPrint] = []
        for file in files:
            for index, found in row_prints(file):
                rows.append(_Row(file, index))
                prints.append(found)
        benchmark = [found for file in against for _index, found in benchmark_prints(file)]
        contaminated = find_contaminated(prints, benchmark, at)
        twins = find_duplicates(prints, at)
        outcome = Outcome()
        gone: dict[_Row, str] = {}
        with replacing(out / "removed.jsonl") as draft, draft.open("w", encoding="utf-8") as log:
            for number in sorted({*contaminated, *twins}):
                twin = contaminated.get(number) or twins[number]
                reason = f"benchmark {twin.reason}" if number in contaminated else twin.reason
                other = benchmark[twin.other] if number in contaminated else prints[twin.other]
                gone[rows[number]] = reason
                outcome.removed[reason] += 1
                log.write(json.dumps(_entry(rows[number], prints[number], other, reason, twin)) + "\n")
        _write_page(out, rows, prints, benchmark, at, twins, contaminated)
        for file in files:
            outcome.files[names[file]] = _write(file, out / names[file], {r.index for r in gone if r.file == file})
    if not any(outcome.files.values()):
        raise UserError(f"{out}: no row would be left.")
    return outcome


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """A name per file: its own, or its folder's where several files have the same name."""
    counts = Counter(file.name for file in files)
    names = {file: file.name if counts[file.name] == 1 else f"{file.resolve().parent.name}.parquet" for file in files}
    if len(set(names.values())) < len(files):
        raise UserError(f"{', '.join(map(str, files))}: files of the same name in folders of the same name.")
    return names


def _write(file: Path, out: Path, gone: set[int]) -> int:
    with RowWriter(out, pq.read_schema(file)) as writer:
        for index, row in schema.rows(file):
            if index not in gone:
                writer.write(row)
    return writer.rows


def _entry(row: _Row, one: RowPrint, other: RowPrint, reason: str, twin: Twin) -> dict[str, object]:
    found = {key: value for key, value in asdict(twin).items() if key not in ("other", "reason")}
    return {
        "file": str(row.file),
        "row": row.index,
        "id": one.id,
        "reason": reason,
        "because_of": other.id,
        **found,
        "question": one.question[:160],
        "its_question": other.question[:160],
    }


# --------------------------------------------------------------------------------------------------------------- page


def _write_page(
    out: Path,
    rows: list[_Row],
    prints: list[RowPrint],
    benchmark: list[RowPrint],
    at: Thresholds,
    twins: dict[int, Twin],
    contaminated: dict[int, Twin],
) -> None:
    looser = replace(
        at, image_distance=min(16, at.image_distance + LOOSER), text_overlap=max(0.1, at.text_overlap - LOOSER / 10)
    )
    stayed = {row: twin for row, twin in find_duplicates(prints, looser).items() if row not in twins}
    shown: list[tuple[int, Twin, bool]] = []
    for chosen, went in ((twins, True), (stayed, False)):
        # The weakest evidence first: that is where thresholds are judged.
        ordered = sorted(chosen.items(), key=lambda item: (item[1].text_overlap, -(item[1].image_distance or 0)))
        shown += [(row, twin, went) for row, twin in ordered[: SHOWN // 2]]
    wanted = {rows[row] for row, _twin, _went in shown} | {rows[twin.other] for _row, twin, _went in shown}
    pictures = _first_pictures(wanted)
    pairs = [
        Pair(
            prints[row].id,
            prints[twin.other].id,
            _why(twin),
            went,
            (prints[row].question, prints[twin.other].question),
            (pictures.get(rows[row], b""), pictures.get(rows[twin.other], b"")),
        )
        for row, twin, went in shown
    ]
    asked = [
        (prints[row].id, benchmark[twin.other].id, f"{twin.reason}, {_why(twin)}", prints[row].question,
         benchmark[twin.other].question)
        for row, twin in list(contaminated.items())[:SHOWN]
    ]  # fmt: skip
    write_text(out / "removed.html", page("dedupe.html.j2", title="Duplicates", pairs=pairs, asked=asked, at=at))


def _why(twin: Twin) -> str:
    images = "no image" if twin.image_distance is None else f"images {twin.image_distance} of 64 bits apart"
    return f"{images}, questions overlap {twin.text_overlap:.0%}"


def _first_pictures(wanted: set[_Row]) -> dict[_Row, bytes]:
    found: dict[_Row, bytes] = {}
    for file in {row.file for row in wanted}:
        numbers = {row.index for row in wanted if row.file == file}
        for index, row in schema.rows(file):
            images = row.get("images")
            if index in numbers and isinstance(images, list) and images:
                try:
                    found[_Row(file, index)] = image_bytes(images[0], file)
                except ImageError:
                    continue
    return found
