"""The one exception that ends a command with a sentence instead of a traceback.

    raise UserError("runs/base: no config.json there. Pass the directory of a Hugging Face checkpoint.")

The console script prints the message and exits with `exit_code`; everything else that is raised is a bug and shows its
traceback.
"""


class UserError(Exception):
    """Something the user can fix: one sentence that says what is wrong, where, and what to do."""

    exit_code = 2
