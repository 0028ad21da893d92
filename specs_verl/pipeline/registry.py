"""All kinds of stages by name."""

from specs_verl.pipeline import data_stages, measure_stages, training_stages
from specs_verl.pipeline.kinds import Kind

KINDS: dict[str, Kind] = {**data_stages.KINDS, **training_stages.KINDS, **measure_stages.KINDS}
