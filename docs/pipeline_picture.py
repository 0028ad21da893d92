"""Draws docs/pipeline.png: the stages of Metis-SPECS, with one scene and its preference pair from a finished run.

    python docs/pipeline_picture.py runs/nano docs/pipeline.png

The pair is the shortest of the run; its texts are shown as they lie in pairs.parquet, but for line breaks.
"""

import argparse
import io
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import pyarrow.parquet as pq
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

INK, PAPER, GREY = "#1f2933", "#ffffff", "#e4e7eb"
GOOD, BAD, RL = "#d9f2e3", "#fbe0dd", "#dde9f9"


def box(axes, x: float, y: float, width: float, height: float, text: str, colour: str, **style) -> None:
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.4,rounding_size=1", fc=colour, ec=INK, lw=1)
    )
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", color=INK, **style)


def arrow(axes, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=INK, lw=1.2))
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    axes.text(middle[0], middle[1] + 1.2, label, ha="center", va="bottom", fontsize=8.5, color=INK)


def response(axes, x: float, y: float, title: str, text: str, colour: str) -> None:
    """A response in a box of its own, verbatim but for line breaks."""
    body = "\n".join(textwrap.wrap(text, 56, break_long_words=False))
    axes.add_patch(FancyBboxPatch((x, y), 51, 8, boxstyle="round,pad=0.4,rounding_size=1", fc=colour, ec=INK, lw=1))
    axes.text(x + 0.6, y + 7.6, title, ha="left", va="top", fontsize=9.5, weight="bold", color=INK)
    axes.text(x + 0.6, y + 5, body, ha="left", va="top", fontsize=8.2, family="monospace", color=INK)


def draw(run: Path, out: Path) -> None:
    """Draw the picture of a finished run of the nano world."""
    table = pq.read_table(run / "pairs" / "pairs.parquet").to_pylist()
    pair = min(table, key=lambda row: (len(row["chosen"]) + len(row["rejected"]), row["chosen"]))
    scene = Image.open(io.BytesIO(pair["images"][0]["bytes"])).convert("RGB")
    question = pair["prompt"][-1]["content"].replace("<image>", "").strip()

    plt.switch_backend("Agg")
    plt.rcParams["text.parse_math"] = False  # the dollars of a response are text
    figure, axes = plt.subplots(figsize=(11, 5.2), dpi=150)
    axes.set_xlim(0, 110)
    axes.set_ylim(0, 52)
    axes.axis("off")
    stages = (
        (2, "base", GREY),
        (25, "zero", RL),
        (48, "preference\npairs", GOOD),
        (71, "warm-up", GREY),
        (94, "final", RL),
    )
    for x, name, colour in stages:
        box(axes, x, 40, 13, 8, name, colour, fontsize=11, weight="bold")
    arrow(axes, (15.8, 44), (24.4, 44), "short\nGRPO")
    arrow(axes, (38.8, 44), (47.4, 44), "self-\ndistil")
    arrow(axes, (61.8, 44), (70.4, 44), "DPO\n+ SFT")
    arrow(axes, (84.8, 44), (93.4, 44), "GRPO")
    axes.add_patch(
        FancyArrowPatch(
            (8.5, 39.4), (77, 39.4), arrowstyle="-|>", mutation_scale=14, color=INK, connectionstyle="arc3,rad=0.1"
        )
    )
    axes.text(43, 36.8, "the cold start trains the base, not zero", ha="center", va="bottom", fontsize=8.5, color=INK)

    picture = axes.inset_axes([1.5 / 110, 4.2 / 52, 20 / 110, 20 / 52])
    picture.imshow(scene, interpolation="nearest")
    picture.set_xticks([])
    picture.set_yticks([])
    wrapped = "\n".join(textwrap.wrap(question, 36))
    axes.text(24, 24, wrapped, ha="left", va="top", fontsize=8.5, color=INK)
    axes.text(24, 5, f"ground truth: {pair['reward_model']['ground_truth']}", fontsize=8.5, color=INK, weight="bold")
    response(axes, 56, 15.4, "chosen (from zero): right, well formed", pair["chosen"], GOOD)
    response(axes, 56, 4.6, f"rejected (from base): right, {pair['corruption']}", pair["rejected"], BAD)
    figure.savefig(out, bbox_inches="tight", facecolor=PAPER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished `specs run nano`")
    parser.add_argument("out", type=Path, help="picture to write")
    arguments = parser.parse_args()
    draw(arguments.run, arguments.out)


if __name__ == "__main__":
    main()
