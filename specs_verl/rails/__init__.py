"""Training rails: alarms while an RL run goes on, and tables of its samples for people to read.

settings.py    the section `rails` of a recipe
facts.py       what a training step says about itself: correlation, groups, lengths, numbers that are none
alarms.py      from the facts of all steps so far to alarms with a reason
samples.py     rollouts of a step as rows: prompt, images, responses, verdicts
page.py        those rows as an HTML page
trackers.py    and as a table in wandb, trackio or TensorBoard

Nothing here imports verl; plugin/rails.py connects it to verl's trainer.
"""
