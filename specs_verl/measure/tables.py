"""The end table on the terminal, and the number formats that terminal and page share.

    console.print(summary_table(summary))

Not here: what the numbers are (summary.py), the page (page.py).
"""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from specs_verl.measure.bootstrap import Spread
from specs_verl.measure.summary import Summary


def per_cent(spread: Spread | None, decimals: int = 1) -> str:
    """A share as per cent, with the spread when there are several seeds: "51.2" or "51.2 ± 0.8"."""
    if spread is None:
        return "-"
    return number(Spread(100 * spread.mean, 100 * spread.std, spread.n), decimals)


def number(spread: Spread | None, decimals: int = 1) -> str:
    """A mean, with the sample standard deviation over seeds when there are several."""
    if spread is None:
        return "-"
    text = f"{spread.mean:.{decimals}f}"
    return f"{text} ± {spread.std:.{decimals}f}" if spread.n > 1 else text


def summary_table(summary: Summary) -> Table:
    """Model, accuracy, format compliance, pass@k, mean length; OOD and control columns only where evaluated."""
    first = summary.rows[0]
    seeds = f", mean ± spread of {summary.seeds} seeds" if summary.seeds > 1 else ""
    table = Table(
        title=f"{first.prompts:,} held-out prompts, {first.samples} responses each{seeds}",
        title_justify="left",
        caption="accuracy, format and pass@k in per cent; length in tokens",
        caption_justify="left",
    )
    table.add_column("model", no_wrap=True)
    columns = ["accuracy", "format", f"pass@{summary.k}"]
    if summary.has_control:
        columns.append(f"pass@{summary.k} control")
    if summary.has_ood:
        columns += ["OOD accuracy", "OOD format"]
    for name in [*columns, "length"]:
        table.add_column(name, justify="right")
    for row in summary.rows:
        cells = [per_cent(row.accuracy), per_cent(row.format), per_cent(row.pass_k)]
        if summary.has_control:
            cells.append(per_cent(row.control_pass_k))
        if summary.has_ood:
            cells += [per_cent(row.ood_accuracy), per_cent(row.ood_format)]
        table.add_row(escape(row.model), *cells, number(row.mean_tokens))
    return table
