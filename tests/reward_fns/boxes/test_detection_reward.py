"""Orsta's detection reward: every key by hand, rows as they are published, and the scales of both sides."""

import json

import pytest

from reward_fns import compute_score, verify
from reward_fns.boxes.detection_reward import check_ratio, detection_reward
from reward_fns.boxes.metrics import Box

GOLD = [Box((0, 0, 100, 100), "cat"), Box((200, 200, 300, 300), "dog")]
# The first box overlaps by 8000 / 10000 = 0.8; the second is in its place but has the wrong label.
GIVEN = [Box((0, 0, 100, 80), "cat"), Box((200, 200, 300, 300), "cat")]


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        # Label first: one pair of 0.8 at the 7 thresholds 0.5 ... 0.8, none at the other 4. Overlap 0.8 / 2 = 0.4.
        ({"iou_max_label_first": 1.0}, 7 * 0.4 / 11),
        # Completeness with one pair of two: 1 - (0.5 + 0.5) / 2 = 0.5; 0.7 * 0.4 + 0.3 * 0.5 = 0.43.
        ({"iou_max_label_first": 1.0, "iou_completeness": 0.3}, 7 * 0.43 / 11),
        # IoU first: the second pair counts as found, not as overlap. 0.7 * 0.4 + 0.3 * 1 = 0.58 up to 0.8; above it the
        # second pair alone: 0.3 * 0.5 = 0.15.
        ({"iou_max_iou_first": 1.0, "iou_completeness": 0.3}, (7 * 0.58 + 4 * 0.15) / 11),
        # cat: found by the first detection, AP 1; dog: never, AP 0.
        ({"map50": 1.0}, 0.5),
        # cat: AP 1 at 0.5 ... 0.8, 7 of 10 thresholds; dog: 0.
        ({"map": 1.0}, 0.35),
        # Weights are divided by their sum; completeness is none: (1 * 0.5 + 0.5 * 0.5) / 1.5 with map75 = 0.5.
        ({"map50": 1.0, "map75": 0.5, "iou_completeness": 0.3}, 0.5),
        ({"map50": 1.0, "map": 0.25}, (0.5 + 0.25 * 0.35) / 1.25),
    ],
)
def test_each_key_by_hand(ratio, expected):
    assert detection_reward(GOLD, GIVEN, ratio) == pytest.approx(expected, abs=1e-12)


def test_a_wrong_number_of_boxes_costs_and_the_order_counts_for_ap():
    one, elsewhere = [Box((0, 0, 10, 10), "cat")], Box((50, 50, 60, 60), "cat")
    # The hit is listed second: precision 1 / 2 at every recall. One box too many: times 0.6.
    assert detection_reward(one, [elsewhere, *one], {"map50": 1.0}) == pytest.approx(0.5 * 0.6)
    assert detection_reward(one, [*one, elsewhere], {"map50": 1.0}) == pytest.approx(1.0 * 0.6)
    # One of two gold boxes: recall reaches 0.5, that is 51 of COCO's 101 points. One box too few: times 0.6.
    assert detection_reward([*one, elsewhere], one, {"map50": 1.0}) == pytest.approx(51 / 101 * 0.6)
    # The same place twice counts once.
    assert detection_reward(one, [*one, *one], {"map50": 1.0}) == 1.0


def test_nothing_against_nothing_and_nothing_against_something():
    assert detection_reward([], [], {"map50": 1.0}) == 1.0
    assert detection_reward(GOLD, [], {"map50": 1.0}) == detection_reward([], GOLD, {"map50": 1.0}) == 0.0


@pytest.mark.parametrize(
    ("ratio", "message"),
    [({"map60": 1.0}, "no key map60"), ({"map": 2.0}, "must lie in"), ({"iou_completeness": 0.3}, "a weight above 0")],
)
def test_ratios_that_mean_nothing_are_refused(ratio, message):
    with pytest.raises(ValueError, match=message):
        check_ratio(ratio)


RATIO = {
    "iou_max_label_first": 1.0,
    "iou_max_iou_first": 0.0,
    "iou_completeness": 0.30000001192092896,  # float32, as published
    "map": 0.0,
    "map50": 0.0,
    "map75": 0.0,
}


def orsta(ratio, normalized):
    return {
        "verifier": "detection",
        "verifier_parm": {"det_verifier_normalized": normalized, "det_reward_ratio": ratio},
        "accuracy_ratio": 1.0,
        "format_ratio": 0.1,
    }


def test_a_row_as_published_is_graded():
    gold = json.dumps([{"bbox_2d": list(box.corners), "label": box.label} for box in GOLD])
    given = json.dumps([{"bbox_2d": list(box.corners), "label": box.label} for box in GIVEN])
    score = compute_score(
        "orsta", f"<think>.</think><answer>{given}</answer>", gold, {"reward_model": orsta(RATIO, True)}
    )
    assert score["acc"] == pytest.approx(7 * 0.43 / 11, abs=1e-6)
    assert compute_score("orsta", gold, gold, {"reward_model": orsta(RATIO, True)})["acc"] == pytest.approx(1.0)
    # A row that is not about detection has the same keys, all empty.
    empty = orsta(dict.fromkeys(RATIO), None) | {"verifier": "mathverify"}
    assert compute_score("orsta", r"\boxed{4}", "4", {"reward_model": empty})["acc"] == 1.0


@pytest.mark.parametrize(
    ("params", "x_factor", "y_factor"),
    [
        ({"gold_scale": 1000, "size": [500, 250]}, 2.0, 4.0),  # 500 x 250 pixels to 1000 x 1000
        ({"gold_scale": 1000, "normalized": True}, 1000.0, 1000.0),  # shares of 1 to shares of 1000
        ({"gold_scale": 1000}, 1.0, 1.0),  # no size: the response is on the gold's scale
        ({"normalized": 1000, "size": [500, 250]}, 0.5, 0.25),  # shares of 1000 to 500 x 250 pixels
    ],
)
def test_both_sides_come_to_the_golds_scale(params, x_factor, y_factor):
    given = [0.1, 0.2, 0.3, 0.4]
    gold = [[given[0] * x_factor, given[1] * y_factor, given[2] * x_factor, given[3] * y_factor]]
    assert verify(json.dumps(given), gold, "boxes", metric="iou", **params).score == pytest.approx(1.0)


def test_the_threshold_may_follow_the_training():
    ratio, gold = {"iou_max_label_first": 1.0}, [[0, 0, 100, 100]]
    moving = {"det_reward_ratio": ratio, "threshold": {"start": 0.5, "end": 0.9}}
    assert verify("[0, 0, 100, 80]", gold, "boxes", progress=0.0, **moving).score == pytest.approx(0.8)
    assert verify("[0, 0, 100, 80]", gold, "boxes", progress=1.0, **moving).score == 0.0
