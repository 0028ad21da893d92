"""What the papers train on, as far as they say it, in one command each.

    specs_86k(orsta, virl, out, ...)        Metis-SPECS: Orsta-Data-47k and ViRL39K, about 86,000 prompts before
                                            duplicates are removed; nothing is said about weights: every row once
    rise(orsta, virl, out, text=..., ...)   Metis-RISE does not name its data: the same sets, and text-only rows
    rl_cold_start(sft, rl, geometry, out)   RL with Cold Start: Multimodal-Cold-Start for the supervised stage,
                                            Multimodal-RL-Data for GRPO, the test split of Geometry3K to validate

Steps: convert every set, deduplicate within and across (and against benchmarks), hold out a test split without common
images, mix, write the card. A finished step is skipped when the command is called again with the same inputs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from data_prep.convert import LEFT_OUT, convert
from data_prep.dedupe.decide import Thresholds
from data_prep.dedupe.deduplicate import deduplicate
from data_prep.errors import UserError
from data_prep.files import locked, read_json, write_json
from data_prep.mix.card import describe, write_card
from data_prep.mix.mixing import Source, mix
from data_prep.prompts import PROMPTS, Prompt
from data_prep.sets import SETS, DataSet
from data_prep.split import split


@dataclass(frozen=True)
class Settings:
    """What all of these commands understand."""

    against: tuple[str, ...] = ()
    """Benchmarks whose rows must not be trained on."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    test: float = 0.01
    """Share of rows that are held out; 0 for none."""

    seed: int = 0
    limit: int | None = None
    """Rows per set, to try the command out."""

    checkpoint: str | None = None
    """Counts prompt tokens for the card."""

    prompt: Prompt | None = None
    """Instead of the method's."""


def specs_86k(orsta: str, virl: str, out: Path, settings: Settings) -> dict[str, int]:
    """OUT/train.parquet, OUT/test.parquet, OUT/card.md; rows per file."""
    return _reinforced({"orsta": orsta, "virl39k": virl}, out, settings)


def rise(
    orsta: str, virl: str, out: Path, settings: Settings, text: tuple[DataSet, str] | None = None
) -> dict[str, int]:
    """As `specs_86k`, with text-only rows of a set of one's own: (its mapping, its source)."""
    return _reinforced({"orsta": orsta, "virl39k": virl}, out, settings, text)


def rl_cold_start(sft: str, rl: str, out: Path, settings: Settings, geometry: str | None = None) -> dict[str, int]:
    """OUT/sft.parquet, OUT/train.parquet, OUT/validation.parquet; rows per file."""
    with locked(out / "steps"):
        steps = _Steps(out)
        removed: Counter[str] = Counter()
        worked = _converted(steps, SETS["multimodal_cold_start"], sft, settings, removed)
        asked = _converted(steps, SETS["multimodal_rl"], rl, settings, removed)
        # Both stages ask about the same images on purpose: each is deduplicated by itself.
        files = {
            "sft": _deduplicated(steps, "sft", {"multimodal_cold_start": worked}, settings, removed),
            "train": _deduplicated(steps, "train", {"multimodal_rl": asked}, settings, removed),
        }
        counts = {}
        for name, sets in files.items():
            ((label, file),) = sets.items()
            counts[name] = sum(mix([Source(label, file)], out / f"{name}.parquet", seed=settings.seed).values())
            card = describe(out / f"{name}.parquet", removed, settings.checkpoint, settings.seed)
            write_card(card, out, f"card_{name}")
        if geometry:
            report = convert(SETS["geometry3k"], geometry, steps.folder("geometry3k"), PROMPTS["cold_start"])
            if "test" not in report.written:
                raise UserError(f"{geometry}: has no test split to validate on.")
            file = steps.folder("geometry3k") / "test.parquet"
            counts["validation"] = sum(mix([Source("geometry3k", file)], out / "validation.parquet").values())
    return counts


