"""Modes on a regular mesh of wave vectors and the phonon density of states, total and per element."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.detection import point_group_rotations
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.qpath import regular_mesh

TRUNCATION = 6.0
"""The broadening function is followed this many standard deviations."""


@dataclass(frozen=True, eq=False)
class MeshModes:
    """Modes on a mesh that samples the Brillouin zone.

    Attributes:
        mesh: number of wave vectors along each reciprocal vector.
        qpoints: symmetry-inequivalent wave vectors, shape (qpoints, 3).
        weights: their share of the zone; the sum is one.
        frequencies: signed frequencies, THz, shape (qpoints, modes).
        element_weights: share of every element in every mode, by symbol, shape (qpoints, modes).
        eigenvectors: columns are modes, component 3·atom + axis, orthonormal. On a symmetry-reduced mesh only
            averages over equivalent atoms mean something.
    """

    mesh: tuple[int, int, int]
    qpoints: Float[ndarray, "qpoints 3"]
    weights: Float[ndarray, "qpoints"]
    frequencies: Float[ndarray, "qpoints modes"]
    element_weights: dict[str, Float[ndarray, "qpoints modes"]]
    eigenvectors: Complex[ndarray, "qpoints components modes"]


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """Density of states per primitive cell; its integral is the number of modes, three per atom.

    Attributes:
        frequencies: frequency grid, THz; negative values stand for imaginary modes.
        total: states per THz and primitive cell.
        projected: the same for the atoms of every element.
        broadening: standard deviation of the Gaussian that every mode is spread over, THz.
    """

    frequencies: Float[ndarray, "grid"]
    total: Float[ndarray, "grid"]
    projected: dict[str, Float[ndarray, "grid"]]
    broadening: float


def mesh_modes(dynamics: LatticeDynamics, mesh: tuple[int, int, int], batch: int = 128) -> MeshModes:
    """All modes on a symmetry-reduced mesh.

    Args:
        batch: wave vectors treated together; bounds the memory.
    """
    qpoints, weights, *_ = regular_mesh(dynamics.crystal, mesh)
    return _modes_at(dynamics, mesh, qpoints, weights, batch)


def refined_at_gamma(dynamics: LatticeDynamics, modes: MeshModes, levels: int = 3) -> MeshModes:
    """The same mesh with the cell around Γ divided into 27 parts, again and again.

    The three acoustic modes at Γ have no amplitude of their own, but their neighbourhood has a large one: ∫ d³q/ω²
    over the cell of Γ falls only with its edge. Each level leaves 1/27 of the weight and a third of that integral.

    Args:
        levels: how often the part that holds Γ is divided.
    """
    gamma = int(np.argmin(np.abs(modes.qpoints).sum(axis=1)))
    if np.abs(modes.qpoints[gamma]).max() > 1e-9:
        raise ValueError("only a mesh with Γ can be refined there")
    points, counts = _cell_points(dynamics, modes.mesh)
    weight = float(modes.weights[gamma])
    scales = 3.0 ** -np.arange(1, levels + 1)
    qpoints = np.concatenate([points * scale for scale in scales])
    weights = np.concatenate([weight * counts * scale**3 for scale in scales])
    inner = _modes_at(dynamics, modes.mesh, qpoints, weights)
    kept = modes.weights.copy()
    kept[gamma] = weight * scales[-1] ** 3
    return MeshModes(
        modes.mesh,
        np.concatenate([modes.qpoints, inner.qpoints]),
        np.concatenate([kept, inner.weights]),
        np.concatenate([modes.frequencies, inner.frequencies]),
        {
            key: np.concatenate([modes.element_weights[key], inner.element_weights[key]])
            for key in inner.element_weights
        },
        np.concatenate([modes.eigenvectors, inner.eigenvectors]),
    )


def _cell_points(
    dynamics: LatticeDynamics, mesh: tuple[int, int, int]
) -> tuple[Float[ndarray, "points 3"], Float[ndarray, "points"]]:
    """Γ's 26 neighbours on a mesh, without those that the point group or time reversal carries onto others."""
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    points = steps[np.any(steps != 0, axis=1)] / np.array(mesh, dtype=float)
    rotations = point_group_rotations(dynamics.crystal)
    images = np.round(np.einsum("oba,pb->poa", np.concatenate([rotations, -rotations]), points) * 1e6).astype(np.int64)
    keys = np.array([min(orbit.tolist()) for orbit in images])
    _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    return points[first], counts.astype(float)


