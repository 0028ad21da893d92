"""The page: complete, self-contained, safe with hostile text, accessible, small; and the table on the terminal."""

import io
import json
import random
import re
import shutil
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from specs_verl.errors import UserError
from specs_verl.measure.evaluate import EvalSet, evaluate
from specs_verl.measure.page import grpo_charts, headline, tiles
from specs_verl.measure.report import ReportInputs, TrainingLog, collect, print_summary, write_report

VOID = {"meta", "img", "line", "polyline", "br", "link", "input", "path", "rect"}
HOSTILE = (
    "</pre><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\u202e\x1b[31m <answer>\\boxed{3}</answer>"
)


class Checker(HTMLParser):
    """Collects what the tests ask about; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, fabricate):
    """Four models on three sets, with all training logs; tests must not change the files."""
    tmp_path = tmp_path_factory.mktemp("report")
    test = fabricate.prompts(tmp_path / "test.parquet", 32)
    ood = fabricate.prompts(tmp_path / "ood.parquet", 16, "colon")
    quality = {"base": (0.5, 0.4), "zero": (0.6, 0.95), "warm-up": (0.55, 0.9), "final": (0.8, 1.0)}
    metrics = []
    for seed, (name, (right, formed)) in enumerate(quality.items()):
        place = tmp_path / name
        fabricate.run(place / "test", test, fabricate.quality(right, formed), n=8, seed=seed)
        fabricate.run(place / "ood", ood, fabricate.quality(right, 0.7), n=2, seed=seed, asked_format="colon")
        fabricate.run(place / "shuffled", test, fabricate.quality(0.1, formed), n=8, seed=seed)
        sets = [
            EvalSet("test", place / "test", (test,)),
            EvalSet("ood", place / "ood", (ood,), role="ood"),
            EvalSet("shuffled", place / "shuffled", (test,), role="control"),
        ]
        metrics.append(
            evaluate(name, sets, tmp_path / "eval" / name, workers=1, format_checks={"colon": lambda t: "Answer:" in t})
        )
    return ReportInputs(
        metrics=tuple(metrics),
        grpo=(
            TrainingLog("zero", (fabricate.grpo_log(tmp_path / "zero.jsonl", 30, 0.7, 1.1),)),
            TrainingLog("final", (fabricate.grpo_log(tmp_path / "final.jsonl", 30, 1.0, 1.3),)),
        ),
        cold_start=(TrainingLog("warm-up", (fabricate.cold_start_log(tmp_path / "cs.jsonl", 20),)),),
        title="A run",
    )


def test_everything_is_on_the_page(inputs, tmp_path):
    text = write_report(inputs, tmp_path / "report.html").read_text(encoding="utf-8")
    page = Checker(text)
    words = " ".join(page.text)
    for part in ("Results", "gate before RL", "GRPO curves", "Cold start", "Formats", "Samples", "warm-up", "pass@8"):
        assert part in words, part
    charts = [
        attributes["aria-label"] for tag, attributes in page.attributes if tag == "svg" and "aria-label" in attributes
    ]
    assert [label.split(".")[0] for label in charts] == [
        "pass@k", "Reward", "Response length", "Rewards", "Margin", "Loss",
    ]  # fmt: skip
    assert page.tags.count("article") == 6
    # 6 prompts with one picture each, answered by 4 models
    assert page.tags.count("img") == 6 and page.tags.count("pre") == 24


def test_needs_nothing_but_itself(inputs, tmp_path):
    text = write_report(inputs, tmp_path / "report.html").read_text(encoding="utf-8")
    page = Checker(text)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    for tag, attributes in page.attributes:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
                assert value.startswith(("#", "data:image/")), (tag, name, value[:40])
    assert "@import" not in text and "url(" not in text and "http://" not in text and "https://" not in text
    assert "default-src 'none'" in text
    assert len(text) < 3_000_000


def test_accessible(inputs, tmp_path):
    page = Checker(write_report(inputs, tmp_path / "report.html").read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.tags.count("h1") == 1 and page.tags.count("main") == 1
    assert dict(page.attributes)["html"]["lang"] == "en"
    for tag, attributes in page.attributes:
        if tag == "img":
            assert len(attributes["alt"]) > 10
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or len(attributes["aria-label"]) > 10
        if tag == "th":
            assert attributes["scope"] in ("col", "row", "colgroup")
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
        if tag == "section":
            assert attributes["aria-labelledby"] in ids


def contrast(first, second):
    """WCAG 2 contrast ratio of two #rrggbb colours."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_in_light_and_dark(inputs, tmp_path):
    text = write_report(inputs, tmp_path / "report.html").read_text(encoding="utf-8")
    schemes = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
        for ink in ("ink", "soft", "good", "bad"):
            assert contrast(colour[ink], colour["card"]) >= 4.5, ink
        assert contrast(colour["soft"], colour["page"]) >= 4.5
        assert contrast(colour["tag"], colour["code"]) >= 4.5
        for ink, back in (("good", "good-back"), ("bad", "bad-back"), ("note", "note-back")):
            assert contrast(colour[ink], colour[back]) >= 4.5, ink
        for line in range(8):
            assert contrast(colour[f"s{line}"], colour["card"]) >= 3.0, line


