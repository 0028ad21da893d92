"""Charts: points land where they belong, ticks are round, names cannot break out of the picture."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from specs_verl.measure.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, legend, line_chart, nice_ticks


def polyline(svg, index=0):
    points = ET.fromstring(str(svg)).findall("polyline")[index].get("points")
    return [tuple(map(float, pair.split(","))) for pair in points.split()]


def test_corners():
    # values 0 and 1 are the ends of a percent axis, steps 0 and 10 those of the horizontal one
    svg = line_chart("a", [Series("m", 0, [0, 10], [0.0, 1.0])], x_label="step", percent=True)
    assert polyline(svg) == [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]


def test_logarithmic_places():
    svg = line_chart("a", [Series("m", 0, [1, 2, 4, 8], [0, 0, 0, 1])], x_label="k", log2_x=True)
    xs = [x for x, _ in polyline(svg)]
    assert [round(b - a, 3) for a, b in pairwise(xs)] == [pytest.approx((WIDTH - LEFT - RIGHT) / 3, abs=0.2)] * 3


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
        (-17.3, 1.8, [-20.0, -15.0, -10.0, -5.0, 0.0, 5.0]),
        (3.0, 3.0, [2.6, 2.8, 3.0, 3.2, 3.4]),
    ],
)
def test_ticks_are_round_and_span_the_values(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_steps_are_whole():
    assert nice_ticks(1, 3, whole=True) == [1, 2, 3]


def test_constant_and_single_values_are_drawn():
    for xs, ys in (([5], [0.2]), ([1, 2], [0.0, 0.0]), ([1, 2], [1.0, 1.0])):
        svg = line_chart("a", [Series("m", 0, xs, ys)], x_label="step", percent=True)
        assert all(TOP <= y <= HEIGHT - BOTTOM and LEFT <= x <= WIDTH - RIGHT for x, y in polyline(svg))


def test_words_for_those_who_cannot_see_it():
    svg = line_chart("Accuracy", [Series("zero", 1, [1, 60], [0.4, 0.625])], x_label="step", percent=True)
    label = ET.fromstring(str(svg)).get("aria-label")
    assert label == "Accuracy. zero: from 40.0 % at step 1 to 62.5 % at step 60."


def test_faint_lines_have_no_dots_and_no_legend():
    series = [Series("m", 0, [1, 2], [1, 2], faint=True), Series("m", 0, [1, 2], [1, 2])]
    root = ET.fromstring(str(line_chart("a", series, x_label="step")))
    assert len(root.findall("polyline")) == 2 and len(root.findall("g")) == 1
    assert str(legend(series)).count("<li>") == 1


def test_names_are_escaped():
    name = '"><script>alert(1)</script>'
    svg = str(line_chart(name, [Series(name, 0, [1], [1])], x_label=name)) + str(legend([Series(name, 0, [1], [1])]))
    assert "<script" not in svg and "&lt;script&gt;" in svg
