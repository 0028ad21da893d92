"""SPECS-VERL: Metis-SPECS, Metis-RISE and RL-with-Cold-Start as plugins of stock verl.

Importing the package does nothing: verl loads `specs_verl.plugin.entry`; `specs_verl.cli` is the `specs` command.
"""

__version__ = "0.1.0"