def test_model_output_cannot_do_anything(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "t.parquet", 2)
    run = fabricate.run(tmp_path / "run", prompts, fabricate.quality(1, 1), n=2)
    rows = pq.read_table(run.shard_path(0)).to_pylist()
    for row in rows:
        row["response"] = HOSTILE
    pq.write_table(pa.Table.from_pylist(rows), run.shard_path(0))
    path = evaluate("<b>m</b>", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "e", workers=1)
    text = write_report(ReportInputs(metrics=(path,), title="<i>t</i>"), tmp_path / "r.html").read_text(
        encoding="utf-8"
    )
    page = Checker(text)
    assert "script" not in page.tags and "b" not in page.tags and "i" not in page.tags
    assert page.tags.count("img") == 2  # the prompts' own pictures
    words = "".join(page.text)
    assert "<script>alert(1)</script>" in words and "{{ 7*7 }}" in words and "<b>m</b>" in words  # shown, not run
    assert "\u202e" not in text and "\x1b" not in text
    assert '<span class="tag">&lt;answer&gt;</span>' in text


def test_large_pictures_are_made_small(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "t.parquet", 8)
    rows = pq.read_table(prompts).to_pylist()
    noise = Image.frombytes("RGB", (1200, 900), random.Random(0).randbytes(1200 * 900 * 3))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    for row in rows:
        row["images"] = [{"bytes": buffer.getvalue(), "path": None}] * 3  # 3 MB each
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    fabricate.run(tmp_path / "run", prompts, fabricate.quality(1, 1), n=1)
    path = evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "e", workers=1)
    page = write_report(ReportInputs(metrics=(path,), samples=8), tmp_path / "r.html")
    assert page.stat().st_size < 3_000_000
    widths = [int(a["width"]) for tag, a in Checker(page.read_text(encoding="utf-8")).attributes if tag == "img"]
    assert widths and max(widths) <= 480


def test_report_without_rollouts_data_or_curves(inputs, tmp_path):
    """What is gone is left out: here the data set, then the graded rollouts as well."""
    shutil.copytree(inputs.metrics[0].parent.parent, tmp_path / "eval")
    metrics = tuple(tmp_path / "eval" / path.parent.name / "metrics.json" for path in inputs.metrics)
    for path in metrics:
        content = json.loads(path.read_text())
        content["sets"]["test"]["prompts_files"] = ["/nowhere/test.parquet"]
        path.write_text(json.dumps(content))
    text = write_report(ReportInputs(metrics=metrics[:1]), tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no longer there" in text and "GRPO curves" not in text and "Gate" not in text
    for shard in (tmp_path / "eval").rglob("*.parquet"):
        shard.unlink()
    text = write_report(ReportInputs(metrics=metrics), tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<article" not in text and "95 %: " not in text


def test_headline_says_when_things_got_worse(inputs):
    turned = ReportInputs(metrics=tuple(reversed(inputs.metrics)))
    page = collect(turned)
    assert headline(page).startswith("From final to base, format compliance fell from 100.0 to ")
    assert [tile.tone for tile in tiles(page)][:2] == ["bad", "bad"]


def test_seeds_become_one_row_with_spread(inputs, tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 32)
    seeds = []
    for seed, right in enumerate((0.5, 0.7)):
        run = tmp_path / f"s{seed}"
        fabricate.run(run, prompts, fabricate.quality(right, 1.0), n=8, seed=90 + seed)
        sets = [EvalSet("test", run, (prompts,))]
        seeds.append(evaluate("final", sets, tmp_path / f"e{seed}", seed=seed, workers=1))
    out = io.StringIO()
    print_summary(Console(file=out, width=120), ReportInputs(metrics=(inputs.metrics[0], *seeds)))
    final = next(line for line in out.getvalue().splitlines() if "final" in line)
    assert " ± " in final and "100.0 ± 0.0" in final
    with pytest.raises(UserError, match=r"'final' with seed 0 is given twice"):
        print_summary(Console(file=out), ReportInputs(metrics=(seeds[0], seeds[0])))


def test_runs_of_several_seeds_are_lines_of_one_colour(inputs, tmp_path, fabricate):
    logs = [TrainingLog("final", (fabricate.grpo_log(tmp_path / f"{n}.jsonl", 10, 0.5, n),)) for n in (1, 2)]
    page = collect(ReportInputs(metrics=inputs.metrics, grpo=tuple(logs)))
    assert list(page.grpo) == ["final", "final #2"]
    (reward, _length) = grpo_charts(page)
    assert str(reward.svg).count('<polyline class="line s3"') == 2  # final is the fourth model


def test_table_on_the_terminal(inputs):
    out = io.StringIO()
    print_summary(Console(file=out, width=120), inputs)
    text = out.getvalue()
    for word in (
        "32 held-out prompts, 8 responses each",
        "accuracy",
        "format",
        "pass@8",
        "control",
        "OOD format",
        "length",
    ):
        assert word in text, word
    assert [line.split()[1] for line in text.splitlines() if line.startswith("│")] == [
        "base",
        "zero",
        "warm-up",
        "final",
    ]


def test_warnings_reach_the_reader(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "t.parquet", 2)
    rows = pq.read_table(prompts).to_pylist()
    rows[1]["reward_model"]["ground_truth"] = "a cat"  # no number
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    fabricate.run(tmp_path / "run", prompts, fabricate.quality(1, 1), n=2)
    path = evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "e", workers=1)
    text = write_report(ReportInputs(metrics=(path,)), tmp_path / "r.html").read_text(encoding="utf-8")
    assert "m, test: 1 ground truths could not be parsed and count as wrong." in text
