"""The nano world: a drawn visual-reasoning task and a Qwen2.5-VL of about a million parameters that half knows it.

    from data_prep.nano import base_checkpoint, write_data
    write_data("data/nano", n_train=2000, n_test=1000, seed=0)   # train.parquet, test.parquet, ood.parquet
    base_checkpoint()                                            # Hugging Face directory, under 6 MB, in this package

It exists so that the whole SPECS pipeline (GRPO-zero, preference pairs, cold start, GRPO, evaluation) runs on two CPU
cores with the same code paths as a 7B model. One idea per file:

    world.py      scenes of nine drawn cells, as images and as the processor's patches; which scenes are held out
    questions.py  six kinds of questions with large answer sets, and their step-by-step solution
    formats.py    output formats a prompt can ask for, how they are written and how compliance is checked
    corpus.py     the noisy "web" text the base model is pre-trained on: careful and hasty answers, mixed obedience
    model.py      architecture, tokenizer and processor, with random weights
    policy.py     fast batched forward passes and sampling for this fixed prompt layout
    train.py      builds the shipped base checkpoint: ``python -m data_prep.nano.train --out DIR``
    measure.py    prints what a checkpoint can do: ``python -m data_prep.nano.measure [--model DIR]``
    data.py       writes the parquet files

Why the base has room for reinforcement learning, in one paragraph: its corpus mixes careful solutions (look at each
cell, compute step by step) with hasty ones (a guess), as text on the web does, and hard questions are answered hastily
more often. The model imitates both and picks one at random at temperature 1, so it is right in a third of its samples
although four of five careful ones are. Policy-gradient training can learn to be careful and to keep the asked format;
it is not shown how. See corpus.py for every rate. What the shipped base does not know, RL cannot sharpen: it does not
see colours (half of `spell`) and has not learned `total`.
"""

from pathlib import Path

from data_prep.nano.data import write_data

__all__ = ["base_checkpoint", "write_data"]


def base_checkpoint() -> Path:
    """Directory of the shipped base model (Hugging Face format: weights, tokenizer, processor)."""
    return Path(__file__).parent / "base"
