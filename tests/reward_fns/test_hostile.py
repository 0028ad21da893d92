"""Answers made to hang, crash, inject or cheat: each costs at most its deadline, nothing is evaluated, honest answers
go on."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from reward_fns import compute_score, compute_score_async, register, verify, verify_batch
from reward_fns.verifiers.math_lenient import _says
from reward_fns.workers import pool

DEADLINE = 0.6
"""Seconds. What ignores it is caught by the time limit of pytest; how fast things are is for tests/benchmarks."""

VERDICTS = {"right", "wrong", "no_answer", "timeout"}
"""What may become of a hostile answer: any verdict, but a verdict."""

TOWERS = [
    "9^{9^9}",
    "9^{9^{9^{9}}}",
    "9**9**9**9",
    "10^{10^{10^{10}}}",
    "((((9^9)^9)^9)^9)^9",
    "2^{2^{2^{2^{2^2}}}}",
    "9999999999^{9999999999}",
    "0.5^{9^{9^9}}",
]
FACTORIALS = [
    "10000000!",
    "100000!!!",
    "(10^{10})!",
    "\\binom{10^{10}}{10^{9}}",
    "\\binom{1000000}{500000}",
    "\\prod_{k=1}^{10000000}k",
    "\\Gamma(10^{12})",
]
SUMS = [
    "\\sum_{n=1}^{10^{9}} \\sin(n^n)",
    "\\int_0^1 x^{x^{x^{x}}} dx",
    "\\int_0^{10^9} \\sin(e^{x^2}) dx",
    "\\sum_{i=1}^{99999999}\\frac{1}{i!}",
    "\\lim_{x\\to\\infty} x^{x^x}",
]
DETERMINANT = (
    "\\begin{vmatrix}" + "\\\\".join("&".join(f"x_{{{i}{j}}}" for j in range(9)) for i in range(9)) + "\\end{vmatrix}"
)
NESTED = [
    "\\frac{" * 3000,
    "\\frac{1}{" * 800 + "2" + "}" * 800,
    "(" * 5000 + "1" + ")" * 5000,
    "\\sqrt{" * 1000 + "2" + "}" * 1000,
    "{" * 10000,
    "[" * 20000,
    # fmt: skip
    "\\boxed{" * 2000,
    "<think>" * 3000,
    "<answer>" * 3000,
    "x^{" * 500 + "2" + "}" * 500,
    "-" * 20000 + "1",
    "|" * 5000,
    "\\left(" * 3000,
]
LONG = [
    "9" * 1_000_000,
    "1," * 300_000,
    "1+" * 200_000 + "1",
    "x" * 1_000_000,
    " " * 1_000_000,
    "\n" * 500_000,
    "a b " * 250_000,
    "\\" * 500_000,
    "$" * 500_000,
    # fmt: skip
    "é" * 300_000,
    "0." + "3" * 500_000,
    "1/" * 200_000 + "2",
    "A, " * 200_000,
    "A" + " " * 3_000 + "!",
    "the answer is " * 60_000,
    "(A) " * 200_000,
]
CODE = [
    "__import__('os').system('touch {canary}')",
    "exec(\"open('{canary}','w')\")",
    "eval('1+1')",
    "open('{canary}','w').write('x')",
    "os.system('touch {canary}')",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda: 1",
    "{{7*7}}",
    "${{jndi:ldap://x}}",
    "'; DROP TABLE rewards; --",
    "print(1)",
    "import os",
    "\\input{/etc/passwd}",
    # fmt: skip
    "\\write18{touch {canary}}",
    "f(__import__('os').system('touch {canary}'))",
    "Symbol('x').__class__",
    "[x for x in ().__class__.__base__.__subclasses__()]",
]
ODD = [
    "\x00",
    "\x00" * 1000,
    "\ud800",
    "\u202e12\u202c",
    "１２",
    "NaN",
    "inf",
    "-inf",
    "1e999999999",
    "1e-999999999",
    "0x1F",
    "1_000",
    "None",
    "True",
    "1/0",
    "0/0",
    "\\frac{1}{0}",
    # fmt: skip
    "\\boxed{",
    "\\boxed",
    "}",
    "\\",
    "$$",
    "\\(",
    "\u200b",
    "𝟏𝟐",
    "\ufeff12",
    "1\u0662",
    "٣",
    "\\frac",
    "\\frac{}{}",
    "^",
    "_",
    "%",
    "=",
    "==",
    ",,,,",
    "....",
]
PATTERNS = ["(a+)+$", "(?:x{1,1000}){1,1000}", ".*" * 200, "(?=(" * 50, "[[:alpha:]]" * 500, "\\1\\2\\3"]
EVERYTHING = [*TOWERS, *FACTORIALS, *SUMS, DETERMINANT, *NESTED, *LONG, *CODE, *ODD, *PATTERNS]

GOLDS = {"math": ["12", "x^2+1", "\\frac{1}{2}", "(1,2)"], "choice": ["B"], "number": ["12"], "count": ["3"], "yes_no": ["yes"], "text": ["cat"], "boxes": ["[[1,2,3,4]]"],
         "point": ["[[1,2,3,4]]"], "sequence": ["[1,2]"], "set": ["[1,2]"], "dict": ['{"a": 1}']}  # fmt: skip


@pytest.mark.timeout(180)
@pytest.mark.parametrize("verifier", [name for name in GOLDS if name != "math"])
def test_in_process_verifiers_come_to_a_verdict_on_everything(verifier):
    """Without a worker that could be killed: one that hangs, or raises, ends the test."""
    for text in EVERYTHING:
        for form in ("{}", "\\boxed{{}}", "<answer>{}</answer>"):
            assert verify(form.replace("{}", text, 1), GOLDS[verifier][0], verifier).status in VERDICTS


@pytest.mark.timeout(400)
def test_mathematics_comes_to_a_verdict_on_everything():
    """Some of these answers would take years: every one is given up after its deadline."""
    pool.warm_up()
    for text in [*TOWERS, *FACTORIALS[:3], *SUMS[:2], DETERMINANT, *NESTED, *LONG, *CODE, *ODD, *PATTERNS]:
        assert verify(f"\\boxed{{{text}}}", "x^2+1", deadline=DEADLINE).status in VERDICTS - {"right"}, text[:40]


def test_hostile_golds_cost_no_more_and_are_reported_alike():
    for gold in ["9**9**9**9", "\\frac{" * 100, "\\begin{matrix}", "}{", "\\int_0^{", "\\"]:
        for response in ("\\boxed{1}", "no", "\\boxed{x+1}"):
            assert verify(response, gold, deadline=DEADLINE).status != "right"


def test_a_number_among_words_is_found_in_one_pass():
    # A pattern that tries every start of a word against every end would take 4.5e10 steps, past any limit of pytest.
    assert not _says("a" * 300_000)
    assert _says("a" * 300_000 + "1") and _says("1" + " " * 300_000 + "aa")
    assert not _says("12") and not _says("12x") and _says("12 cm") and _says("x is cm 1")


def test_an_unreadable_gold_has_one_status_for_all_responses():
    for gold in ["", "  ", "\\frac{1}{", "}{", "$$", None]:
        assert {verify(response, gold).status for response in ("\\boxed{1}", "", "\\frac{1}{", "B", str(gold))} == {
            "unparsable_gold"
        }, gold


def test_honest_answers_are_delayed_by_slices_not_by_deadlines():
    """Four endless answers with ten minutes each on two workers, then sixteen honest ones: these need not wait."""
    program = """
