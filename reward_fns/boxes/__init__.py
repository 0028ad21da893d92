"""Bounding boxes: reading them from text (reading.py), pairing and scoring two lists of them (metrics.py)."""
