"""What the CPU profile changes in vLLM; in a process of its own, since it changes classes of vLLM."""

import subprocess
import sys

READER = """
import zmq
from vllm.distributed.device_communicators.shm_broadcast import SpinCondition
from vllm.utils.network_utils import get_open_zmq_ipc_path
from specs_verl.cpu import vllm_plugin

context = zmq.Context()
before = SpinCondition(True, context, get_open_zmq_ipc_path())
vllm_plugin.wait_without_spinning()
after = SpinCondition(True, context, get_open_zmq_ipc_path())
print(before.busy_loop_s, after.busy_loop_s, flush=True)
"""


def test_readers_of_the_message_queue_sleep_at_once():
    done = subprocess.run([sys.executable, "-c", READER], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = map(float, done.stdout.split()[-2:])
    assert before > 0, "vLLM no longer spins by itself: specs_verl.cpu.vllm_plugin.wait_without_spinning can go"
    assert after == 0
