r"""What the official evaluators say about our response files, beside our own verdicts.

    python3.11 -m venv official && official/bin/pip install -e . ms-vlmeval lmms-eval
    official/bin/python tests/benchmarks/official_evaluators.py

An environment of its own, for both packages pull in many others; where their pins disagree with ours, `pip install
--no-deps` them and add the modules that are named as missing.

Questions are the tests' made-up ones in the published layouts, each answered in every form of official_world.FORMS:
right, wrong, hedged, malformed. Files are prepared and written with `specs benchmark`. VLMEvalKit evaluates its files
against a table made up from the same rows; "lmms-eval" is its rule for responses that think; "authors" is the rule of
the benchmark's authors in lmms-eval's copy; both copies of MEGA-Bench's evaluator score its file. No network, no judge:
where VLMEvalKit asks a model to extract an answer, a stand-in hands back the prediction, and agrees to nothing.

Printed: scores, rows on which verdicts differ with the reason (REASONS), and our verdicts in the official arithmetic. A
difference without a reason, in MEGA-Bench's scores or in the arithmetic ends the script with exit code 1. Not a part of
`make test`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from official_world import MEGA_FOLDER, TEXTS_COMPARED, Row, fabricate, form_of, made_up, mega_bench, run_of, table_row
from rich.console import Console
from rich.table import Table

from reward_fns import compute_score
from specs_verl.cli import main as specs
from specs_verl.measure.benchmarks.official import official_score
from specs_verl.measure.benchmarks.registry import BENCHMARKS
from specs_verl.measure.benchmarks.response_files import answer_of
from specs_verl.measure.benchmarks.source import list_of

MODEL = "ours"
TABLES = {  # VLMEvalKit's data sets that hold the rows of each benchmark
    "mathvista": ("MathVista_MINI",), "mathvision": ("MathVision",), "mathverse": ("MathVerse_MINI",),
    "mmmu": ("MMMU_DEV_VAL",), "mmmu_pro": ("MMMU_Pro_10c", "MMMU_Pro_V"), "dynamath": ("DynaMath",),
    "wemath": ("WeMath",), "logicvista": ("LogicVista",),
}  # fmt: skip
WITH_JUDGE = ("mathvista", "mathvision", "mathverse", "dynamath", "logicvista")
EVALUATORS = ("VLMEvalKit", "lmms-eval", "authors")
MANIFEST = {"parameters": {"n": 1, "max_tokens": 2048}, "versions": {}}

FIRST, JUDGE = "takes the first of two answers", "left to its judge model, and the stand-in extracts nothing"
REASONS: list[tuple[str, bool, str]] = [
    (r"VLMEvalKit/mathvista/math/.*", True, "its rule for lists compares the text of None: none is ever right"),
    (r"VLMEvalKit/mmmu/math/.*", True, "open questions become choices of the gold's text: no list of golds is matched"),
    (r"VLMEvalKit/.*/choice/cut off", False, "takes a letter near the end of a thought that was cut off"),
    (r"VLMEvalKit/mmmu_pro/choice/no tags", True, "takes the pronoun I for a second option"),
    (r"VLMEvalKit/(wemath|dynamath)/.*/(two answers|taken back)", False, FIRST),
    (r"VLMEvalKit/wemath/.*", True, "the first character has to be the letter, where no judge is asked"),
    (r"VLMEvalKit/.*/(parentheses|sentence|no tags|text of the option|gold and text|other spelling)", True, JUDGE),
    (r"lmms-eval/.*/(two answers|taken back)", False, FIRST),
    (r"lmms-eval/mmmu/math/.*", True, "compares with the list of golds as one text"),
    (r"lmms-eval/.*/no tags", True, "reads tags, boxes, and numbers at the end"),
    (r"lmms-eval/.*/text of the option", True, "does not know the texts of the options"),
    (r"lmms-eval/.*/choice/other spelling", True, "reads capital letters alone"),
    (r"lmms-eval/.*/number/other spelling", True, "knows neither tolerance nor precision of the question"),
    (r"lmms-eval/mmmu_pro/.*", True, "knows no options beyond H"),
    (r"lmms-eval/logicvista/.*", True, "takes one letter where the gold has two"),
    (r"lmms-eval/.*/parentheses", True, "reads no number in parentheses"),
    (
        r"lmms-eval/mathvista/math/.*box",
        True,
        "takes a list in a box for an interval",
    ),
    (r"authors/mathvista/.*", True, "expects the answer alone, which GPT-4 extracts there"),
    (r"authors/mathvision/.*", True, "removes blanks from the answer, and not from the text of the option"),
    (r"authors/mmmu/math/two answers", False, "any of the values in the text may be the gold"),
    (r"authors/mmmu/choice/.*", False, "takes the letter last named, or guesses an option where it finds none"),
    (r"authors/mmmu/choice/.*", True, "finds no text of an option in fewer than six words, and guesses"),
]
"""evaluator/benchmark/verifier/form, our verdict, why the evaluator decides otherwise."""


WITHOUT_NLI = """import runpy, sys, transformers
transformers.pipeline = lambda *words, **settings: None  # a download, as soon as the metric nli_entailment is imported
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def command(*words: object) -> None:
    """One of our commands."""
    if specs([str(word) for word in words]) != 0:
        raise SystemExit(f"specs {' '.join(map(str, words))} failed")


