"""Images of a prompt are prepared once by the rollout workers, and what comes out is what verl would have got."""

import threading

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, BatchFeature

from data_prep.nano import base_checkpoint
from specs_verl.plugin.rollout_worker import PreparedImages, RolloutWorker


class Counting:
    """An image processor of 4-byte results that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: list[Image.Image], **options: object) -> BatchFeature:
        self.calls += 1
        return BatchFeature(data={"pixel_values": torch.tensor([float(images[0].getpixel((0, 0))[0])])})


def colour(red: int) -> Image.Image:
    return Image.new("RGB", (2, 2), (red, 0, 0))


def test_the_same_pixels_are_prepared_once_whatever_object_holds_them():
    counting = Counting()
    prepared = PreparedImages(counting)
    values = [prepared([colour(7)], return_tensors="pt")["pixel_values"].item() for _ in range(3)]
    assert values == [7.0, 7.0, 7.0] and counting.calls == 1


@pytest.mark.parametrize(
    ("images", "options"),
    [
        ([colour(8)], {"return_tensors": "pt"}),
        ([colour(7), colour(7)], {"return_tensors": "pt"}),
        ([colour(7).resize((1, 4))], {"return_tensors": "pt"}),
        ([colour(7).convert("RGBA")], {"return_tensors": "pt"}),
        ([colour(7)], {"return_tensors": "pt", "max_pixels": 4}),
    ],
)
def test_other_pixels_shapes_modes_and_options_are_prepared_anew(images, options):
    counting = Counting()
    prepared = PreparedImages(counting)
    prepared([colour(7)], return_tensors="pt")
    prepared(images, **options)
    assert counting.calls == 2


def test_the_least_recently_used_is_forgotten_beyond_the_budget():
    counting = Counting()
    prepared = PreparedImages(counting, budget_bytes=8)  # two results of four bytes
    for red in (1, 2, 1, 3):  # 3 pushes 2 out, 1 was used since
        prepared([colour(red)])
    assert counting.calls == 3
    prepared([colour(1)])
    assert counting.calls == 3
    prepared([colour(2)])
    assert counting.calls == 4


def test_writing_a_key_of_a_result_leaves_what_is_kept_alone():
    prepared = PreparedImages(Counting())
    prepared([colour(5)]).pop("pixel_values")  # the first call's own result
    prepared([colour(5)]).pop("pixel_values")
    assert prepared([colour(5)])["pixel_values"].item() == 5.0


def test_what_is_no_list_of_pil_images_goes_to_the_processor():
    class Odd(Counting):
        def __call__(self, images, **options):
            self.calls += 1
            return BatchFeature(data={})

    odd = Odd()
    prepared = PreparedImages(odd)
    for _ in range(2):
        prepared([torch.zeros(3, 2, 2)])
        prepared([])
    assert odd.calls == 4


def test_threads_get_their_own_images():
    prepared = PreparedImages(Counting(), budget_bytes=40)
    wrong = []

    def ask(offset: int) -> None:
        for i in range(300):
            red = (i * 7 + offset) % 30
            if prepared([colour(red)])["pixel_values"].item() != red:
                wrong.append(red)

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_whole_processor_gives_the_same_with_it():
    plain, remembering = (AutoProcessor.from_pretrained(base_checkpoint()) for _ in range(2))
    remembering.image_processor.preprocess = PreparedImages(remembering.image_processor.preprocess)
    text = "<|vision_start|><|image_pad|><|vision_end|>"
    image = Image.linear_gradient("L").convert("RGB").resize((84, 84))
    expected = plain(text=[text], images=[image], return_tensors="pt")
    for _ in range(2):
        got = remembering(text=[text], images=[image], return_tensors="pt")
        assert got.keys() == expected.keys() and all(torch.equal(got[key], expected[key]) for key in expected)


def test_the_worker_is_verls_with_the_memory(monkeypatch):
    def verls(self, processor):
        self.processor = processor

    monkeypatch.setattr(RolloutWorker.__mro__[1], "__init__", verls)
    processor = AutoProcessor.from_pretrained(base_checkpoint())
    assert isinstance(RolloutWorker(processor).processor.image_processor.preprocess, PreparedImages)
    assert RolloutWorker(None).processor is None  # a text-only model has none
