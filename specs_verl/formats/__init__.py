"""Output formats for any data set, each with an instruction, a writer and a strict check that takes any answer.

    specs formats --data test.parquet --out ood.parquet          # the same questions, other formats

output_format.py   what a format is
lines.py, structured.py, tagged.py   the fourteen formats
registry.py        all of them by name
instructions.py    finding a prompt's format instruction and replacing it
rewrite.py         a data set that asks for other formats
reward.py          grading in any format
command.py         `specs formats`
"""