# --- VLMEvalKit -------------------------------------------------------------------------------------------------------


class StandIn:
    """In place of VLMEvalKit's judge: hands back the prediction that it finds in the prompt, and decides nothing."""

    system_prompt = ""
    _PREDICTION = re.compile(
        r"Model respone: (?P<v>(?:(?!Model respone: ).)*)Extracted answer:\Z"  # MathVista, MathVision, as spelt there
        r"|Model response: '(?P<e>(?:(?!Model response: ).)*)'\nExtracted Answer: \Z"  # MathVerse, first step
        r"|\AFree-form answer: (?P<d>.*)\nInstruction: "  # DynaMath
        r"|Answer: <start>\n(?P<l>(?:(?!<start>).)*)\n<end>\nYour output: \Z",  # LogicVista: letters
        re.DOTALL,
    )

    def working(self) -> bool:
        """A judge is asked for."""
        return True

    def generate(self, prompt: str, **settings: object) -> str:
        """The prediction; "0" to the question whether two answers agree."""
        found = self._PREDICTION.search(prompt)
        if found is None:
            return "0"
        text = next(value for value in found.groups() if value is not None)
        return "".join(re.findall(r"\b[A-H]\b", text)) or "Z" if found["l"] is not None else text


def vlmevalkit(name: str, table: Path, target: Path) -> tuple[pd.DataFrame, float]:
    """VLMEvalKit's verdicts (columns of its table and `official`) and its headline, in [0, 1]; the file is found and
    evaluated as by `run.py --mode eval --reuse`."""
    from vlmeval.dataset import build_dataset, dynamath, image_mcq, image_vqa
    from vlmeval.dataset.utils import mathv, mathvista, wemath
    from vlmeval.smp.file import load, md5, prepare_reuse_files

    for module in (image_vqa, image_mcq, dynamath):
        module.build_judge = lambda **settings: StandIn()
    for kind in (image_vqa.MathVista, image_vqa.MathVision, image_vqa.MathVerse, image_vqa.LogicVista,
                 image_mcq.MMMUDataset, image_mcq.MMMUProDataset, image_mcq.WeMath, dynamath.Dynamath):  # fmt: skip
        if table.stem in kind.DATASET_MD5:  # the made-up table is not the published one
            kind.DATASET_MD5[table.stem] = md5(str(table))
    data = build_dataset(table.stem)
    result = target.parents[1] / f"evaluated/{target.name}"
    context = prepare_reuse_files(
        str(target.parents[1]), "evaluated", MODEL, table.stem, data, str(result), reuse=True, reuse_aux="none"
    )
    if not context["prediction_complete"]:
        raise SystemExit(f"{target}: VLMEvalKit does not take it for a complete prediction")
    judge = "stand-in" if name in WITH_JUDGE else "exact_matching"
    # We-Math's last step, which prints a table, needs a private method of pandas that pandas 3 has no more.
    score = (
        data.evaluate(str(result), model=judge, nproc=1) if name != "wemath" or hasattr(pd.DataFrame, "_append") else {}
    )
    stem = str(result).removesuffix(".tsv")
    if name in ("mmmu", "mmmu_pro"):
        frame = load(f"{stem}_{judge}_result.tsv")
        return frame.assign(official=frame["hit"]), float(score["Overall"][list(score["split"]).index("validation")])
    if name == "wemath":
        frame = wemath.load_and_process_data(str(result))
        return frame.assign(official=frame["joker"]), _wemath(frame["joker"].tolist(), frame)
    frame = load(f"{stem}_{judge}{'_score' if name == 'mathverse' else ''}.tsv")
    verdict: dict[str, Callable[[Row], Any]] = {
        "mathvista": lambda line: mathvista.post_check(line), "mathvision": lambda line: mathv.post_check(line),
        "mathverse": lambda line: line["score"], "dynamath": lambda line: line["correct"],
        "logicvista": lambda line: line["hit"],
    }  # fmt: skip
    frame["official"] = [verdict[name](frame.iloc[place]) for place in range(len(frame))]
    headline = {"mathvista": "acc", "mathvision": "acc", "logicvista": "acc"}
    if name in headline:
        names = score["Task&Skill" if "Task&Skill" in score else "Subject"]
        return frame, float(score["acc"][list(names).index("Overall")]) / 100
    if name == "dynamath":
        return frame, float(score["Overall"][0])
    return frame, float(score["Overall"][list(score["split"]).index("Vision Only")]) / 100


