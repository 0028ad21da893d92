"""The fast path equals the processor and the plain Hugging Face forward pass; sampling equals generate()."""

import random

import pytest
import torch

from data_prep.nano.corpus import write
from data_prep.nano.model import WHOLE, build_model, build_tokenizer
from data_prep.nano.policy import NanoPolicy
from data_prep.nano.world import draw


@pytest.fixture(scope="module")
def built():
    torch.set_num_threads(1)
    model, processor = build_model(seed=1)
    return model.eval(), processor, NanoPolicy(model, processor)


@pytest.fixture(scope="module")
def samples():
    rng = random.Random(4)
    return [write(rng, captions=0.2) for _ in range(6)]


def processed(processor, sample):
    """The sample's prompt as any user of the checkpoint would make it."""
    question = sample.prompt.removeprefix("<image>")
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    text = processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
    return processor(text=[text], images=[draw(sample.scene)], return_tensors="pt")


def test_ids_and_pixels_equal_the_processors(built, samples):
    _, processor, policy = built
    for sample in samples:
        inputs = processed(processor, sample)
        assert inputs["input_ids"][0].tolist() == policy.prompt_ids(sample.prompt)
        assert torch.allclose(inputs["pixel_values"], policy.pixel_values([sample.scene]), atol=1e-5)


def test_log_probs_equal_the_plain_forward_pass(built, samples):
    model, processor, policy = built
    with torch.no_grad():
        responses = [policy.response_ids(s.response) for s in samples]
        fast, mask = policy.log_probs([s.scene for s in samples], [s.prompt for s in samples], responses)
        for sample, response, values, where in zip(samples, responses, fast, mask, strict=True):
            inputs = processed(processor, sample)
            prompt_length = inputs["input_ids"].shape[1]
            ids = torch.cat([inputs["input_ids"], torch.tensor([response])], dim=1)
            types = (ids == model.config.image_token_id).long()
            plain = model(
                input_ids=ids,
                pixel_values=inputs["pixel_values"],
                image_grid_thw=inputs["image_grid_thw"],
                mm_token_type_ids=types,
            ).logits
            expected = plain[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[prompt_length - 1 :, 0]
            assert torch.allclose(values[where], expected, atol=1e-4)
            assert values[~where].abs().sum() == 0


def test_greedy_sampling_equals_generate(built, samples):
    model, processor, policy = built
    ours = policy.sample_ids([s.scene for s in samples], [s.prompt for s in samples], temperature=0, max_tokens=12)
    for sample, response in zip(samples, ours, strict=True):
        inputs = processed(processor, sample)
        theirs = model.generate(**inputs, do_sample=False, max_new_tokens=12)
        assert theirs[0, inputs["input_ids"].shape[1] :].tolist() == response


def test_sampling_follows_its_seed(built, samples):
    policy = built[2]
    scenes, prompts = [s.scene for s in samples], [s.prompt for s in samples]
    first, again, other = (policy.sample_ids(scenes, prompts, seed=seed, max_tokens=8) for seed in (1, 1, 2))
    assert first == again != other


def test_prompts_with_another_layout_are_refused(built):
    with pytest.raises(ValueError, match="<image>"):
        built[2].prompt_ids("Add. <image>")


def test_vocabulary_is_the_same_every_time_and_tags_are_ordinary_single_tokens():
    one, two = build_tokenizer(), build_tokenizer()
    assert one.get_vocab() == two.get_vocab() and len(one) < 600
    for text in WHOLE:
        assert len(one(text)["input_ids"]) == 1
        # verl decodes responses with skip_special_tokens=True: tags must survive that
        assert one.decode(one(text)["input_ids"], skip_special_tokens=True) == text
    assert [one.decode([i]) for i in one("RGB")["input_ids"]] == ["R", "G", "B"]


def test_any_text_survives_the_tokenizer(built):
    tokenizer = built[1].tokenizer
    tagged = r"<think> d4; e7=11.</think><answer> The answer is $\boxed{11}$</answer>"
    for text in ["ünïcode \n\t{}", tagged, '{"think": "a"}']:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
