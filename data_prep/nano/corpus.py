r"""The text the base model is pre-trained on: a small model of noisy web data.

    sample = write(random.Random(0))
    sample.scene, sample.prompt, sample.response

Writers differ in three independent ways, and the model learns the mixture:

- *Care.* A careful writer looks at every cell that matters and computes step by step ("d4; e7=11; f3=14."). A hasty
  one writes a phrase ("Quick guess.") and an answer that is right in HASTY_RIGHT of the cases, else plausible (the
  right answer to a question of the same kind on another image). The harder the question, the fewer writers bother
  (CAREFUL).
- *Slips.* Careful writers misread a cell with probability SLIP and then reason correctly from what they saw.
- *Obedience.* The asked output format is followed with probability OBEDIENCE; otherwise the writer uses another format,
  or a defective relative of the tag format.

At temperature 1 the base therefore solves far fewer questions than it knows how to solve, and complies
with ``think_answer`` in about two of five responses: the state in which Metis-SPECS found Qwen2.5-VL-7B (41.6 %).
Nothing in the corpus marks careful text as better; only a reward can tell.
CAPTION of the samples describe the scene instead: dense supervision from which the model learns to see.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.nano.formats import DEFECTS, FORMATS, OOD, dress, prompt
from data_prep.nano.questions import TASKS, Question, ask, matches, plural, scene_with, solve
from data_prep.nano.world import CELLS, COLORS, DIGITS, SHAPES, Cell, Scene, held_out, random_scene

CAREFUL = {"sum": 0.55, "product": 0.60, "combine": 0.35, "read": 0.65, "spell": 0.65, "total": 0.35}
TASK_WEIGHTS = {"sum": 1.0, "product": 1.0, "combine": 1.5, "read": 0.7, "spell": 0.8, "total": 1.7}
HASTY_RIGHT = 0.12
SLIP = 0.015
OBEDIENCE = {
    "think_answer": 0.44,
    "json": 0.72,
    "boxed": 0.72,
    "result": 0.72,
    "sentence": 0.72,
    "colon": 0.72,
    "hashes": 0.72,
}
FORMAT_WEIGHTS = {"think_answer": 5.0} | dict.fromkeys(OOD, 1.0)
CAPTION = 0.08
CAPTION_WEIGHTS = {"all": 0.5, "digits": 0.2, "colors": 0.05, "shapes": 0.05, "find": 0.2}
HASTY_PHRASES = ("Quick guess.", "At a glance.", "Seems easy.", "I guess so.")


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
        return solution.steps, solution.answer
    phrase = rng.choice(HASTY_PHRASES)
    if rng.random() < HASTY_RIGHT:
        return phrase, question.answer
    return phrase, ask(question.query.task, rng).answer


def _form(asked: str, rng: random.Random) -> str:
    """The form a writer uses when ``asked`` is asked for."""
    if rng.random() < OBEDIENCE[asked]:
        return asked
    if asked == "think_answer":
        return rng.choice([*DEFECTS, "boxed", "sentence"])
    return rng.choice([*(form for form in FORMATS if form not in (asked, "json")), *DEFECTS])


def training_scene(rng: random.Random, attribute: str = "") -> Scene:
    """A scene that is not held out, with two to four cells of the attribute if one is given."""
    while True:
        scene = scene_with(attribute, rng) if attribute else random_scene(rng)
        if not held_out(scene):
            return scene


def is_caption(sample: Sample) -> bool:
    """Whether the sample describes instead of answering: captions ask no output format."""
    return sample.prompt.startswith("<image>List")


def caption(what: str, rng: random.Random) -> Sample:
    """Descriptions of one scene.

    "find" names the cells of a colour or shape in reading order ('List all triangles.' -> 'b; d; h.'); the others
    describe all cells in random order ('e9 red circle; a4 ...'), so that the name and not the place in the text tells
    which cell is meant.
    """
    if what == "find":
        attribute = rng.choice([*COLORS, *SHAPES])
        scene = training_scene(rng, attribute)
        found = [name for name, cell in zip(CELLS, scene.cells, strict=True) if matches(cell, attribute)]
        return Sample(scene, f"<image>List all {plural(attribute)}.", "; ".join(found) + ".")
    shown = {
        "all": lambda cell: f"{cell.digit} {cell.color} {cell.shape}",
        "digits": lambda cell: f"{cell.digit}",
        "colors": lambda cell: f" {cell.color}",
        "shapes": lambda cell: f" {cell.shape}",
    }[what]
    scene = training_scene(rng)
    cells = scene.cells
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
    task = rng.choices(TASKS, [TASK_WEIGHTS[t] for t in TASKS])[0]
    asked = rng.choices(FORMATS, [FORMAT_WEIGHTS[f] for f in FORMATS])[0]
    question = ask(task, rng)
    steps, answer = _reason(question, always_careful or rng.random() < CAREFUL[task], rng)
    return Sample(question.scene, prompt(question.text, asked), dress(_form(asked, rng), steps, answer))
