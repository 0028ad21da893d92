"""Sample responses of a checkpoint for the rows of a parquet, through vLLM, into a directory that can be continued.

    from specs_verl.sampling import Job, SamplingParameters, sample
    run = sample(Job(model="runs/zero/hf", data=("data/train.parquet",), out="runs/samples/zero",
                     parameters=SamplingParameters(n=8, temperature=1.0, max_tokens=512, seed=7)))
    for record in run.samples(): ...            # row, row_id, sample, response, finish_reason, n_tokens, ...

    python -m specs_verl.sampling --model DIR --data FILE --out DIR --n 8        # the same from a shell
    python -m specs_verl.sampling --jobs jobs.json                               # several, one engine start-up

parameters.py   what is asked for (Job, SamplingParameters) and how it is run (EngineSettings)
prompts.py      a row -> chat-template text and images, as verl's rollouts see them
engine.py       vLLM as three calls: add, step, reseed
endpoint.py     a chat endpoint: settings, store of replies, errors; endpoint_engine.py samples from it
stopping.py     when a prompt has enough samples (adaptive sampling)
usable.py       whether a sample may become training text
store.py        the run directory: manifest, shards, progress, summary
engines.py      which engine samples a job, and the one that is loaded
worker.py       one process, one engine: samples shard after shard
placement.py    which worker runs on which cores or GPU
local_workers.py  workers as processes of this machine; ray_workers.py as actors on a Ray cluster
supervisor.py   starts the workers, watches them, restarts them, reports progress
cli.py          the command `specs sample`

Not here: grading (reward_fns) and what the samples are for (distill/, measure/).
"""

from specs_verl.sampling.parameters import EngineSettings, Job, SamplingParameters
from specs_verl.sampling.store import SampleRun
from specs_verl.sampling.supervisor import Progress, SamplingError, sample, sample_all

__all__ = [
    "EngineSettings",
    "Job",
    "Progress",
    "SampleRun",
    "SamplingError",
    "SamplingParameters",
    "sample",
    "sample_all",
]
