"""Schoenflies symbols of groups of rotations, and Mulliken symbols of their irreps, for molecules of any symmetry.

The rules are those of R. S. Mulliken, J. Chem. Phys. 23, 1997 (1955): A and B by the principal rotation, E_k by its
character 2 cos(2πk/n), subscripts 1 and 2 by the two-fold axis x (or the mirror plane through x), g and u by the
inversion, primes by the horizontal plane. A complex conjugate pair of representations is one E.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

CUBIC = ("T", "Td", "Th", "O", "Oh", "I", "Ih")
LINEAR_SYMBOLS = {"A1": "Σ+", "E": "Π", "A1g": "Σg+", "A2u": "Σu+", "Eg": "Πg", "Eu": "Πu"}
"""Irreps of C4v and D4h that displacements in a linear molecule have, and what they are in C∞v and D∞h."""


@dataclass(frozen=True, eq=False)
class RotationKinds:
    """What kind of operation every matrix of a finite group is.

    Attributes:
        rotations: Cartesian matrices, shape (operations, 3, 3).
        axes: unit vectors x, y, z as rows.
    """

    rotations: Float[ndarray, "operations 3 3"]
    axes: Float[ndarray, "3 3"]

    @cached_property
    def proper(self) -> Bool[ndarray, "operations"]:
        """True for rotations, false for rotoreflections."""
        return np.linalg.det(self.rotations) > 0

    @cached_property
    def angle(self) -> Float[ndarray, "operations"]:
        """Angle of the rotation, or of the rotation that goes with the reflection, degrees from 0 to 180."""
        sign = np.where(self.proper, 1.0, -1.0)
        cosine = (np.trace(self.rotations, axis1=1, axis2=2) - sign) / 2
        return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

    @cached_property
    def axis(self) -> Float[ndarray, "operations 3"]:
        """Unit vector along the axis, or normal to the plane, with any sign."""
        sign = np.where(self.proper, 1.0, -1.0)[:, None, None]
        values, vectors = np.linalg.eigh((self.rotations + self.rotations.transpose(0, 2, 1)) * sign / 2)
        return vectors[np.arange(len(values)), :, np.argmax(values, axis=1)]

    def find(self, angle: float, proper: bool, along: Float[ndarray, "3"] | None = None) -> int | None:
        """The first operation of a kind, with its axis along a direction if one is given; None if there is none."""
        match = (np.abs(self.angle - angle) < 0.5) & (self.proper == proper)
        if along is not None:
            match &= np.abs(self.axis @ along) > 0.999
        found = np.flatnonzero(match)
        return int(found[0]) if len(found) else None

    @cached_property
    def inversion(self) -> int | None:
        """Index of the inversion."""
        return self.find(180, proper=False)

    @cached_property
    def fold(self) -> int:
        """Highest order of a rotation axis."""
        turning = self.angle[self.proper & (self.angle > 0.5)]
        return 1 if len(turning) == 0 else round(360 / float(turning.min()))

    def schoenflies(self) -> str:
        """Schoenflies symbol of the group."""
        n_proper, fold = int(self.proper.sum()), self.fold
        centred = self.inversion is not None
        if n_proper > 2 * fold:
            letter = {12: "T", 24: "O", 60: "I"}[n_proper]
            return letter + ("" if np.all(self.proper) else "h" if centred or letter != "T" else "d")
        if np.all(self.proper):
            return f"C{fold}" if n_proper == fold else f"D{fold}"
        horizontal = self.find(0, False, self.principal_direction) is not None
        if n_proper == 2 * fold:
            return f"D{fold}h" if self._has_horizontal_plane(horizontal) else f"D{fold}d"
        if fold == 1:
            return "Ci" if centred else "Cs"
        if horizontal:
            return f"C{fold}h"
        return f"C{fold}v" if self.find(0, proper=False) is not None else f"S{2 * fold}"

    @cached_property
    def principal_direction(self) -> Float[ndarray, "3"]:
        """Axis of the highest rotation; in D2d that of the rotoreflection, in Cs the normal of the plane."""
        if self.fold == 2:
            rotoreflection = self.find(90, proper=False)
            if rotoreflection is not None:
                return self.axis[rotoreflection]
        index = self.find(360 / self.fold, True) if self.fold > 1 else self.find(0, False)
        return np.array([0.0, 0, 1]) if index is None else self.axis[index]

    def principal_axes(self, symbol: str) -> list[Float[ndarray, "3"]]:
        """Candidates for z: the three two-fold axes of D2 and D2h, otherwise the principal axis."""
        if symbol not in ("D2", "D2h"):
            return [self.principal_direction]
        return [self.axis[index] for index in np.flatnonzero(self.proper & (self.angle > 179))]

    def side_axes(self, z: Float[ndarray, "3"]) -> list[Float[ndarray, "3"]]:
        """Two-fold axes perpendicular to z; where there are none, the normals of vertical mirror planes."""
        upright = np.abs(self.axis @ z) < 1e-3
        for match in (self.proper & (self.angle > 179), ~self.proper & (self.angle < 0.5)):
            found = np.flatnonzero(match & upright)
            if len(found):
                return [self.axis[index] for index in found]
        return []

    def _has_horizontal_plane(self, along_principal: bool) -> bool:
        """In D2 groups every axis may be the principal one: D2h has the inversion, D2d has not."""
        return self.inversion is not None if self.fold == 2 else along_principal


def molecular_symbol(characters: Float[ndarray, "operations"], group: str, kinds: RotationKinds) -> str:
    """Mulliken symbol of a real irrep of a molecular point group.

    Returns:
        An empty string for the irreps of C4v and D4h that say nothing about a linear molecule.
    """
    if group in ("C∞v", "D∞h"):
        return LINEAR_SYMBOLS.get(molecular_symbol(characters, {"C∞v": "C4v", "D∞h": "D4h"}[group], kinds), "")
    dimension = round(float(characters.max()))
    if group in CUBIC:
        stem = _cubic(characters, dimension, group, kinds)
    elif group in ("D2", "D2h"):
        even = [bool(characters[kinds.find(180, True, axis)] > 0) for axis in kinds.axes]  # type: ignore[index]
        stem = "A" if all(even) else f"B{3 - even.index(True)}"
    elif group == "C2v":
        stem = _c2v(characters, kinds)
    else:
        stem = _axial(characters, dimension, group, kinds)
    return stem + _parity(characters, group, kinds)


def _cubic(characters: Float[ndarray, "operations"], dimension: int, group: str, kinds: RotationKinds) -> str:
    letter = {1: "A", 2: "E", 3: "T", 4: "G", 5: "H"}[dimension]
    if group[0] == "I":
        fifth = kinds.find(72, proper=True)
        return letter if dimension != 3 else letter + ("1" if characters[fifth] > 0 else "2")  # type: ignore[index]
    fourfold = kinds.find(90, proper=group != "Td")
    if fourfold is None or dimension == 2:
        return letter
    return letter + ("1" if characters[fourfold] > 0 else "2")


def _c2v(characters: Float[ndarray, "operations"], kinds: RotationKinds) -> str:
    """B1 is even under the plane xz, B2 under yz."""
    letter = "A" if characters[kinds.find(180, True)] > 0 else "B"  # type: ignore[index]
    return letter + ("1" if characters[kinds.find(0, False, kinds.axes[1])] > 0 else "2")  # type: ignore[index]


def _axial(characters: Float[ndarray, "operations"], dimension: int, group: str, kinds: RotationKinds) -> str:
    generator, order = _generator(group, kinds)
    if dimension == 2:
        turns = np.arccos(np.clip(characters[generator] / 2, -1, 1)) * order / (2 * np.pi)
        return "E" if (order + 1) // 2 <= 2 else f"E{round(float(turns))}"
    letter = "A" if generator is None or characters[generator] > 0 else "B"
    if group[0] == "D":
        side = kinds.find(180, True, kinds.axes[0])
    elif group.endswith("v"):
        side = kinds.find(0, False, kinds.axes[1])
    else:
        return letter
    return letter + ("1" if characters[side] > 0 else "2")  # type: ignore[index]


def _generator(group: str, kinds: RotationKinds) -> tuple[int | None, int]:
    """The rotation (or, in S4, D2d and their like, rotoreflection) that tells A from B, and its order."""
    order = kinds.fold
    if order % 2 == 0 and (group.startswith("S") or group.endswith("d")):
        return kinds.find(180 / order, False, kinds.axes[2]), 2 * order
    return (None, 1) if order == 1 else (kinds.find(360 / order, True, kinds.axes[2]), order)


def _parity(characters: Float[ndarray, "operations"], group: str, kinds: RotationKinds) -> str:
    if kinds.inversion is not None:
        return "g" if characters[kinds.inversion] > 0 else "u"
    if group != "Cs" and not group.endswith("h"):
        return ""
    mirror = kinds.find(0, False, kinds.axes[2])
    return "'" if characters[mirror] > 0 else "''"  # type: ignore[index]
