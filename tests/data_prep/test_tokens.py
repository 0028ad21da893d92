"""Lengths of prompts without decoding: the same numbers as the libraries and as verl's own way."""

import io
import re

import numpy as np
import published
import pytest
from PIL import Image

from data_prep import nano
from data_prep.errors import UserError
from data_prep.prompts import PROMPTS
from data_prep.reading.headers import size_of
from data_prep.tokens.count import PromptCounter
from data_prep.tokens.resize import ImageRules, PixelLimits, smart_resize

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
    # Within 1,605,632 pixels: sqrt(4000 * 3000 / 1,605,632) = 2.7338; 1,463.2 x 1,097.4 -> 52 x 39 = 2,028 tokens.
    assert ImageRules(limits=PixelLimits(max_pixels=1_605_632)).tokens((4000, 3000)) == 52 * 39 == 2028
    assert ImageRules().resized((4000, 3000)) == (143 * 28, 107 * 28) == (4004, 2996)
    with pytest.raises(ValueError, match="201x1 is more than 200"):
        ImageRules().tokens((201, 1))


ENTRIES = [
    ((640, 480), {"max_pixels": 50_176}),
    ((640, 480), {"max_pixels": 50_176, "min_pixels": None}),
    ((64, 48), {"min_pixels": 100_000}),
    ((64, 48), {"resized_height": 280, "resized_width": 140, "max_pixels": 1}),
    ((64, 48), {"resized_height": 280}),
    ((64, 48), {"min_pixels": 0, "max_pixels": 1600}),
    ((10_900, 55), {"max_pixels": 700_000}),
]
REFUSED = [
    ((5600, 28), {"max_pixels": 50_176}, "5600x28 does not fit into 50176 pixels: a side"),
    ((640, 480), {"max_pixels": 1000}, "min_pixels=3136 and max_pixels=1000, min_pixels by default: 1 <= min <= max"),
    ((640, 480), {"max_pixels": 0, "min_pixels": 0}, "min_pixels=0 and max_pixels=0"),
    ((64, 48), {"min_pixels": 20_000_000}, "max_pixels=12845056, max_pixels by default"),
    ((64, 48), {"max_pixels": 2000, "min_pixels": 3136}, "min_pixels=3136 and max_pixels=2000: 1 <= min"),
    ((64, 48), {"max_pixels": 100, "min_pixels": 100}, "64x48 does not fit into 100 pixels"),
    ((64, 48), {"resized_height": 0, "resized_width": 0}, "0x0 is no size"),
    ((64, 48), {"resized_height": 1, "resized_width": 201}, "201x1 is more than 200"),
    ((10_900, 55), {"max_pixels": 500_000}, "9940x28 is more than 200 times"),  # the processor's refusal
]


def both_libraries(size, entry):
    """Through fetch_image and the processor's resizing, with pixels."""
    from qwen_vl_utils import fetch_image
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as process

    said = {key: value for key, value in entry.items() if value is not None}
    width, height = fetch_image({"image": Image.new("RGB", size), **said}, image_patch_size=14).size
    return process(height, width, 28, 56 * 56, 28 * 28 * 16_384)[::-1]


@pytest.mark.parametrize(("size", "entry"), ENTRIES)
def test_an_entry_of_its_own_is_resized_as_both_libraries_do(size, entry):
    assert ImageRules().resized(size, entry) == both_libraries(size, entry)


@pytest.mark.parametrize(("size", "entry", "words"), REFUSED)
def test_what_a_library_refuses_is_refused_here_with_the_numbers(size, entry, words):
    with pytest.raises((ValueError, AssertionError, ZeroDivisionError)):
        both_libraries(size, entry)
    with pytest.raises(ValueError, match=re.escape(words)):
        ImageRules().tokens(size, entry)


def test_limits_of_a_run_that_no_image_can_meet_are_refused_at_once():
    for wrong in ({"max_pixels": 0}, {"min_pixels": 0}, {"min_pixels": 10, "max_pixels": 9}):
        with pytest.raises(UserError, match="1 <= min <= max is needed"):
            PixelLimits(**wrong)
    # At least four squares of 28 pixels are 3,136 pixels, of 32 pixels 4,096.
    for patch, most in ((14, 3136), (16, 4096)):
        ImageRules(patch_size=patch, limits=PixelLimits(max_pixels=most))
        with pytest.raises(UserError, match=f"min_pixels={most} and max_pixels={most - 1}, min_pixels by default"):
            ImageRules(patch_size=patch, limits=PixelLimits(max_pixels=most - 1))
    with pytest.raises(UserError, match="min_pixels=20000000 and max_pixels=12845056"):
        ImageRules(limits=PixelLimits(min_pixels=20_000_000))


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
    tokens = [counter.rules.tokens(size) for size in sizes]
    assert counter.count([(messages, tokens), (again, tokens), (messages, tokens)])[::2] == [expected, expected]
    assert counter.count([(again, tokens)]) == [the_whole_way(nano.base_checkpoint(), again, images)]


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


def test_rows_with_one_marked_system_prompt_go_through_the_template_once(counter, monkeypatch):
    """<think> is an added token of some tokenizers, so that every row of the paper's prompt was rendered."""
    rendered = counter._rendered
    calls = []
    fresh = PromptCounter(nano.base_checkpoint())
    monkeypatch.setattr(fresh, "_rendered", lambda *asked: calls.append(1) or rendered(*asked))
    rows = [(PROMPTS["specs"].messages(f"<image>How many of {number}?"), [4]) for number in range(40)]
    assert "<think>" in rows[0][0][0]["content"] and fresh._marks.search("<think>")
    counts = fresh.count(rows)
    assert len(calls) <= 3  # the frame, and two rows to check it
    square = Image.new("RGB", (56, 56))
    assert counts[39] == the_whole_way(nano.base_checkpoint(), rows[39][0], [square])


def test_a_template_that_looks_for_added_tokens_is_followed(counter, monkeypatch):
    template = counter._template
    original = type(template).apply_chat_template

    def leaving_boxes_out(self, conversation, **settings):
        kept = [m for m in conversation if not m["content"].startswith("<|box_start|>")]
        return original(self, kept, **settings)

    monkeypatch.setattr(type(template), "apply_chat_template", leaving_boxes_out)
    fresh = PromptCounter(nano.base_checkpoint())
    asked = [{"role": "user", "content": "How many?"}]
    (expected,) = fresh.count([(asked, [])])
    plain, boxed = ([{"role": "user", "content": mark + " of these"}, *asked] for mark in ("red", "<|box_start|>"))
    counts = fresh.count([(plain, []), (boxed, []), (plain, []), (boxed, [])])
    assert counts[1] == counts[3] == expected < counts[0] == counts[2]


def test_bounds_are_never_below_the_count(counter):
    texts = ["How many?", "<image>é ² 中 \u0958 ﷺ", "<|im_end|> <|im_start|>", "x" * 900, " \n\t ", "<image>a<image>b"]
    rows = [(PROMPTS["specs"].messages(text), [4] * text.count("<image>")) for text in texts]
    for bound, count in zip(counter.at_most(rows), counter.count(rows), strict=True):
        assert bound >= count


def test_control_tokens_in_a_question_are_counted_as_the_tokenizer_does(counter):
    messages = [{"role": "user", "content": "What is <|im_end|> and <|image_pad|>?"}]
    assert counter.count([(messages, [])]) == [the_whole_way(nano.base_checkpoint(), messages, [])]
