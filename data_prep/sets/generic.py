"""Your own data: any parquet, JSONL or JSON, with a YAML file that says which column is what.

# shapes.yaml
name: shapes                # becomes data_source
licence: CC-BY-4.0
question: prompt.text       # a column, or a dotted path into it
answer: label
images: picture             # optional: a column with one image or a list
id: uid                     # optional, as are the following
source: origin
ability: task
category: topic
options: choices            # a list of texts
response: solution          # a worked solution: rows become supervised data
pass_rate: rate
verifier: count             # the name of a verifier, the same for all rows; without it the answer's form decides
params: {abs_tol: 1}        # its parameters
prompt: specs               # see prompts.py

specs data generic --mapping shapes.yaml --source shapes/ --out data/shapes
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from data_prep.errors import UserError
from data_prep.reading.cells import listed, optional_text, rate, text, value
from data_prep.sets.item import DataSet, Item, Row
from reward_fns.registry import lookup


@dataclass(frozen=True)
class Mapping:
    """The YAML file: names of columns, and what is the same for all rows."""

    name: str
    question: str
    answer: str
    licence: str = "unstated"
    images: str = ""
    id: str = ""
    source: str = ""
    ability: str = ""
    category: str = ""
    options: str = ""
    response: str = ""
    pass_rate: str = ""
    verifier: str = ""
    params: dict[str, object] = field(default_factory=dict)
    prompt: str = "specs"

    def item(self, row: Row) -> Item:
        """Reads one row."""
        options = value(row, self.options) if self.options else None
        return Item(
            question=text(row, self.question),
            answer=text(row, self.answer),
            images=listed(row, self.images) if self.images else [],
            options=tuple(str(option) for option in options) if isinstance(options, list) else (),
            verifier=self.verifier,
            params=self.params,
            pass_rate=rate(row, self.pass_rate) if self.pass_rate else None,
            id=self._text(row, self.id),
            source=self._text(row, self.source),
            ability=self._text(row, self.ability),
            category=self._text(row, self.category),
            response=self._text(row, self.response),
        )

    @staticmethod
    def _text(row: Row, key: str) -> str:
        return optional_text(row, key) if key else ""


def read_mapping(path: str | Path) -> DataSet:
    """The data set that a YAML file describes; UserError naming the file and the key that is wrong."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: no readable YAML file ({error}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys such as `question: COLUMN`.")
    known = {entry.name for entry in fields(Mapping)}
    unknown = sorted(str(key) for key in content if key not in known)
    missing = [key for key in ("name", "question", "answer") if not content.get(key)]
    if unknown or missing:
        problem = f"no key {', '.join(missing)}" if missing else f"unknown key {', '.join(unknown)}"
        raise UserError(f"{path}: {problem}; known keys: {', '.join(sorted(known))}.")
    for key, found in content.items():
        if not isinstance(found, dict if key == "params" else str):
            raise UserError(f"{path}: `{key}` must be {'an object' if key == 'params' else 'text'}, got {found!r}.")
    mapping = Mapping(**content)
    _check_verifier(mapping, path)
    columns = tuple(column for column in (mapping.question, mapping.answer, mapping.images) if column)
    return DataSet(mapping.name, "", mapping.licence, mapping.prompt, columns, mapping.item)


def _check_verifier(mapping: Mapping, path: str | Path) -> None:
    if not mapping.verifier:
        return
    try:
        lookup(mapping.verifier).check(mapping.params)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: {error.args[0]}") from error