def _wemath(right: list[bool], frame: pd.DataFrame, reading: str = "strict") -> float:
    """We-Math's score by VLMEvalKit's counts; its last step divides by the 525 problems of the whole test."""
    from vlmeval.dataset.utils import wemath

    parts = []
    for steps in (2, 3):
        kept = frame.assign(joker=right)[frame["key"].str.contains(f"{steps}steps")]
        parts.append(wemath.evaluate_process_steps_data(kept, steps))
    problems = sum(len(part) for part in parts)
    counts, _ = wemath.evaluate_compute_final_scores(wemath.evaluate_calculate_metrics(*parts), problems)
    lost = counts[f"RoteMemorization_{reading}"] + counts["InsufficientKnowledge"]
    return 1 - (0.5 * counts["InadequateGeneralization"] + lost) / problems


# --- lmms-eval --------------------------------------------------------------------------------------------------------


def lmms_rule(name: str, row: Row, prepared: Row, response: str) -> bool:
    """lmms-eval's rule for responses that think (tasks *_reasoning), without its judge."""
    from lmms_eval.tasks._task_utils.reasoning_utils import compute_score as official

    gold = str(prepared["reward_model"]["ground_truth"]) if name == "mathvista" else row.get("answer")
    return bool(official(name, response.strip(), str(gold or row.get("ground_truth")))["acc_score"] == 1)


def own_rule(name: str, row: Row, response: str) -> bool | None:
    """The rule of the benchmark's authors in lmms-eval's copy, on our extracted answer; None where it asks a judge."""
    text = answer_of(response)
    if name == "mathvista":
        os.environ.setdefault("OPENAI_API_KEY", "none: no judge is asked")
        from lmms_eval.tasks.mathvista.mathvista_evals import MathVistaEvaluator

        judge = object.__new__(MathVistaEvaluator)
        kinds = (row["question_type"], row["answer_type"], int(row["precision"] or 0))
        found = judge.normalize_extracted_answer(text, row["choices"], *kinds)
        return bool(judge.safe_equal(found, row["answer"]))
    if name == "mathvision":
        if importlib.util.find_spec("latex2sympy2") is None:  # its maintained form, which VLMEvalKit prefers
            import latex2sympy2_extended

            sys.modules["latex2sympy2"] = latex2sympy2_extended
        from lmms_eval.tasks.mathvision.utils import mathvision_process_results

        return bool(mathvision_process_results(row, [text])["mathvision_standard_eval"]["scores"][0])
    if name == "mmmu":
        from lmms_eval.tasks.mmmu.utils import evaluate_mmmu, mmmu_process_results

        line = mmmu_process_results(row, [text])["mmmu_acc"]
        line["answer"] = list_of(row["answer"], name) if row["answer"].startswith("[") else row["answer"]
        return bool(evaluate_mmmu([line])[1]["acc"])
    return None


# --- comparison -------------------------------------------------------------------------------------------------------


