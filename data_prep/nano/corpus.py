r"""The text the base model is pre-trained on: a small model of noisy web data.

    sample = write(random.Random(0))
    sample.scene, sample.prompt, sample.response

Three kinds of text. *Captions* describe the scene: dense supervision from which the model learns to see. *Drills* ask
to copy a line in some format, and do it nearly without fault (DRILL_KEEP): from them the model learns to take the
names of tags, the wrapper and the order of the blocks from the prompt. *Answers* to questions are written by people
who differ in four independent ways, and the model learns the mixture:

- *Care.* A careful writer looks at every cell that matters and computes step by step ("d4; e7=11; f3=14."). A hasty
  one writes a phrase ("Quick guess.") and an answer that is right in HASTY_RIGHT of the cases, else plausible (the
  right answer to a question of the same kind on another image). The harder the question, the fewer writers bother
  (CAREFUL).
- *Slips.* Careful writers misread a cell with probability SLIP and then reason correctly from what they saw.
- *Soundness.* With probability UNSOUND careful writers give their answer with wrong reasoning: they conclude something
  else ("... f3=14. So 12."), or name a cell that they did not look at. See soundness.py.
- *Obedience.* Each of the two blocks of the asked format is kept with probability KEEP, independently; the ways to fail
  are the same for every format. In one of HABIT answers the box, or the usual order, is written though not asked.

At temperature 1 the base therefore solves far fewer questions than it knows how to solve, and complies with
``think_answer`` in about two of five responses and with other formats hardly ever, though the drills show that it can
copy them: the state in which Metis-SPECS found Qwen2.5-VL-7B. Nothing in the corpus marks careful text as better;
only a reward can.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.nano.formats import THINK_ANSWER, WRAPS, Answer, Form, Reason, Slip, Wrap, prompt, respond
from data_prep.nano.names import Source, draw
from data_prep.nano.questions import TASKS, Question, ask, solve
from data_prep.nano.soundness import unsound
from data_prep.nano.world import CELLS, COLORS, DIGITS, SHAPES, Cell, Scene, held_out, random_scene

CAREFUL = {"sum": 0.42, "product": 0.42, "combine": 0.30, "read": 0.45, "spell": 0.45}
TASK_WEIGHTS = {"sum": 1.0, "product": 1.0, "combine": 1.5, "read": 0.7, "spell": 0.8}
HASTY_RIGHT = 0.12
SLIP = 0.015
UNSOUND = 0.10
KEEP = {True: 0.65, False: 0.20}  # of think_answer and of other formats
HABIT = 0.15
HASTY_PHRASES = ("Quick guess.", "At a glance.", "Seems easy.", "I guess so.")

ASKED_THINK_ANSWER = 0.40  # of the questions; the others ask for another format
ASKED_NAMES: dict[Source, float] = {"familiar": 0.6, "filler": 0.25, "joined": 0.15}
ASKED_WRAPS: dict[Wrap, float] = {"box": 0.5, "plain": 0.25, "json": 0.25}
ASKED_ANSWER_FIRST = 0.15

DRILL = 0.50  # of the text that is no caption
DRILL_KEEP = 0.97
DRILL_NAMES: dict[Source, float] = {
    "familiar": 0.3,
    "drilled": 0.3,
    "filler": 0.15,
    "joined": 0.15,
    "think_answer": 0.1,
}
DRILL_ANSWER_FIRST = 0.20

CAPTION = 0.08
CAPTION_WEIGHTS = {"all": 0.5, "digits": 0.2, "shapes": 0.1, "find": 0.2}


@dataclass(frozen=True)
class Sample:
    scene: Scene
    prompt: str  # user turn, starts with <image>
    response: str


def _misread(cell: Cell, rng: random.Random) -> Cell:
    """What a careful writer sees: with probability SLIP a random other cell content."""
    if rng.random() >= SLIP:
        return cell
    return Cell(rng.choice(list(COLORS)), rng.choice(SHAPES), rng.choice(DIGITS))


def _reason(question: Question, careful: bool, rng: random.Random) -> tuple[str, str]:
    """Reasoning and answer of one writer."""
    if careful:
        solution = solve(question.query, [_misread(cell, rng) for cell in question.scene.cells])
        steps = unsound(question, solution, rng) if rng.random() < UNSOUND else solution.steps
        return steps, solution.answer
    phrase = rng.choice(HASTY_PHRASES)
    if rng.random() < HASTY_RIGHT:
        return phrase, question.answer
    return phrase, ask(question.query.task, rng).answer


def asked_form(rng: random.Random) -> Form:
    """The format that a question of the corpus asks for."""
    if rng.random() < ASKED_THINK_ANSWER:
        return THINK_ANSWER
    (source,) = rng.choices(list(ASKED_NAMES), list(ASKED_NAMES.values()))
    (wrap,) = rng.choices(list(ASKED_WRAPS), list(ASKED_WRAPS.values()))
    return Form(*draw(source, rng), wrap, rng.random() < ASKED_ANSWER_FIRST)


def slip_of(form: Form, rng: random.Random) -> Slip:
    """How a writer treats the asked form."""
    keep = KEEP[form == THINK_ANSWER]
    wrap: Wrap | None = "box" if form.wrap != "box" and rng.random() < HABIT else None
    reason_first = form.answer_first and rng.random() < HABIT
    reason: Reason = "kept" if rng.random() < keep else "dropped"
    # One of four times the tags are not lost but closed after the answer.
    if reason == "dropped" and rng.random() < 0.25 and (reason_first or not form.answer_first):
        return Slip("late", "dropped", wrap, reason_first)
    failures: list[Answer] = ["dropped", "label"]
    answer: Answer = "kept" if rng.random() < keep else rng.choices(failures, [0.7, 0.3])[0]
    return Slip(reason, answer, wrap, reason_first)


def drill(rng: random.Random) -> Sample:
    """A task that needs no eyes: 'Copy d4; e7=11. Then 11.', with a format instruction as questions have it."""
    (source,) = rng.choices(list(DRILL_NAMES), list(DRILL_NAMES.values()))
    form = Form(*draw(source, rng), rng.choice(list(WRAPS)), rng.random() < DRILL_ANSWER_FIRST)
    steps, value = _reason(ask(rng.choice(TASKS), rng), rng.random() < 0.6, rng)
    slip = Slip() if rng.random() < DRILL_KEEP else Slip("dropped", "dropped")
    return Sample(training_scene(rng), prompt(f"Copy {steps} Then {value}.", form), respond(form, steps, value, slip))


def is_drill(sample: Sample) -> bool:
    return sample.prompt.startswith("<image>Copy")


def training_scene(rng: random.Random) -> Scene:
    """A scene that is not held out."""
    while held_out(scene := random_scene(rng)):
        pass
    return scene


def is_caption(sample: Sample) -> bool:
    """Whether the sample describes instead of answering: captions ask no output format."""
    return sample.prompt.startswith("<image>List")


def caption(what: str, rng: random.Random) -> Sample:
    """Descriptions of one scene.

    "find" names the cells of a shape in reading order ('List all triangles.' -> 'b; d; h.'); the others describe all
    cells in random order ('e9 circle; a4 ...'), so that the name and not the place in the text tells which cell it is.
    """
    scene = training_scene(rng)
    cells = scene.cells
    if what == "find":
        shape = rng.choice([cell.shape for cell in cells])
        found = [name for name, cell in zip(CELLS, cells, strict=True) if cell.shape == shape]
        return Sample(scene, f"<image>List all {shape}s.", "; ".join(found) + ".")
    shown = {
        "all": lambda cell: f"{cell.digit} {cell.shape}",
        "digits": lambda cell: f"{cell.digit}",
        "shapes": lambda cell: f" {cell.shape}",
    }[what]
    text = "; ".join(CELLS[i] + shown(cells[i]) for i in rng.sample(range(len(CELLS)), len(CELLS))) + "."
    return Sample(scene, "<image>List all." if what == "all" else f"<image>List the {what}.", text)


def write(
    rng: random.Random,
    captions: float = CAPTION,
    kinds: Sequence[str] = tuple(CAPTION_WEIGHTS),
    always_careful: bool = False,
) -> Sample:
    """One pre-training sample.

    Args:
        captions: share of captions.
        kinds: which captions, in the proportions of CAPTION_WEIGHTS.
        always_careful: leave hasty writers out.
    """
    if rng.random() < captions:
        return caption(rng.choices(kinds, [CAPTION_WEIGHTS[kind] for kind in kinds])[0], rng)
    if rng.random() < DRILL:
        return drill(rng)
    task = rng.choices(TASKS, [TASK_WEIGHTS[t] for t in TASKS])[0]
    form = asked_form(rng)
    question = ask(task, rng)
    steps, answer = _reason(question, always_careful or rng.random() < CAREFUL[task], rng)
    return Sample(question.scene, prompt(question.text, form), respond(form, steps, answer, slip_of(form, rng)))
