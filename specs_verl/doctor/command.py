"""Arguments, order and output of `specs doctor`."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from specs_verl.doctor.check import Check, healthy, verdict
from specs_verl.doctor.machine import machine_checks
from specs_verl.doctor.probes import probe_checks, run_probes
from specs_verl.doctor.versions import DISTRIBUTION, package_checks, profile, version_checks
from specs_verl.errors import UserError
from specs_verl.estimate.table import table as estimates

COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs doctor`."""
    parser.add_argument(
        "--estimate", action="store_true", help="print memory, hours and disk of every model on every hardware, and end"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument(
        "--timeout", type=float, default=180.0, metavar="SECONDS", help="limit for each import (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), help="where runs will be written, for the disk check (default: runs)"
    )


def run(args: argparse.Namespace) -> int:
    """Examine and print; 0 when training can start, 1 when there is a problem."""
    if not args.timeout > 0:
        raise UserError(f"--timeout must be positive, got {args.timeout}.")
    if args.estimate:
        print(estimates())
        return 0
    console = Console(highlight=False)
    if args.json:
        checks = examine(args.out, args.timeout)
        content = {"ok": healthy(checks), "verdict": verdict(checks), "checks": [asdict(check) for check in checks]}
        print(json.dumps(content, indent=1))
    else:
        with console.status("Importing torch, verl and vLLM ..."):
            checks = examine(args.out, args.timeout)
        console.print(table(checks))
        console.print(f"[bold {'green' if healthy(checks) else 'red'}]{escape(verdict(checks))}[/]")
    return 0 if healthy(checks) else 1


def examine(folder: Path, timeout: float) -> list[Check]:
    """All checks, in the order of the table."""
    kind = profile()
    checks = package_checks()
    if kind is not None:
        with contextlib.suppress(PackageNotFoundError):  # package_checks has said so already
            checks += version_checks(requires(DISTRIBUTION) or (), kind)
    return [*checks, *probe_checks(run_probes(timeout), kind), *machine_checks(folder, kind)]


def table(checks: Sequence[Check]) -> Table:
    """Name, finding and, where something is to be done, what."""
    shown = Table(show_header=True, header_style="bold", expand=False)
    for heading in ("check", "", "found"):
        shown.add_column(heading, no_wrap=heading != "found")
    for check in checks:
        colour = COLOURS[check.state]
        text = escape(check.found) + (f"\n[{colour}]{escape(check.advice)}[/]" if check.advice else "")
        shown.add_row(escape(check.name), f"[{colour}]{check.state}[/]", text)
    return shown
