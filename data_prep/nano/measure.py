"""What nano checkpoints can do, each figure with its 95 % interval over held-out questions.

    python -m data_prep.nano.measure [--model DIR [DIR ...]] [--prompts 480] [--json FILE]

With several directories their figures stand side by side, and where two intervals around a difference exclude zero the
row is marked: that is how a rebuilt base is compared with the shipped one.

Measured at temperature 1: accuracy and pass@8 with the right images and with shuffled ones (each question gets the
image of another question of its task: what is left is guessing); compliance with think_answer and with every family
of other formats (formats.py); how many copying drills in the same formats are done without fault; and what reasoning
stands in right, well-formed responses (soundness.py). Accuracy is graded by reward_fns, leniently about form.
Sampling uses the Hugging Face model directly, for speed and to need no vLLM; the pipeline's evaluation
(specs_verl.measure) uses vLLM.
"""

import argparse
import math
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from data_prep.files import write_json
from data_prep.nano import base_checkpoint
from data_prep.nano.data import questions, verifier_of
from data_prep.nano.formats import FAMILIES, THINK_ANSWER, Form, complies, draw_format, parse, prompt, respond
from data_prep.nano.policy import NanoPolicy
from data_prep.nano.questions import TASKS, Question, solve
from data_prep.nano.soundness import soundness
from reward_fns import verify

SAMPLES = 8
SEED = 20_001  # of the held-out questions; the pipeline's test sets use small seeds


@dataclass(frozen=True)
class Figure:
    """A share or a mean, with the half width of its 95 % interval over questions."""

    value: float
    half_width: float

    @classmethod
    def of(cls, per_question: Tensor) -> "Figure":
        """Mean of a float vector; not a number for an empty one."""
        count = len(per_question)
        spread = per_question.std().item() if count > 1 else float("nan")
        return cls(per_question.mean().item(), 1.96 * spread / math.sqrt(count) if count else float("nan"))

    def differs(self, other: "Figure") -> bool:
        """Whether the 95 % interval of the difference excludes zero (normal approximation, independent samples)."""
        return abs(self.value - other.value) > math.hypot(self.half_width, other.half_width)


Measurement = dict[str, dict[str, Figure]]
"""Group of figures -> name -> figure."""


def is_right(question: Question, response: str) -> bool:
    """Whether reward_fns finds the question's answer in the response."""
    verifier, params = verifier_of(question.query.task)
    return verify(response, question.answer, verifier, **params).status == "right"


def _accuracy(asked: list[Question], responses: list[str]) -> dict[str, Figure]:
    """Responses come as SAMPLES rounds over all questions."""
    marks = [is_right(asked[index % len(asked)], text) for index, text in enumerate(responses)]
    right = torch.tensor(marks).view(SAMPLES, -1).float()
    figures = {"all tasks": Figure.of(right.mean(0)), "pass@8": Figure.of(right.amax(0))}
    for task in TASKS:
        where = [index for index, question in enumerate(asked) if question.query.task == task]
        figures[task] = Figure.of(right[:, where].mean(0))
    return figures


def _shares(marks: list[bool]) -> Figure:
    return Figure.of(torch.tensor(marks).float())


def _reasoning(asked: list[Question], responses: list[str]) -> dict[str, Figure]:
    """Kinds of reasoning in right responses in the form think_answer."""
    kinds = []
    for index, text in enumerate(responses):
        question = asked[index % len(asked)]
        if complies(THINK_ANSWER, text) and is_right(question, text):
            thought = text[text.index("<think>") + len("<think>") : text.index("</think>")]
            kinds.append(soundness(thought, solve(question.query, question.scene.cells).steps))
    return {kind: _shares([kind == found for found in kinds]) for kind in ("sound", "unsound", "none")}


