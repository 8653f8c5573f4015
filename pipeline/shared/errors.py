"""The one error that a user can cause, and therefore can mend."""


class InputError(Exception):
    """What was given cannot be used; the message names the thing, the value and the remedy."""
