"""All output formats by name, for any data set; none of them is the trained one.

FORMATS["json_object"].complies(text)
chosen(["json_object", "closing_sentence"])         # UserError for a name that does not exist
"""

from __future__ import annotations

from collections.abc import Sequence

from specs_verl.errors import UserError
from specs_verl.formats.lines import LINES
from specs_verl.formats.output_format import OutputFormat
from specs_verl.formats.structured import STRUCTURED
from specs_verl.formats.tagged import TAGGED

FORMATS: dict[str, OutputFormat] = {form.name: form for form in (*LINES, *STRUCTURED, *TAGGED)}


def chosen(names: Sequence[str] | None) -> tuple[OutputFormat, ...]:
    """The formats with these names, all of them for None."""
    unknown = sorted(set(names or ()) - set(FORMATS))
    if unknown:
        raise UserError(f"No output format is called {unknown[0]!r}. Known: {', '.join(FORMATS)}.")
    return tuple(FORMATS[name] for name in names or FORMATS)
