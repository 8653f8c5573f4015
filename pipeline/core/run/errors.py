"""The errors that a user can cause, and therefore can mend."""


class InputError(Exception):
    """What was given cannot be used; the message names the thing, the value and the remedy."""


class AmbiguousError(InputError):
    """It can be read in two ways that differ, and none is guessed."""


class MisfitError(InputError):
    """A header has so many of a layout's columns, and lacks so many that the layout needs.

    `remedy` are keys of section source by which the rest of the source fits.
    """

    def __init__(self, message: str, has: int, lacks: int) -> None:
        super().__init__(message)
        self.has, self.lacks = has, lacks
        self.remedy: dict[str, object] = {}
        self.header: tuple[str, ...] = ()
