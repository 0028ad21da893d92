"""Mixtures, data cards, and the data of the papers from files in their published layouts."""

import json
from collections import Counter

import published
import pyarrow as pa
import pytest
from published import IMAGES, TEXT, cell, orsta, png, rows_of, virl

from data_prep import nano, schema
from data_prep.errors import UserError
from data_prep.mix import mixing
from data_prep.mix.card import answer_type, describe, markdown
from data_prep.mix.choose import Wanted, chosen, interleaved, shares
from specs_verl.cli import main

# --------------------------------------------------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(
    ("sets", "total", "counts"),
    [
        ([Wanted(100), Wanted(50)], None, [100, 50]),  # no weights: everything
        ([Wanted(100), Wanted(50)], 30, [20, 10]),  # scaled down together
        ([Wanted(100), Wanted(50, cap=20)], None, [100, 20]),
        # 3 : 1, the second set's 100 are the scarcest: 400 rows in all
        ([Wanted(1000, 3.0), Wanted(500, 1.0, cap=100)], None, [300, 100]),
        ([Wanted(1000, 3.0), Wanted(500, 1.0)], 200, [150, 50]),
        ([Wanted(1000, 0.1), Wanted(1000, 0.2)], 300, [100, 200]),  # 0.1 + 0.2 is not 0.3
        ([Wanted(1000, 1.0), Wanted(10, 0.0)], None, [1000, 0]),
        ([Wanted(10)], 99, [10]),  # nothing is drawn twice
    ],
)
def test_shares_by_hand(sets, total, counts):
    assert shares(sets, total) == counts


@pytest.mark.parametrize("sets", [[Wanted(5, 1.0), Wanted(5)], [Wanted(5, -1.0), Wanted(5, 2.0)], [Wanted(5, 0.0)]])
def test_weights_that_mean_nothing(sets):
    with pytest.raises(UserError, match=r"weight|Weights"):
        shares(sets)


def test_rows_are_drawn_by_seed_and_name():
    first = chosen(20, 100, 0, "a")
    assert len(first) == 20 and first == chosen(20, 100, 0, "a") and first <= set(range(100))
    assert first != chosen(20, 100, 1, "a") and first != chosen(20, 100, 0, "b")
    assert chosen(10, 100, 0, "a") < first, "a smaller share is part of a larger one"


def test_sets_are_spread_over_the_file():
    assert interleaved([3, 1]) == [0, 0, 1, 0]
    order = interleaved([900, 100])
    assert all(
        80 <= order[start : start + 100].count(0) <= 100 and order[start : start + 100].count(1)
        for start in range(0, 1000, 100)
    )


@pytest.mark.parametrize(
    ("gold", "kind"),
    [("12", "integer"), ("-1,234", "integer"), ("0.5", "decimal"), ("B", "letter"), (r"\frac{1}{2}", "formula"),
     ("x=3", "formula"), ("red", "words"), ('[{"bbox_2d": [1, 2, 3, 4]}]', "boxes"), ("?", "other")],
)  # fmt: skip
def test_answer_types(gold, kind):
    assert answer_type(gold) == kind


# ------------------------------------------------------------------------------------------------------------- mixing


def row(name, number, licence="MIT", image=None, source="hand"):
    columns = schema.grading_columns(str(number), "math")
    return {
        "data_source": name,
        "prompt": [{"role": "user", "content": ("<image>" if image else "") + f"What is {number}?"}],
        "images": [{"bytes": image, "path": None}] if image else [],
        "ability": "math",
        "reward_model": columns["reward_model"],
        "extra_info": {"id": f"{name}{number}", "licence": licence, "source": source, **columns["extra_info"]},
    }


@pytest.fixture
def mixture(tmp_path):
    for name, count in (("a", 40), ("b", 10)):
        published.parquet(tmp_path / f"{name}.parquet", [row(name, i) for i in range(count)], schema.SCHEMA)
    sets = {
        "a": {"file": str(tmp_path / "a.parquet"), "weight": 2},
        "b": {"file": str(tmp_path / "b.parquet"), "weight": 1},
    }
    (tmp_path / "mix.yaml").write_text(json.dumps({"sets": sets, "total": 15}))
    return tmp_path / "mix.yaml"