def _reinforced(
    sets: Mapping[str, str], out: Path, settings: Settings, text: tuple[DataSet, str] | None = None
) -> dict[str, int]:
    with locked(out / "steps"):
        steps = _Steps(out)
        removed: Counter[str] = Counter()
        files = {name: _converted(steps, SETS[name], source, settings, removed) for name, source in sets.items()}
        if text:
            files[text[0].name] = _converted(steps, text[0], text[1], settings, removed)
        files = _deduplicated(steps, "all", files, settings, removed)
        mixed = steps.folder("mixed") / "all.parquet"
        sources = [Source(name, file) for name, file in files.items()]
        steps.done(
            "mixed",
            {"files": _signs(files.values()), "seed": settings.seed},
            lambda: mix(sources, mixed, seed=settings.seed),
        )
        if settings.test:
            counts = split([mixed], out, {"test": settings.test}, ("source", "verifier"), settings.seed)
        else:
            counts = {"train": sum(mix([Source("all", mixed)], out / "train.parquet").values())}
        card = describe(out / "train.parquet", removed, settings.checkpoint, settings.seed)
        write_card(card, out)
    return counts


def _converted(steps: _Steps, dataset: DataSet, source: str, settings: Settings, removed: Counter[str]) -> Path:
    """The training split of a set as published."""
    folder = steps.folder(dataset.name)
    inputs: dict[str, object] = {
        "source": source,
        "limit": settings.limit,
        "prompt": asdict(settings.prompt) if settings.prompt else None,
    }

    def make() -> object:
        report = convert(dataset, source, folder, settings.prompt, limit=settings.limit)
        return dict(report.left_out)

    if Path(source).exists():
        inputs["files"] = _signs(sorted(p for p in Path(source).rglob("*") if p.is_file()) or [Path(source)])
    for kind, count in steps.done(dataset.name, inputs, make).items():
        removed[f"{dataset.name}: {kind}"] += int(str(count))
    file = folder / "train.parquet"
    if not file.is_file():
        raise UserError(f"{source}: has no training split; {folder / LEFT_OUT} says what was left out.")
    return file


def _deduplicated(
    steps: _Steps, name: str, files: Mapping[str, Path], settings: Settings, removed: Counter[str]
) -> dict[str, Path]:
    folder = steps.folder(f"deduplicated_{name}")
    inputs = {
        "files": _signs(files.values()),
        "against": _signs(Path(file) for file in settings.against),
        "thresholds": asdict(settings.thresholds),
    }
    against = [Path(file) for file in settings.against]

    def make() -> object:
        return dict(deduplicate(list(files.values()), folder, against, settings.thresholds).removed)

    for reason, count in steps.done(folder.name, inputs, make).items():
        removed[reason] += int(str(count))
    names = {
        label: folder / (f"{file.parent.name}.parquet" if len(files) > 1 else file.name)
        for label, file in files.items()
    }
    return {label: file for label, file in names.items() if file.is_file()}


class _Steps:
    """Finished steps by their inputs, so that a command that was killed goes on where it was."""

    def __init__(self, out: Path) -> None:
        self._out = out / "steps"

    def folder(self, name: str) -> Path:
        return self._out / name

    def done(self, name: str, inputs: Mapping[str, object], make: Callable[[], object]) -> dict[str, object]:
        """What `make` returned, now or when it last ran with these inputs."""
        marker = self._out / f"{name}.json"
        plain = json.loads(json.dumps(inputs, sort_keys=True))
        if marker.is_file():
            known = read_json(marker)
            if isinstance(known, dict) and known.get("inputs") == plain and isinstance(known.get("result"), dict):
                return dict(known["result"])
        marker.unlink(missing_ok=True)
        result = make()
        write_json(marker, {"inputs": plain, "result": result})
        return dict(result) if isinstance(result, dict) else {}


def _signs(files: Iterable[Path]) -> list[list[object]]:
    """Path, size and time of files: whether a step's inputs are still the same."""
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.exists()]
