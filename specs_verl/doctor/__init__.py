"""`specs doctor`: is this installation fit to train, and if not, what is wrong and what helps.

    specs doctor            a table and a one-line verdict; exit code 0 when nothing is wrong, 1 otherwise
    specs doctor --json     the same for scripts
    specs doctor --estimate memory, hours and disk of every model on every hardware (specs_verl/estimate)

check.py      what a finding is, and the verdict over all of them
versions.py   installed versions against the pins that came with the package
machine.py    cores, memory, disk, shared memory, open files, C compiler, loopback ports
probes.py     what can only be known by importing: verl with our plugin, torch and its devices, vLLM; in processes of
              their own, with a time limit, because a broken installation crashes or hangs there
command.py    arguments, order and output

Not here: the checks of one particular run's files (preflight.py, recipe.py).
"""

from specs_verl.doctor.check import Check, verdict
from specs_verl.doctor.command import add_arguments, examine, run

__all__ = ["Check", "add_arguments", "examine", "run", "verdict"]
