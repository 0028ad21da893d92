"""Work that may hang, in processes that may be killed.

pool.py           the pool of this process: questions remembered, each asked once
processes.py      killable worker processes with one deadline per job
worker.py         the worker program: math-verify under a memory cap
parent.py         a process that ends with the one that started it
chat.py           what all clients of chat endpoints share: addresses, statuses, replies
judge_client.py   a language model asked whether two short answers mean the same
"""
