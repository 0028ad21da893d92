"""What a recipe takes, before anything is loaded: memory of GPUs and hosts, hours, disk. Arithmetic, nothing measured.

    specs doctor --estimate                     the table of examples/hardware.md
    fits.check_rl(config)                       UserError where a recipe does not fit; the recipes' own check calls it

shape.py    sizes of a model, as its file in config/specs/model gives them
training.py bytes of one process that trains, part by part (checked against CPU processes)
memory.py   bytes of a GPU in each phase of a recipe, and of the host
fits.py     a composed recipe against its hardware
hours.py    floating-point operations and bytes read, over what a GPU does
disk.py     checkpoints
table.py    every model on every hardware, as text

Not here: what a machine has (doctor/machine.py).
"""