def compare(name: str, folder: Path) -> tuple[pd.DataFrame, dict[str, float], dict[str, tuple[float, float]]]:
    """Verdicts of one benchmark, a line per question; the headline of every evaluator; and where a score is more than a
    mean, our verdicts in the official arithmetic and in ours."""
    benchmark, source, file = BENCHMARKS[name], folder / "published", folder / f"{name}.parquet"
    made_up(name, source)
    command("benchmark", "prepare", name, "--source", source, "--out", file)
    rows, texts = run_of(folder / "run", file)
    lines = [row for _, row in benchmark.rows(source)]
    verdicts = [
        compute_score(name, text, row["reward_model"]["ground_truth"], row["extra_info"])["status"]
        for row, text in zip(rows, texts, strict=True)
    ]
    frame = pd.DataFrame({
        "row": range(len(rows)), "sample": 0, "finish_reason": "stop", "right": [v == "right" for v in verdicts],
        "id": [row["extra_info"]["id"] for row in rows], "form": [form_of(number) for number in range(len(rows))],
        "verifier": [row["extra_info"]["verifier"] for row in rows],
    })  # fmt: skip
    frame["VLMEvalKit"], headlines = by_vlmevalkit(name, folder, file, lines, list(frame["id"]))
    triples = list(zip(lines, rows, texts, strict=True))
    frame["lmms-eval"] = [lmms_rule(name, line, row, text) for line, row, text in triples]
    frame["authors"] = [own_rule(name, line, text) for line, text in zip(lines, texts, strict=True)]
    ours = official_score(file, frame, MANIFEST, "reward_fns").scores
    heads = {"ours": ours["ALL"], "VLMEvalKit": sum(headlines) / len(headlines)}
    for column in ("lmms-eval", "authors"):
        if frame[column].notna().all():
            frame[column] = frame[column].astype(bool)
            heads[column] = official_score(file, frame.assign(right=frame[column]), MANIFEST, column).scores["ALL"]
    return frame, heads, arithmetic(name, frame, lines, ours)


def by_vlmevalkit(
    name: str, folder: Path, file: Path, lines: list[Row], ids: list[str]
) -> tuple[list[bool], list[float]]:
    """VLMEvalKit's verdict on every question, and its headline of every table."""
    found: dict[str, bool] = {}
    headlines = []
    os.environ |= {"LMUData": str(folder / "LMUData"), "PRED_FORMAT": "tsv"}
    (folder / "LMUData").mkdir()
    for data in TABLES[name]:
        setting = "vision" if data == "MMMU_Pro_V" else "standard (10 options)"
        own = [line for line in lines if line.get("setting", setting) == setting]
        table = folder / "LMUData" / f"{data}.tsv"
        made = pd.DataFrame([table_row(name, place, line) for place, line in enumerate(own)])
        made.to_csv(table, sep="\t", index=False)
        words = ("--samples", folder / "run", "--data", file, "--table", table, "--model", MODEL)
        command("benchmark", "write", "vlmevalkit", name, *words, "--out", folder / "written")
        (target,) = (folder / "written").rglob(f"{MODEL}_{data}.tsv")
        scored, headline = vlmevalkit(name, table, target)
        headlines.append(headline)
        pattern = BENCHMARKS[name].vlmevalkit[data]
        found |= {pattern.format(**line): bool(line["official"]) for line in scored.to_dict("records")}
    return [found[key] for key in ids], headlines


def arithmetic(
    name: str, frame: pd.DataFrame, lines: list[Row], ours: dict[str, float]
) -> dict[str, tuple[float, float]]:
    """Our verdicts scored by the official code and by ours."""
    if name == "wemath":
        right, table = list(frame["right"]), pd.DataFrame(lines)
        return {
            f"We-Math, {kind}": (_wemath(right, table, kind), ours[f"score ({kind})"]) for kind in ("strict", "loose")
        }
    if name == "dynamath":
        from lmms_eval.tasks.dynamath.reasoning import utils

        results = [{"variant_id": line["id"], "acc": float(ok)} for line, ok in zip(lines, frame["right"], strict=True)]
        return {
            "DynaMath, average": (utils.dynamath_aggregate_results_average(results), ours["ALL"]),
            "DynaMath, worst case": (utils.dynamath_aggregate_results_worst(results), ours["worst case"]),
        }
    return {}