import os, threading
from reward_fns.workers import pool

def grade(given, seconds):
    return pool.shared().run({"kind": "math", "gold": "x+1", "given": given}, seconds)

hostile = [threading.Thread(target=grade, args=(f"{i + 3}^{{9^{{9^9}}}}!", 600.0)) for i in range(4)]
honest = [threading.Thread(target=grade, args=(f"x+{i}", 60.0)) for i in range(16)]
for thread in hostile + honest:
    thread.start()
for thread in honest:
    thread.join()
print(sum(thread.is_alive() for thread in hostile), flush=True)
os._exit(0)
"""
    environment = {**os.environ, "REWARD_FNS_WORKERS": "2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment)
    assert int(done.stdout) >= 2, done.stderr  # some may have used up their memory


def test_batch_with_hostile_answers_grades_the_honest_ones_right():
    items = [(f"\\boxed{{{t}}}", "5") for t in (TOWERS[0], "9^{9^9}!", SUMS[0])] + [
        (f"\\boxed{{\\int_0^1 {k}x dx}}", f"\\frac{{{k}}}{{2}}") for k in (3, 5, 7)
    ]
    verdicts = verify_batch(items, deadline=4.0)
    assert [v.status for v in verdicts[3:]] == ["right"] * 3
    assert all(v.status in ("timeout", "wrong") for v in verdicts[:3])


def test_nothing_is_evaluated(tmp_path):
    """Code as an answer, through every tier: no file appears, and no compile, exec or process start happens in this
    process."""
    canary = tmp_path / "canary"
    answers = [code.replace("{canary}", str(canary)) for code in CODE]
    program = f"""
