"""`python -m specs_verl.sampling`: the command `specs sample` without the console script, see cli.py."""

import argparse
import sys

from specs_verl.errors import UserError
from specs_verl.sampling.cli import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m specs_verl.sampling", description="Sample responses through vLLM.")
    add_arguments(parser)
    try:
        sys.exit(run(parser.parse_args()))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