def compare_megabench(folder: Path) -> Table:
    """Scores that both copies of MEGA-Bench's evaluator give our file, beside those of the metrics' definitions."""
    expected = mega_bench(folder)
    source, file = folder / MEGA_FOLDER, folder / "megabench.parquet"
    command("benchmark", "prepare", "megabench", "--source", source, "--out", file, "--prompt", "none")
    run = fabricate(folder / "run", file, [text for _, text, _ in expected])
    words = ("--samples", run, "--data", file, "--source", source, "--out", folder / "written")
    command("benchmark", "write", "megabench", "megabench", *words)
    spec = importlib.util.find_spec("lmms_eval")
    assert spec is not None and spec.origin is not None
    copies = {
        "VLMEvalKit": ["-m", "vlmeval.dataset.utils.megabench.evaluator"],
        "lmms-eval": ["-c", WITHOUT_NLI, str(Path(spec.origin).parent / "tasks" / "megabench" / "evaluator.py")],
    }
    shown = Table("MEGA-Bench task", "response", "right score", *copies)
    found: dict[str, list[float]] = {}
    for copy, start in copies.items():
        scored = folder / f"{copy}.json"
        asked = ["--subset_name", "core", "--submission_file", str(folder / "written" / "all_query_responses.json")]
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache"), "OPENAI_API_KEY": "none"}
        subprocess.run(
            [sys.executable, *start, *asked, "--output_file", str(scored)],
            check=True, cwd=folder, env=os.environ | offline, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        tasks = json.loads(scored.read_text())["data"]
        found[copy] = [query["scores"]["query"] for task in tasks for query in task["query_response"]]
    for (task, response, score), *scores in zip(expected, *found.values(), strict=True):
        right = [0.0 if (copy, response) == ("VLMEvalKit", TEXTS_COMPARED) else score for copy in found]
        mark = "" if scores == right else "[red]differs[/red] "
        shown.add_row(mark + task, response.replace("[", r"\["), str(score), *map(str, scores))
    return shown


def reason_of(evaluator: str, name: str, verifier: str, form: str, ours: bool) -> str:
    """Why an evaluator decides otherwise; empty where that is not known."""
    what = f"{evaluator}/{name}/{verifier}/{form}"
    return next((why for pattern, verdict, why in REASONS if verdict == ours and re.fullmatch(pattern, what)), "")


def main() -> int:
    """Compare all benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*TABLES, "megabench"], default=[*TABLES, "megabench"])
    parser.add_argument("--out", type=Path, help="new folder for all files (a temporary one by default)")
    args = parser.parse_args()
    for package, wheel in (("vlmeval", "ms-vlmeval"), ("lmms_eval", "lmms-eval")):
        if importlib.util.find_spec(package) is None:
            print(f"{package} is not installed: pip install {wheel}, in an environment of its own.", file=sys.stderr)
            return 2
    out = Path(tempfile.mkdtemp()) if args.out is None else args.out.resolve()
    summary = Table("benchmark", "rows", "ours", *EVALUATORS, *(f"differ: {name}" for name in EVALUATORS))
    scores = Table("our verdicts", "official arithmetic", "ours")
    found: Counter[tuple[str, str, str, str, bool]] = Counter()
    faults = 0
    random.seed(0)  # MMMU's rule guesses an option where it finds none
    for name in args.only:
        if name == "megabench":
            continue
        frame, heads, checked = compare(name, out / name)
        shown = [f"{100 * heads[key]:.1f}" if key in heads else "-" for key in ("ours", *EVALUATORS)]
        known = {key: frame[frame[key] != frame["right"]] for key in EVALUATORS if key in heads}
        differ = [str(len(known[key])) if key in known else "-" for key in EVALUATORS]
        summary.add_row(BENCHMARKS[name].title, str(len(frame)), *shown, *differ)
        for evaluator, part in known.items():
            keys = zip(part["verifier"], part["form"], part["right"], strict=True)
            found.update((evaluator, name, *key) for key in keys)
        for what, (official, ours) in checked.items():
            scores.add_row(what, f"{official:.3f}", f"{ours:.3f}")
            faults += abs(official - ours) > 1e-9
    listed = Table("evaluator", "benchmark", "verifier", "form", "ours", "rows", "why")
    for key, rows in sorted(found.items()):
        why = reason_of(*key)
        faults += not why
        listed.add_row(*key[:4], "right" if key[4] else "wrong", str(rows), why or "[red]not explained[/red]")
    tables = [summary, scores, listed] if len(summary.rows) else []
    if "megabench" in args.only:
        tables.append(compare_megabench(out / "megabench"))
        faults += sum("differs" in str(cell) for cell in tables[-1].columns[0].cells)
    console = Console(width=170)
    for table in tables:
        console.print(table)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
