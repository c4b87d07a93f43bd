"""Wave vectors: the standard path through the Brillouin zone, and regular meshes."""

import warnings
from typing import NamedTuple

import numpy as np
import seekpath
import spglib
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import point_group_rotations


class QPath(NamedTuple):
    """A path through the Brillouin zone, made of straight segments."""

    qpoints: Float[ndarray, "qpoints 3"]
    """In primitive reciprocal vectors (without 2π); the ends of segments are repeated."""
    distances: Float[ndarray, "qpoints"]
    """Length along the path, 1/Å without 2π; a jump between segments has no length."""
    directions: Float[ndarray, "qpoints 3"]
    """Cartesian direction of the segment, for the limit at Γ."""
    segments: list[slice]
    labels: list[tuple[str, str]]
    """Names of both ends of every segment, `Γ` for the zone centre."""


class QMesh(NamedTuple):
    """Wave vectors of a regular mesh that symmetry leaves, with weights that sum to one."""

    qpoints: Float[ndarray, "qpoints 3"]
    weights: Float[ndarray, "qpoints"]
    shape: tuple[int, int, int]
    mapping: Int[ndarray, "grid"]
    """For every point of the full mesh (first axis fastest) the index of the wave vector that stands for it."""


def standard_path(crystal: Crystal, spacing: float = 0.005) -> QPath:
    """The path of Hinuma et al. (seekpath), in the reciprocal vectors of the given cell.

    Lines that a special metric makes points, as in a rhombohedral crystal with right angles, are left out.

    Args:
        spacing: distance of neighbouring wave vectors, 1/Å without 2π.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = seekpath.get_path_orig_cell((crystal.lattice, crystal.fractional, crystal.numbers))
    points = found["point_coords"]
    path = [(first, last) for first, last in found["path"] if not np.allclose(points[first], points[last], atol=1e-8)]
    ends = [(np.array(points[first]), np.array(points[last])) for first, last in path]
    names = [(_pretty(first), _pretty(last)) for first, last in path]
    return path_through(crystal, ends, names, spacing)


def path_through(
    crystal: Crystal,
    ends: list[tuple[Float[ndarray, "3"], Float[ndarray, "3"]]],
    labels: list[tuple[str, str]],
    spacing: float = 0.005,
) -> QPath:
    """A path of straight segments between given ends (primitive reciprocal vectors)."""
    qpoints, distances, directions, segments = [], [], [], []
    travelled, start = 0.0, 0
    for first, last in ends:
        step = (np.asarray(last, dtype=float) - first) @ crystal.reciprocal
        length = float(np.linalg.norm(step))
        fractions = np.linspace(0, 1, max(2, round(length / spacing) + 1))
        qpoints.append(first + fractions[:, None] * (np.asarray(last) - first))
        distances.append(travelled + fractions * length)
        directions.append(np.broadcast_to(step / length, (len(fractions), 3)))
        segments.append(slice(start, start + len(fractions)))
        travelled, start = travelled + length, start + len(fractions)
    return QPath(np.concatenate(qpoints), np.concatenate(distances), np.concatenate(directions), segments, labels)


def regular_mesh(crystal: Crystal, shape: tuple[int, int, int], symmetry: bool = True) -> QMesh:
    """A Γ-centred mesh, reduced by time reversal and, unless `symmetry` is off, by the point group.

    Operations that do not carry the mesh onto itself are left out of the reduction.
    """
    rotations = point_group_rotations(crystal) if symmetry else np.eye(3, dtype=np.int64)[None]
    rotations = rotations[_keeps_mesh(rotations, shape)]
    stabilized = spglib.get_stabilized_reciprocal_mesh(shape, rotations, is_time_reversal=True)
    assert stabilized is not None, f"spglib made no mesh of shape {shape}"
    mapping, grid = stabilized
    representatives, inverse, counts = np.unique(mapping, return_inverse=True, return_counts=True)
    return QMesh(
        grid[representatives] / np.array(shape, dtype=float),
        counts / counts.sum(),
        shape,
        inverse.reshape(-1),
    )


def mesh_shape(crystal: Crystal, spacing: float = 0.02) -> tuple[int, int, int]:
    """Divisions of the reciprocal vectors so that neighbouring points are at most `spacing` apart (1/Å, no 2π).

    Reciprocal vectors that the point group mixes have the same divisions, so that the mesh has its symmetry.
    """
    lengths = np.linalg.norm(crystal.reciprocal, axis=1)
    divisions = np.maximum(1, np.ceil(lengths / spacing)).astype(int)
    mixed = np.any(point_group_rotations(crystal) != 0, axis=0)
    mixed = np.linalg.matrix_power((mixed | mixed.T).astype(int), 3) > 0
    first, second, third = (int(divisions[row].max()) for row in mixed)
    return first, second, third


def _keeps_mesh(rotations: Int[ndarray, "operations 3 3"], shape: tuple[int, int, int]) -> ndarray:
    """Which rotations carry a Γ-centred mesh onto itself: wave vectors n_i/m_i turn by the transposed matrices."""
    divisions = np.array(shape)
    products = rotations.swapaxes(1, 2) * divisions[None, :, None]
    return np.all(products % divisions[None, None, :] == 0, axis=(1, 2))


def _pretty(label: str) -> str:
    return {"GAMMA": "Γ"}.get(label, label)