import sys, json
from reward_fns import verify, verify_batch
answers = json.loads({json.dumps(json.dumps(answers))})
golds = {{"math": "x^2+1", "choice": "B", "number": "12", "text": "cat", "boxes": "[[1,2,3,4]]", "dict": '{{"a": 1}}', "set": "[1]", "yes_no": "yes"}}
verify("\\\\boxed{{\\\\int_0^1 x dx}}", "3")          # everything is imported, the workers run
for name, gold in golds.items():
    verify("12", gold, name)
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args)[:80])) if event in ("compile", "os.system", "subprocess.Popen", "os.exec") else None)
for answer in answers:
    for name, gold in golds.items():
        for form in ("{{}}", "\\\\boxed{{}}", "<answer>{{}}</answer>"):
            verify(form.replace("{{}}", answer) if form != "\\\\boxed{{}}" else "\\\\boxed{{" + answer + "}}", gold, name)
print(json.dumps(seen))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert not canary.exists()


def test_the_string_evaluator_of_the_worker_reads_numbers_only():
    from reward_fns.workers.worker import _number_only

    assert str(_number_only("Integer (12 )")) == "12"
    assert float(_number_only("Float ('1.5' )")) == 1.5
    for code in ("Symbol('x')", "Integer(1)+1", "__import__('os')", "Integer (__import__)"):
        with pytest.raises(ValueError, match="never evaluated"):
            _number_only(code)


def test_interrupts_and_cancellations_pass_through():
    @register("test_interrupted", replace=True)
    def interrupted(response, ground_truth):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify("x", "y", "test_interrupted")

    @register("test_slow", replace=True)
    def slow(response, ground_truth):
        time.sleep(1.0)
        return True

    async def cancelled():
        task = asyncio.create_task(compute_score_async("any", "x", "y", verifier="test_slow"))
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert verify("\\boxed{\\int_0^1 4x dx}", "2").status == "right"


def test_an_interrupt_in_the_middle_of_a_hard_answer_leaves_a_working_pool():
    program = """
import os, signal, threading, time
from reward_fns import verify
from reward_fns.workers import pool
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with interrupts ignored
pool.warm_up()
threading.Timer(0.8, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        verify("\\\\boxed{9^{9^{9^6}}!}", str(int(time.time() * 1000)) + "x", deadline=300.0)
except KeyboardInterrupt:
    print("interrupted")
print(verify("\\\\boxed{\\\\int_0^1 x dx}", "\\\\frac12").status)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["interrupted", "right"], done.stderr


def test_many_threads_share_the_pool():
    results = {}

    def grade(k):
        results[k] = compute_score("any", f"\\boxed{{\\int_0^1 {k}x dx}}", f"\\frac{{{k}}}{{2}}")["acc"]

    threads = [threading.Thread(target=grade, args=(k,)) for k in range(11, 35)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results.values()) == {1.0} and len(results) == 24


def test_an_event_loop_is_not_blocked():
    async def run():
        beats = 0

        async def heart():
            nonlocal beats
            while True:
                await asyncio.sleep(0.02)
                beats += 1

        pulse = asyncio.create_task(heart())
        score = await compute_score_async("any", "\\boxed{8^{9^{9^5}}!}", "5", params={"deadline": 1.5})
        pulse.cancel()
        return score["status"], beats

    status, beats = asyncio.run(run())
    assert status in ("timeout", "wrong") and beats >= 2
