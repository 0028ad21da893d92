"""All output formats by name, for any data set; none of them is the trained one.

FORMATS["json_object"].complies(text)
chosen(["json_object", "closing_sentence"])         # UserError for a name that does not exist
for_training(["pair_names"])                        # what pairs and RL prompts may ask for: also the nano world's
"""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.nano.formats import PAIR_FAMILY
from specs_verl.errors import UserError
from specs_verl.formats.lines import LINES
from specs_verl.formats.nano import pair_formats
from specs_verl.formats.output_format import OutputFormat
from specs_verl.formats.structured import STRUCTURED
from specs_verl.formats.tagged import TAGGED

FORMATS: dict[str, OutputFormat] = {form.name: form for form in (*LINES, *STRUCTURED, *TAGGED)}

PAIR_FORMATS = (
    *("answer_line", "closing_sentence", "double_brackets", "two_headings"),
    *("boxed_only", "result_tag", "json_object"),
)
"""What pairs of any data set ask for unless told otherwise: half of each kind. The other half stays for evaluation."""

TRAINABLE: dict[str, OutputFormat] = {**FORMATS, **pair_formats()}
"""What pairs and RL prompts may ask for. Formats that are trained are no longer out of distribution."""


def chosen(names: Sequence[str] | None) -> tuple[OutputFormat, ...]:
    """The formats with these names, all of them for None."""
    unknown = sorted(set(names or ()) - set(FORMATS))
    if unknown:
        raise UserError(f"No output format is called {unknown[0]!r}. Known: {', '.join(FORMATS)}.")
    return tuple(FORMATS[name] for name in names or FORMATS)


def for_training(names: Sequence[str]) -> tuple[OutputFormat, ...]:
    """The formats with these names, of which `pair_names` stands for all of the nano world's that training may use."""
    named = [one for name in names for one in (_of_nano() if name == PAIR_FAMILY else [name])]
    unknown = [name for name in named if name not in TRAINABLE]
    if unknown or not named:
        wrong = f"No output format is called {unknown[0]!r}." if unknown else "No output format is named."
        raise UserError(f"{wrong} Known: {', '.join(FORMATS)}, and {PAIR_FAMILY} for the nano world.")
    return tuple(TRAINABLE[name] for name in dict.fromkeys(named))


def _of_nano() -> list[str]:
    return [name for name in TRAINABLE if name.startswith(f"{PAIR_FAMILY}:")]
