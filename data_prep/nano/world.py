"""Scenes of the nano world: nine cells, each a coloured shape with one to nine pips on it, drawn with PIL.

    scene = random_scene(random.Random(0))
    draw(scene)                  # PIL image, 84 x 84
    patches([scene, ...])        # the same pixels in the order of the Qwen2-VL image processor, uint8

Cells are named a to i in reading order; one cell is 28 x 28 pixels, so the model sees one image token per cell. Every
cell carries two ruler ticks: the one on its left edge shows its row, the one on its top edge its column.
A tenth of all layouts is held out (``held_out``): training text and rows never contain them, test rows only them.
Not here: questions about scenes (questions.py).
"""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

SIDE = 3  # cells per row and per column
CELL = 28  # pixels per cell side: 2 x 2 patches of 14, merged into one token by Qwen2.5-VL
CELLS = "abcdefghi"
COLORS = {"red": (238, 84, 74), "green": (86, 192, 98), "blue": (96, 146, 248), "yellow": (246, 214, 62)}
SHAPES = ("circle", "square", "triangle")
DIGITS = range(1, 10)
LOOKS = 16  # drawings of the same cell that differ in size, place and shade
_OVERSAMPLING = 4
_HELD_OUT_MODULUS = 10


@dataclass(frozen=True)
class Cell:
    """What is in one cell."""

    color: str
    shape: str
    digit: int


KINDS = tuple(Cell(color, shape, digit) for color in COLORS for shape in SHAPES for digit in DIGITS)


@dataclass(frozen=True)
class Scene:
    """Nine cells as indices into KINDS, and which of the LOOKS drawings of each is shown."""

    kinds: tuple[int, ...]
    looks: tuple[int, ...]

    @property
    def cells(self) -> list[Cell]:
        return [KINDS[kind] for kind in self.kinds]


def scene_of(kinds: Sequence[int], rng: random.Random) -> Scene:
    """The scene with these cells, each in a random look."""
    return Scene(tuple(kinds), tuple(rng.randrange(LOOKS) for _ in kinds))


def random_scene(rng: random.Random) -> Scene:
    """Nine independent cells."""
    return scene_of([rng.randrange(len(KINDS)) for _ in CELLS], rng)


def held_out(scene: Scene) -> bool:
    """Whether the layout (whatever its looks) is reserved for testing: a fixed tenth, by checksum."""
    return zlib.crc32(bytes(scene.kinds)) % _HELD_OUT_MODULUS == 0


def _draw_cell(kind: Cell, rng: random.Random) -> np.ndarray:
    """One cell without ruler ticks, (28, 28, 3) uint8; drawn four times larger, then averaged down."""
    scale = _OVERSAMPLING
    background = 255 - rng.randint(0, 20)
    image = Image.new("RGB", (CELL * scale, CELL * scale), (background,) * 3)
    pen = ImageDraw.Draw(image)
    color = tuple(max(0, min(255, channel + rng.randint(-18, 18))) for channel in COLORS[kind.color])
    x, y = (scale * (15.5 + rng.uniform(-0.8, 0.8)) for _ in range(2))
    radius = scale * rng.uniform(10.2, 11.8)
    if kind.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    elif kind.shape == "square":
        half = 0.88 * radius
        pen.rectangle((x - half, y - half, x + half, y + half), fill=color)
    else:
        pen.polygon(
            [(x, y - 1.1 * radius), (x - 1.1 * radius, y + 0.9 * radius), (x + 1.1 * radius, y + 0.9 * radius)],
            fill=color,
        )
    spacing, half, shade = scale * rng.uniform(4.7, 5.3), scale * 1.5, rng.randint(0, 40)
    for pip in range(kind.digit):  # nine places in reading order, as many filled as the number says
        left, top = x + spacing * (pip % 3 - 1) - half, y + spacing * (pip // 3 - 1) - half
        pen.rectangle((left, top, left + 2 * half, top + 2 * half), fill=(shade,) * 3)
    return np.asarray(image.resize((CELL, CELL), Image.Resampling.BOX))


@cache
def _drawings() -> np.ndarray:
    """Every look of every kind, (kinds, looks, 28, 28, 3) uint8: 4 MB, drawn once per process in 0.2 s."""
    return np.stack(
        [
            [_draw_cell(kind, random.Random(index * LOOKS + look)) for look in range(LOOKS)]
            for index, kind in enumerate(KINDS)
        ]
    )


def pixels(scenes: Sequence[Scene]) -> np.ndarray:
    """All cells of all scenes with their ruler ticks, (scenes, 9, 28, 28, 3) uint8."""
    cells = _drawings()[np.array([s.kinds for s in scenes]), np.array([s.looks for s in scenes])]
    for index in range(len(CELLS)):
        row, column = divmod(index, SIDE)
        cells[:, index, 2 + 9 * row : 8 + 9 * row, :2] = 0
        cells[:, index, :2, 2 + 9 * column : 8 + 9 * column] = 0
    return cells


def draw(scene: Scene) -> Image.Image:
    """The picture, 84 x 84 RGB."""
    grid = pixels([scene])[0].reshape(SIDE, SIDE, CELL, CELL, 3)
    return Image.fromarray(grid.transpose(0, 2, 1, 3, 4).reshape(SIDE * CELL, SIDE * CELL, 3))


def patches(scenes: Sequence[Scene]) -> np.ndarray:
    """The pixels as the image processor's patches before normalisation, (scenes, 36, 588) uint8.

    Order: cells in reading order, within a cell its 2 x 2 patches, within a patch channel, row, column. The processor
    repeats each patch for its two (equal) time steps; that is left to the caller.
    """
    cells = pixels(scenes).reshape(len(scenes), len(CELLS), 2, 14, 2, 14, 3)
    return cells.transpose(0, 1, 2, 4, 6, 3, 5).reshape(len(scenes), 4 * len(CELLS), 588)