def test_a_mixture_from_the_command_line(mixture, tmp_path, capsys):
    for out in ("x", "y"):
        assert main(["data", "mix", str(mixture), "--out", str(tmp_path / out), "--seed", "3"]) == 0
    assert "a: 10 rows\nb: 5 rows\n" in capsys.readouterr().out
    mixed = rows_of(tmp_path / "x" / "train.parquet")
    assert Counter(one["data_source"] for one in mixed) == {"a": 10, "b": 5}
    assert len({one["extra_info"]["id"] for one in mixed}) == 15
    for name in ("train.parquet", "card.md", "card.json"):
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()
    card = json.loads((tmp_path / "x" / "card.json").read_text())
    assert (card["rows"], card["sets"], card["seed"]) == (15, {"a": 10, "b": 5}, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sets: [", "no readable YAML"),
        ("total: 3", "must hold `sets`"),
        ("sets: {a: {weight: 1}}", "set a: needs `file`"),
        ("sets: {a: {file: x, wait: 1}}", "set a: needs `file`"),
        ("sets: {a: {file: x, cap: 0}}", "`cap` must be above 0"),
        ("sets: {a: {file: x, weight: heavy}}", "`weight` cannot be 'heavy'"),
        ("sets: {a: gone.parquet}", "gone.parquet: no such file"),
        ("{sets: {a: x}, total: none}", "`total` must be"),
    ],
)
def test_wrong_mixtures_are_one_sentence(tmp_path, capsys, content, message):
    (tmp_path / "mix.yaml").write_text(content)
    assert main(["data", "mix", str(tmp_path / "mix.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_files_with_other_columns_mix_when_they_fit(tmp_path):
    """Nano rows have fields of their own in extra_info; a column of another type is refused with the files named."""
    data = nano.write_data(tmp_path / "nano", n_train=8, n_test=8, seed=0)["train"]
    other = published.parquet(tmp_path / "a.parquet", [row("a", 1)], schema.SCHEMA)
    sources = [mixing.Source("nano", data), mixing.Source("a", other)]
    assert mixing.mix(sources, tmp_path / "mixed.parquet") == {"nano": 8, "a": 1}
    assert schema.validate(tmp_path / "mixed.parquet") == 9
    wrong = schema.SCHEMA.set(3, pa.field("ability", pa.list_(pa.int64())))
    published.parquet(tmp_path / "wrong.parquet", [row("w", 1) | {"ability": [1]}], wrong)
    with pytest.raises(UserError, match=r"a\.parquet.*wrong\.parquet: columns that do not fit"):
        mixing.mix([sources[1], mixing.Source("w", tmp_path / "wrong.parquet")], tmp_path / "m.parquet")


def test_a_card_counts_and_shows_nothing_as_markup(tmp_path):
    rows = [row("a", 1, image=png(1, (100, 60))), row("a", 2, source="<script>|x"), row("b", 3, licence=None)]
    path = published.parquet(tmp_path / "t.parquet", rows, schema.SCHEMA)
    card = describe(path, {"duplicate": 4}, checkpoint=str(nano.base_checkpoint()))
    assert (card.rows, card.images) == (3, 1)
    assert card.licences == {"MIT": 2, "unstated": 1} and card.images_per_row == {"1": 1, "0": 2}
    assert card.longer_side == {"   28 - 111": 1}
    # 100 x 60 becomes 112 x 56, that is 4 x 2 tokens
    assert card.image_tokens == {"    0 - 63": 3} and sum(card.prompt.values()) == 3
    text = markdown(card)
    assert "<script>" not in text and "&lt;script>\\|x" in text and "| duplicate | 4 |" in text


# ------------------------------------------------------------------------------------------------------------- papers

QUESTION = "In the figure the triangle has a right angle at C and its legs are {} and 4 long. How long is AB?"


@pytest.fixture
def published_sets(tmp_path):
    """Twelve rows of Orsta and twelve of ViRL39K; three of them ask the same about the same images."""
    rows = [orsta("<image>" + QUESTION.format(i), rf"\boxed{{{i}}}", images=[cell(i)]) for i in range(12)]
    published.parquet(tmp_path / "orsta" / "data" / "train-0.parquet", rows, published.ORSTA)
    rows = []
    for i in range(9, 21):
        (tmp_path / "virl" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "virl" / "images" / f"{i}.jpg").write_bytes(published.encoded(published.picture(i), "JPEG"))
        rows.append(virl("<image>" + QUESTION.format(i), rf"\boxed{{{i}}}", [f"images/{i}.jpg"], f"q{i}"))
    rows.append(virl("<image>?", "", ["images/9.jpg"], "broken"))
    published.parquet(tmp_path / "virl" / "39K.parquet", rows)
    return tmp_path


def arguments(folder, out, *more):
    return [
        "data",
        "specs_86k",
        "--orsta",
        str(folder / "orsta"),
        "--virl",
        str(folder / "virl"),
        "--out",
        str(out),
        *more,
    ]


def test_the_data_of_metis_specs(published_sets, tmp_path, capsys):
    out = tmp_path / "out"
    benchmark = published.parquet(tmp_path / "bench.parquet", [{"question": "Which?", "image": cell(3)}])
    assert main(arguments(published_sets, out, "--test", "0.2", "--against", str(benchmark))) == 0
    # 12 + 12 rows, 3 duplicates, 1 image of the benchmark: 20; a fifth of them held out, per source
    printed = capsys.readouterr().out
    assert "train: 16 rows\ntest: 4 rows" in printed
    train, test = rows_of(out / "train.parquet"), rows_of(out / "test.parquet")
    assert Counter(one["data_source"] for one in train + test) == {"orsta": 11, "virl39k": 9}
    golds = [one["reward_model"]["ground_truth"] for one in train + test]
    assert sorted(map(int, golds)) == [i for i in range(21) if i != 3]
    assert train[0]["prompt"][0]["role"] == "system"
    card = json.loads((out / "card.json").read_text())
    assert card["removed"] == {"duplicate": 3, "benchmark image": 1, "virl39k: no answer": 1}


def test_a_command_that_was_interrupted_goes_on(published_sets, tmp_path, monkeypatch):
    from data_prep.mix import papers

    out, calls = tmp_path / "out", []
    convert = papers.convert
    monkeypatch.setattr(
        papers, "convert", lambda dataset, *a, **k: calls.append(dataset.name) or convert(dataset, *a, **k)
    )
    monkeypatch.setattr(papers, "deduplicate", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(arguments(published_sets, out)) == 130
    assert calls == ["orsta", "virl39k"] and not (out / "train.parquet").exists()
    monkeypatch.undo()
    monkeypatch.setattr(papers, "convert", lambda *a, **k: calls.append("again"))
    assert main(arguments(published_sets, out)) == 0
    assert calls == ["orsta", "virl39k"], "what was finished is not done again"


def test_rise_with_text_only_rows(published_sets, tmp_path):
    (tmp_path / "text.yaml").write_text("{name: words, question: q, answer: a}")
    published.jsonl(tmp_path / "text.jsonl", [{"q": f"What is {i} + 1?", "a": str(i + 1)} for i in range(5)])
    command = [
        "rise" if word == "specs_86k" else word for word in arguments(published_sets, tmp_path / "out", "--test", "0")
    ]
    assert main([*command, "--text", str(tmp_path / "text.jsonl"), "--text-mapping", str(tmp_path / "text.yaml")]) == 0
    found = Counter(one["data_source"] for one in rows_of(tmp_path / "out" / "train.parquet"))
    assert found == {"orsta": 12, "virl39k": 9, "words": 5}


def test_the_data_of_rl_with_cold_start(tmp_path, capsys):
    columns = pa.schema([("problem", TEXT), ("answer", TEXT), ("images", IMAGES)])
    worked = [
        {"problem": f"<image>How many? {i}", "answer": rf"It is \boxed{{{i}}}.", "images": [cell(i)]} for i in range(4)
    ]
    asked = [{"problem": f"<image>How many? {i}", "answer": str(i), "images": [cell(i)]} for i in range(5)]
    for name, rows in (("sft", worked), ("rl", asked)):
        published.parquet(tmp_path / name / "train-0.parquet", rows, columns)
    published.parquet(tmp_path / "geo" / "test-0.parquet", asked[:2], columns)
    folders = [f"--{flag}={tmp_path / name}" for flag, name in (("sft", "sft"), ("rl", "rl"), ("geometry3k", "geo"))]
    assert main(["data", "rl_cold_start", *folders, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "sft: 4 rows\ntrain: 5 rows\nvalidation: 2 rows\n"
    assert rows_of(tmp_path / "out" / "sft.parquet")[0]["messages"][-1]["role"] == "assistant"
    assert "messages" not in rows_of(tmp_path / "out" / "train.parquet")[0]
    validation = rows_of(tmp_path / "out" / "validation.parquet")[0]
    assert validation["prompt"][-1]["content"].endswith("within \\boxed{}.")
