"""Every hit and every miss of every phrase of the package is a test of its own."""

import importlib
import pkgutil

import pytest

import reward_fns
from reward_fns.answer.phrases import Phrase


def all_phrases():
    found = {}
    for module in pkgutil.walk_packages(reward_fns.__path__, "reward_fns."):
        if module.name.startswith("reward_fns.workers."):  # they start with a process of their own, and hold no phrases
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Phrase):
                found.setdefault(id(value), value)
    return list(found.values())


PHRASES = all_phrases()


@pytest.mark.parametrize(
    ("phrase", "text"), [pytest.param(p, text, id=f"{p.name}: {text}") for p in PHRASES for text in p.hits]
)
def test_hit(phrase, text):
    assert phrase.finds(text)


@pytest.mark.parametrize(
    ("phrase", "text"), [pytest.param(p, text, id=f"{p.name}: {text}") for p in PHRASES for text in p.misses]
)
def test_miss(phrase, text):
    assert not phrase.finds(text)


def test_every_phrase_has_its_own_name_a_hit_and_a_miss():
    assert len(PHRASES) > 20
    assert len({phrase.name for phrase in PHRASES}) == len(PHRASES)
    assert all(phrase.hits and phrase.misses for phrase in PHRASES)
