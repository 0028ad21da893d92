"""Prompt lengths without decoding an image: sizes as the rollout sees them (resize.py), tokens of a row (count.py)."""
