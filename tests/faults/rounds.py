"""Ends a command by signals at random moments, again and again, and then lets it finish: is everything there?

    python tests/faults/rounds.py --rounds 20 --longest 60 -- specs run nano --out runs/broken steps.zero=4 steps.grpo=4

Every round starts the command, waits a random while (up to --longest seconds), and sends SIGKILL, SIGTERM, or SIGINT
twice. After each round none of its processes may be left. The last call, which nobody ends, must succeed. A round that
finds the command finished stops the rounds early. Not here: what a right result is; compare it with an unbroken run.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence

from specs_verl.pipeline.family import Family

ENDINGS = {"SIGKILL": [signal.SIGKILL], "SIGTERM": [signal.SIGTERM], "SIGINT twice": [signal.SIGINT, signal.SIGINT]}
VARIABLE = "SPECS_FAULT_ROUND"

LEAVING_S = 30.0
"""Processes that watch for the end of a killed parent look every few seconds."""


class StillThere(Exception):
    """A round left processes behind."""


def one_round(command: Sequence[str], name: str, seconds: float) -> bool:
    """Start the command and end it after a while; False when it had ended by itself before, with success.

    Raises:
        StillThere: processes are left after LEAVING_S seconds.
        subprocess.CalledProcessError: the command failed before anybody ended it.
    """
    family = Family(uuid.uuid4().hex, VARIABLE)
    environment = {**os.environ, VARIABLE: family.mark}
    process = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_hear_interrupts)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        family.members()  # seen while it ran: some lose their environment and, later, their parent
        for number in ENDINGS[name]:
            process.send_signal(number)
            time.sleep(0.2)
        process.wait(timeout=LEAVING_S)
        until = time.monotonic() + LEAVING_S
        while left := family.members():
            if time.monotonic() > until:
                said = ", ".join(f"{child.pid} {child.name()}" for child in left)
                for child in left:
                    child.kill()
                raise StillThere(f"after {name}: {said}") from None
            time.sleep(0.2)
        return True
    if code != 0:
        raise subprocess.CalledProcessError(code, command)
    return False


def _hear_interrupts() -> None:
    """What a shell starts with & ignores SIGINT, and so would the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def rounds(command: Sequence[str], count: int, longest: float, seed: int = 0) -> int:
    """Break the command ``count`` times, then run it to its end; returns how often it was broken."""
    chance = random.Random(seed)
    broken = 0
    for number in range(1, count + 1):
        name, seconds = chance.choice(sorted(ENDINGS)), chance.uniform(0.0, longest)
        print(f"round {number}: {name} after {seconds:.1f} s", flush=True)
        if not one_round(command, name, seconds):
            break
        broken += 1
    subprocess.run(command, check=True)
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--longest", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    broken = rounds(arguments.command, arguments.rounds, arguments.longest, arguments.seed)
    print(f"broken {broken} times, nothing left behind, finished")
    return 0


if __name__ == "__main__":
    sys.exit(main())
