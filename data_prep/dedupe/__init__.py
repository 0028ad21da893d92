"""Rows that ask the same thing twice, and rows that a benchmark asks too.

    texts.py     normalised words, 8-grams, overlap          pictures.py    perceptual hashes, who is near whom
    prints.py    a row reduced to a few hundred bytes        decide.py      which rows go, and because of whom
    deduplicate.py  files in, files out                      command.py     `specs data dedupe`

Two rows are duplicates when their images are alike *and* their questions overlap: sets ask many questions about one
image, and one question about many images. Rows without images are duplicates when their questions overlap. A row is
contaminated when one of its images is alike to a benchmark's, or its question overlaps with a benchmark's.
"""