def _modes_at(
    dynamics: LatticeDynamics,
    mesh: tuple[int, int, int],
    qpoints: Float[ndarray, "qpoints 3"],
    weights: Float[ndarray, "qpoints"],
    batch: int = 128,
) -> MeshModes:
    symbols = np.array(dynamics.crystal.symbols)
    elements = list(dict.fromkeys(symbols.tolist()))
    parts = [dynamics.modes(qpoints[start : start + batch]) for start in range(0, len(qpoints), batch)]
    frequencies = np.concatenate([part.frequencies for part in parts])
    eigenvectors = np.concatenate([part.eigenvectors for part in parts])
    atoms = np.abs(eigenvectors.reshape(len(qpoints), len(symbols), 3, -1)) ** 2
    shares = {element: atoms[:, symbols == element].sum(axis=(1, 2)) for element in elements}
    return MeshModes(mesh, qpoints, weights, frequencies, shares, eigenvectors)


def density_of_states(
    modes: MeshModes, grid: Float[ndarray, "grid"] | None = None, broadening: float | None = None
) -> DensityOfStates:
    """Gaussian-broadened density of states of a mesh, total and by element; see `density_of_frequencies`."""
    return density_of_frequencies(modes.frequencies, modes.weights, modes.element_weights, grid, broadening)


def density_of_frequencies(
    frequencies: Float[ndarray, "qpoints modes"],
    weights: Float[ndarray, "qpoints"],
    element_weights: Mapping[str, Float[ndarray, "qpoints modes"]],
    grid: Float[ndarray, "grid"] | None = None,
    broadening: float | None = None,
) -> DensityOfStates:
    """Gaussian-broadened density of states, normalised to three states per atom.

    Args:
        frequencies: signed, THz.
        weights: share of the zone of every wave vector.
        element_weights: share of every element in every mode; empty where it is not known.
        grid: frequencies (THz); by default a little wider than the spectrum, a fifth of the broadening apart.
        broadening: standard deviation, THz; by default 1 % of the highest frequency.
    """
    low, high = float(frequencies.min()), float(frequencies.max())
    broadening = max(0.01 * high, 1e-3) if broadening is None else broadening
    if grid is None:
        margin = TRUNCATION * broadening
        grid = np.arange(min(low, 0.0) - margin, high + margin + broadening / 5, broadening / 5)
    of_modes = np.broadcast_to(weights[:, None], frequencies.shape)
    projected = {
        element: _broadened(frequencies, of_modes * share, grid, broadening)
        for element, share in element_weights.items()
    }
    return DensityOfStates(grid, _broadened(frequencies, of_modes, grid, broadening), projected, broadening)


def _broadened(
    frequencies: Float[ndarray, "qpoints modes"],
    weights: Float[ndarray, "qpoints modes"],
    grid: Float[ndarray, "grid"],
    broadening: float,
) -> Float[ndarray, "grid"]:
    """Weighted Gaussians on a grid; modes are first collected in bins a tenth of the broadening wide."""
    width = broadening / 10
    flat = frequencies.ravel()
    bins = np.floor((flat - flat.min()) / width).astype(np.int64)
    population = np.bincount(bins)
    occupied = np.flatnonzero(population)
    centres = np.bincount(bins, flat)[occupied] / population[occupied]
    counts = np.bincount(bins, weights.ravel())[occupied]
    offset = (grid[:, None] - centres[None, :]) / broadening
    kernel = np.exp(-(offset**2) / 2) / (broadening * np.sqrt(2 * np.pi))
    return kernel @ counts
