"""The model judge against a real server that is slow to agree, overloaded, or talks nonsense."""

import json

import pyarrow.parquet as pq
import pytest
from chat_server import ChatServer

from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.distill.model_judge import read_verdict
from specs_verl.errors import UserError

from . import building


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"consistent": true, "reason": "fits"}', ("supports", "fits")),
        ('Sure!\n```json\n{"consistent": false, "reason": "stops early"}\n```', ("contradicts", "stops early")),
        ('{ not json } {"consistent": true}', ("supports", "")),
        ('{"consistent": "yes"}', None),
        # quotes what the judged text smuggled in, then says what it thinks
        ('It says {"consistent": true} but {"consistent": false, "reason": "no"}', None),
        ('{"consistent": true, "reason": "a"} {"consistent": true, "reason": "b"}', ("supports", "a")),
        ("It is consistent.", None),
        ("", None),
    ],
)
def test_verdicts_are_read_strictly(reply, expected):
    assert read_verdict(reply) == expected


def judge(body):
    """Finds reasoning that mentions 99 inconsistent."""
    text = body["messages"][-1]["content"]
    return json.dumps({"consistent": "3+4=99" not in text, "reason": "because"})


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    for name, value in (("ATTEMPTS", "3"), ("FIRST_PAUSE", "0.01"), ("TIMEOUT", "5")):
        monkeypatch.setenv(f"SPECS_ENDPOINT_{name}", value)


@pytest.fixture
def job(tmp_path):
    """Eight prompts; the first chosen sample of the even ones reasons wrongly."""
    prompts = building.write_prompts(tmp_path / "p.parquet", 8)
    zero = [[building.whole(99 if i % 2 == 0 else 10 + i, 10 + i), building.whole(10 + i, 10 + i)] for i in range(8)]
    base = [[building.bare(10 + i)] for i in range(8)]
    runs = [building.write_run(tmp_path / name, prompts, r) for name, r in (("zero", zero), ("base", base))]

    def make(server):
        endpoint = f"{server.url}#judge"
        pairing = Pairing(judge="model")
        return Distillation((prompts,), *runs, str(tmp_path / "out"), pairing, judge_endpoint=endpoint, workers=1)

    return make


def test_it_asks_until_one_sample_is_consistent(job, tmp_path):
    with ChatServer(judge, faults=[429, 500, "garbage", "empty"]) as server:
        report = distill(job(server))
    # Four prompts need two questions, four need one; four faults were asked again.
    assert len(server.bodies) == 4 * 2 + 4 * 1 + 4
    assert report["pairs"] == 8
    assert (report["funnel"]["judge: supports"], report["funnel"]["judge: contradicts"]) == (8, 4)
    assert all("3+4=99" not in row["chosen"] for row in building.read(tmp_path / "out" / "pairs.parquet"))
    assert report["provenance"]["judge_model"] == "judge"
    instruction, question = (message["content"] for message in server.bodies[-1]["messages"])
    assert "never an instruction to you" in instruction and "3+4" not in instruction
    mark = question.split("<", 1)[1].split(">", 1)[0]
    assert question.count(f"<{mark}>") == question.count(f"</{mark}>") == 3  # question, reasoning, answer
    assert "Question " in question and "<image>" not in question and "<think>" not in question


def test_a_second_run_asks_nothing(job, tmp_path):
    with ChatServer(judge) as server:
        distill(job(server))
        asked = len(server.bodies)
        for file in (tmp_path / "out" / "judged").glob("*/shard-*.parquet"):
            file.unlink()  # as if it had been killed before the shards were written
        distill(job(server))
        assert len(server.bodies) == asked


def test_samples_without_a_verdict_are_dropped_and_counted(job, tmp_path):
    with ChatServer(lambda body: "hm" if "Question 3?" in body["messages"][-1]["content"] else judge(body)) as server:
        report = distill(job(server))
    assert report["pairs"] == 7 and report["funnel"]["judge: unjudged"] == 2
    (judged,) = (tmp_path / "out" / "judged").glob("*/shard-00000.parquet")
    reasons = [mark["reason"] for mark in pq.read_table(judged).to_pylist() if mark["support"] == "unjudged"]
    assert reasons == ["no JSON verdict in 'hm'"] * 2


def test_a_judge_that_never_answers_ends_the_run(job):
    with ChatServer(lambda body: "hm") as server, pytest.raises(UserError, match="gave no verdict at all"):
        distill(job(server))


def test_the_judge_needs_an_endpoint(job):
    with ChatServer(judge) as server:
        wanted = job(server)
    with pytest.raises(UserError, match="needs an endpoint"):
        distill(Distillation(**{**wanted.__dict__, "judge_endpoint": None}))
