"""Pixels are made one row ahead, only where they are asked for, and a broken image is still an error of its own row."""

import threading

import pytest
import tiny_vlm as tiny
from engine_setup import Setup

from specs_verl.cold_start.packing import PackedRows, ahead


@pytest.fixture
def rows(model_dir, tmp_path):
    """Three rows with one image each, packed by nobody's help."""
    setup = Setup(model_dir, tiny.rows(3), tmp_path)
    return [setup.pack(batch=[number]) for number in range(3)]


def watched(rows, made: list[bytes], broken: int = -1):
    """The rows, with images that note when their pixels are made."""
    import dataclasses

    def load(number, image):
        if number == broken:
            raise OSError("broken image")
        made.append(image.key)
        return image.load()

    for number, row in enumerate(rows):
        image = row.images[0]
        one = dataclasses.replace(image, load=lambda number=number, image=image: load(number, image))
        yield dataclasses.replace(row, images=(one,))


def test_the_next_row_is_begun_before_this_one_is_given_out(rows):
    keys, made = [row.images[0].key for row in rows], []
    running = ahead(watched(rows, made), workers=1, needs_pixels=lambda key: True)
    first = next(running)
    first.images[0].load()
    next(running).images[0].load()  # one worker, in order: rows 0 and 1 are made, row 2 has been begun
    assert made[:2] == keys[:2]
    assert [row.images[0].key for row in running] == keys[2:]
    assert made == keys
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pixels")]


def test_only_what_is_needed(rows):
    keys, made = [row.images[0].key for row in rows], []
    given = list(ahead(watched(rows, made), workers=2, needs_pixels=lambda key: key == keys[1]))
    assert made == [keys[1]]
    assert given[0].images[0].load().shape[0] == rows[0].images[0].load().shape[0], "still there for who asks"


def test_a_broken_image_is_an_error_of_its_row(rows):
    running = ahead(watched(rows, [], broken=1), workers=1, needs_pixels=lambda key: True)
    next(running).images[0].load()
    second = next(running)
    with pytest.raises(OSError, match="broken image"):
        second.images[0].load()


def test_leaving_early_leaves_no_thread(rows):
    running = ahead(watched(rows, []), workers=2, needs_pixels=lambda key: True)
    next(running)
    running.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pixels")]


def test_packed_rows_look_ahead(model_dir, tmp_path):
    """Through the packer that the trainer builds: same tokens, same pixels."""
    from specs_verl.cold_start.order import units_of
    from specs_verl.cold_start.packing import Packer

    setup = Setup(model_dir, tiny.rows(3), tmp_path)
    packers = [
        Packer(setup.table, setup.encoder.image_rules, setup.engine.prompt_positions, True, image_workers=workers)
        for workers in (0, 2)
    ]
    plan = [[unit] for unit in units_of([0, 1, 2], setup.pairs, True)]
    plain, early = (list(PackedRows(packer, plan, setup.pairs)) for packer in packers)
    for one, other in zip(plain, early, strict=True):
        assert one.input_ids.tolist() == other.input_ids.tolist()
        assert (one.images[0].load() == other.images[0].load()).all()
