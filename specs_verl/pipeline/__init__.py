"""A method as a pipeline of stages in YAML; each stage is resumable, supervised and shown while it runs.

definition.py        a pipeline's YAML -> its stages
stage.py             a stage, what it needs, its marker
kinds.py             what a kind of stage is; registry.py has them all by name
data_stages.py, training_stages.py, measure_stages.py      the kinds
execution.py         runs the stages
run_record.py        run.json
seeds.py             several seeds in one table
display.py           what the user sees
watch.py             a long command under watch: it can neither hang nor leave processes (`specs watch`)
command.py           `specs run`
study.py             `specs study`: pipelines x seeds; study_table.py is its end
"""
