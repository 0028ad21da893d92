"""``boxes`` and ``point``: detection and grounding against gold boxes, paired optimally and with labels respected.

    gold = '[{"bbox_2d": [10, 10, 50, 60], "label": "cat"}]'
    verify('<answer>[{"bbox_2d": [11, 9, 50, 61], "label": "cat"}]</answer>', gold, "boxes")     -> right, score 0.94
    verify("[10, 10, 50, 60]", [[10, 10, 50, 60]], "boxes", metric="f1", threshold=0.5)          -> right, score 1.0
    verify("(30, 30)", [[10, 10, 50, 60]], "point")                                              -> right, score 1.0

``score`` is the metric (or the weighted mean of several); the verdict is right when the score reaches ``right_at`` and
there are fewer than two boxes for each gold box: two guesses for one thing are no answer. A
threshold may follow the training: ``threshold={"start": 0.5, "end": 0.85}`` with ``progress`` in [0, 1] from the
reward manager. Not here: reading boxes out of text (boxes/reading.py), geometry and matching (boxes/metrics.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from reward_fns.answer.places import stated_pieces
from reward_fns.boxes.detection_reward import THRESHOLDS, check_ratio, detection_reward
from reward_fns.boxes.metrics import METRICS, Box, Matching, match
from reward_fns.boxes.reading import read_boxes, read_points
from reward_fns.registry import register
from reward_fns.verdict import NO_ANSWER, CallError, GoldError, Verdict

Threshold = float | Mapping[str, float]
GoldBoxes = str | Sequence[object]
Key = tuple[Any, ...]
"""A nested sequence of numbers and texts, hashable."""


PRECISE = frozenset({"iou", "giou", "f1", "precision"})
"""Metrics in which superfluous boxes cost. The others, on their own, would pay for many guesses; they are multiplied by
the precision then."""


@register("boxes")
def boxes(
    response: str,
    ground_truth: GoldBoxes,
    *,
    metric: str = "iou",
    weights: Mapping[str, float] | None = None,
    det_reward_ratio: Mapping[str, float] | None = None,
    threshold: Threshold = 0.5,
    right_at: float | None = None,
    normalized: bool | float = False,
    size: Sequence[float] | None = None,
    gold_scale: float | None = None,
    box_format: str = "xyxy",
    match_labels: bool = True,
    count_penalty: float = 0.0,
    progress: float | None = None,
    answer_after_think: bool = False,
) -> Verdict:
    """Compare the boxes of a response with the gold boxes.

    Args:
        ground_truth: list of {"bbox_2d": [x1, y1, x2, y2], "label": ...}, of plain boxes, or either as JSON.
        metric: iou (mean over gold and superfluous boxes), giou, f1, precision, recall, ap, count.
        weights: several metrics with their weights, instead of ``metric``.
        det_reward_ratio: the reward of Orsta instead (boxes/detection_reward.py); its IoU scores are means over eleven
            thresholds, or take the one of a moving ``threshold``. ``count_penalty`` does not apply.
        threshold: IoU from which a pair counts in f1, precision and recall; {"start": a, "end": b} moves from a to b
            with ``progress``.
        right_at: score from which the verdict is right; default: the threshold for iou and giou, 1.0 for counting
            metrics, 0.5 for ``det_reward_ratio``.
        normalized: the response's coordinates are shares of ``size``; a number (1000) says which full scale they have.
        size: width and height of the image in the pixels of the ground truth (of the response with ``gold_scale``),
            needed when only one of both sides is in pixels.
        gold_scale: the gold coordinates are shares, of this full scale (1000), of the image.
        box_format: of the response: xyxy, xywh or cxcywh.
        match_labels: a box pairs only with a gold box of the same label (when both have one).
        count_penalty: taken off the score per missing or superfluous box, as a share of the gold boxes.
        progress: share of the training that is done.
    """
    gold = read_gold(_hashable(ground_truth))
    ratio = check_ratio(det_reward_ratio) if det_reward_ratio else None
    chosen = dict(weights) if weights else {metric: 1.0}
    unknown = sorted(set(chosen) - set(METRICS))
    if unknown or sum(chosen.values()) <= 0:
        raise CallError(
            f"metrics must be among {', '.join(METRICS)} with a positive sum of weights, got {dict(chosen)}"
        )
    given = _answered(response, answer_after_think, box_format)
    if given is None:
        return NO_ANSWER
    given = _scaled(given, _scales(normalized, size, gold_scale))
    at = threshold_at(threshold, progress)
    if ratio is not None:
        score = detection_reward(gold, given, ratio, (at,) if isinstance(threshold, Mapping) else THRESHOLDS)
        return _decided(score, 0.5 if right_at is None else right_at, given, gold)
    matching = match(gold, given, match_labels)
    score = sum(weight * METRICS[name](matching, at) for name, weight in chosen.items()) / sum(chosen.values())
    if not set(chosen) & PRECISE:
        score *= METRICS["precision"](matching, at)
    score -= count_penalty * abs(len(given) - len(gold)) / max(1, len(gold))
    score = min(max(score, 0.0), 1.0)
    needed = right_at if right_at is not None else (at if set(chosen) <= {"iou", "giou"} else 1.0)
    return _decided(score, needed, given, gold)


def _decided(score: float, needed: float, given: list[Box], gold: Sequence[Box]) -> Verdict:
    guesses = len(given) >= 2 * len(gold) and len(given) > len(gold)  # two guesses for one thing are no answer
    return Verdict("right" if score >= needed - 1e-12 and not guesses else "wrong", score, _shown(given))


@register("point")
def point(
    response: str,
    ground_truth: GoldBoxes,
    *,
    normalized: bool | float = False,
    size: Sequence[float] | None = None,
    answer_after_think: bool = False,
) -> Verdict:
    """Every gold box must hold exactly one of the stated points; a box in the answer stands for its centre. Score: F1
    over boxes and points."""
    gold = read_gold(_hashable(ground_truth))
    for piece in stated_pieces(response, answer_after_think):
        points = read_points(piece.text)
        if points:
            break
    else:
        return NO_ANSWER
    x_scale, y_scale = _scales(normalized, size)
    points = [(x * x_scale, y * y_scale) for x, y in points]
    matching = match(gold, [Box((x, y, x, y), "") for x, y in points], False, inside=True)
    hits = sum(pair.overlap > 0 for pair in matching.pairs)
    score = 2 * hits / (len(gold) + len(points)) if hits else 0.0
    shown = ", ".join(f"({x:g}, {y:g})" for x, y in points[:8])
    return Verdict("right" if score >= 1.0 else "wrong", score, shown)


def threshold_at(threshold: Threshold, progress: float | None) -> float:
    """A fixed threshold, or one that moves from ``start`` to ``end`` in a straight line with the progress of
    training."""
    if not isinstance(threshold, Mapping):
        return float(threshold)
    start, end = float(threshold.get("start", 0.5)), float(threshold.get("end", 0.5))
    share = min(max(progress or 0.0, 0.0), 1.0)
    return start + (end - start) * share


@lru_cache(maxsize=4096)
def read_gold(ground_truth: str | Key) -> tuple[Box, ...]:
    """The gold boxes; a ground truth without any is the row's fault. An empty list states that there is nothing to
    find."""
    found = read_boxes(ground_truth if isinstance(ground_truth, str) else _json(ground_truth))
    if found is None:
        raise GoldError(f"no boxes in the ground truth {str(ground_truth)[:80]!r}")
    for box in found:
        x1, y1, x2, y2 = box.corners
        if x2 < x1 or y2 < y1:
            raise GoldError(f"gold box {list(box.corners)} has its corners swapped")
    return tuple(found)


def _hashable(value: Any) -> str | Key:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return (
            (
                "mapping",
                *(
                    (str(k), _hashable(v) if not isinstance(v, int | float | str) else v)
                    for k, v in value.items()
                    if v is not None
                ),
            ),
        )
    return tuple(item if isinstance(item, int | float | str) else _hashable(item) for item in value)


def _json(value: Key) -> str:
    """Back to JSON text: rows may carry lists, tuples and arrays, and one reader for text is enough."""
    import json

    def plain(item: object) -> object:
        if isinstance(item, tuple):
            if len(item) == 1 and isinstance(item[0], tuple) and item[0][:1] == ("mapping",):
                return {key: plain(part) for key, part in item[0][1:]}
            return [plain(part) for part in item]
        return item

    return json.dumps(plain(value))


def _answered(response: str, answer_after_think: bool, box_format: str) -> list[Box] | None:
    for piece in stated_pieces(response, answer_after_think):
        found = read_boxes(piece.text, box_format)
        if found is not None and (found or piece.place != "rest" or len(piece.text) < 24):
            return found
    return None


def _scaled(given: list[Box], scales: tuple[float, float]) -> list[Box]:
    x_scale, y_scale = scales
    if x_scale == y_scale == 1.0:
        return given
    return [
        Box((b.corners[0] * x_scale, b.corners[1] * y_scale, b.corners[2] * x_scale, b.corners[3] * y_scale), b.label)
        for b in given
    ]


def _scales(
    normalized: bool | float, size: Sequence[float] | None, gold_scale: float | None = None
) -> tuple[float, float]:
    """Factors from the response's coordinates to the gold's."""
    full = 1.0 if normalized is True else float(normalized)
    if gold_scale is not None and normalized:  # shares on both sides
        return gold_scale / full, gold_scale / full
    if size is None or (gold_scale is None and not normalized):  # the same scale on both sides
        return 1.0, 1.0
    width, height = (float(side) for side in size)
    if gold_scale is not None:
        return gold_scale / width, gold_scale / height
    return width / full, height / full


def _shown(given: list[Box]) -> str:
    return "; ".join(
        f"[{', '.join(f'{c:g}' for c in box.corners)}]{' ' + box.label if box.label else ''}" for box in given[:8]
    )


__all__ = ["Matching", "boxes", "point"]
