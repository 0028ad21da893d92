"""An engine without a model, loaded by real worker processes: it answers with row and seed, and can fail on demand.

The environment variable FAKE_ENGINE, or a file `faults` beside the weights, says how: a comma-separated list of
    die@ROW      the process is killed when ROW is added, once (a file beside the checkpoint remembers)
    die3@ROW     the same, three times
    hang@ROW     the process sleeps for ever when ROW is added, once
    error@ROW    a Python error in the step that would finish ROW, every time
    kill@ROW     the process is killed in the step that would finish ROW, every time
    load         a Python error while loading
    stuck        loading takes for ever
    refuse@ROW   the engine refuses the row
    slow         a step takes 20 ms
"""

import os
import resource
import signal
import time
from pathlib import Path

from data_prep.images import decode_image
from specs_verl.sampling.engine import Finished, Sample
from specs_verl.sampling.prompts import Prompt, PromptError


class FakeEngine:
    capacity = 8
    seeds_per_request = False

    def __init__(self, checkpoint, parameters, settings, out):
        self.checkpoint, self.parameters = Path(checkpoint), parameters
        file = self.checkpoint / "faults"
        asked = file.read_text() if file.exists() else os.environ.get("FAKE_ENGINE", "")
        self.faults = [fault for fault in asked.split(",") if fault]
        if "load" in self.faults:
            raise RuntimeError("the weights cannot be read")
        if "stuck" in self.faults:
            (self.checkpoint / "stuck").write_text(str(os.getpid()))
            time.sleep(3600)
        self.queue = []
        self.stream = None
        (self.checkpoint / "loaded").open("a").write("x")

    @property
    def busy(self):
        return bool(self.queue)

    def build(self, row, data_file):
        if "broken" in row["prompt"][0]["content"]:
            raise PromptError("corrupt_image", "the test says so")
        return Prompt([1, 2, 3], [], 3)

    def add(self, key, prompt, seed, n):
        for fault in self.faults:
            name, _, row = fault.partition("@")
            if row != key:
                continue
            if name == "refuse":
                raise PromptError("refused_by_engine", "the test says so")
            mark = self.checkpoint / f"did-{fault}"
            times = {"die": 1, "die3": 3, "hang": 1}.get(name, 0)
            if times > (mark.stat().st_size if mark.exists() else 0):
                with mark.open("a") as file:
                    file.write("x")
                if name != "hang":
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(3600)
        self.queue.append((key, seed, n))

    def step(self):
        if "slow" in self.faults:
            time.sleep(0.02)
        # The newest first: results must not depend on requests finishing in order.
        key, seed, n = self.queue.pop()
        if f"error@{key}" in self.faults:
            raise RuntimeError(f"row {key} breaks the engine")
        if f"kill@{key}" in self.faults:
            os.kill(os.getpid(), signal.SIGKILL)
        source = f"seed {seed}" if self.seeds_per_request else f"stream {self.stream}"
        return [Finished(key, [Sample(i, f"row {key} sample {i} {source}", "stop", 4, 0) for i in range(n)])]

    def reseed(self, seed):
        assert not self.queue, "a shard's stream must not start while another shard draws from the old one"
        self.stream = seed

    def close(self):
        self.queue = None


class SeededEngine(FakeEngine):
    seeds_per_request = True

    def reseed(self, seed):
        raise AssertionError("never called when requests carry seeds")


class DecodingEngine(FakeEngine):
    """Decodes the images of a row and keeps nothing; writes at its end how much memory its process took at most."""

    capacity = 256

    def build(self, row, data_file):
        images = [decode_image(image, data_file) for image in row["images"]]
        return Prompt([1, 2, 3], images, 3)

    def add(self, key, prompt, seed, n):
        self.queue.append((key, seed, n, prompt))

    def step(self):
        key, _, n, _ = self.queue.pop()
        return [Finished(key, [Sample(i, f"row {key} sample {i}", "stop", 4, 0) for i in range(n)])]

    def close(self):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        (self.checkpoint / "peak_kilobytes").write_text(str(peak))


def even(row, responses):
    """A stopping rule: rows of even number have enough."""
    return int(responses[0].split()[1]) % 2 == 0


def patient(row, responses):
    """A rule that has no answer for row 0 until it has been asked about row 30."""
    index, asked = int(responses[0].split()[1]), Path(os.environ["SPECS_TEST_ASKED"])
    if index == 30:
        asked.touch()
    deadline = time.monotonic() + 30
    while index == 0 and not asked.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the engine stands still while a stopping rule thinks")
        time.sleep(0.01)
    return True


def puzzled(row, responses):
    """A rule that cannot deal with row 40."""
    if int(responses[0].split()[1]) == 40:
        raise KeyError("no verifier is called 'moth'.")
    return True
