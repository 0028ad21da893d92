"""A method as a pipeline of stages, each resumable, supervised and shown while it runs.

stage.py      a stage, its completion marker and resuming: the generic engine
specs.py      the stages of Metis-SPECS
training.py   GRPO and the cold start as subprocesses
watch.py      a long command under watch: it can neither hang nor leave processes (`specs watch`)
display.py    what the user sees meanwhile
command.py    `specs run`
"""
