"""The benchmarks of the papers, from local files in their published layout to their official score.

    specs benchmark prepare mathvista --source MathVista --out data/mathvista.parquet
    specs evaluate CKPT --data data/mathvista.parquet --out runs/eval

benchmark.py       what a benchmark is
source.py          published files: tables, lists, pictures
mathvista.py, mathvision.py, mathverse.py, mmmu.py (with MMMU-Pro), dynamath.py, wemath.py, logicvista.py, megabench.py
                   one benchmark each: layout, official split and scoring rule
registry.py        all of them by name
prepare.py         published files -> parquet in verl's schema, with the method's prompt
official.py        graded responses -> the official score and what it depends on
response_files.py  our responses for VLMEvalKit's and MEGA-Bench's evaluators
command.py         `specs benchmark`
"""
