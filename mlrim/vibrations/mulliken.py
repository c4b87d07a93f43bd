"""Mulliken symbols of the irreducible representations of the 32 point groups, from characters and axes.

Conventions (R. S. Mulliken, J. Chem. Phys. 23, 1997 (1955), with the axes of the International Tables): the
principal axis is the conventional c axis (b in monoclinic crystals); where two classes of two-fold axes or
mirror planes compete (422, 4/mmm, 622, 6/mmm, 4mm, 6mm), subscripts follow the axes along, or the planes
normal to, the conventional a axis. In 222 and mmm, B1, B2 and B3 belong to the z, y and x axis; in mm2, B1 is
even under the plane normal to y.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

CUBIC = ("23", "m-3", "432", "-43m", "m-3m")
MONOCLINIC = ("2", "m", "2/m")
ORTHORHOMBIC = ("222", "mm2", "mmm")
WITH_PERPENDICULAR_AXES = ("422", "-42m", "-4m2", "4/mmm", "32", "-3m", "622", "-6m2", "-62m", "6/mmm")
WITH_VERTICAL_PLANES = ("4mm", "3m", "6mm")
PRIMED = ("m", "-6", "-6m2", "-62m")
"""Groups with a horizontal mirror plane but no inversion centre."""


@dataclass(frozen=True, eq=False)
class PointGroupGeometry:
    """What kind of operation every rotation matrix is, and along which axis.

    Attributes:
        symbol: international symbol of the point group.
        rotations: Cartesian matrices, shape (operations, 3, 3).
        axes: conventional lattice vectors as rows.
    """

    symbol: str
    rotations: Float[ndarray, "operations 3 3"]
    axes: Float[ndarray, "3 3"]

    @cached_property
    def proper(self) -> Bool[ndarray, "operations"]:
        """True for rotations, false for rotoinversions."""
        return np.linalg.det(self.rotations) > 0

    @cached_property
    def fold(self) -> Int[ndarray, "operations"]:
        """Order n of the rotation, or of the rotation part of a rotoinversion."""
        sign = np.where(self.proper, 1.0, -1.0)
        cosine = (sign * np.trace(self.rotations, axis1=1, axis2=2) - 1) / 2
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        return np.round(360 / np.where(angle < 1, 360, angle)).astype(np.int64)

    @cached_property
    def axis(self) -> Float[ndarray, "operations 3"]:
        """Unit vector along the rotation axis (any sign); the normal of a mirror plane."""
        sign = np.where(self.proper, 1.0, -1.0)[:, None, None]
        values, vectors = np.linalg.eigh((self.rotations + self.rotations.transpose(0, 2, 1)) * sign / 2)
        return vectors[np.arange(len(values)), :, np.argmax(values, axis=1)]

    def find(self, fold: int, proper: bool = True, along: Float[ndarray, "3"] | None = None) -> int | None:
        """The first operation of a kind (with its axis along a direction); None if there is none."""
        match = (self.fold == fold) & (self.proper == proper)
        if along is not None:
            match &= np.abs(self.axis @ (along / np.linalg.norm(along))) > 0.999
        found = np.flatnonzero(match)
        return int(found[0]) if len(found) else None


def mulliken_symbol(characters: Float[ndarray, "operations"], geometry: PointGroupGeometry) -> str:
    """The Mulliken symbol of a real irreducible representation of a point group."""
    dimension = round(float(characters.max()))
    if geometry.symbol in CUBIC:
        letter, subscript = _cubic(characters, dimension, geometry)
    elif geometry.symbol in ORTHORHOMBIC:
        letter, subscript = _orthorhombic(characters, geometry)
    else:
        letter, subscript = _uniaxial(characters, dimension, geometry)
    return letter + subscript + _parity(characters, geometry)


def _cubic(characters: Float[ndarray, "operations"], dimension: int, geometry: PointGroupGeometry) -> tuple[str, str]:
    fourfold = geometry.find(4, proper=geometry.symbol != "-43m")
    letter = {1: "A", 2: "E", 3: "T"}[dimension]
    if dimension == 2 or fourfold is None:
        return letter, ""
    return letter, "1" if characters[fourfold] > 0 else "2"


def _orthorhombic(characters: Float[ndarray, "operations"], geometry: PointGroupGeometry) -> tuple[str, str]:
    if geometry.symbol == "mm2":
        return _mm2(characters, geometry)
    even = [bool(characters[geometry.find(2, along=axis)] > 0) for axis in geometry.axes]  # type: ignore[index]
    return ("A", "") if all(even) else ("B", str(3 - even.index(True)))


def _mm2(characters: Float[ndarray, "operations"], geometry: PointGroupGeometry) -> tuple[str, str]:
    twofold = next(index for index in range(3) if geometry.find(2, along=geometry.axes[index]) is not None)
    y_axis = geometry.axes[(twofold + 2) % 3]
    letter = "A" if characters[geometry.find(2)] > 0 else "B"  # type: ignore[index]
    plane = geometry.find(2, proper=False, along=y_axis)
    return letter, "1" if characters[plane] > 0 else "2"  # type: ignore[index]


def _uniaxial(
    characters: Float[ndarray, "operations"], dimension: int, geometry: PointGroupGeometry
) -> tuple[str, str]:
    sixfold = geometry.find(6)
    if dimension == 2:
        return "E", "" if sixfold is None else ("1" if characters[sixfold] > 0 else "2")
    return _one_dimensional_letter(characters, geometry, sixfold), _reflection_subscript(characters, geometry)


def _one_dimensional_letter(
    characters: Float[ndarray, "operations"], geometry: PointGroupGeometry, sixfold: int | None
) -> str:
    """B is odd under the principal rotation (or, in -4 and -42m, rotoinversion)."""
    principal = sixfold
    if principal is None:
        principal = geometry.find(4)
    if principal is None:
        principal = geometry.find(4, proper=False)
    if principal is None and geometry.symbol in MONOCLINIC:
        principal = geometry.find(2)
    return "A" if principal is None or characters[principal] > 0 else "B"


def _reflection_subscript(characters: Float[ndarray, "operations"], geometry: PointGroupGeometry) -> str:
    proper = geometry.symbol in WITH_PERPENDICULAR_AXES
    if not proper and geometry.symbol not in WITH_VERTICAL_PLANES:
        return ""
    operation = geometry.find(2, proper, along=geometry.axes[0])
    if operation is None:
        operation = _perpendicular_to_principal(geometry, proper)
    return "1" if characters[operation] > 0 else "2"


def _perpendicular_to_principal(geometry: PointGroupGeometry, proper: bool) -> int:
    """A two-fold axis (or mirror normal) perpendicular to c: where only one class of them exists."""
    principal = geometry.axes[2] / np.linalg.norm(geometry.axes[2])
    match = (geometry.fold == 2) & (geometry.proper == proper) & (np.abs(geometry.axis @ principal) < 1e-3)
    return int(np.flatnonzero(match)[0])


def _parity(characters: Float[ndarray, "operations"], geometry: PointGroupGeometry) -> str:
    inversion = geometry.find(1, proper=False)
    if inversion is not None:
        return "g" if characters[inversion] > 0 else "u"
    if geometry.symbol not in PRIMED:
        return ""
    along = geometry.axes[2] if geometry.symbol != "m" else None
    mirror = geometry.find(2, proper=False, along=along)
    return "'" if characters[mirror] > 0 else "''"  # type: ignore[index]