def measure(policy: NanoPolicy, prompts: int = 480, seed: int = SEED) -> Measurement:
    """All figures for a checkpoint; some two minutes on one core for 480 prompts."""
    asked = questions(prompts - prompts % len(TASKS), seed, test=True)
    scenes = [question.scene for question in asked]
    # Tasks take turns, so a shift by their number keeps the task and changes the image.
    shifted = scenes[len(TASKS) :] + scenes[: len(TASKS)]
    texts = [prompt(question.text, THINK_ANSWER) for question in asked]
    ids = policy.sample_ids(scenes * SAMPLES, texts * SAMPLES, seed=seed)
    responses = [policy.decode(row) for row in ids]
    blind = policy.sample(shifted * SAMPLES, texts * SAMPLES, seed=seed)
    well_formed = torch.tensor([complies(THINK_ANSWER, text) for text in responses]).view(SAMPLES, -1).float()
    compliance, copied = {"think_answer": Figure.of(well_formed.mean(0))}, {}
    obeyed = []
    for family in ("think_answer", *FAMILIES):
        rng = random.Random(f"{family}/{seed}")
        forms = [THINK_ANSWER if family == "think_answer" else parse(draw_format(family, rng)) for _ in asked]
        copied[family] = _copied(policy, asked, forms, seed)
        if family != "think_answer":
            wanted = [prompt(question.text, form) for question, form in zip(asked, forms, strict=True)]
            answers = policy.sample(scenes, wanted, seed=seed)
            obeyed.append([complies(form, text) for form, text in zip(forms, answers, strict=True)])
            compliance[family] = _shares(obeyed[-1])
    compliance["mean of the others"] = Figure.of(torch.tensor(obeyed).float().mean(0))
    return {
        "accuracy": _accuracy(asked, responses),
        "accuracy with shuffled images": _accuracy(asked, blind),
        "compliance with the asked format": compliance,
        "copying drills without fault": copied,
        "reasoning in right, well-formed responses": _reasoning(asked, responses),
        "length": {"response tokens": Figure.of(torch.tensor([len(row) for row in ids]).float())},
    }


def _copied(policy: NanoPolicy, asked: list[Question], forms: list[Form], seed: int) -> Figure:
    """Share of 'Copy ... Then ...' prompts with the solutions of the questions that are answered to the letter."""
    lines = [solve(question.query, question.scene.cells) for question in asked]
    pairs = list(zip(forms, lines, strict=True))
    prompts = [prompt(f"Copy {line.steps} Then {line.answer}.", form) for form, line in pairs]
    texts = policy.sample([question.scene for question in asked], prompts, seed=seed)
    wanted = [respond(form, line.steps, line.answer) for form, line in pairs]
    return _shares([text == copy for text, copy in zip(texts, wanted, strict=True)])


def show(measured: dict[str, Measurement], console: Console) -> None:
    """One table, a column per checkpoint. A star marks a difference from the first whose interval excludes zero."""
    table = Table("", *measured, title="share at temperature 1, with the half width of its 95 % interval")
    first, *others = measured.values()
    for group, figures in first.items():
        table.add_row(f"[bold]{group}[/bold]")
        for name, figure in figures.items():
            digits = 1 if group == "length" else 3
            cells = [f"{figure.value:.{digits}f} ± {figure.half_width:.{digits}f}"]
            for other in others:
                there = other[group][name]
                star = " *" if figure.differs(there) else ""
                cells.append(f"{there.value:.{digits}f} ± {there.half_width:.{digits}f}{star}")
            table.add_row(f"  {name}", *cells)
        table.add_section()
    console.print(table)
    if others:
        console.print("* differs from the first column: the 95 % interval of the difference excludes zero.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, nargs="+", default=[base_checkpoint()], help="checkpoint directories (default: shipped)"
    )
    parser.add_argument("--prompts", type=int, default=480, help="held-out questions")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    for model in options.model:
        if not (model / "config.json").exists():
            parser.error(f"{model} is no checkpoint directory: it has no config.json")
    if len({str(model) for model in options.model}) < len(options.model):
        parser.error("--model names a directory twice")
    torch.set_num_threads(1)
    measured = {str(model): measure(NanoPolicy.load(model), options.prompts) for model in options.model}
    show(measured, Console())
    if options.json:
        figures = {
            model: {group: {name: asdict(figure) for name, figure in named.items()} for group, named in result.items()}
            for model, result in measured.items()
        }
        write_json(options.json, figures)


if __name__ == "__main__":
    main()
