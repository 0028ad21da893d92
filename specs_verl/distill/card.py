"""The data set card: what is in a set of pairs, what was left out and why, and a few pairs with their images.

    write_card(out, report, data_files)        # out/README.md and out/card/*.png, from the report of distillation.py

Every prompt and every sample is in exactly one line of a table, so the counts add up to what was sampled.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from data_prep.files import replacing_folder, write_text
from data_prep.images import ImageError, decode_image
from specs_verl.distill.pair import NO_PAIR
from specs_verl.distill.pair_recipe import CORRUPTED_CHOSEN
from specs_verl.distill.rule_judge import JUDGES
from specs_verl.distill.write import Asked, asking
from specs_verl.files.rows import RowTable
from specs_verl.grading.responses import ground_truth
from specs_verl.sampling.usable import FLAWS

PICTURES = "card"
THUMBNAIL = 256
"""Longest side of a picture in the card, in pixels."""

BAR = 24
"""Characters of the longest bar of a histogram."""

SOUNDNESS = {"sound": "careful: it is the solution", "unsound": "unsound", "none": "hasty: nothing is claimed"}

Report = dict[str, Any]


def write_card(out: Path, report: Report, data: tuple[str, ...], asked: Asked = Asked()) -> None:
    """Write the card and its pictures, prompts as they were sampled; the old ones are replaced as a whole."""
    table = RowTable(data)
    examples = []
    with replacing_folder(out / PICTURES) as draft:
        for example in report["examples"]:
            index = example["row"]
            ((_, row),) = table.slice(index, index + 1)
            trained_on = asking(example["asked_format"], asked.of(row))
            examples += _example(example, trained_on, _pictures(row, index, table.file_of(index), draft))
    write_text(out / "README.md", "\n".join([*summary(report), "", "## Examples", *examples]) + "\n")


def summary(report: Report) -> list[str]:
    """The card without its examples, as lines of Markdown."""
    if report["rejected"] == CORRUPTED_CHOSEN:
        differ = "form only: the rejected response is the chosen one with one corruption"
    elif report["kind"] == "decoupled":
        differ = "form, not in correctness: both answers are right; their reasoning differs as said below"
    else:
        differ = "form and in correctness"
    funnel = report["funnel"]
    return [
        "# Self-distilled preference pairs",
        "",
        f"{report['pairs']} pairs ({report['kind']}) from {funnel.get('prompts', 0)} prompts. "
        f"Chosen and rejected differ in {differ}.",
        "",
        "## What was kept",
        *_prompts(report),
        *_chosen(funnel),
        *(_rejected(funnel, report["kind"]) if report["rejected"] != CORRUPTED_CHOSEN else []),
        "",
        "## What is in it",
        *_contents(report),
        *_lengths(report),
        *_reasoning(report),
        "",
        "## What sampling took",
        *_sampling(report),
        "",
        "## What could not be sampled",
        *_losses(report["losses"]),
        "",
        "## Provenance",
        "",
        "```json",
        json.dumps(report["provenance"], indent=1, ensure_ascii=False, sort_keys=True),
        "```",
    ]


def _table(title: str, rows: list[tuple[str, int]], whole: int) -> list[str]:
    """Counts with their share of `whole`."""
    lines = [f"| {name} | {count} | {100 * count / whole if whole else 0:.1f} % |" for name, count in rows]
    return ["", f"| {title} | count | share |", "|---|---:|---:|", *lines]


def _prompts(report: Report) -> list[str]:
    funnel, dropped = report["funnel"], report["dropped"]
    reasons = [(why, funnel[f"prompts: {why}"]) for why in NO_PAIR if f"prompts: {why}" in funnel]
    selection = [(f"left out by selection: {why}", count) for why, count in dropped.items() if count]
    total = funnel.get("prompts", 0)
    return _table("prompts", [("all", total), *reasons, *selection, ("pairs", report["pairs"])], total)


def _steps(title: str, steps: list[tuple[str, int]]) -> list[str]:
    """Counts that get smaller from step to step, with the share of the step before that each keeps."""
    lines = [f"| {steps[0][0]} | {steps[0][1]} | |"]
    for (_, before), (name, count) in pairwise(steps):
        lines.append(f"| {name} | {count} | {100 * count / before if before else 0:.1f} % |")
    return ["", f"| {title} | count | kept |", "|---|---:|---:|", *lines]


def _by_outcome(funnel: dict[str, int], side: str) -> dict[str, int]:
    """Samples of a side by what became of them: cut off, image tokens, or the status of their answer."""
    outcomes = (*FLAWS, "right", "wrong", "no_answer", "timeout", "unparsable_gold", "error")
    return {outcome: funnel.get(f"{side}: {outcome}", 0) for outcome in outcomes}


def _left_out(outcomes: dict[str, int], *kept: str) -> str:
    named = {outcome.replace("_", " "): count for outcome, count in outcomes.items() if count and outcome not in kept}
    return ", ".join(f"{outcome} {count}" for outcome, count in named.items()) or "none"


def _chosen(funnel: dict[str, int]) -> list[str]:
    outcomes = _by_outcome(funnel, "chosen")
    steps = [
        ("sampled", sum(outcomes.values())),
        ("whole and right", outcomes["right"]),
        ("well formed", funnel.get("chosen: well formed", 0)),
        ("kept by the judge", funnel.get("chosen: kept by the judge", 0)),
    ]
    words = {name.removeprefix("judge: "): count for name, count in funnel.items() if name.startswith("judge: ")}
    judged = ", ".join(f"{word} {count}" for word, count in words.items()) or "nothing to judge"
    completed = funnel.get("chosen: form completed", 0)
    return [
        *_steps("samples of the chosen source", steps),
        "",
        f"Not whole or not right: {_left_out(outcomes, 'right')}. The judge's words: {judged}; a judge is one of "
        f"{', '.join(JUDGES)}, see the provenance. Prompts whose chosen response got its form completed: {completed}.",
    ]


def _rejected(funnel: dict[str, int], kind: str) -> list[str]:
    outcomes = _by_outcome(funnel, "rejected")
    wanted = ("right",) if kind == "decoupled" else ("wrong", "no_answer")
    steps = [
        ("sampled", sum(outcomes.values())),
        (f"whole and {' or '.join(wanted).replace('_', ' ')}", sum(outcomes[status] for status in wanted)),
    ]
    tried = ("no reasoning to complete the form from", "every corruption changes the answer")
    failed = [f"{why} {funnel[f'rejected: {why}']}" for why in tried if f"rejected: {why}" in funnel]
    return [
        *_steps("samples of the rejected source", steps),
        "",
        f"Others: {_left_out(outcomes, *wanted)}. Tried and not usable: {', '.join(failed) or 'none'}.",
    ]


def _contents(report: Report) -> list[str]:
    tables = {"corruption": list(report["corruptions"].items()), "data source": sorted(report["data_sources"].items())}
    if len(report["asked_formats"]) > 1:
        tables["the prompt asks for"] = sorted(report["asked_formats"].items())
    lines = [line for title, rows in tables.items() for line in _table(title, rows, sum(count for _, count in rows))]
    kept = {name: count for name, count in report["funnel"].items() if name.startswith("formats: ")}
    if kept:
        lines += ["", "Pairs drawn for another format: " + ", ".join(f"{why[9:]} {n}" for why, n in kept.items()) + "."]
    return lines


def _lengths(report: Report) -> list[str]:
    rows = report["lengths"]
    longest = max((count for row in rows for count in row[2:]), default=1) or 1
    lines = [
        f"| {low} to {high} | {chosen} `{_bar(chosen, longest)}` | {rejected} `{_bar(rejected, longest)}` |"
        for low, high, chosen, rejected in rows
    ]
    return [
        "",
        f"Characters without tags: chosen {report['mean_chosen_length']:.1f} on average, rejected "
        f"{report['mean_rejected_length']:.1f}.",
        "",
        "| characters | chosen | rejected |",
        "|---|:---|:---|",
        *lines,
    ]


def _reasoning(report: Report) -> list[str]:
    """How far the sides differ in substance."""
    found = report["reasoning"]
    lines = [
        "",
        f"Reasoning, tags and answer left out: edit distance between chosen and rejected "
        f"{100 * found['mean_distance']:.1f} % of the longer one on average; the same text in "
        f"{found['identical']} of {report['pairs']} pairs. Characters: chosen {found['mean_chosen_length']:.1f} on "
        f"average, rejected {found['mean_rejected_length']:.1f}.",
    ]
    if any(found["soundness"]):
        lines += [
            "",
            "| reasoning by the world's own solution | chosen | rejected |",
            "|---|---:|---:|",
            *(
                f"| {text} | {chosen} | {rejected} |"
                for word, text in SOUNDNESS.items()
                for chosen, rejected in [[side.get(word, 0) for side in found["soundness"]]]
            ),
        ]
    return lines


def _bar(count: int, longest: int) -> str:
    return "#" * round(BAR * count / longest) or "."


def _sampling(report: Report) -> list[str]:
    """Responses of every run that was drawn on, once, with the time that they took or did not take."""
    lines: dict[str, None] = {}
    for found in report["sampling"].values():
        taken = f"{found['responses']:,} responses ({found['tokens']:,} tokens) of {found['model']}"
        seconds = found["seconds"]
        if seconds is None:
            cost = "taken over from the training that had sampled and graded them: no sampling time for these pairs"
        else:
            cost = f"sampled in {seconds:,.0f} s, or what was left of them in the last attempt"
        lines[f"- {taken}: {cost}"] = None
    return ["", *lines]


def _losses(losses: dict[str, dict[str, Any]]) -> list[str]:
    lines = [""]
    for side, loss in losses.items():
        prompts = ", ".join(f"{kind} {count}" for kind, count in sorted(loss["prompts"].items())) or "none"
        lines.append(f"- {side}: prompts: {prompts}; single samples of other prompts: {loss['samples']}")
        lines += [f"    - {reason}" for reason in loss["reasons"]]
        if loss["reasons"]:
            lines.append(f"    - all of them: {loss['listed_in']}")
    return lines


def _pictures(row: dict[str, Any], index: int, file: Path, folder: Path) -> list[str]:
    """Markdown of a row's images, made small; a sentence where one cannot be had."""
    lines = []
    for number, reference in enumerate(row.get("images") or []):
        try:
            picture = decode_image(reference, file).convert("RGB")
        except ImageError as error:
            lines.append(f"(image {number}: {error})")
            continue
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        name = f"row-{index}-{number}.png"
        picture.save(folder / name)
        lines.append(f"![image {number} of row {index}]({PICTURES}/{name})")
    return lines


def _example(example: dict[str, Any], row: dict[str, Any], pictures: list[str]) -> list[str]:
    asked = [message["content"] for message in row["prompt"] if message["role"] == "user"]
    texts = {
        "question": asked[-1] if asked else "",
        "answer": str(ground_truth(row)),
        "chosen": example["chosen"],
        "rejected": example["rejected"],
    }
    fence = "`" * max(3, 1 + max(_longest_run(text) for text in texts.values()))
    return [
        "",
        f"### `{example['corruption']}`, row {example['row_id']}",
        "",
        *pictures,
        *[""] * bool(pictures),
        f"{fence}text",
        *(f"{name + ':':9} {text}" for name, text in texts.items()),
        fence,
    ]


def _longest_run(text: str) -> int:
    """The most back-quotes in a row, which a fence around the text has to exceed."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
