"""Grading sampled responses with a reward function, for distillation and for measuring.

responses.py   responses -> grades
shards.py      shard by shard, each once, in parallel
processes.py   work in processes that end with their parent; ray_tasks.py on a Ray cluster
command.py     `specs reward`
"""
