"""Lists of directions in a crystal as people write them: `[110] c (101) [0.5, 0, 1]`.

Directions are those of `mlrim.vibrations.scattering_geometry` (lattice vectors of the conventional cell, letters,
Cartesian vectors with commas); `(hkl)` is the normal of a lattice plane besides.
"""

import re

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.vibrations.scattering_geometry import parse_direction

WORD = re.compile(r"-?\[[^\]]*\]?|\([^)]*\)?|[^\s\[(]+")
PLANE = re.compile(r"\(\s*((?:[+-]?\d\s*){3}|[+-]?\d+(?:\s+[+-]?\d+){2})\s*\)")
ADVICE = "give [uvw] along a lattice vector, (hkl) normal to a lattice plane, x, y, z, a, b or c"


def parse_directions(text: str | None, axes: Float[ndarray, "3 3"] | None = None) -> dict[str, Float[ndarray, "3"]]:
    """The directions in a text, separated by blanks, as Cartesian unit vectors by what was written.

    Args:
        axes: lattice vectors of the conventional cell as rows, Å; by default Cartesian axes.

    Raises:
        UserError: one of them is no direction.

    >>> {label: unit.round(3).tolist() for label, unit in parse_directions("[110] (1-10) z").items()}
    {'[110]': [0.707, 0.707, 0.0], '(1-10)': [0.707, -0.707, 0.0], 'z': [0.0, 0.0, 1.0]}
    """
    axes = np.eye(3) if axes is None else axes
    return {word: _direction(word, axes) for word in WORD.findall(text or "")}


def _direction(word: str, axes: Float[ndarray, "3 3"]) -> Float[ndarray, "3"]:
    if not word.startswith("("):
        try:
            return parse_direction(word, axes)
        except UserError as error:
            raise UserError(f"'{word}' is not a direction; {ADVICE}") from error
    plane = PLANE.fullmatch(word)
    indices = np.array([int(number) for number in re.findall(r"[+-]?\d+", _spaced(plane[1]))] if plane else [0, 0, 0])
    if len(indices) != 3 or not indices.any():
        raise UserError(f"'{word}' is not a lattice plane; {ADVICE}")
    normal = indices @ np.linalg.inv(axes).T
    return normal / np.linalg.norm(normal)


def _spaced(indices: str) -> str:
    """`1-10` as `1 -1 0`; numbers that are separated already stay."""
    return indices if " " in indices.strip() else " ".join(re.findall(r"[+-]?\d", indices))
