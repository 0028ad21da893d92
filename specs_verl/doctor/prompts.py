"""Prompt lengths of a composed RL recipe, before Ray starts: what does not fit is listed, and dropped or refused.

    kept = count(config)              # {"train_files": 2088, "val_files": 601}; UserError with data.too_long=error

The list is OUT/too_long.jsonl (trainer.default_local_dir). The training processes leave the same rows out by themselves
(plugin/prompt_dataset.py). Recipes with a dataset class of one's own are not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from tqdm import tqdm

from data_prep.files import write_text
from data_prep.tokens.count import PromptCounter
from data_prep.tokens.overlong import LeftOut, find, tables_of
from data_prep.tokens.resize import PixelLimits
from specs_verl.errors import UserError

OWN = "pkg://specs_verl.plugin.prompt_dataset"
SPLITS = ("train_files", "val_files")
NAMED = 5


def count(config: DictConfig) -> dict[str, int] | None:
    """Rows of each split that fit; None where another dataset class decides.

    Raises:
        UserError: rows do not fit and data.too_long=error, or none is left.
    """
    data = config.data
    if data.custom_cls.get("path") != OWN:
        return None
    if data.get("too_long") not in ("drop", "error"):
        raise UserError(f"data.too_long is drop or error, not {data.get('too_long')!r}.")
    limits = PixelLimits(data.get("min_pixels"), data.get("max_pixels"))
    counter = PromptCounter(str(Path(config.actor_rollout_ref.model.path).expanduser()), limits)
    kept, lines = {}, []
    for split in SPLITS:
        files = [data[split]] if isinstance(data[split], str) else list(data[split])
        kept[split] = 0
        for name in files:
            file = Path(str(name)).expanduser()
            rows = pq.read_metadata(file).num_rows
            left_out = list(find(_shown(tables_of(file), file, rows), counter, data.max_prompt_length, file))
            kept[split] += rows - len(left_out)
            lines += [json.dumps({"file": str(file), **asdict(one)}) + "\n" for one in left_out]
            if left_out:
                _report(file, rows, left_out, config)
        if kept[split] == 0:
            raise UserError(
                f"{', '.join(map(str, files))}: no prompt fits data.max_prompt_length={data.max_prompt_length}."
            )
    if lines:
        write_text(Path(config.trainer.default_local_dir).expanduser() / "too_long.jsonl", "".join(lines))
    return kept


def _report(file: Path, rows: int, left_out: list[LeftOut], config: DictConfig) -> None:
    """A line for the log, or the sentence that ends the run."""
    named = "; ".join(f"row {one.row}: {one.reason}" for one in left_out[:NAMED])
    more = f"; {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    said = f"{file}: {len(left_out)} of {rows} prompts cannot be used ({named}{more})"
    if config.data.too_long == "error":
        raise UserError(
            f"{said}. Allowed are data.max_prompt_length={config.data.max_prompt_length} tokens. Leave them out with "
            "data.too_long=drop, lower data.max_pixels, or allow more tokens."
        )
    print(f"specs-verl: {said}; they are left out, see {config.trainer.default_local_dir}/too_long.jsonl", flush=True)


def _shown(tables: Iterable[pa.Table], file: Path, rows: int) -> Iterator[pa.Table]:
    """The same tables, with a bar where somebody looks."""
    with tqdm(total=rows, desc=f"tokens of {file.name}", unit=" rows", disable=None, mininterval=1) as bar:
        for table in tables:
            yield table
            bar.update(table.num_rows)
