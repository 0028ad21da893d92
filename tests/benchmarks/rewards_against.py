r"""Did the rewards become slower?

    git worktree add /tmp/before COMMIT
    python tests/benchmarks/rewards_against.py /tmp/before [--rounds 5] [--texts FILE]

Processor time of a verdict in this checkout divided by that in another one, in turn (A B A B ...), best of the rounds,
on the responses of the hand-written suites: every second one warms up, the others are timed. By verifier, as they stand
(raw or committed) and after 3,000 characters of reasoning; then the fast answers of rewards.py. FILE: JSON lines with
response, gold, verifier and params of one's own. Answers that go to a worker process are left out: their time is
math-verify's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from rewards import fast_items, filler

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "reward_fns" / "data"
COMMITTED = re.compile(r"</answer>|\\boxed", re.IGNORECASE)

TIMER = r"""
import json, sys, time
from reward_fns import verify
groups = json.load(open(sys.argv[1]))
for items in groups.values():
    for response, gold, verifier, params in items[::2]:
        verify(response, gold, verifier, **params)
print("ready", flush=True)
for name in sys.stdin:
    items = groups[name.strip()][1::2]
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for response, gold, verifier, params in items:
            verify(response, gold, verifier, **params)
        best = min(best, time.process_time() - start)
    print(best / len(items), flush=True)
"""


def suites() -> dict[str, list]:
    """Items (response, gold, verifier, params) of the suites, by family and kind of response."""
    groups, rng = defaultdict(list), random.Random(0)
    for family in ("number", "choice", "math", "text"):
        for line in (DATA / f"{family}.jsonl").read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            params = {"options": case["options"]} if "options" in case else {}
            item = [case["response"], case.get("gold") or "A", case.get("verifier", family), params]
            kind = "committed" if COMMITTED.search(case["response"]) else "raw"
            groups[f"{item[2]}, {kind}"].append(item)
            groups[f"{item[2]}, long"].append([filler(rng) + case["response"], *item[1:]])
    for kind, items in fast_items(rng, 1000).items():
        groups[f"rewards.py, {kind}"] = [list(item) for item in items]
    return groups


def own(file: Path) -> dict[str, list]:
    """Items of a file."""
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {file.name: [[case["response"], case["gold"], case["verifier"], case.get("params", {})] for case in cases]}


def without_workers(groups: dict[str, list]) -> dict[str, list]:
    """The items that this process decides by itself."""
    sys.path.insert(0, str(ROOT))
    from reward_fns import verify
    from reward_fns.workers import pool

    asked: list[bool] = []
    ask = pool.ask
    pool.ask = lambda *args, **kwargs: asked.append(True) or ask(*args, **kwargs)
    kept = defaultdict(list)
    for name, items in groups.items():
        for item in items:
            asked.clear()
            verify(*item[:3], **item[3])
            if not asked:
                kept[name].append(item)
    pool.close()
    return {name: items for name, items in kept.items() if len(items) >= 20}


def timer(checkout: Path, items: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", TIMER, str(items)]
    process = subprocess.Popen(
        command, env=environment, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def timed(process: subprocess.Popen[str], group: str) -> float:
    """Seconds of processor time a verdict."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{group}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=Path)
    arguments = parser.parse_args()
    groups = without_workers(own(arguments.texts) if arguments.texts else suites())
    with tempfile.TemporaryDirectory() as folder:
        items = Path(folder) / "items.json"
        items.write_text(json.dumps(groups))
        here, other = timer(ROOT, items), timer(arguments.other.resolve(), items)
        print(f"{'':24}{'items':>7}{'here, us':>10}{'other, us':>10}{'ratio':>8}")
        for name, cases in groups.items():
            both = [(timed(here, name), timed(other, name)) for _ in range(arguments.rounds)]
            new, old = min(first for first, _ in both), min(second for _, second in both)
            print(f"{name:24}{len(cases):7}{1e6 * new:10.1f}{1e6 * old:10.1f}{new / old:8.2f}")
        for process in (here, other):
            process.terminate()


if __name__ == "__main__":
    main()
