"""In a Ray actor, as in verl's reward loop workers: threads of its event loop grade, and no worker process outlives it."""

import asyncio
import os

import psutil
import pytest

ray = pytest.importorskip("ray")


def reward_actor():
    """The actor's class, made here so that Ray sends it by value: the tests are no importable package."""

    class RewardActor:
        """Grades the way verl's stock manager does: a synchronous function in the threads of the default executor."""

        async def grade(self, rows):
            from reward_fns import compute_score

            loop = asyncio.get_running_loop()
            calls = [loop.run_in_executor(None, lambda row=row: compute_score("any", *row)) for row in rows]
            return [score["status"] for score in await asyncio.gather(*calls)]

        async def processes(self):
            children = psutil.Process(os.getpid()).children(recursive=True)
            return [child.pid for child in children if "reward_fns.workers.worker" in " ".join(child.cmdline())]

    return ray.remote(RewardActor).options(max_concurrency=8)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=str(tmp_path_factory.mktemp("ray")))
    yield
    ray.shutdown()


def test_an_actor_grades_in_threads_and_leaves_nothing_behind(cluster):
    actor = reward_actor().remote()
    rows = [(f"\\boxed{{\\int_0^1 {k}x dx}}", f"\\frac{{{k}}}{{2}}") for k in range(3, 11)]
    rows += [("\\boxed{9^{9^{9^9}}!}", "x^2", {"verifier": "math", "params": '{"deadline": 1.0}'})]
    statuses = ray.get(actor.grade.remote(rows), timeout=180)
    assert statuses[:-1] == ["right"] * 8
    assert statuses[-1] in ("timeout", "wrong")
    workers = [psutil.Process(pid) for pid in ray.get(actor.processes.remote())]
    assert workers
    ray.kill(actor)
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
