"""The exception that ends a command with a sentence; it is defined in data_prep, which comes before this package."""

from data_prep.errors import UserError

__all__ = ["UserError"]
