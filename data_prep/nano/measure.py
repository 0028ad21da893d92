"""What a nano checkpoint can do, on held-out questions, sampled at temperature 1.

    python -m data_prep.nano.measure [--model DIR] [--prompts 480] [--json FILE]

Prints and returns: accuracy, pass@8 and accuracy per task with the right images and with shuffled ones (each question
gets the image of another question of its task: what is left is guessing), compliance with every output format,
response lengths. Accuracy is graded by reward_fns, leniently about form. Sampling uses the Hugging Face model directly,
for speed and to need no vLLM; the pipeline's evaluation (specs_verl.measure) goes through vLLM.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from data_prep.nano import base_checkpoint
from data_prep.nano.data import questions, verifier_of
from data_prep.nano.formats import FORMATS, OOD, complies, prompt
from data_prep.nano.policy import NanoPolicy
from data_prep.nano.questions import TASKS, Question
from reward_fns import verify

SAMPLES = 8
SEED = 20_001  # of the held-out questions; the pipeline's test sets use small seeds


@dataclass(frozen=True)
class Accuracy:
    """Of SAMPLES responses per question."""

    mean: float
    pass_at_8: float
    by_task: dict[str, float]


@dataclass(frozen=True)
class Measurement:
    prompts: int
    accuracy: Accuracy
    shuffled: Accuracy  # every question with another image
    compliance: dict[str, float]  # share of responses in exactly the asked format
    accuracy_by_format: dict[str, float]
    ood_compliance: float  # mean over the formats never asked for in training
    response_tokens: float  # mean, think_answer
    longest_response: int


def is_right(question: Question, response: str) -> bool:
    verifier, params = verifier_of(question.query.task)
    return verify(response, question.answer, verifier, **params).status == "right"


def _accuracy(asked: list[Question], responses: list[str]) -> Accuracy:
    """Responses come as SAMPLES rounds over all questions."""
    right = (
        torch.tensor([is_right(asked[i % len(asked)], text) for i, text in enumerate(responses)])
        .view(SAMPLES, -1)
        .float()
    )
    tasks = [question.query.task for question in asked]
    by_task = {t: right[:, [i for i, task in enumerate(tasks) if task == t]].mean().item() for t in TASKS}
    return Accuracy(right.mean().item(), right.amax(0).mean().item(), by_task)


def measure(policy: NanoPolicy, prompts: int = 480, seed: int = SEED) -> Measurement:
    """All figures for a checkpoint; a minute on one core for 480 prompts."""
    asked = questions(prompts - prompts % len(TASKS), seed, test=True)
    scenes = [question.scene for question in asked]
    # Tasks take turns, so a shift by their number keeps the task and changes the image.
    shifted = scenes[len(TASKS) :] + scenes[: len(TASKS)]
    texts = [prompt(question.text, "think_answer") for question in asked]
    ids = policy.sample_ids(scenes * SAMPLES, texts * SAMPLES, seed=seed)
    responses = [policy.decode(row) for row in ids]
    blind = policy.sample(shifted * SAMPLES, texts * SAMPLES, seed=seed)
    accuracy = _accuracy(asked, responses)
    compliance = {"think_answer": sum(complies("think_answer", text) for text in responses) / len(responses)}
    by_format = {"think_answer": accuracy.mean}
    for form in OOD:
        answers = policy.sample(scenes, [prompt(question.text, form) for question in asked], seed=seed)
        compliance[form] = sum(complies(form, text) for text in answers) / len(answers)
        by_format[form] = sum(is_right(question, text) for question, text in zip(asked, answers, strict=True)) / len(
            answers
        )
    return Measurement(
        prompts=len(asked),
        accuracy=accuracy,
        shuffled=_accuracy(asked, blind),
        compliance=compliance,
        accuracy_by_format=by_format,
        ood_compliance=sum(compliance[form] for form in OOD) / len(OOD),
        response_tokens=sum(map(len, ids)) / len(ids),
        longest_response=max(map(len, ids)),
    )


def show(result: Measurement, console: Console) -> None:
    """Two tables: tasks and formats."""
    images = Table(
        "",
        "right images",
        "shuffled images",
        title=f"accuracy at temperature 1, {result.prompts} held-out prompts x {SAMPLES}",
    )
    images.add_row("all tasks", f"{result.accuracy.mean:.3f}", f"{result.shuffled.mean:.3f}")
    images.add_row("pass@8", f"{result.accuracy.pass_at_8:.3f}", f"{result.shuffled.pass_at_8:.3f}", end_section=True)
    for task in TASKS:
        images.add_row(task, f"{result.accuracy.by_task[task]:.3f}", f"{result.shuffled.by_task[task]:.3f}")
    forms = Table("asked format", "compliance", "accuracy", title="output formats")
    for form in FORMATS:
        last_in_distribution = form == "think_answer"
        forms.add_row(
            form,
            f"{result.compliance[form]:.3f}",
            f"{result.accuracy_by_format[form]:.3f}",
            end_section=last_in_distribution,
        )
    forms.add_row("mean of the others", f"{result.ood_compliance:.3f}", "")
    console.print(images, forms)
    console.print(f"response tokens: mean {result.response_tokens:.1f}, longest {result.longest_response}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, default=base_checkpoint(), help="checkpoint directory (default: the shipped base)"
    )
    parser.add_argument("--prompts", type=int, default=480, help="held-out questions")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if not (options.model / "config.json").exists():
        parser.error(f"{options.model} is no checkpoint directory: it has no config.json")
    torch.set_num_threads(1)
    result = measure(NanoPolicy.load(options.model), options.prompts)
    show(result, Console())
    if options.json:
        temporary = options.json.with_name(options.json.name + ".tmp")
        temporary.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, options.json)


if __name__ == "__main__":
    main()
