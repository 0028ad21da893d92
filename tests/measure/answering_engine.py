"""An engine without a model: what it answers is written in a file beside the checkpoint's configuration.

skill.json: {"right": 0.5, "formed": 0.5}: these shares of the rows, by number, are answered right and in the asked
format. Loaded by real worker processes; every load leaves a mark.
"""

import json
from pathlib import Path

from specs_verl.formats.registry import FORMATS
from specs_verl.sampling.engine import Finished, Sample
from specs_verl.sampling.prompts import Prompt


class AnsweringEngine:
    capacity = 64
    seeds_per_request = True

    def __init__(self, checkpoint, parameters, settings, out):
        self.parameters = parameters
        self.skill = json.loads((Path(checkpoint) / "skill.json").read_text())
        with (Path(checkpoint) / "loads").open("a") as file:
            file.write("x")
        self.rows, self.queue = {}, []

    @property
    def busy(self):
        return bool(self.queue)

    def build(self, row, data_file):
        prompt = Prompt([len(self.rows)], [], 1)
        self.rows[len(self.rows)] = row
        return prompt

    def add(self, key, prompt, seed, n):
        self.queue.append((key, self.rows[prompt.token_ids[0]], n))

    def step(self):
        key, row, n = self.queue.pop()
        number, truth = int(key), row["reward_model"]["ground_truth"]
        answer = truth if number % 10 < 10 * self.skill["right"] else "999"
        asked = row["extra_info"]["format"]
        if number % 10 >= 10 * (1 - self.skill["formed"]):
            form = FORMATS.get(asked)
            well_formed = f"<think> I look. </think><answer> $\\boxed{{{answer}}}$</answer>"
            text = form.write("I look.", answer) if form else well_formed
        else:
            text = f"It is {answer}"
        count = self.parameters.logprobs
        logprobs = {"token_logprobs": [-0.1], "top_logprobs": [-0.01] + [-9.0] * (count - 1)} if count else {}
        return [Finished(key, [Sample(i, text, "stop", 1, 0, **logprobs) for i in range(n)])]

    def close(self):
        self.queue = []
