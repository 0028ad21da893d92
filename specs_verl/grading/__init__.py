"""Grading sampled responses with reward_fns, for distillation and for measuring.

shards.py      the samples of a run, shard by shard, resumable
responses.py   responses of one model in a bounded number of processes
command.py     `specs reward`
"""
