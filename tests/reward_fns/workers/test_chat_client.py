"""The client of chat endpoints against a real server on loopback that is slow, overloaded, broken or hostile: what is
tried again, given up, refused, or asked only once."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from reward_fns.workers import chat_client
from reward_fns.workers.chat import Reply
from reward_fns.workers.chat_client import ChatClient, ChatError, ChatModel, ChatRefusedError, Patience

sys.path.insert(0, str(Path(__file__).parents[2] / "sampling"))
from chat_server import ChatServer

HELLO = [{"role": "user", "content": "hello"}]


def ask(server, cache=None, accept=None, times=1, key="", **patience):
    """Ask a server one or more times with little patience."""
    settings = Patience(**{"attempts": 4, "timeout": 5.0, "first_pause": 0.01, **patience})
    model = ChatModel(server.url, "teacher", key=key, key_name="the key in $MINE")

    async def go():
        async with ChatClient(model, settings, cache, accept) as client:
            return [await client.complete(HELLO, temperature=0.5, seed=number) for number in range(times)]

    # Nothing here takes longer than a deadline or a timeout of its own; without them it would be ten minutes.
    return asyncio.run(asyncio.wait_for(go(), 60.0))


class Kept(dict):
    """A cache in memory."""

    def put(self, request, reply):
        self[request] = reply


def test_a_reply_is_read():
    with ChatServer(lambda body: "one two three") as server:
        (reply,) = ask(server)
    assert reply == Reply("one two three", "stop", 3)
    assert server.bodies == [{"model": "teacher", "messages": HELLO, "temperature": 0.5, "seed": 0}]
    assert server.keys == {None}


@pytest.mark.parametrize("fault", [408, 409, 425, 429, 500, 503, "garbage", "no choices", "empty", "drop"])
def test_passing_faults_are_survived(fault):
    with ChatServer(lambda body: "fine", faults=[fault, fault]) as server:
        assert ask(server)[0].text == "fine"
    assert len(server.bodies) == 3


def test_a_reply_nested_without_end_cannot_be_read():
    with pytest.raises(ValueError, match="cannot be read"):
        chat_client.parsed_reply(b"[" * 100_000)


def test_a_slow_answer_is_asked_for_again():
    # The first answer would come after ten minutes: only the second request can have been answered.
    with ChatServer(lambda body: "fine", faults=["slow"]) as server:
        server.slow_seconds = 600.0
        assert ask(server, timeout=0.3)[0].text == "fine"
    assert len(server.bodies) == 2


def test_lasting_faults_are_given_up_after_the_attempts():
    with (
        ChatServer(lambda body: "fine", faults=[500] * 10) as server,
        pytest.raises(ChatError, match="status 500, 4 attempts"),
    ):
        ask(server)
    assert len(server.bodies) == 4


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_repeated(status):
    with (
        ChatServer(lambda body: "fine", faults=[status]) as server,
        pytest.raises(ChatError, match=rf"refused with status {status}.*made up") as raised,
    ):
        ask(server)
    assert len(server.bodies) == 1 and not isinstance(raised.value, ChatRefusedError), "others may be answered"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_ends_everything(status):
    with (
        ChatServer(lambda body: "fine", faults=[status]) as server,
        pytest.raises(ChatRefusedError, match=rf"answers {status} for model 'teacher'.*the key in \$MINE.*made up"),
    ):
        ask(server)
    assert len(server.bodies) == 1


def test_nobody_there_is_an_error_not_a_hang():
    with ChatServer(lambda body: "fine") as server:
        pass
    with pytest.raises(ChatError, match=r"no answer .*4 attempts"):
        ask(server)


@pytest.mark.parametrize("address", ["http://", "http://host:port/v1"])
def test_what_is_no_address_is_refused_at_once(address):
    server = ChatServer(lambda body: "fine")
    server.url = address
    with pytest.raises(ChatRefusedError, match="no address that can be asked"):
        ask(server)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_follows_no_redirect(status):
    with (
        ChatServer(lambda body: "fine") as thief,
        ChatServer(lambda body: "", [f"to {status} {thief.url}"]) as server,
        pytest.raises(ChatRefusedError, match="Redirects are not followed") as raised,
    ):
        ask(server, key="sesame")
    assert server.keys == {"Bearer sesame"} and len(server.bodies) == 1
    assert thief.bodies == [] and thief.keys == set()
    assert "sesame" not in str(raised.value)


def test_a_key_is_one_line_and_never_shown():
    with ChatServer(lambda body: "fine") as server:
        assert ask(server, key="sesame\n")[0].text == "fine", (
            "as `$(cat file)` in some shells, or a secret store, gives it"
        )
        with pytest.raises(ChatRefusedError, match=r"the key in \$MINE holds a character") as raised:
            ask(server, key="sesame\nX-Other: 1")
    assert server.keys == {"Bearer sesame"} and len(server.bodies) == 1
    assert "sesame" not in str(raised.value) + repr(ChatModel(server.url, "m", key="sesame"))


def test_the_pause_is_the_one_that_the_server_asks_for():
    # Our own pause, half of 600 s at least and cut to 60 s, would outlast the deadline: the request would be given up.
    with ChatServer(lambda body: "fine", faults=[429]) as server:
        assert ask(server, first_pause=600.0, deadline=30.0)[0].text == "fine"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("asked", ["86400", "inf", "nan", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_no_server_makes_us_wait_for_a_day(asked, monkeypatch):
    # A pause of a day would outlast the deadline.
    monkeypatch.setattr(chat_client, "LONGEST_PAUSE", 0.01)
    with ChatServer(lambda body: "fine", faults=[429]) as server:
        server.retry_after = asked
        assert ask(server, deadline=30.0)[0].text == "fine"
    assert len(server.bodies) == 2


def test_the_deadline_cuts_a_reply_in_the_middle():
    # The second half of the reply would come after ten minutes, which its own timeout would allow.
    with ChatServer(lambda body: "fine", faults=["stall"]) as server:
        server.slow_seconds = 600.0
        with pytest.raises(ChatError, match=r"no answer .*, 1 attempt$"):
            ask(server, timeout=1_000.0, deadline=1.0)
    assert len(server.bodies) == 1


def test_a_pause_beyond_the_deadline_is_not_waited_for():
    with (
        ChatServer(lambda body: "fine", faults=[500]) as server,
        pytest.raises(ChatError, match=r"status 500, 1 attempt$"),
    ):
        ask(server, first_pause=600.0, deadline=30.0)


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_the_environments_proxy_is_asked(no_proxies, monkeypatch):
    with ChatServer(lambda body: "fine") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        elsewhere = ChatServer(lambda body: "never")
        elsewhere.url = "http://nowhere.invalid/v1"
        assert ask(elsewhere)[0].text == "fine"
        assert len(proxy.bodies) == 1
        monkeypatch.setenv("no_proxy", "nowhere.invalid")
        with pytest.raises(ChatError):
            ask(elsewhere, attempts=1)
    assert len(proxy.bodies) == 1


@pytest.mark.parametrize(
    ("address", "proxy"),
    [
        ("http://far.example/v1", "http://10.0.0.1:3128"),  # curl takes it without the scheme, too
        ("https://far.example/v1", "http://10.0.0.2"),
        ("http://localhost:8000/v1", None),
        ("http://[::1]:8000/v1", None),
    ],
)
def test_which_proxy_is_asked(no_proxies, monkeypatch, address, proxy):
    monkeypatch.setenv("http_proxy", "10.0.0.1:3128")
    monkeypatch.setenv("https_proxy", "http://10.0.0.2")
    assert chat_client.proxy_to(address) == proxy


def test_a_reply_without_end_is_cut_off():
    with ChatServer(lambda body: "fine", faults=["oversized"]) as server:
        assert ask(server)[0].text == "fine"
        server.faults.append("oversized")
        with pytest.raises(ChatError, match=r"more than 16,777,216 bytes, 1 attempt$"):
            ask(server, attempts=1)
    assert len(server.bodies) == 3


def test_a_text_that_is_not_accepted_is_asked_for_again_and_not_kept():
    def number(text):
        return int(text)

    cache = Kept()
    with ChatServer(lambda body: "four" if len(server.bodies) < 3 else "4") as server:
        assert ask(server, cache, accept=number)[0].text == "4"
        assert len(server.bodies) == 3
    assert [reply.text for reply in cache.values()] == ["4"]


def test_nothing_is_asked_twice():
    cache = Kept()
    with ChatServer(lambda body: f"answer {len(server.bodies)}") as server:
        first = ask(server, cache, times=2)
        again = ask(server, cache, times=3)
    assert again[:2] == first
    assert len(server.bodies) == 3, "only the third request was new"
    # The request is the text that was sent, in the order of its keys: equal requests are equal bytes.
    assert next(iter(cache)) == (
        b'{"messages": [{"content": "hello", "role": "user"}], "model": "teacher", "seed": 0, "temperature": 0.5}'
    )


def test_requests_in_flight_are_bounded():
    seen = []

    async def go(url):
        async with ChatClient(ChatModel(url, "m"), Patience(1, 5.0, 0.01, concurrency=2)) as client:

            async def one(number):
                reply = await client.complete(HELLO, seed=number)
                seen.append(len(server.bodies))
                return reply.text

            return await asyncio.gather(*map(one, range(6)))

    with ChatServer(lambda body: str(body["seed"])) as server:
        assert asyncio.run(go(server.url)) == list("012345")
    # When the n-th reply is read, no more than n + 1 requests can have been sent.
    assert all(sent <= done + 2 for done, sent in enumerate(seen))


def test_rewards_that_ask_nobody_import_no_http():
    code = (
        "import sys, reward_fns\n"
        "from reward_fns.workers import judge_client\n"
        "print(reward_fns.verify('<answer>A port.</answer>', 'a port', 'judge').status, 'aiohttp' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["right", "False"]
