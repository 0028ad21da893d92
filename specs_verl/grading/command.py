"""`specs reward`: grade one response, grade a file of rollouts, or compare two reward settings on the same file.

    specs reward --response 'so \\boxed{12}' --ground-truth 12
    specs reward --file rollouts.jsonl --verifier number --param precision=2 --out graded.jsonl
    specs reward --file rollouts.jsonl --settings strict.yaml --compare lenient.yaml
    specs reward attack --verifier number --tries 1000000
    specs reward attack --verifier choice --function my_rewards.py:compute_score

A file holds one rollout per row (JSON lines or parquet): the response under response, output or solution_str, the
gold under ground_truth, gts or reward_model.ground_truth; verifier and params as in training rows. verl's rollout
dumps and sampled shards (with --data) fit. Settings are the arguments of compute_score as YAML or JSON: verifier,
params, format_rule, combination.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from data_prep.files import write_text
from data_prep.tables import write_parquet
from reward_fns import compute_score, names, score_batch
from reward_fns.scoring import Score
from reward_fns.workers.processes import PoolError
from specs_verl.errors import UserError
from specs_verl.grading import attack

RESPONSE_COLUMNS = ("response", "output", "solution_str", "completion")
GOLD_COLUMNS = ("ground_truth", "gts", "gold", "answer")
SETTINGS = frozenset({"verifier", "params", "format_rule", "combination", "reading"})

FAULTY = ("unparsable_gold", "timeout", "error")
"""Statuses that say something about the row or the verifier, not about the answer: their rows are named."""

Row = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=["attack"], help="attack: search for answers that are paid without a commitment"
    )
    attack.add_arguments(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--response", help="one response to grade")
    source.add_argument("--file", type=Path, help="rollouts to grade: .jsonl, .json or .parquet")
    parser.add_argument("--ground-truth", help="gold answer of --response")
    parser.add_argument(
        "--data", type=Path, help="parquet with the rows that the column `row` of --file counts, for sampled shards"
    )
    parser.add_argument("--verifier", help=f"for rows that name none, default math; one of {', '.join(names())}")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the verifier, the value as JSON or text",
    )
    parser.add_argument("--format-rule", help="format rule, default think_answer")
    parser.add_argument("--settings", type=Path, help="YAML or JSON with reward settings (arguments of compute_score)")
    parser.add_argument(
        "--compare", type=Path, help="a second settings file: grade --file with both and list the differences"
    )
    parser.add_argument(
        "--limit", type=int, default=20, help="differences and slow answers to print, default %(default)s"
    )
    parser.add_argument("--out", type=Path, help="write every row with its score: .jsonl or .parquet")


def run(args: argparse.Namespace) -> int:
    console = Console(highlight=False)
    if args.action == "attack":
        return attack.run(args, console)
    if args.response is None and args.file is None:
        raise UserError("specs reward needs --response or --file, or the word attack; see specs reward --help.")
    settings = _settings(args)
    try:
        if args.response is not None:
            if args.ground_truth is None:
                raise UserError("--response needs --ground-truth.")
            _print_one(console, compute_score(None, args.response, args.ground_truth, None, **settings))
            return 0
        rows = read_rollouts(args.file, args.data)
        scores = score_batch(rows, **settings)
        if args.compare is not None:
            others = score_batch(rows, **_loaded_settings(args.compare))
            _print_comparison(
                console, rows, scores, others, (str(args.settings or "first"), str(args.compare)), args.limit
            )
            if args.out is not None:
                _write(
                    args.out,
                    [
                        {**_flat(row), **score, **{f"other_{k}": v for k, v in other.items()}}
                        for row, score, other in zip(rows, scores, others, strict=True)
                    ],
                )
            return 0
        _print_summary(console, rows, scores, args.limit)
        if args.out is not None:
            _write(args.out, [{**_flat(row), **score} for row, score in zip(rows, scores, strict=True)])
        return 0
    except (TypeError, ValueError, KeyError, PoolError) as error:
        raise UserError(error.args[0] if error.args else str(error)) from error


# ----------------------------------------------------------------------------------------------------------- settings


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings from the file, with single arguments on top."""
    settings = _loaded_settings(args.settings) if args.settings is not None else {}
    if args.verifier:
        settings["verifier"] = args.verifier
    if args.format_rule:
        settings["format_rule"] = args.format_rule
    if args.param:
        settings["params"] = {**dict(settings.get("params") or {}), **dict(map(_parameter, args.param))}
    return settings


