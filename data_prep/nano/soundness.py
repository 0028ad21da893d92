"""Is the reasoning of a nano response true? Known here, because the world knows the solution of every question.

    soundness("d4; e7=11; f3=14.", "d4; e7=11; f3=14.")           # "sound": it is the solution
    soundness("d4; e7=11; f3=14. So 12.", "d4; e7=11; f3=14.")    # "unsound": a wrong conclusion
    soundness("Quick guess.", "d4; e7=11; f3=14.")                # "none": nothing is claimed

A right answer may stand beside unsound reasoning: some writers of the corpus do so (``unsound``), and so does a model
that has read them. This is the truth against which judges of reasoning are measured (specs_verl.distill.judge_check).
Not here: judging without knowing the truth.
"""

import random
import re
from typing import Literal

from data_prep.nano.questions import Question, Solution, ask
from data_prep.nano.world import CELLS, SHAPES

Soundness = Literal["sound", "unsound", "none"]

_LOOK = re.compile(rf"\b[a-i](?=\d| (?:{'|'.join(SHAPES)}))")


def soundness(thought: str, solution: str) -> Soundness:
    """Compare reasoning with the solution's steps.

    Args:
        thought: the reasoning of a response, without tags.
        solution: steps of the solution, as ``solve`` writes them for the true scene.
    """
    thought = " ".join(thought.split())
    if thought == solution:
        return "sound"
    # Reasoning looks at cells or concludes; a phrase does neither.
    return "unsound" if _LOOK.search(thought) or re.search(r"\d|\bSo\b", thought) else "none"


def unsound(question: Question, solution: Solution, rng: random.Random) -> str:
    """Wrong reasoning beside the solution's answer.

    Half of it ends in another conclusion, which can be seen by comparing it with the answer. The other half names a
    wrong cell and goes on with the right number: nothing but the picture contradicts it.
    """
    if rng.random() < 0.5:
        other = solution.answer
        while other == solution.answer:
            other = ask(question.query.task, rng).answer
        return f"{solution.steps} So {other}."
    looks = [found.start() for found in _LOOK.finditer(solution.steps)]
    at = rng.choice(looks)
    wrong = rng.choice([name for name in CELLS if name != solution.steps[at]])
    return solution.steps[:at] + wrong + solution.steps[at + 1 :]
