"""The prompts that the methods put around a question.

    PROMPTS["specs"].messages("<image>How many?")      # [{"role": "system", ...}, {"role": "user", ...}]

Not here: prompts that a sampling run adds on its own (`specs sample --system-prompt`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import UserError

Message = dict[str, str]


@dataclass(frozen=True)
class Prompt:
    """What stands before and after every question of a data set."""

    system: str = ""
    """System message; none when empty."""

    instruction: str = ""
    """Added to the question on a line of its own."""

    def messages(self, question: str) -> list[Message]:
        """The messages of one row."""
        text = f"{question}\n{self.instruction}" if self.instruction else question
        user = {"role": "user", "content": text}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]


PROMPTS = {
    # Published with Metis-RISE by the team of Metis-SPECS, word for word.
    "specs": Prompt(
        system=(
            "Solve the question. The user asks a question, and you solves it. You first thinks about the reasoning "
            "process in the mind and then provides the user with the answer. The answer is in latex format and wrapped "
            "in $...$. The final answer must be wrapped using the \\boxed{} command. The reasoning process and answer "
            "are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> Since "
            "$1+1=2$, so the answer is $2$. </think><answer> The answer is $\\boxed{2}$ </answer>, which means "
            "assistant's output should start with <think> and end with </answer>."
        )
    ),
    # RL with Cold Start (arXiv 2505.22334), word for word. That it follows the question is inferred.
    "cold_start": Prompt(
        instruction="Please reason step by step, and put your final answer within \\boxed{}.",
    ),
    # The format of Metis-SPECS asked for after the question, for models and tools without system messages.
    "think_answer": Prompt(
        instruction=(
            "Reason step by step inside <think> </think>, then give the final answer inside <answer> </answer>, "
            r"wrapped in \boxed{}, like this: <think> ... </think><answer> The answer is $\boxed{...}$</answer>"
        )
    ),
    "none": Prompt(),
}


def chosen(name: str, instruction: str | None = None) -> Prompt:
    """A prompt by its name, or a system prompt from a text file; `instruction` replaces its instruction."""
    if name in PROMPTS:
        prompt = PROMPTS[name]
    elif Path(name).is_file():
        prompt = Prompt(system=Path(name).read_text(encoding="utf-8").strip())
    else:
        raise UserError(f"--prompt {name}: neither {', '.join(PROMPTS)} nor a text file with a system prompt.")
    return prompt if instruction is None else Prompt(prompt.system, instruction)
