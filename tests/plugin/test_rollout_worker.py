"""What siblings share is prepared once by the rollout workers, and what comes out is what verl would have got."""

import threading
from types import SimpleNamespace

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from transformers import AutoProcessor, BatchFeature
from verl.experimental.agent_loop import agent_loop
from verl.utils.tokenizer import continuous_token

from data_prep.nano import base_checkpoint
from specs_verl.plugin.prepared import PreparedImages, PreparedPrompts, Remembered
from specs_verl.plugin.rollout_worker import RolloutWorker, instantiate


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


def test_threads_wait_for_the_one_that_is_making_it():
    started, go, calls = threading.Event(), threading.Event(), []

    def slowly():
        calls.append(1)
        started.set()
        assert go.wait(10)
        return {"value": 3}

    remembered, found = Remembered(), []
    threads = [threading.Thread(target=lambda: found.append(remembered(b"key", slowly))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    go.set()
    for thread in threads:
        thread.join()
    assert found == [{"value": 3}] * 3 and len(calls) == 1


def test_a_failure_is_everybodys_and_is_not_kept():
    remembered = Remembered()

    def fails():
        raise ValueError("a broken image")

    for _ in range(2):
        with pytest.raises(ValueError, match="a broken image"):
            remembered(b"key", fails)
    assert remembered(b"key", lambda: {"value": 1}) == {"value": 1}


def test_prompts_are_built_once_for_their_text_images_and_options():
    calls = []

    def build(processor, **given):
        calls.append(given["text"])
        return BatchFeature(data={"input_ids": [len(calls)]})

    prepared, image = PreparedPrompts(build), colour(1)
    assert [prepared("p", text=["a"], images=[image])["input_ids"] for _ in range(3)] == [[1]] * 3
    prepared("p", text=["b"], images=[image])
    prepared("p", text=["a"], images=[colour(2)])
    prepared("p", text=["a"], images=[image], mm_processor_kwargs={"max_pixels": 4})
    assert len(calls) == 4
    for _ in range(2):  # what cannot be recognised is built every time
        prepared("p", text=["a"], images=[image], videos=["v"])
        prepared("p", text=["a"], images=None)
    assert len(calls) == 8


@pytest.fixture
def worker_with(monkeypatch):
    """A worker with a processor and nothing else; what it changes in verl's modules is undone."""

    def verls(self, processor):
        self.processor = processor
        self.tokenizer = processor and processor.tokenizer

    monkeypatch.setattr(RolloutWorker.__mro__[1], "__init__", verls)
    monkeypatch.setattr(agent_loop, "hydra", agent_loop.hydra)
    name = "build_multimodal_processor_inputs"
    monkeypatch.setattr(continuous_token, name, getattr(continuous_token, name))
    return RolloutWorker


def test_the_worker_is_verls_with_the_memory(worker_with):
    processor = AutoProcessor.from_pretrained(base_checkpoint())
    assert isinstance(worker_with(processor).processor.image_processor.preprocess, PreparedImages)
    assert isinstance(continuous_token.build_multimodal_processor_inputs, PreparedPrompts)
    assert worker_with(None).processor is None  # a text-only model has none


def test_training_inputs_are_those_of_verl_for_every_sibling(worker_with, monkeypatch):
    processor = AutoProcessor.from_pretrained(base_checkpoint())
    processor.get_rope_index = None  # verl binds the model's
    worker, verls = worker_with(processor), RolloutWorker.__mro__[1]
    text = "<|vision_start|><|image_pad|><|vision_end|>"
    images = [Image.linear_gradient("L").convert("RGB").resize((84, 84))]
    prompt = processor(text=[text], images=images)["input_ids"][0]
    output = SimpleNamespace(multi_modal_data={"images": images}, mm_processor_kwargs={})
    asked = []
    stock = verls._compute_multi_modal_inputs
    monkeypatch.setattr(verls, "_compute_multi_modal_inputs", lambda *given: asked.append(1) or stock(*given))
    for response in ([5, 6], [7], [5, 6, 7, 8]):  # of other lengths: what depends on them may not be shared
        ids = torch.tensor([*prompt, *response])
        expected, found = stock(worker, output, ids), worker._compute_multi_modal_inputs(output, ids)
        assert found.keys() == expected.keys()
        taken_out = found.pop("mm_token_type_ids"), expected.pop("mm_token_type_ids")
        assert all(one is not None for one in taken_out)
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert len(asked) == 1
    output.multi_modal_data = {"images": images, "videos": None}
    worker._compute_multi_modal_inputs(output, ids)
    del processor.get_rope_index  # nobody would take mm_token_type_ids out
    output.multi_modal_data = {"images": images}
    for _ in range(2):
        worker._compute_multi_modal_inputs(output, ids)
    assert len(asked) == 4


def test_an_agent_loop_that_is_only_named_is_made_without_a_configuration(monkeypatch):
    given = {"data_config": agent_loop.DictConfigWrap(OmegaConf.create({"a": 1})), "tokenizer": object()}
    entry = {"_target_": "types.SimpleNamespace"}
    ours, hydras = instantiate(entry, **given), hydra.utils.instantiate(entry, **given)
    assert vars(ours) == vars(hydras) == given
    # with settings of its own it is Hydra's to make
    assert instantiate({**entry, "turns": 3}, **given).turns == 3
    registered = agent_loop._agent_loop_registry["single_turn_agent"]
    assert set(registered) == {"_target_"}, "verl's own are made without one"
