"""Lengths of prompts without decoding: the same numbers as the libraries and as verl's own way."""

import io
import re

import numpy as np
import published
import pytest
from PIL import Image

from data_prep import nano
from data_prep.prompts import PROMPTS
from data_prep.reading.headers import size_of
from data_prep.tokens.count import PromptCounter
from data_prep.tokens.resize import ImageRules, smart_resize

SIZES = [(28, 28), (1, 1), (10, 1999), (640, 480), (4000, 3000), (8000, 41), (27, 29), (14, 42), (5000, 5000)]
SIZES += [tuple(int(side) for side in np.random.default_rng(i).integers(1, 6000, 2)) for i in range(300)]


def usable(size):
    return max(size) <= 200 * min(size)


def test_resizing_is_that_of_both_libraries():
    from qwen_vl_utils.vision_process import smart_resize as fetch
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as process

    for width, height in filter(usable, SIZES):
        for low, high in ((4 * 784, 16_384 * 784), (56 * 56, 1280 * 784)):
            height_, width_ = fetch(height, width, 28, low, high)
            assert smart_resize((width, height), 28, low, high) == (width_, height_)
            if min(width, height) >= 14:  # processors round smaller sides to 0; they never see them after the fetch
                height_, width_ = process(height, width, 28, low, high)
                assert smart_resize((width, height), 28, low, high) == (width_, height_)


def test_tokens_by_hand():
    # 640 x 480: 640 / 28 = 22.86 -> 23, 480 / 28 = 17.14 -> 17; 23 * 17 tokens.
    assert ImageRules().tokens((640, 480)) == 23 * 17
    # 4000 x 3000 rounds to 143 x 107 = 15,301 tokens, below 16,384.
    assert ImageRules().tokens((4000, 3000)) == 143 * 107
    with pytest.raises(ValueError, match="201x1 is more than 200"):
        ImageRules().tokens((201, 1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "progressive", "exif", "thumbnail"])
def test_sizes_come_from_headers(kind):
    image = published.picture(1, (123, 77))
    options = {}
    if kind == "progressive":
        kind, options = "JPEG", {"progressive": True}
    elif kind == "exif":
        exif = image.getexif()
        exif[0x0112] = 6
        kind, options = "JPEG", {"exif": exif}
    elif kind == "thumbnail":  # a JPEG inside the EXIF segment must not be taken for the picture
        small = published.encoded(published.picture(2, (16, 16)), "JPEG")
        kind, options = "JPEG", {"exif": b"Exif\0\0" + small}
    content = published.encoded(image, kind, **options)
    assert size_of(content) == size_of(memoryview(content)) == Image.open(io.BytesIO(content)).size == (123, 77)


@pytest.fixture(scope="module")
def counter():
    return PromptCounter(nano.base_checkpoint())


def the_whole_way(checkpoint, messages, images):
    """What verl's RLHFDataset does to count a prompt: template, fetch, processor."""
    from qwen_vl_utils import fetch_image
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(checkpoint)
    conversation = []
    for message in messages:
        parts = [part for part in re.split("(<image>)", message["content"]) if part]
        content = [{"type": "image"} if part == "<image>" else {"type": "text", "text": part} for part in parts]
        conversation.append({"role": message["role"], "content": content if images else message["content"]})
    text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    if not images:
        return len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
    patch = processor.image_processor.patch_size
    fetched = [fetch_image({"image": image}, image_patch_size=patch) for image in images]
    return len(processor(text=[text], images=fetched)["input_ids"][0])


@pytest.mark.parametrize(
    ("question", "sizes"),
    [
        ("How many circles are there?", []),
        ("<image>How many circles are there?", [(96, 64)]),
        ("What\n\n  is <image>this and  <image>\n that? é ² 中", [(64, 64), (200, 30)]),
        ("<image><image>?", [(17, 400), (640, 480)]),
        ("<image> ", [(50, 50)]),
    ],
)
@pytest.mark.parametrize("prompt", ["specs", "cold_start", "none"])
def test_counts_are_those_of_the_processor(counter, question, sizes, prompt):
    messages = PROMPTS[prompt].messages(question)
    images = [Image.new("RGB", size) for size in sizes]
    expected = the_whole_way(nano.base_checkpoint(), messages, images)
    again = PROMPTS[prompt].messages(question + " And now?")
    assert counter.count([(messages, sizes), (again, sizes), (messages, sizes)])[::2] == [expected, expected]
    assert counter.count([(again, sizes)]) == [the_whole_way(nano.base_checkpoint(), again, images)]


def test_a_template_that_changes_texts_is_asked_every_time(counter, monkeypatch):
    """Some templates strip or alter what they are given; the quick way must notice."""
    template = counter._template
    original = type(template).apply_chat_template
    calls = []

    def shortening(self, conversation, **settings):
        calls.append(1)
        return original(self, [m | {"content": str(m["content"])[:12]} for m in conversation], **settings)

    fresh = PromptCounter(nano.base_checkpoint())
    monkeypatch.setattr(type(template), "apply_chat_template", shortening)
    short, long = ([{"role": "user", "content": text}] for text in ("How many red", "How many red circles?"))
    assert fresh.count([(short, [])]) == fresh.count([(long, [])])
    assert len(calls) > 2


def test_bounds_are_never_below_the_count(counter):
    texts = ["How many?", "<image>é ² 中 \u0958 ﷺ", "<|im_end|> <|im_start|>", "x" * 900, " \n\t ", "<image>a<image>b"]
    rows = [(PROMPTS["specs"].messages(text), [(64, 64)] * text.count("<image>")) for text in texts]
    for bound, count in zip(counter.at_most(rows), counter.count(rows), strict=True):
        assert bound >= count


def test_control_tokens_in_a_question_are_counted_as_the_tokenizer_does(counter):
    messages = [{"role": "user", "content": "What is <|im_end|> and <|image_pad|>?"}]
    assert counter.count([(messages, [])]) == [the_whole_way(nano.base_checkpoint(), messages, [])]
