"""What a worker's exit code tells its supervisor; any other code is an error or a signal, and leads to a restart."""

ORPHANED = 3
"""The supervisor had gone."""

HOPELESS = 4
"""Something that no restart can mend: a key that is refused, a setting that is wrong."""
