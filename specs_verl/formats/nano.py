"""The formats of the nano world that training may ask for, as output formats: the trained one under other names.

    pair_formats()["pair_names:plan:final"].instruction   # Reason in <plan> </plan>, then ...

Not here: the formats of its evaluation, which are no output formats of this room, so that no training can ask for them.
"""

from __future__ import annotations

from functools import partial

from data_prep.nano import formats as nano
from reward_fns.answer.boxed import boxes
from specs_verl.formats.output_format import OutputFormat


def pair_formats() -> dict[str, OutputFormat]:
    """All of them by name."""
    return {name: _output_format(name, nano.parse(name)) for name in nano.pair_formats()}


def _output_format(name: str, form: nano.Form) -> OutputFormat:
    return OutputFormat(
        name,
        nano.instruction(form),
        partial(nano.respond, form),
        partial(_read, form),
        gap=" ",
        tags=(form.reason, form.answer),
    )


def _read(form: nano.Form, text: str) -> str | None:
    """The answer in the box of the answer block."""
    return boxes(text)[-1] if nano.complies(form, text) else None
