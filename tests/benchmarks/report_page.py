"""How long the report of five checkpoints with 10,000 responses each takes, and how large its page is.

    python tests/benchmarks/report_page.py [--out DIR]       # prints seconds and MB; limits: 30 s and 15 MB

Data set, responses, training logs and a factor over steps are made up; grading is timed apart from the page.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path

from specs_verl.measure.evaluate import EvalSet, evaluate
from specs_verl.measure.report import ReportInputs, TrainingLog, collect, write_figures, write_report

MODELS = {"base": (0.35, 0.4), "zero": (0.5, 0.97), "sft": (0.4, 0.98), "warm-up": (0.42, 0.95), "final": (0.62, 0.99)}
PROMPTS, SAMPLES = 1250, 8


def fabricate():
    """The tests' own fabricated runs (tests/measure/conftest.py)."""
    spec = importlib.util.spec_from_file_location("fabricated", Path(__file__).parents[1] / "measure" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_up_gf(folder: Path) -> Path:
    steps = list(range(0, 26, 5))
    curves = [
        {
            "run": run, "definition": definition, "steps": steps, "best": 25, "by_format": {"json": [0.0] * 6},
            "id": [0.26 + 0.7 * min(1, step / 12) for step in steps],
            "ood": [0.01 + level * min(1, step / 20) for step in steps],
            "gf": [level * min(1, step / 18) for step in steps],
        }
        for run, level in (("warm-up", 0.9), ("sft", 0.65))
        for definition in ("compliance", "right")
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gf.json").write_text(json.dumps({"curves": curves}))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(tempfile.mkdtemp()))
    out = parser.parse_args().out
    made = fabricate()
    test = made.write_prompts(out / "test.parquet", PROMPTS)
    ood = made.write_prompts(out / "ood.parquet", 200, "answer_line")
    paths = []
    started = time.perf_counter()
    for number, (name, (right, formed)) in enumerate(MODELS.items()):
        made.write_run(out / name / "test", test, made.Quality(right, formed), n=SAMPLES, seed=number)
        made.write_run(out / name / "ood", ood, made.Quality(right, formed / 3), n=1, seed=number)
    print(f"made up in {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    for name in MODELS:
        sets = [EvalSet("test", out / name / "test", (test,)), EvalSet("ood", out / name / "ood", (ood,), role="ood")]
        paths.append(evaluate(name, sets, out / "eval" / name))
    graded = time.perf_counter() - started
    responses = len(MODELS) * PROMPTS * SAMPLES
    print(f"graded and measured {responses:,} responses in {graded:.1f} s ({responses / graded:,.0f} a second)")
    inputs = ReportInputs(
        metrics=tuple(paths),
        grpo=tuple(
            TrainingLog(name, (made.write_grpo_log(out / f"{name}.jsonl", 600, 0.5, 1.3),))
            for name in ("zero", "final")
        ),
        cold_start=tuple(
            TrainingLog(name, (made.write_cold_start_log(out / f"cold-{name}.jsonl", 140),))
            for name in ("warm-up", "sft")
        ),
        gf=(made_up_gf(out / "gf"),),
    )
    started, worked = time.perf_counter(), time.process_time()
    page = write_report(inputs, out / "report.html")
    worked = time.process_time() - worked
    seconds = time.perf_counter() - started
    print(f"page: {seconds:.1f} s ({worked:.1f} s of CPU), {page.stat().st_size / 1e6:.2f} MB: {page}")
    started = time.perf_counter()
    worked = time.process_time()
    figures = write_figures(collect(inputs), out / "figures")
    worked = time.process_time() - worked
    print(f"{len(figures)} figures: {time.perf_counter() - started:.1f} s ({worked:.1f} s of CPU)")


if __name__ == "__main__":
    main()
