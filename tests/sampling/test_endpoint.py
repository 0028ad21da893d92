"""A chat endpoint as a run knows it: its settings, its errors, its store of replies, and the samples of a teacher.

What is tried again and given up is the client's: tests/reward_fns/workers/test_chat_client.py.
"""

import asyncio
import base64

import pytest

from specs_verl.errors import UserError
from specs_verl.sampling import Job, SamplingError, SamplingParameters, sample
from specs_verl.sampling.endpoint import Cache, Endpoint, EndpointClient, EndpointError, EndpointRefusedError

from .chat_server import ChatServer

HELLO = [{"role": "user", "content": "hello"}]


def ask(server, cache=None, times=1, **settings):
    """Ask a server one or more times with little patience."""
    values = {"attempts": 4, "first_pause": 0.01, "timeout": 5.0, **settings}
    endpoint = Endpoint(server.url, "teacher", **values)

    async def go():
        async with EndpointClient(endpoint, cache) as client:
            return [await client.complete(HELLO, temperature=0.5, seed=number) for number in range(times)]

    return asyncio.run(go())


def test_a_reply_is_read():
    with ChatServer(lambda body: "one two three") as server:
        (reply,) = ask(server)
    assert (reply.text, reply.finish_reason, reply.n_tokens) == ("one two three", "stop", 3)
    assert server.bodies == [{"model": "teacher", "messages": HELLO, "temperature": 0.5, "seed": 0}]


def test_lasting_faults_are_given_up_after_the_attempts():
    with (
        ChatServer(lambda body: "fine", faults=[500] * 10) as server,
        pytest.raises(EndpointError, match="status 500, 4 attempts"),
    ):
        ask(server)
    assert len(server.bodies) == 4


def test_a_refused_request_is_not_repeated():
    with (
        ChatServer(lambda body: "fine", faults=[400]) as server,
        pytest.raises(EndpointError, match=r"refused with status 400.*made up"),
    ):
        ask(server)
    assert len(server.bodies) == 1


def test_a_wrong_key_ends_everything():
    with (
        ChatServer(lambda body: "fine", faults=[401]) as server,
        pytest.raises(EndpointRefusedError, match=r"answers 401.*the key in \$OPENAI_API_KEY"),
    ):
        ask(server)


def test_the_key_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    with ChatServer(lambda body: "fine") as server:
        ask(server)
    assert server.keys == {"Bearer sesame"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_key_follows_no_redirect(monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    with (
        ChatServer(lambda body: "fine") as thief,
        ChatServer(lambda body: "", [f"to {status} {thief.url}"]) as server,
        pytest.raises(EndpointRefusedError, match="Redirects are not followed"),
    ):
        ask(server)
    assert thief.bodies == [] and thief.keys == set()


@pytest.mark.parametrize("text", ["http://me:word@host/v1#m", "https://host/v1?key=word#m"])
def test_an_address_with_credentials_is_refused(text):
    with pytest.raises(UserError, match="put the key into an environment variable") as raised:
        Endpoint.parse(text)
    assert "word" not in str(raised.value).replace("password", "")


def test_replies_are_kept_on_disk(tmp_path):
    with ChatServer(lambda body: f"answer {len(server.bodies)}") as server:
        first = ask(server, Cache(tmp_path / "c.sqlite"), times=2)
        again = ask(server, Cache(tmp_path / "c.sqlite"), times=3)
    assert again[:2] == first
    assert len(server.bodies) == 3, "only the third request was new"


@pytest.mark.parametrize("text", ["http://host/v1", "host/v1#model", "http://host/v1#"])
def test_an_address_names_its_model(text):
    with pytest.raises(UserError, match="URL#MODEL"):
        Endpoint.parse(text)


@pytest.fixture
def patience(monkeypatch):
    """Little patience for the worker processes."""
    for name, value in (("ATTEMPTS", "3"), ("FIRST_PAUSE", "0.01"), ("TIMEOUT", "5"), ("CONCURRENCY", "8")):
        monkeypatch.setenv(f"SPECS_ENDPOINT_{name}", value)


def teacher_job(server, prompts, out, **parameters):
    return Job(
        f"{server.url}#teacher", prompts, str(out), SamplingParameters(**{"n": 2, "max_tokens": 32, **parameters})
    )


def question(body):
    return body["messages"][-1]["content"]


def test_a_teacher_samples_into_a_run_directory(prompts, tmp_path, patience):
    # Three rows fail for good: a request that the server refuses is not repeated.
    with ChatServer(lambda body: f"{question(body)} seed {body['seed']}", faults=[429, "empty", 500]) as server:
        run = sample(teacher_job(server, prompts, tmp_path / "out"))
        asked = len(server.bodies)
        assert asked == 2 * 200 + 3
        assert [record["response"].partition(" seed")[0] for record in run.samples()][::2] == [
            "broken" if row == 17 else f"question {row}" for row in range(200)
        ]
        assert run.manifest["model_fingerprint"] == "endpoint-teacher"
        sample(teacher_job(server, prompts, tmp_path / "out"))
        assert len(server.bodies) == asked, "a complete run asks nobody"


def test_rows_that_the_teacher_cannot_answer_are_counted(prompts, tmp_path, patience):
    with ChatServer(lambda body: "" if question(body) == "question 5" else "fine") as server:
        run = sample(teacher_job(server, prompts, tmp_path / "out"))
    assert run.summary["skipped"] == {"request_failed": 1}
    (skipped,) = run.skipped()
    assert skipped["row"] == 5 and "an empty answer, 3 attempts" in skipped["reason"]
    assert run.summary["samples"] == 2 * 199


def test_a_teacher_that_knows_no_key_ends_the_run(prompts, tmp_path, patience):
    with (
        ChatServer(lambda body: "fine", faults=[403] * 1000) as server,
        pytest.raises(SamplingError, match="answers 403"),
    ):
        sample(teacher_job(server, prompts, tmp_path / "out"))


def test_images_travel_as_data_urls(tmp_path, patience):
    from data_prep import nano

    path = nano.write_data(tmp_path, n_train=6, n_test=6, seed=0)["train"]
    with ChatServer(lambda body: "fine") as server:
        sample(teacher_job(server, (str(path),), tmp_path / "out", n=1))
    import pyarrow.parquet as pq

    images = {row["images"][0]["bytes"] for row in pq.read_table(path).to_pylist()}
    sent = set()
    for body in server.bodies:
        image, text = body["messages"][0]["content"]
        assert text["type"] == "text" and "<image>" not in text["text"]
        head, _, data = image["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        sent.add(base64.b64decode(data))
    assert sent == images
