"""What is asked before formats are trained on: that no evaluation asks for them, and that prompts can ask for them.

refuse_held_out(forms, ["ood.parquet"])
refuse_prompts_without(forms, ["train.parquet"])
"""

from __future__ import annotations

from collections.abc import Sequence

from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable
from specs_verl.formats.instructions import NoInstructionError
from specs_verl.formats.output_format import OutputFormat
from specs_verl.formats.rewrite import asking_for

PROMPTS_TRIED = 100
"""A data set of which none of the first so many prompts has a format instruction has none at all."""


def refuse_held_out(forms: Sequence[OutputFormat], evaluated: Sequence[str]) -> None:
    """UserError where prompts of an evaluation ask for one of the formats: trained on, it is held out no more."""
    names = {form.name for form in forms}
    table = RowTable(list(evaluated), columns=["extra_info"])
    for index, row in table.slice(0, len(table)):
        asked = (row["extra_info"] or {}).get("format")
        if asked in names:
            raise UserError(
                f"{table.file_of(index)}, row {index} asks for the format {asked}, and so would training: leave it "
                "out of the formats, or evaluate on others."
            )


def refuse_prompts_without(forms: Sequence[OutputFormat], prompts: Sequence[str]) -> None:
    """UserError where none of the first prompts has a format instruction that another could stand for."""
    table = RowTable(list(prompts), limit=PROMPTS_TRIED, columns=["prompt"])
    said = ""
    for _, row in table.slice(0, len(table)):
        try:
            asking_for(forms[0], row["prompt"])
        except NoInstructionError as error:
            said = said or str(error)
        else:
            return
    raise UserError(f"{', '.join(prompts)}: {said}, nor in the {len(table)} prompts from it on: nothing to rewrite.")