def _loaded_settings(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such settings file.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: neither YAML nor JSON ({error}).") from error
    unknown = sorted(set(loaded) - SETTINGS) if isinstance(loaded, dict) else ["(no mapping)"]
    if unknown:
        raise UserError(f"{path}: unknown setting {', '.join(unknown)}. Known: {', '.join(sorted(SETTINGS))}.")
    return loaded


def _parameter(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--param {text!r}: write NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


# -------------------------------------------------------------------------------------------------------------- files


def read_rollouts(path: Path, data: Path | None = None) -> list[dict[str, Any]]:
    """Rows with solution_str, ground_truth, data_source and extra_info, whatever the file calls them."""
    raw = _read(path)
    golds = (
        pq.read_table(data, columns=_present(data, ("data_source", "reward_model", "extra_info"))).to_pylist()
        if data is not None
        else None
    )
    rows = []
    for index, row in enumerate(raw):
        if golds is not None:
            place = row.get("row")
            if not isinstance(place, int) or not 0 <= place < len(golds):
                raise UserError(
                    f"{path}, row {index}: its column `row` must count the {len(golds)} rows of {data}, got {place!r}."
                )
            row = {**golds[place], **row}
        rows.append(_rollout(row, path, index))
    if not rows:
        raise UserError(f"{path} has no rows.")
    return rows


def _rollout(row: Row, path: Path, index: int) -> dict[str, Any]:
    response = next((row[name] for name in RESPONSE_COLUMNS if row.get(name) is not None), None)
    model = row.get("reward_model")
    model = model if isinstance(model, Mapping) else {}
    gold = model.get("ground_truth")
    if gold is None:
        gold = next((row[name] for name in GOLD_COLUMNS if row.get(name) is not None), None)
    if response is None or gold is None:
        what, wanted = ("response", RESPONSE_COLUMNS) if response is None else ("ground truth", GOLD_COLUMNS)
        raise UserError(
            f"{path}, row {index}: no {what}; looked for {', '.join(wanted)} among {', '.join(map(str, row))}."
        )
    own = {key: row[key] for key in ("verifier", "params") if row.get(key) is not None}
    extra = row.get("extra_info")
    extra = {**(extra if isinstance(extra, Mapping) else {}), **own, "reward_model": dict(model)}
    return {
        "solution_str": str(response),
        "ground_truth": gold,
        "data_source": row.get("data_source"),
        "extra_info": extra,
    }


def _read(path: Path) -> list[Row]:
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=[name for name in pq.read_schema(path).names if name != "images"])
            return table.to_pylist()
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file.") from error
    except (ValueError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not readable as {path.suffix or 'JSON lines'} ({error}).") from error


def _present(path: Path, columns: Sequence[str]) -> list[str]:
    try:
        return [name for name in columns if name in pq.read_schema(path).names]
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: no readable parquet file ({error}).") from error


def _flat(row: Row) -> dict[str, Any]:
    """What of a row goes into the written file."""
    return {
        "response": row["solution_str"],
        "ground_truth": row["ground_truth"]
        if isinstance(row["ground_truth"], str)
        else json.dumps(row["ground_truth"]),
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        write_parquet(path, pa.Table.from_pylist(rows))
        return
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


# ----------------------------------------------------------------------------------------------------------- printing


def _milliseconds(score: Score) -> float:
    return 1e3 * float(score["seconds"])


def _print_one(console: Console, score: Score) -> None:
    table = Table(show_header=False, box=None)
    for name, text in (
        ("extracted", score["pred"] or "(nothing)"),
        ("status", score["status"]),
        ("accuracy", f"{score['acc']:.4g}"),
        ("format", f"{score['format']:.4g}"),
        ("score", f"{score['score']:.4g}"),
        ("time", f"{_milliseconds(score):.3g} ms"),
    ):
        table.add_row(name, str(text), style=None)
    console.print(table, markup=False)


def _print_summary(console: Console, rows: Sequence[Row], scores: list[Score], limit: int) -> None:
    count = len(scores)
    statuses = Counter(score["status"] for score in scores)
    names = {"acc": "accuracy", "format": "format", "score": "score"}
    means = ", ".join(f"{name} {_mean(scores, key):.4f}" for key, name in names.items())
    console.print(f"{count} rollouts: {means}")
    console.print("  " + ", ".join(f"{status} {number}" for status, number in statuses.most_common()))
    slow = sorted(range(count), key=lambda i: -_milliseconds(scores[i]))[: min(limit, 3)]
    console.print(
        "  slowest: " + ", ".join(f"row {i} {_milliseconds(scores[i]):.1f} ms ({scores[i]['status']})" for i in slow)
    )
    faulty = [i for i in range(count) if scores[i]["status"] in FAULTY]
    for i in faulty[:limit]:
        console.print(f"  row {i}: {scores[i]['status']}, gold {str(rows[i]['ground_truth'])[:60]!r}", markup=False)


def _print_comparison(
    console: Console, rows: Sequence[Row], first: list[Score], second: list[Score], titles: tuple[str, str], limit: int
) -> None:
    """Means side by side, then the rows whose reward differs."""
    console.print(f"{'':12}{titles[0]:>24}{titles[1]:>24}", markup=False)
    for key in ("acc", "format", "score"):
        console.print(f"{key:12}{_mean(first, key):>24.4f}{_mean(second, key):>24.4f}")
    different = [
        i
        for i, (a, b) in enumerate(zip(first, second, strict=True))
        if (a["score"], a["status"]) != (b["score"], b["status"])
    ]
    console.print(f"{len(different)} of {len(rows)} rollouts get another reward.")
    for i in different[:limit]:
        a, b = first[i], second[i]
        console.print(
            f"  row {i}: gold {str(rows[i]['ground_truth'])[:40]!r}: "
            f"{a['score']:.3g} ({a['status']}, {str(a['pred'])[:40]!r}) | "
            f"{b['score']:.3g} ({b['status']}, {str(b['pred'])[:40]!r})",
            markup=False,
            soft_wrap=True,
        )
    if len(different) > limit:
        console.print(f"  ... and {len(different) - limit} more; --limit or --out shows them.")


def _mean(scores: list[Score], key: str) -> float:
    return sum(float(score[key]) for score in scores) / len(scores)
