"""The data card of a file: what is in it, in numbers, for people (card.md) and programs (card.json).

card = describe(Path("train.parquet"), removed={"duplicate": 812})
write_card(card, out)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_prep import schema
from data_prep.dedupe.prints import question_of
from data_prep.files import write_json, write_text
from data_prep.images import ImageError, image_bytes
from data_prep.reading.headers import size_of
from data_prep.tokens.count import PromptCounter
from data_prep.tokens.resize import QWEN2_5_VL

BAR = 30  # characters of the longest bar of a histogram
SIDES = (0, 28, 112, 224, 448, 896, 1792, 3584)
TOKENS = (0, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
WORDS = (0, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass
class Card:
    """Counts over the rows of one file."""

    file: str
    rows: int = 0
    images: int = 0
    seed: int | None = None
    sets: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    verifiers: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    images_per_row: Counter[str] = field(default_factory=Counter)
    longer_side: Counter[str] = field(default_factory=Counter)
    """Pixels."""

    image_tokens: Counter[str] = field(default_factory=Counter)
    """Per row, by the rules of Qwen2.5-VL."""

    prompt: Counter[str] = field(default_factory=Counter)
    """Length of the prompt, in words of the question, or in tokens where a checkpoint was given."""

    prompt_unit: str = "words of the question"
    removed: Counter[str] = field(default_factory=Counter)
    """What was left out on the way here, by reason."""


def describe(
    file: Path, removed: Mapping[str, int] | None = None, checkpoint: str | None = None, seed: int | None = None
) -> Card:
    """Read a file in verl's schema and count."""
    card = Card(file.name, seed=seed, removed=Counter(removed or {}))
    counter = PromptCounter(checkpoint) if checkpoint else None
    if counter:
        card.prompt_unit = "tokens, images included"
    for _index, row in schema.rows(file):
        _count(card, row, file, counter)
    return card


def _count(card: Card, row: dict[str, object], file: Path, counter: PromptCounter | None) -> None:
    info = row.get("extra_info")
    info = info if isinstance(info, dict) else {}
    model = row.get("reward_model")
    model = model if isinstance(model, dict) else {}
    card.rows += 1
    card.sets[str(row.get("data_source"))] += 1
    card.sources[f"{row.get('data_source')}: {info.get('source') or 'unstated'}"] += 1
    card.tasks[str(row.get("ability") or "unstated")] += 1
    card.verifiers[str(model.get("verifier") or "unstated")] += 1
    card.answers[answer_type(str(model.get("ground_truth")))] += 1
    card.licences[str(info.get("licence") or "unstated")] += 1
    sizes, shown = [], []
    images = row.get("images")
    for reference in images if isinstance(images, list) else []:
        try:
            size = size_of(image_bytes(reference, file))
        except ImageError:
            size = None
        if size:
            sizes.append(size)
            shown.append(reference)
            card.longer_side[_bin(max(size), SIDES)] += 1
    card.images += len(sizes)
    card.images_per_row[str(len(sizes))] += 1
    try:
        card.image_tokens[_bin(sum(QWEN2_5_VL.tokens_of_row(sizes, shown)), TOKENS)] += 1
        prompt = row.get("prompt")
        if counter and isinstance(prompt, list):
            card.prompt[_bin(counter.count([(prompt, counter.rules.tokens_of_row(sizes, shown))])[0], TOKENS)] += 1
    except ValueError:  # an aspect ratio that every processor refuses: the doctor's matter
        card.image_tokens["refused"] += 1
    if not counter:
        card.prompt[_bin(len(question_of(row).split()), WORDS)] += 1


def answer_type(gold: str) -> str:
    """What an answer looks like, roughly: for the table only."""
    text = gold.strip()
    if "bbox" in text or text.startswith("[["):
        return "boxes"
    if len(text) == 1 and text.isalpha() and text.isupper():
        return "letter"
    plain = text.replace(",", "").lstrip("-+")
    if plain.replace(".", "", 1).isdigit():
        return "integer" if plain.isdigit() else "decimal"
    if "\\" in text or any(sign in text for sign in "=^_{}"):
        return "formula"
    return "words" if any(character.isalpha() for character in text) else "other"


def _bin(value: int, edges: tuple[int, ...]) -> str:
    above = [edge for edge in edges if value >= edge]
    low = above[-1]
    rest = edges[len(above) :]
    return f"{low:>5} - {rest[0] - 1}" if rest else f"{low:>5} and more"


# -------------------------------------------------------------------------------------------------------------- card


def write_card(card: Card, out: Path, name: str = "card") -> None:
    """OUT/NAME.md and OUT/NAME.json."""
    write_text(out / f"{name}.md", markdown(card))
    write_json(out / f"{name}.json", json.loads(json.dumps(vars(card), sort_keys=True)))


def markdown(card: Card) -> str:
    """The card for people."""
    seed = "" if card.seed is None else f", seed {card.seed}"
    lines = [f"# {card.file}", "", f"{card.rows} rows, {card.images} images{seed}.", ""]
    for title, counts in (
        ("Set", card.sets),
        ("Source", card.sources),
        ("Task", card.tasks),
        ("Verifier", card.verifiers),
        ("Answer", card.answers),
        ("Licence", card.licences),
        ("Removed because", card.removed),
    ):
        if counts:
            lines += [f"| {title} | rows |", "|---|---:|"]
            lines += [f"| {_cell(key)} | {count} |" for key, count in counts.most_common(40)]
            if len(counts) > 40:
                lines.append(f"| {len(counts) - 40} others | {sum(n for _k, n in counts.most_common()[40:])} |")
            lines.append("")
    for title, counts in (
        ("Images per row", card.images_per_row),
        ("Longer side of images, pixels", card.longer_side),
        ("Image tokens per row, Qwen2.5-VL", card.image_tokens),
        (f"Prompt length, {card.prompt_unit}", card.prompt),
    ):
        lines += [f"{title}:", "", "```", *_bars(counts), "```", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Untrusted text in a table of Markdown."""
    plain = " ".join(text.split())[:80]
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _bars(counts: Counter[str]) -> list[str]:
    most = max(counts.values(), default=1)
    width = max(map(len, counts), default=0)
    ordered = sorted(
        counts, key=lambda key: (not key.split()[0].isdigit(), int(key.split()[0]) if key.split()[0].isdigit() else 0)
    )
    return [f"{key:<{width}}  {counts[key]:>8}  {'#' * round(BAR * counts[key] / most)}" for key in ordered]
