"""Scenes and drawings: deterministic, correct patches, a held-out part that is really apart."""

import random
import zlib

import numpy as np
import pytest

from data_prep.nano.world import CELL, COLORS, KINDS, LOOKS, SHAPES, SIDE, Scene, draw, held_out, patches, random_scene


def scenes(count: int, seed: int = 0) -> list[Scene]:
    rng = random.Random(seed)
    return [random_scene(rng) for _ in range(count)]


def test_kinds_are_all_combinations():
    # 4 colours x 3 shapes x 9 digits
    assert len(KINDS) == len(set(KINDS)) == len(COLORS) * len(SHAPES) * 9 == 108


def test_drawing_is_deterministic_and_full_size():
    scene = scenes(1)[0]
    first, second = np.asarray(draw(scene)), np.asarray(draw(scene))
    assert first.shape == (SIDE * CELL, SIDE * CELL, 3)
    assert np.array_equal(first, second)


def test_every_look_and_every_kind_gives_its_own_picture():
    pictures = {
        np.asarray(draw(Scene((kind,) * 9, (look,) * 9))).tobytes()
        for kind in range(0, 108, 7)
        for look in range(LOOKS)
    }
    assert len(pictures) == len(range(0, 108, 7)) * LOOKS


@pytest.mark.parametrize("color", COLORS)
def test_the_colour_is_visible(color):
    kind = next(i for i, k in enumerate(KINDS) if k.color == color and k.shape == "square")
    # Cell (14, 7) lies on the square, left of the digit.
    pixel = np.asarray(draw(Scene((kind,) * 9, (0,) * 9)))[14, 8].astype(int)
    nearest = min(COLORS, key=lambda name: np.abs(pixel - COLORS[name]).sum())
    assert nearest == color


def test_ruler_ticks_tell_row_and_column():
    picture = np.asarray(draw(Scene((0,) * 9, (0,) * 9)))
    for row in range(SIDE):
        for column in range(SIDE):
            cell = picture[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            left = [bool((cell[2 + 9 * r : 8 + 9 * r, :2] == 0).all()) for r in range(SIDE)]
            top = [bool((cell[:2, 2 + 9 * c : 8 + 9 * c] == 0).all()) for c in range(SIDE)]
            assert left.index(True) == row and left.count(True) == 1
            assert top.index(True) == column and top.count(True) == 1


def test_patches_are_the_pixels_of_the_picture():
    scene = scenes(1, seed=3)[0]
    picture, flat = np.asarray(draw(scene)), patches([scene])[0]
    assert flat.shape == (36, 588)
    # Patch 4 * cell + 2 * y + x, channel first: bottom left patch of cell f (row 1, column 2).
    expected = picture[CELL + 14 : 2 * CELL, 2 * CELL : 2 * CELL + 14].transpose(2, 0, 1).ravel()
    assert np.array_equal(flat[4 * 5 + 2], expected)


def test_held_out_part_depends_on_the_layout_only_and_is_a_tenth():
    many = scenes(5000)
    assert all(
        held_out(s) == held_out(Scene(s.kinds, (0,) * 9)) == (zlib.crc32(bytes(s.kinds)) % 10 == 0) for s in many[:100]
    )
    share = sum(map(held_out, many)) / len(many)
    # Binomial with p = 0.1, n = 5000: standard deviation 0.0042; five of them.
    assert abs(share - 0.1) < 0.021
