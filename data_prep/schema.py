"""The row schema of every data set here, as checks that name the row: verl's columns, with what grading needs.

for index, problem in problems("train.parquet"): print(problem)
check_row(row)                       # [] or the sentences that say what is wrong
SCHEMA                               # as an Arrow schema, for writers

data_source   str                                  which data set; metrics are split by it
prompt        [{role, content}]                    one `<image>` in the content per image, in order
images        [{bytes, path}]                      bytes, or a path relative to the file
ability       str
reward_model  {style, ground_truth, verifier, params}     params: a JSON object as text
extra_info    {index, split, id, verifier, params, ...}   verl's stock manager forwards only this to the reward

`extra_info` also says where a question is from (source, licence, category) and how often a model is right on it
(pass_rate). Supervised data has `messages` besides, with the response as the assistant's turn (SFT_SCHEMA).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import UserError
from data_prep.reading.source import read_parquet
from reward_fns.registry import ALIASES
from reward_fns.registry import names as verifier_names

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
GRADING = [("verifier", pa.string()), ("params", pa.string())]

SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(MESSAGE)),
        ("images", pa.list_(IMAGE)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string()), *GRADING])),
        (
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    *((name, pa.string()) for name in ("split", "id", "source", "category", "licence")),
                    ("pass_rate", pa.float64()),
                    *GRADING,
                ]
            ),
        ),
    ]
)

SFT_SCHEMA = pa.schema([*SCHEMA, pa.field("messages", pa.list_(MESSAGE))])
"""What verl's MultiTurnSFTDataset reads: `messages` and `images`."""

ROLES = ("system", "user", "assistant")
REQUIRED = ("data_source", "prompt", "reward_model")


class DataError(ValueError):
    """A row or file that does not fit the schema; the message names both."""


def grading_columns(
    ground_truth: str, verifier: str, params: dict[str, object] | None = None
) -> dict[str, dict[str, object]]:
    """The parts of `reward_model` and `extra_info` that say how a row is graded, in agreement with each other."""
    text = json.dumps(params or {}, ensure_ascii=False, sort_keys=True)
    return {
        "reward_model": {"style": "rule", "ground_truth": ground_truth, "verifier": verifier, "params": text},
        "extra_info": {"verifier": verifier, "params": text},
    }


def check_columns(schema: pa.Schema) -> list[str]:
    """What is wrong with the columns of a file."""
    missing = [name for name in REQUIRED if name not in schema.names]
    if missing:
        return [f"no column {', '.join(missing)}; the columns are {', '.join(schema.names)}"]
    return []


def check_row(row: dict[str, object]) -> list[str]:
    """What is wrong with a row, images not decoded (see doctor.py); an empty list when nothing is."""
    found = []
    if not isinstance(row.get("data_source"), str) or not row["data_source"]:
        found.append("`data_source` must be a name")
    found += _check_prompt(row.get("prompt"), row.get("images"))
    found += _check_images(row.get("images"))
    found += _check_grading(row.get("reward_model"), row.get("extra_info"))
    return found


def _check_prompt(prompt: object, images: object) -> list[str]:
    if not isinstance(prompt, list) or not prompt:
        return ["`prompt` must be a list of messages"]
    found = []
    for message in prompt:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return ["every message of `prompt` needs `role` and `content`"]
        if message.get("role") not in ROLES:
            found.append(f"role {message.get('role')!r} is none of {', '.join(ROLES)}")
    if prompt[-1].get("role") != "user":
        found.append("the last message of `prompt` must be the user's")
    if not any(message["content"].replace("<image>", "").strip() for message in prompt):
        found.append("`prompt` holds no text")
    marks = sum(message["content"].count("<image>") for message in prompt)
    count = len(images) if isinstance(images, list) else 0
    # Without images `<image>` is ordinary text to verl; it then mostly stands for an image that got lost.
    if marks != count:
        found.append(f"{marks} <image> placeholders but {count} images")
    return found


def _check_images(images: object) -> list[str]:
    if images is None:
        return []
    if not isinstance(images, list):
        return ["`images` must be a list"]
    for number, image in enumerate(images):
        if isinstance(image, str) and image:
            continue
        if not isinstance(image, dict) or not (image.get("bytes") or image.get("path")):
            return [f"image {number} has neither bytes nor a path"]
    return []


def _check_grading(model: object, info: object) -> list[str]:
    if not isinstance(model, dict):
        return ["`reward_model` must hold `ground_truth`"]
    found = []
    truth = model.get("ground_truth")
    if truth is None or (isinstance(truth, str) and not truth.strip()):
        found.append("`reward_model.ground_truth` is empty")
    info = info if isinstance(info, dict) else {}
    for place, values in (("reward_model", model), ("extra_info", info)):
        name = values.get("verifier")
        if name is not None and name not in verifier_names() and name not in ALIASES:
            found.append(f"`{place}.verifier` is {name!r}, which is no verifier ({', '.join(verifier_names())})")
        if values.get("params") is not None and _parsed(values["params"]) is None:
            found.append(f"`{place}.params` is no JSON object: {str(values['params'])[:60]!r}")
    if model.get("verifier") is not None and info.get("verifier") not in (None, model["verifier"]):
        found.append(
            f"`reward_model` names the verifier {model['verifier']!r}, `extra_info` {info['verifier']!r}; "
            "verl's reward manager sees the latter only"
        )
    return found


def _parsed(params: object) -> dict[str, object] | None:
    """Params as a dictionary, None when they are neither one nor its JSON text."""
    if isinstance(params, dict):
        return params
    try:
        value = json.loads(str(params)) if params else {}
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def rows(path: str | Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Rows of a parquet file with their numbers, at most 32 MiB in memory at a time. DataError when it is no such
    file, or is damaged."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    try:
        for place, row in read_parquet(path):
            yield place.row, row
    except UserError as error:
        raise DataError(str(error)) from error


def validate(path: str | Path) -> int:
    """Check a whole file; returns its number of rows. DataError names file, row and what is wrong with it."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    count = 0
    for index, row in rows(path):
        if index == 0 and (wrong := check_columns(pq.read_schema(path))):
            raise DataError(f"{path}: {wrong[0]}.")
        if wrong := check_row(row):
            raise DataError(
                f"{path}, row {index}: {'; '.join(wrong)}. "
                "Fix the row, or drop such rows with `specs data doctor --fix`."
            )
        count = index + 1
    if count == 0:
        raise DataError(f"{path}: no rows.")
    return count
