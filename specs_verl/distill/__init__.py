"""Stage 1: self-distilled preference pairs whose two responses differ in form only.

    from specs_verl.distill import Distillation, distill
    report = distill(Distillation(prompts=("train.parquet",), chosen_samples="runs/samples/zero",
                                  rejected_samples="runs/samples/base", out="runs/pairs"))

    specs distill --prompts train.parquet --base-samples DIR --zero-samples DIR --out DIR
    specs distill --prompts train.parquet --base CHECKPOINT --zero CHECKPOINT --out DIR --n 8

The steps, one file each: sample (../sampling) -> grades.py (../grading) -> rule_judge.py or model_judge.py ->
corrupt.py, complete.py -> pair.py -> select.py -> write.py, tally.py, card.py. distillation.py calls them in order,
pair_recipe.py names the ablations, cli.py is the command. Beside it: export.py (formats of other trainers), route.py
(Metis-RISE) and cot.py (RL with Cold Start) write supervised data through trajectories.py. The data set class of the
pairs is the cold start's (../cold_start/preference_dataset.py).
"""

from specs_verl.distill.distillation import Distillation, distill
from specs_verl.distill.pair import Pair, Pairing

__all__ = ["Distillation", "Pair", "Pairing", "distill"]
