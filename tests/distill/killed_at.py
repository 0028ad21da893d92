"""Run in a process of its own by test_killed.py: a distillation that is killed (SIGKILL) at a certain point.

    python killed_at.py POINT PROMPTS ZERO BASE OUT WORKERS

POINT is grading, pairing, writing, card or never. Nothing can be tidied up after SIGKILL, unlike after an exception.
"""

import os
import signal
import sys

import specs_verl.distill.distillation as run_module
from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.distill.pair import PairMaker


def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    point, prompts, zero, base, out, workers = sys.argv[1:]
    make, read_staged = PairMaker.make, run_module.read_staged

    def dying_make(self, row, index, *samples):
        return kill() if point == "pairing" and index == 120 else make(self, row, index, *samples)

    def dying_read(path, rows):
        for number, pair in enumerate(read_staged(path, rows)):
            # Later than the first group of rows that is written.
            yield kill() if point == "writing" and number == 150 else pair

    def progress(step, done, total):
        if point == "grading" and step == "grading" and done == 21:
            kill()

    PairMaker.make, run_module.read_staged = dying_make, dying_read
    if point == "card":
        run_module.write_json = kill
    distill(Distillation((prompts,), zero, base, out, Pairing(seed=3), workers=int(workers)), progress)


if __name__ == "__main__":  # grading processes import this file
    main()
