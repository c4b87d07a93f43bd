"""Displacements of the modes along the path of a dispersion, for programs that animate them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.qpath import QPath
from mlrim.units import THZ_TO_CM1

BATCH = 64
"""Wave vectors treated together; bounds the memory."""


class PathModes(NamedTuple):
    """Modes at some wave vectors of a path.

    The displacement of atom k in cell R is Re[v_k exp(2πi q·(x_k + R)) exp(−iωt)], with x_k its fractional position.
    """

    indices: Int[ndarray, "kept"]
    """Which wave vectors of the path."""
    frequencies: Float[ndarray, "kept modes"]
    """Signed, cm⁻¹."""
    displacements: Complex[ndarray, "kept modes atoms 3"]
    """v = e/√m without the phase of the atom, scaled so that the longest of every mode is one."""


def path_modes(dynamics: LatticeDynamics, path: QPath, most_numbers: int) -> PathModes:
    """Modes along a path, at as many of its wave vectors as a bound on the amount of numbers allows.

    Args:
        most_numbers: bound on real numbers in the displacements; ends of segments are kept first.
    """
    indices = kept_points(path, most_numbers // (18 * dynamics.crystal.n_atoms**2))
    frequencies, displacements = [], []
    for start in range(0, len(indices), BATCH):
        chosen = indices[start : start + BATCH]
        modes = dynamics.modes(path.qpoints[chosen], path.directions[chosen])
        frequencies.append(modes.frequencies * THZ_TO_CM1)
        displacements.append(scaled_displacements(modes.eigenvectors, dynamics.crystal.masses))
    size = 3 * dynamics.crystal.n_atoms
    return PathModes(
        indices,
        np.concatenate([np.zeros((0, size)), *frequencies]),
        np.concatenate([np.zeros((0, size, size // 3, 3), dtype=complex), *displacements]),
    )


def scaled_displacements(
    eigenvectors: Complex[ndarray, "kept components modes"] | Float[ndarray, "kept components modes"],
    masses: Float[ndarray, "atoms"],
) -> Complex[ndarray, "kept modes atoms 3"]:
    """e/√m of mass-weighted eigenvectors (columns), scaled so that the longest of every mode is one."""
    kept, _, modes = eigenvectors.shape
    vectors = eigenvectors.transpose(0, 2, 1).reshape(kept, modes, len(masses), 3).astype(complex)
    vectors = vectors / np.sqrt(masses)[:, None]
    return vectors / np.linalg.norm(vectors, axis=-1).max(axis=-1)[..., None, None]


def kept_points(path: QPath, most: int) -> Int[ndarray, "kept"]:
    """Indices of at most `most` wave vectors: the ends of all segments, then evenly between them.

    Where not even the ends fit, those that come first along the path.
    """
    total = len(path.qpoints)
    if most >= total:
        return np.arange(total)
    ends = np.unique([index for segment in path.segments for index in (segment.start, segment.stop - 1)])
    if most <= len(ends):
        return ends[: max(most, 0)]
    inner = np.setdiff1d(np.arange(total), ends)
    chosen = np.linspace(0, len(inner) - 1, most - len(ends)).round().astype(np.int64)
    return np.unique(np.concatenate([ends, inner[chosen]]))
