"""The detection reward of Orsta (V-Triune, arXiv 2505.18129), by the keys of its `det_reward_ratio`.

    detection_reward(gold, given, {"iou_max_label_first": 1.0, "iou_completeness": 0.3})     # in [0, 1]

Six keys: `iou_max_label_first`, `iou_max_iou_first`, `map`, `map50` and `map75` are weights of scores and are divided
by their sum; `iou_completeness` is the share that completeness has inside the first two. The sum is multiplied by
0.6 for every box too few or too many. Pairs are assigned so that their summed overlap is largest, where the published
code pairs greedily (and depends on the order of the boxes); AP is COCO's, with the boxes in their order as confidence.
Not here: reading boxes, and the scale of their coordinates (verifiers/boxes.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reward_fns.boxes.metrics import Box, Matching, iou, match, same_label
from reward_fns.verdict import CallError

WEIGHTS = ("iou_max_label_first", "iou_max_iou_first", "map", "map50", "map75")
COMPLETENESS = "iou_completeness"

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
"""The IoU scores are means over these thresholds unless one is given."""

COCO_THRESHOLDS = THRESHOLDS[:-1]
MOST_DETECTIONS = 100
PER_WRONG_COUNT = 0.6

GREATEST = 1.0 + 1e-6
"""Published ratios are float32: 0.3 arrives as 0.30000001."""


def check_ratio(ratio: Mapping[str, object]) -> dict[str, float]:
    """The ratio as floats without its empty entries; ValueError for unknown keys, shares outside [0, 1], no weight."""
    known = {key: float(value) for key, value in ratio.items() if value is not None}  # type: ignore[arg-type]
    unknown = sorted(set(known) - {*WEIGHTS, COMPLETENESS})
    if unknown:
        raise CallError(
            f"det_reward_ratio has no key {', '.join(unknown)}; known: {', '.join((*WEIGHTS, COMPLETENESS))}"
        )
    if any(not 0.0 <= value <= GREATEST for value in known.values()):
        raise CallError(f"the values of det_reward_ratio must lie in [0, 1], got {known}")
    if sum(known.get(key, 0.0) for key in WEIGHTS) <= 0.0:
        raise CallError(f"det_reward_ratio needs a weight above 0 among {', '.join(WEIGHTS)}, got {known}")
    return known


def detection_reward(
    gold: Sequence[Box],
    given: Sequence[Box],
    ratio: Mapping[str, float],
    thresholds: Sequence[float] = THRESHOLDS,
) -> float:
    """The reward in [0, 1]; 1.0 for the gold itself, and for nothing against nothing.

    Args:
        gold, given: boxes on the same scale; of boxes in the same place only the first counts.
        ratio: weights and completeness, see `check_ratio`.
        thresholds: IoU from which a pair counts in the IoU scores, averaged over.
    """
    gold, given = _places(gold), _places(given)
    if not gold or not given:
        return float(not gold and not given)
    scores = {
        "iou_max_label_first": lambda: _iou_score(match(gold, given, True), ratio, thresholds),
        "iou_max_iou_first": lambda: _iou_score(match(gold, given, False), ratio, thresholds),
        "map": lambda: mean_ap(gold, given, COCO_THRESHOLDS),
        "map50": lambda: mean_ap(gold, given, (0.5,)),
        "map75": lambda: mean_ap(gold, given, (0.75,)),
    }
    weights = {key: ratio[key] for key in WEIGHTS if ratio.get(key)}
    total = sum(weight * scores[key]() for key, weight in weights.items()) / sum(weights.values())
    return total * PER_WRONG_COUNT ** abs(len(gold) - len(given))


def _iou_score(matching: Matching, ratio: Mapping[str, float], thresholds: Sequence[float]) -> float:
    """Mean over the thresholds of (1 - c) * overlap per gold box + c * completeness, c the share of completeness."""
    share = min(ratio.get(COMPLETENESS, 0.0), 1.0)
    n_gold, n_given = len(matching.gold), len(matching.given)
    total = 0.0
    for threshold in thresholds:
        pairs = [pair for pair in matching.pairs if pair.overlap >= threshold]
        overlap = sum(
            pair.overlap
            for pair in pairs
            if same_label(matching.gold[pair.gold].label, matching.given[pair.given].label)
        )
        missed, invented = 1.0 - len(pairs) / n_gold, 1.0 - len(pairs) / n_given
        total += (1.0 - share) * overlap / n_gold + share * (1.0 - (missed + invented) / 2.0)
    return total / len(thresholds)


def mean_ap(gold: Sequence[Box], given: Sequence[Box], thresholds: Sequence[float]) -> float:
    """COCO's AP, the mean over the labels of the gold boxes and over the thresholds; 101 points of recall."""
    classes: list[list[Box]] = []
    for box in gold:
        known = next((boxes for boxes in classes if same_label(boxes[0].label, box.label)), None)
        if known is None:
            classes.append([box])
        else:
            known.append(box)
    points = [
        _average_precision(boxes, [box for box in given if same_label(boxes[0].label, box.label)], threshold)
        for boxes in classes
        for threshold in thresholds
    ]
    return sum(points) / len(points)


def _average_precision(gold: Sequence[Box], given: Sequence[Box], threshold: float) -> float:
    free = list(range(len(gold)))
    found = 0
    at: list[tuple[int, float]] = []  # gold boxes found after each detection, and the precision there
    for place, box in enumerate(given[:MOST_DETECTIONS]):
        overlap, best = max(((iou(gold[i].corners, box.corners), -i) for i in free), default=(0.0, 0))
        if overlap >= threshold:
            free.remove(-best)
            found += 1
        at.append((found, found / (place + 1)))
    total = 0.0
    for percent in range(101):
        total += max((precision for hits, precision in at if hits * 100 >= percent * len(gold)), default=0.0)
    return total / 101


def _places(boxes: Sequence[Box]) -> list[Box]:
    """Without the boxes whose corners came before."""
    return list({box.corners: box for box in reversed(boxes)}.values())[::-1]
