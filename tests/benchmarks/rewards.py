r"""How fast are the rewards?  python tests/benchmarks/rewards.py [--rounds 3] [--items 2000] [--deadline 1.0]

Three questions, each answered beside math-verify alone on the same answers, in the same run, in turn (A B A B ...):

    fast      verdicts per second on one core for answers that need no mathematics: strings, numbers, choices, in
              responses of 3,000 characters. Goal: 50,000/s for strings and numbers.
    mixed     verify_batch on 70 % fast and 30 % symbolic answers, in responses of 3,000 characters with the answer at
              the end, against cores x the rate of math-verify in this process on the symbolic part alone (it gets the
              bare answers, without timeouts). Goal: 90 % of it. A second row takes symbolic answers that our own reader
              gives up on (integrals, sums, limits), so that every one goes to a worker process.
    hostile   the mixed batch with a few answers that hang a grader, against the same batch without them.
              Goal: at most their deadlines, divided over the pool, are added, and no honest verdict changes.

Workers: REWARD_FNS_WORKERS, else the usable cores (`taskset -c 0` gives one). Medians over the rounds.
The fast rows are processor time, the others wall time: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter, process_time

from reward_fns import verify, verify_batch
from reward_fns.workers import pool
from reward_fns.workers.processes import default_size

LENGTH = 3_000
"""Characters of a response."""

HOSTILE = (
    "9^{9^9}",
    "9^{9^{9^{9^9}}}",
    r"10000000!",
    r"\int_0^1 x^{9^{9^9}} dx",
    r"\sum_{k=1}^{10^{12}} k!",
    r"\frac{" * 300 + "1",
)
"""Answers that keep math-verify busy for seconds or for ever; the gold is an integral, so that none is cheap."""

Item = tuple[str, str, str, dict]


def filler(rng: random.Random) -> str:
    """Reasoning without a conclusion, as long as a response."""
    words = [
        "angle",
        "of",
        "the",
        "side",
        "and",
        "triangle",
        "then",
        "add",
        "value",
        "line",
        "we",
        "see",
        "which",
        "gives",
    ]
    text = ""
    while len(text) < LENGTH - 100:
        text += " ".join(rng.choices(words, k=11)) + f" {rng.randrange(100)} + {rng.randrange(100)}. "
    return text


def fast_items(rng: random.Random, count: int) -> dict[str, list[Item]]:
    """Answers that need no mathematics, by kind; half of them wrong."""
    texts = [filler(rng) for _ in range(64)]
    kinds: dict[str, list[Item]] = {"strings": [], "numbers": [], "boxed numbers": [], "choices": []}
    for place in range(count):
        text, number, off = texts[place % 64], rng.randrange(10_000), rng.randrange(2)
        word = f"street {number}"
        kinds["strings"].append((f"{text}<answer>{word}</answer>", f"street {number + off}", "text", {}))
        kinds["numbers"].append((f"{text}<answer>{number}</answer>", str(number + off), "number", {}))
        kinds["boxed numbers"].append((f"{text}\n\\boxed{{{number}}}", str(number + off), "math", {}))
        letter = "ABCD"[number % 4]
        kinds["choices"].append((f"{text}<answer>{letter}</answer>", "ABCD"[(number + off) % 4], "choice", {}))
    return kinds


def symbolic_pair(rng: random.Random) -> tuple[str, str]:
    """Gold and answer that say the same in two ways, or differ by one."""
    a, b, c = rng.randrange(2, 60), rng.randrange(2, 60), rng.randrange(1, 9)
    d = b + rng.randrange(2)
    return rng.choice(
        (
            (rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{3 * a}}}{{{3 * d}}}"),
            (rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * d}}}"),
            (f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{d})"),
            (rf"(-\infty,{a}]\cup({a + b},\infty)", rf"x \le {a} \text{{ or }} x > {a + d}"),
            (rf"\left({a},\frac{{{b}}}{{{c}}}\right)", rf"\left({a}, \frac{{{2 * d}}}{{{2 * c}}}\right)"),
            (rf"\{{{a},{b},{a + b}\}}", f"{a + b}, {a}, {d}"),
            (f"y={a}x+{b}", f"{a}x - y + {d} = 0"),
            (
                rf"\begin{{pmatrix}} {a} & {b} \\ {c} & 1 \end{{pmatrix}}",
                rf"\begin{{bmatrix}} {a} & {d} \\ {c} & 1 \end{{bmatrix}}",
            ),
            (rf"{a}\sin 2x+{b}", rf"{2 * a}\sin x\cos x+{d}"),
            (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{d}}}\pi"),
        )
    )  # fmt: skip


def worker_pair(rng: random.Random) -> tuple[str, str]:
    """The same for notation beyond our own reader."""
    a, b = rng.randrange(2, 400), rng.randrange(2, 9)
    d = a + rng.randrange(2)
    return rng.choice(
        (
            (rf"\int_0^{{{b}}} {a} x dx", rf"\frac{{{d * b * b}}}{{2}}"),
            (rf"\sum_{{k=1}}^{{{b}}} {a} k", str(d * b * (b + 1) // 2)),
            (rf"\lim_{{x \to {b}}} {a} x", str(d * b)),
        )
    )


def mixed_items(rng: random.Random, count: int, pair: Callable[[random.Random], tuple[str, str]]) -> list[Item]:
    """70 % fast answers of all kinds, 30 % symbolic ones."""
    hard = count * 3 // 10
    kinds = fast_items(rng, count)
    fast = [kinds[name][place] for place, name in enumerate(rng.choices(list(kinds), k=count - hard))]
    symbolic: list[Item] = []
    for _ in range(hard):
        gold, answer = pair(rng)
        symbolic.append((f"{filler(rng)} so the answer is $\\boxed{{{answer}}}$.", gold, "math", {}))
    items = fast + symbolic
    rng.shuffle(items)
    return items


def bare(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Gold and boxed answer of the symbolic items: what math-verify is given."""
    boxed = [
        (gold, response[response.rindex("\\boxed{") + 7 : -3])
        for response, gold, *_ in items
        if response.endswith("}$.")
    ]
    return boxed  # fmt: skip


