"""Work that may hang, in processes that may be killed.

pool.py           the pool of this process: questions remembered, each asked once
processes.py      killable worker processes with one deadline per job
worker.py         the worker program: math-verify under a memory cap
parent.py         a process that ends with the one that started it
chat.py           the protocol of chat endpoints: addresses, statuses, replies
chat_client.py    the client of chat endpoints, for the judge and for specs_verl: retries, deadline, cache
judge_client.py   a language model asked whether two short answers mean the same
"""
