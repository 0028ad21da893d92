"""What the signals that end a program raise, and when they do not."""

import os
import signal

import pytest

from specs_verl.pipeline.signals import ENDING, ending_signals


@pytest.fixture(autouse=True)
def handlers():
    """A shell's background job has interrupts ignored; here they are not."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)],
)
def test_the_first_is_raised_and_no_other(number, raised):
    reached = []
    with pytest.raises(raised) as caught, ending_signals() as signals:
        try:
            send(number)
            reached.append("after the first")
        finally:
            send(number)  # before hold(): the clean-up must not be cut short here either
            signals.hold()
            send(signal.SIGTERM)
            reached.append("cleaned up")
            assert signals.came()
    assert reached == ["cleaned up"]
    if raised is SystemExit:
        assert caught.value.code == 128 + number


def test_one_that_comes_while_held_is_raised_at_the_end():
    reached = []
    with pytest.raises(SystemExit) as caught:
        with ending_signals() as signals:
            signals.hold()
            assert not signals.came()
            send(signal.SIGTERM)
            assert signals.came()
            reached.append("cleaned up")
        reached.append("after the block")
    assert reached == ["cleaned up"] and caught.value.code == 143


def test_ignored_signals_stay_ignored_and_handlers_come_back():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ending_signals() as signals:
        send(signal.SIGHUP)
        assert signals.first is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
