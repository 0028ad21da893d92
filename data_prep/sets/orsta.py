"""Orsta-Data-47k (V-Triune): math, puzzle, science, chart, detection, grounding, counting and OCR.

data_source, images, prompt [{role, content}], ability, reward_model {answer, ground_truth, accuracy_ratio,
format_ratio, verifier, verifier_parm {det_verifier_normalized, det_reward_ratio {...}}}, extra_info {id, image_path}

Detection and grounding rows are graded by Orsta's own reward, see reward_fns/boxes/detection_reward.py. Their boxes run
from 0 to 1000 where `det_verifier_normalized` is set. Metis-SPECS has rewards of its own (0.5 format, 1.0 accuracy), so
that `accuracy_ratio` and `format_ratio` are not carried over.
"""

from __future__ import annotations

from collections.abc import Mapping

from data_prep.reading.cells import Unfit, listed, optional_text, text, value
from data_prep.sets.item import DataSet, Item, Row

VERIFIERS = {"mathverify": "", "detection": "boxes"}
"""The second column is ours; an empty name leaves the choice to the form of the answer."""


def item(row: Row) -> Item:
    stated = text(row, "reward_model.verifier")
    if stated not in VERIFIERS:
        raise Unfit("unknown verifier", f"`reward_model.verifier` is {stated[:40]!r}, known: {', '.join(VERIFIERS)}")
    return Item(
        question=_question(row),
        answer=text(row, "reward_model.ground_truth"),
        images=listed(row, "images"),
        id=optional_text(row, "extra_info.id"),
        source=optional_text(row, "data_source"),
        ability=optional_text(row, "ability"),
        verifier=VERIFIERS[stated],
        params=_params(row) if VERIFIERS[stated] == "boxes" else {},
    )


def _question(row: Row) -> str:
    """The user's turn; a system prompt that the set brings is replaced by the method's."""
    messages = row.get("prompt")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise Unfit("wrong type of prompt", "`prompt` must be a list of messages")
    asked = [message for message in messages if message.get("role") == "user"]
    if len(asked) != 1 or len(messages) > len(asked) + 1:
        raise Unfit("several turns", f"`prompt` has {len(messages)} messages, {len(asked)} of them the user's")
    return text(asked[0], "content")


def _params(row: Row) -> dict[str, object]:
    stated = value(row, "reward_model.verifier_parm")
    if not isinstance(stated, Mapping):
        return {}
    params: dict[str, object] = {}
    ratio = stated.get("det_reward_ratio")
    if isinstance(ratio, Mapping):
        # Published as float32: 0.3 arrives as 0.30000001192092896.
        numbers = {str(key): round(float(share), 6) for key, share in ratio.items() if isinstance(share, int | float)}
        if any(numbers.values()):
            params["det_reward_ratio"] = numbers
    if stated.get("det_verifier_normalized"):
        params["gold_scale"] = 1000
    return params


SET = DataSet(
    name="orsta",
    hub="One-RL-to-See-Them-All/Orsta-Data-47k",
    licence="MIT",
    prompt="specs",
    columns=("images", "prompt", "reward_model"),
    item=item,
)
