"""Mutation testing by a table of our own: which of these faults would the tests let through?  make mutants

    python tests/mutants/run.py                     every mutant of mutants.toml
    python tests/mutants/run.py --only watch judge   those whose name or file holds one of the words
    python tests/mutants/run.py --out mutants.json   the results for a machine, too

A mutant is one file with one text replaced, in a copy of the tracked files under a temporary folder; the named tests
run on the copy. It is killed when one of them fails, and it survives when all pass. A table of faults that somebody
might make says more here than thousands of swapped operators, and takes minutes. Exit code 1 when one survives, 2 when
a text is not in its file any more, or the tests fail without any mutant.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("mutants.toml")
HANGS_S = 180
"""A mutant that makes one test hang for so long is killed by that."""

LIMIT_S = 900
"""The same for all its tests."""


@dataclass(frozen=True)
class Mutant:
    """One fault, and the tests that should see it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def read_table(path: Path) -> list[Mutant]:
    """The mutants of a TOML file; SystemExit with a sentence where a text does not occur exactly once."""
    mutants = []
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        mutant = Mutant(name, entry["file"], entry["old"], entry["new"], tuple(entry["tests"]))
        count = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)
        if count != 1:
            print(
                f"{path.name}: {name}: the old text occurs {count} times in {mutant.file}, not once.", file=sys.stderr
            )
            raise SystemExit(2)
        mutants.append(mutant)
    return mutants


def copy_of_the_project(folder: Path) -> None:
    """The tracked files, as they are in the working tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)


def pytest(folder: Path, tests: tuple[str, ...]) -> tuple[bool, str]:
    """Whether the tests pass on the copy, and the last line they print."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={HANGS_S}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return False, f"no end within {LIMIT_S} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))] or [""]
    if done.returncode not in (0, 1):
        return False, f"pytest ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-300:]}"
    return done.returncode == 0, lines[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of mutants' names or files")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    mutants = [
        mutant for mutant in read_table(TABLE) if any(word in f"{mutant.name} {mutant.file}" for word in arguments.only)
    ]
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(prefix="specs-mutants-") as temporary:
        folder = Path(temporary)
        copy_of_the_project(folder)
        sound: set[tuple[str, ...]] = set()
        failing = 0
        for number, mutant in enumerate(mutants, 1):
            if mutant.tests not in sound:
                passed, said = pytest(folder, mutant.tests)
                if not passed:
                    failing += 1
                    print(f"[{number}/{len(mutants)}] NOT TRIED {mutant.name}: fails without it, {said}", flush=True)
                    continue
                sound.add(mutant.tests)
            file = folder / mutant.file
            whole = file.read_text(encoding="utf-8")
            file.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
            passed, said = pytest(folder, mutant.tests)
            file.write_text(whole, encoding="utf-8")
            results[mutant.name] = {"killed": not passed, "by": said}
            print(f"[{number}/{len(mutants)}] {'SURVIVED' if passed else 'killed':8} {mutant.name}  {said}", flush=True)
    killed = sum(bool(result["killed"]) for result in results.values())
    print(f"{killed} of {len(results)} mutants killed")
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 2 if failing else 0 if killed == len(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
