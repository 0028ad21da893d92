"""The samples of a step as one HTML page: self-contained, every text escaped, no script, small copies of the images.

write_page(folder, step=25, prompts=prompts, alarms=["..."])     # folder/step_000025.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.files import write_text
from data_prep.pages import page
from specs_verl.rails.samples import SampledPrompt

SIDE = 480
"""Pixels of an image's longer side: a diagram's labels stay readable."""


def write_page(folder: Path, step: int, prompts: Sequence[SampledPrompt], alarms: Sequence[str]) -> Path:
    """Write the page of a step; `alarms` are the reasons of those that sound."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"step_{step:06d}.html"
    values = {"title": f"Samples of step {step}", "prompts": prompts, "alarms": alarms, "side": SIDE}
    write_text(file, page("page.html.j2", Path(__file__).parent, **values))
    return file
