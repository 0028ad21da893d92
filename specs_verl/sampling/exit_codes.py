"""What a worker's exit code tells its supervisor; other codes mean an error or a signal, after which it is
restarted."""

ORPHANED = 3
"""The supervisor had gone."""

HOPELESS = 4
"""Something that no restart can mend: a key that is refused, a setting that is wrong."""
