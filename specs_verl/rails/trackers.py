"""The samples of a step as a table in the trackers that the user turned on: wandb, trackio, TensorBoard.

    publish(tracking.logger, step=25, prompts=prompts)      # verl's Tracking; other backends have no tables

trackio and TensorBoard show texts as Markdown, in which a response could load an image from anywhere or pass for a
headline: there every text is an indented code block, which no text can end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from data_prep.pages import shown, small_copy
from specs_verl.rails.samples import SampledPrompt

NAME = "rails/samples"
IMAGE = "image"
COLUMNS = ["step", "row", "prompt", IMAGE, "ground_truth", "response", "extracted", "verdict", "reward", "parts"]
SIDE = 480


def publish(trackers: Mapping[str, Any], step: int, prompts: Sequence[SampledPrompt]) -> list[str]:
    """Send the table to every tracker of verl's that can show one; returns their names.

    Args:
        trackers: `Tracking.logger`, name -> what verl logs metrics through.
    """
    ways = {"wandb": _to_wandb, "trackio": _to_trackio, "tensorboard": _to_tensorboard}
    used = [name for name in ways if name in trackers]
    for name in used:
        ways[name](trackers[name], step, prompts)
    return used


def code_block(text: str) -> str:
    """Markdown that shows a text as it is."""
    return "\n".join(f"    {line}" for line in shown(text).splitlines()) or "    "


def table(
    step: int, prompts: Sequence[SampledPrompt], picture: Callable[[Image.Image], Any], text: Callable[[str], str]
) -> Iterator[list[Any]]:
    """Rows of COLUMNS, one per response; `picture` and `text` make the tracker's cells of images and texts."""
    for prompt in prompts:
        image = side_by_side(prompt)
        for response in prompt.responses:
            yield [
                step,
                text(prompt.row_id),
                text(prompt.text),
                None if image is None else picture(image),
                text(prompt.truth),
                text(response.text),
                text(response.extracted),
                text(response.verdict),
                response.score,
                text(", ".join(f"{name} {value:.4g}" for name, value in response.parts.items())),
            ]


def side_by_side(prompt: SampledPrompt) -> Image.Image | None:
    """All images of a prompt in one, None where there is none that can be opened."""
    images = [copy for content in prompt.images if (copy := small_copy(content, SIDE)) is not None]
    if not images:
        return None
    whole = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)), "white")
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return whole


def _to_wandb(wandb: Any, step: int, prompts: Sequence[SampledPrompt]) -> None:
    rows = list(table(step, prompts, wandb.Image, shown))
    wandb.log({NAME: wandb.Table(columns=COLUMNS, data=rows)}, step=step)


def _to_trackio(adapter: Any, step: int, prompts: Sequence[SampledPrompt]) -> None:
    import pandas
    import trackio

    frame = pandas.DataFrame(list(table(step, prompts, trackio.Image, code_block)), columns=COLUMNS)
    adapter.log({NAME: trackio.Table(dataframe=frame)}, step=step)


def _to_tensorboard(adapter: Any, step: int, prompts: Sequence[SampledPrompt]) -> None:
    import numpy

    for number, prompt in enumerate(prompts):
        if (image := side_by_side(prompt)) is not None:
            adapter.writer.add_image(f"{NAME}/{number}", numpy.asarray(image), step, dataformats="HWC")
    lines = []
    for row in table(step, prompts, lambda image: image, str):
        named = zip(COLUMNS, row, strict=True)
        lines += [code_block(f"{name}: {value}") for name, value in named if name != IMAGE]
        lines.append("---")
    adapter.writer.add_text(NAME, "\n\n".join(lines), step)