def math_verify_seconds(pairs: Sequence[tuple[str, str]], clock: Callable[[], float] = process_time) -> float:
    """Time that math-verify takes in this process for all pairs."""
    from math_verify import LatexExtractionConfig
    from math_verify import parse as read
    from math_verify import verify as compare

    config = [LatexExtractionConfig()]
    started = clock()
    for gold, answer in pairs:
        sides = [read(f"${side}$", config, parsing_timeout=None) for side in (gold, answer)]
        compare(*sides, timeout_seconds=None)
    return clock() - started


def seconds(action: Callable[[], object], clock: Callable[[], float] = perf_counter) -> float:
    started = clock()
    action()
    return clock() - started


def show(name: str, ours: str, theirs: str, ratio: str, goal: str) -> None:
    print(f"{name:34s} {ours:>18s} {theirs:>22s} {ratio:>10s}   {goal}")


def fast(count: int, rounds: int) -> None:
    for name, items in fast_items(random.Random(0), count).items():
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(
                count / seconds(lambda items=items: [verify(r, g, v, **p) for r, g, v, p in items], process_time)
            )
            sample = [(gold, response[-40:].rpartition(">")[2] or gold) for response, gold, *_ in items[:200]]
            theirs.append(len(sample) / math_verify_seconds(sample))
        mine, other = statistics.median(ours), statistics.median(theirs)
        goal = "" if name == "choices" else "goal 50,000/s"
        show(f"fast: {name}", f"{mine:,.0f}/s", f"{other:,.0f}/s", f"{mine / other:,.0f}x", goal)


def mixed(name: str, count: int, rounds: int, pair: Callable[[random.Random], tuple[str, str]]) -> None:
    ours, theirs = [], []
    for number in range(rounds):  # fresh answers each time: verdicts are remembered
        items = mixed_items(random.Random(number), count, pair)
        pairs = bare(items)
        theirs.append(len(pairs) / math_verify_seconds(pairs, perf_counter))
        ours.append(len(pairs) / seconds(lambda items=items: verify_batch(items)))
    mine, other = statistics.median(ours), statistics.median(theirs) * default_size()
    shown = f"{other:,.0f}/s on {default_size()} cores"
    goal = "goal 0.90x" if pair is symbolic_pair else ""  # without one: nothing that our own reader can spare a worker
    show(f"mixed: {name}", f"{mine:,.0f}/s", shown, f"{mine / other:.2f}x", goal)


def hostile(count: int, rounds: int, deadline: float) -> None:
    gold = r"\int_0^1 x dx"
    added, alone = [], []
    for number in range(rounds):
        honest = [mixed_items(random.Random(1_000 + 2 * number + side), count, symbolic_pair) for side in range(2)]
        spiked = list(honest[1])
        places = random.Random(number).sample(range(count), len(HOSTILE))
        for place, answer in zip(places, HOSTILE, strict=True):
            # the round's number keeps the pool from remembering the answer
            spiked.insert(place, (f"\\boxed{{{answer} + {number}}}", gold, "math", {"deadline": deadline}))
        verdicts: list = []
        alone.append(seconds(lambda items=honest[0]: verify_batch(items)))
        added.append(seconds(lambda items=spiked, kept=verdicts: kept.extend(verify_batch(items))) - alone[-1])
        expected = verify_batch(honest[1])
        kept = [v for v, item in zip(verdicts, spiked, strict=True) if "deadline" not in item[3]]
        changed = sum(one.status != two.status for one, two in zip(kept, expected, strict=True))
        assert not changed, f"{changed} honest verdicts changed beside hostile answers"
    allowed = len(HOSTILE) * deadline / default_size()
    extra = statistics.median(added)
    goal = "goal at most 1.00x"
    show("hostile: time added", f"{extra:.2f} s", f"{allowed:.2f} s allowed", f"{extra / allowed:.2f}x", goal)
    print(
        f"    (the batch without them: {statistics.median(alone):.2f} s; {len(HOSTILE)} answers of {deadline} s each)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=2_000, help="answers of a batch")
    parser.add_argument("--deadline", type=float, default=1.0, help="seconds that one hostile answer may cost")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, {default_size()} worker processes, {LENGTH:,} characters a response")
    show("", "reward_fns", "math-verify", "ratio", "")
    pool.warm_up()
    verify_batch(mixed_items(random.Random(99), 100, worker_pair))  # workers and caches of patterns
    math_verify_seconds([symbolic_pair(random.Random(0))])
    fast(args.items, args.rounds)
    mixed("symbolic", args.items, args.rounds, symbolic_pair)
    mixed("all through workers", args.items // 4, args.rounds, worker_pair)
    hostile(args.items, args.rounds, args.deadline)


if __name__ == "__main__":
    main()
