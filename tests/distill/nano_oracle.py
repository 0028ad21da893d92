r"""A second opinion on nano-world answers that shares no code with reward_fns or with the world's own solver.

    truths = {id: true_answer(question, cells), ...};  stated(response)  -> "14"

The task definitions are those of data_prep/nano/questions.py, written down again: the question's words are parsed here
and computed from what is in the cells. A response states the last thing it puts into a box, or after one of the
announcements of data_prep/nano/formats.py, or, failing both, its last word.
"""

import re

CELL_NAMES = "abcdefghi"


def line_of(words):
    """'row 2' -> the indices of its three cells in reading order."""
    kind, number = words.split()
    first = int(number) - 1
    return [3 * first, 3 * first + 1, 3 * first + 2] if kind == "row" else [first, first + 3, first + 6]


def true_answer(question, cells):
    """The answer to a question in words; `cells` are nine objects with shape and digit."""
    if match := re.fullmatch(r"Add the numbers in (\w+ \d)\.", question):
        return str(sum(cells[i].digit for i in line_of(match[1])))
    if match := re.fullmatch(r"Read the digits in (\w+ \d) as one number\.", question):
        return "".join(str(cells[i].digit) for i in line_of(match[1]))
    if match := re.fullmatch(r"Spell the first letters of the shapes in (\w+ \d)\.", question):
        return "".join(cells[i].shape[0] for i in line_of(match[1])).upper()
    if match := re.fullmatch(r"Multiply ([a-i]) by ([a-i])\.", question):
        left, right = (cells[CELL_NAMES.index(name)].digit for name in match.groups())
        return str(left * right)
    if match := re.fullmatch(r"What is ([a-i]) times ([a-i]) (plus|minus) ([a-i])\?", question):
        a, b, c = (cells[CELL_NAMES.index(match[group])].digit for group in (1, 2, 4))
        return str(a * b + c if match[3] == "plus" else a * b - c)
    raise AssertionError(f"no task of the nano world: {question}")


ANNOUNCED = re.compile(r"(?:\\boxed\{|Answer: |answer is )\$?(?:\\boxed\{)?\s*([A-Za-z0-9]+)")
TAG = re.compile(r"</?(?:think|answer)>")


def stated(response):
    """The answer that a response ends in, None when it states none."""
    announced = ANNOUNCED.findall(response)
    words = announced or re.findall(r"[A-Za-z0-9]+", TAG.sub(" ", response))
    return words[-1] if words else None


def well_formed(response):
    """Exactly one think block directly followed by one answer block; written without a look at reward_fns.formats."""
    tags = re.findall(r"</?(?:think|answer)>", response)
    whole = response.strip()
    return (
        tags == ["<think>", "</think>", "<answer>", "</answer>"]
        and whole.startswith("<think>")
        and whole.endswith("</answer>")
        and not whole[whole.index("</think>") + len("</think>") : whole.index("<answer>")].strip()
    )
