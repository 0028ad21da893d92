"""The nano world: a drawn visual-reasoning task and a Qwen2.5-VL of about a million parameters that half knows it.

    from data_prep.nano import base_checkpoint, write_data
    write_data("data/nano", n_train=2000, n_test=1000, seed=0)   # train.parquet, test.parquet, ood.parquet
    base_checkpoint()                                            # Hugging Face directory, under 8 MB, in this package

It exists so that the whole SPECS pipeline (GRPO-zero, preference pairs, cold start, GRPO, evaluation) runs on two CPU
cores with the same code paths as a 7B model. One idea per file:

    world.py      scenes of nine drawn cells, as images and as the processor's patches; which scenes are held out
    questions.py  five kinds of questions with large answer sets, and their step-by-step solution
    names.py      names of tags that prompts ask for, and which of them a base meets where
    formats.py    output formats a prompt can ask for, how they are written and how compliance is checked
    soundness.py  whether the reasoning of a response is true, and ways in which it is not
    corpus.py     the noisy "web" text that the base is trained on: careful and hasty answers, obeyed or not; drills
    model.py      architecture, tokenizer and processor, with random weights
    policy.py     fast batched forward passes and sampling for this fixed prompt layout
    muon.py       the optimizer of the matrices
    train.py      builds the shipped base checkpoint: ``python -m data_prep.nano.train --out DIR``
    measure.py    what checkpoints can do, side by side: ``python -m data_prep.nano.measure [--model DIR [DIR ...]]``
    data.py       writes the parquet files

Why the base has room for reinforcement learning: its corpus mixes careful solutions (look at each cell, compute step by
step) with hasty ones (a guess), as text on the web does. The model imitates both and picks one at random at temperature
1, so it is right in a third of its samples although most careful ones are. Policy-gradient training can learn to be
careful and to keep the asked format; it is not shown how.

Why format training can generalise: the formats of the evaluation are relatives of the trained one (a block of reasoning
and a block with the answer, under other names, in another wrapper, in the other order). The base is careless about all
of them in the same way, and able to copy each of them from the prompt, which it does when it only has to copy. What a
cold start can carry over is the decision to obey. See corpus.py for every rate.
"""

from pathlib import Path

from data_prep.nano.data import write_data

__all__ = ["base_checkpoint", "write_data"]


def base_checkpoint() -> Path:
    """Directory of the shipped base model (Hugging Face format: weights, tokenizer, processor)."""
    return Path(__file__).parent / "base"
