"""Several sets as one: which rows (choose.py), the file (mixing.py), its data card (card.py), what the papers train on
(papers.py). `specs data mix`, `specs data specs_86k`, `specs data rl_cold_start`, `specs data rise`.
"""
