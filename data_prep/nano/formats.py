"""Output formats of the nano world: what the prompt asks, how an answer is dressed, who complied.

    prompt("Add the numbers in row 2.", "json")       # user text of the prompt, with the <image> placeholder
    dress("json", "d4; e7=11; f3=14.", "14")       # {"think": "d4; e7=11; f3=14.", "answer": "14"}
    complies("json", text)                            # strict: this format and nothing else

``think_answer`` is the format that training rewards (in distribution); those in OOD are only ever asked in evaluation.
None of the OOD formats equals a corruption of ``think_answer`` (tags dropped or moved), so preference training does not
push against them by construction. DEFECTS are badly formed relatives of ``think_answer`` found in the corpus.
Grading of the answer itself is not here: see reward_fns.
"""

import json
import re

from reward_fns.formats import think_answer

INSTRUCTIONS = {
    "think_answer": r"Reason in <think> </think>, then put \boxed{} in <answer> </answer>.",
    "json": 'Reply as JSON with keys "think" and "answer".',
    "boxed": r"End with only \boxed{}.",
    "result": "End with <result> </result>.",
    "sentence": 'End with "The answer is".',
    "colon": 'End with "Answer:".',
    "hashes": 'End with "####".',
}
FORMATS = tuple(INSTRUCTIONS)
OOD = tuple(name for name in FORMATS if name != "think_answer")
DEFECTS = ("no_answer_tags", "no_think_tags", "all_in_think", "answer_colon", "unclosed_answer")

_ANSWER = r"[A-Za-z0-9]+"
_PLAIN = r"[^<>{}\\#]*"  # reasoning without tags, boxes or hashes
_COMPLIANT = {
    "boxed": re.compile(rf"{_PLAIN}\\boxed\{{{_ANSWER}\}}"),
    "result": re.compile(rf"{_PLAIN}<result> ?{_ANSWER} ?</result>"),
    "sentence": re.compile(rf"{_PLAIN}The answer is {_ANSWER}\."),
    "colon": re.compile(rf"{_PLAIN}Answer: {_ANSWER}"),
    "hashes": re.compile(rf"{_PLAIN}#### {_ANSWER}"),
}


def prompt(question: str, form: str) -> str:
    """The user turn: image placeholder, question, format instruction."""
    return f"<image>{question} {INSTRUCTIONS[form]}"


def dress(form: str, steps: str, answer: str) -> str:
    """Reasoning and answer in one of FORMATS or DEFECTS."""
    box = rf"The answer is $\boxed{{{answer}}}$"
    return {
        "think_answer": f"<think> {steps}</think><answer> {box}</answer>",
        "json": json.dumps({"think": steps, "answer": answer}),
        "boxed": rf"{steps} \boxed{{{answer}}}",
        "result": f"{steps} <result> {answer}</result>",
        "sentence": f"{steps} The answer is {answer}.",
        "colon": f"{steps} Answer: {answer}",
        "hashes": f"{steps} #### {answer}",
        "no_answer_tags": f"<think> {steps}</think> {box}",
        "no_think_tags": f"{steps}<answer> {box}</answer>",
        "all_in_think": f"<think> {steps} {box}</think>",
        "answer_colon": f"<think> {steps}</think> Answer: {box}",
        "unclosed_answer": f"<think> {steps}</think><answer> {box}",
    }[form]


def _is_json(text: str) -> bool:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(value, dict) and set(value) == {"think", "answer"}


def complies(form: str, text: str) -> bool:
    """Whether the whole response has exactly the asked form (white space around it is ignored)."""
    text = text.strip()
    if form == "think_answer":
        return think_answer(text)
    if form == "json":
        return _is_json(text)
    return _COMPLIANT[form].fullmatch(text) is not None
