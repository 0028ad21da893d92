"""Every fault of the table can still be made, and the tests that should see it exist; `make mutants` runs them."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import run  # noqa: E402  a script beside this file

MUTANTS = run.read_table(run.TABLE)  # ends with a sentence where a text is not in its file


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_has_its_tests(mutant):
    assert mutant.old != mutant.new and mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        source = run.ROOT / file
        assert source.exists(), f"{file} has gone"
        assert name.partition("[")[0] in (source.read_text() if source.is_file() else ""), f"{test} has gone"
