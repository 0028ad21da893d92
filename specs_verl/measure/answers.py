"""What a prompt's samples answer: how many different answers, what the majority says, and who is stuck on a wrong one.

    votes = answer_classes(frame)             # one label per response, None for no answer
    majority_at_k(frame, 8)                   # per prompt: is the most frequent of 8 answers right?
    distinct_answers(frame); stuck(frame)

`frame` has one line per response with columns row, sample, right, extracted. All right answers count as the same one,
whatever their spelling, since the verifier found each equal to the gold; wrong ones are told apart by their spelling,
white space and case aside.
"""

from __future__ import annotations

import pandas as pd

RIGHT = "\0right"


def answer_classes(frame: pd.DataFrame) -> pd.Series:
    """A label per response: equal labels are equal answers; None where a response gives no answer."""
    text = frame["extracted"].fillna("").astype(str).str.split().str.join(" ").str.casefold()
    return text.mask(frame["right"].astype(bool), RIGHT).replace("", None)


def majority_at_k(frame: pd.DataFrame, k: int) -> pd.Series:
    """Chance per prompt that the most frequent answer of ``k`` samples is right.

    Estimated from disjoint blocks of ``k`` samples in the order of their numbers, so without bias. Of answers that are
    equally frequent one is drawn: a tie of m answers with the right one among them counts 1/m. Responses without an
    answer have no vote; without any vote the majority is wrong. (Wang et al. 2023, self-consistency, arXiv 2203.11171.)

    Returns:
        Series of shape (prompts,), indexed by row, float64 in [0, 1].
    """
    sizes = frame.groupby("row").size()
    if k < 1 or (len(sizes) and int(sizes.min()) < k):
        raise ValueError(f"majority@{k} needs at least {k} responses per prompt, one has {int(sizes.min())}.")
    work = frame.assign(answer=answer_classes(frame)).sort_values(["row", "sample"], kind="stable")
    work["block"] = work.groupby("row").cumcount() // k
    work = work[work["block"] < work["row"].map(sizes // k)]
    votes = work.dropna(subset="answer").groupby(["row", "block", "answer"]).size().rename("votes").reset_index()
    most = votes.groupby(["row", "block"])["votes"].transform("max")
    tied = votes[votes["votes"] == most].assign(is_right=lambda top: top["answer"] == RIGHT).groupby(["row", "block"])
    won = tied["is_right"].max() / tied["is_right"].size()
    blocks = work[["row", "block"]].drop_duplicates()
    every = pd.MultiIndex.from_frame(blocks)
    return won.reindex(every, fill_value=0.0).groupby(level="row").mean()


def distinct_answers(frame: pd.DataFrame) -> pd.Series:
    """Different answers per prompt, indexed by row; no answer is none."""
    return answer_classes(frame).groupby(frame["row"]).nunique()


def stuck(frame: pd.DataFrame) -> pd.Series:
    """Whether all samples of a prompt give the same wrong answer: reinforcement learning has nothing to prefer there.

    A prompt with a right sample, with a sample without an answer, or with a single sample is not stuck.
    """
    answers = answer_classes(frame)
    grouped = answers.groupby(frame["row"])
    same = (grouped.nunique() == 1) & (grouped.count() == grouped.size()) & (grouped.size() > 1)
    return same & ~frame.groupby("row")["right"].any()
