"""Directions in a crystal as people write them: [uvw], (hkl), or three Cartesian numbers."""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError

BRACKETED = re.compile(r"^([\[(])\s*([^\[\]()]*?)\s*([\])])$")
DIGITS = re.compile(r"^(-?\d){3}$")
CLOSING = {"[": "]", "(": ")"}
ADVICE = "[uvw] along a lattice vector, (hkl) normal to a lattice plane, both of the conventional cell, or x,y,z"


class Direction(NamedTuple):
    """A direction before the crystal is known."""

    label: str
    kind: str
    """`lattice`, `plane` or `cartesian`."""
    indices: tuple[float, float, float]

    def in_crystal(self, axes: Float[ndarray, "3 3"]) -> Float[ndarray, "3"]:
        """The Cartesian unit vector, for conventional lattice vectors as rows (Å)."""
        basis = {"lattice": axes, "plane": np.linalg.inv(axes).T, "cartesian": np.eye(3)}[self.kind]
        vector = np.asarray(self.indices, dtype=float) @ basis
        return vector / np.linalg.norm(vector)


def parse_directions(text: str | None) -> list[Direction]:
    """The directions in a text, separated by blanks.

    >>> [direction.indices for direction in parse_directions("[110] (1-10) 0,0,1")]
    [(1.0, 1.0, 0.0), (1.0, -1.0, 0.0), (0.0, 0.0, 1.0)]

    Raises:
        UserError: one of them is no direction.
    """
    words = re.findall(r"\[[^\]]*\]?|\([^)]*\)?|[^\s\[(]+", text or "")
    found = [parse_direction(word) for word in words]
    return list({direction.label: direction for direction in found}.values())


def parse_direction(word: str) -> Direction:
    """One direction.

    >>> parse_direction("[1-10]")
    Direction(label='[1-10]', kind='lattice', indices=(1.0, -1.0, 0.0))

    Raises:
        UserError: it is none.
    """
    bracketed = BRACKETED.match(word.strip())
    inside = bracketed.group(2) if bracketed else word.strip()
    if bracketed and CLOSING[bracketed.group(1)] != bracketed.group(3):
        raise UserError(f"'{word}' is not a direction: the brackets do not match; give {ADVICE}")
    numbers = _numbers(inside, compact=bracketed is not None)
    if numbers is None or not np.isfinite(numbers).all() or not np.any(numbers):
        raise UserError(f"'{word}' is not a direction; give {ADVICE}, for example [110]")
    kind = {"[": "lattice", "(": "plane"}[bracketed.group(1)] if bracketed else "cartesian"
    return Direction(word.strip(), kind, numbers)


def _numbers(text: str, compact: bool) -> tuple[float, float, float] | None:
    if compact and DIGITS.match(text):
        words = re.findall(r"-?\d", text)
    else:
        words = [word for word in re.split(r"[\s,]+", text) if word]
    try:
        first, second, third = map(float, words)
    except ValueError:
        return None
    return first, second, third
