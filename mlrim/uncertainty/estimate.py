"""A number with its error."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A number with its standard error, none where that is not known."""

    value: float
    error: float | None
    unit: str
