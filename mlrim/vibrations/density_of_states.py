"""Modes on a regular mesh of wave vectors and the phonon density of states, total and per element."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.qpath import regular_mesh

TRUNCATION = 6.0
"""The broadening function is followed this many standard deviations."""


@dataclass(frozen=True, eq=False)
class MeshModes:
    """Frequencies on a mesh that samples the Brillouin zone.

    Attributes:
        mesh: number of wave vectors along each reciprocal vector.
        qpoints: symmetry-inequivalent wave vectors, shape (qpoints, 3).
        weights: their share of the zone; the sum is one.
        frequencies: signed frequencies, THz, shape (qpoints, modes).
        element_weights: share of every element in every mode, by symbol, shape (qpoints, modes).
    """

    mesh: tuple[int, int, int]
    qpoints: Float[ndarray, "qpoints 3"]
    weights: Float[ndarray, "qpoints"]
    frequencies: Float[ndarray, "qpoints modes"]
    element_weights: dict[str, Float[ndarray, "qpoints modes"]]


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
    symbols = np.array(dynamics.crystal.symbols)
    elements = list(dict.fromkeys(symbols.tolist()))
    frequencies, shares = [], []
    for start in range(0, len(qpoints), batch):
        modes = dynamics.modes(qpoints[start : start + batch])
        frequencies.append(modes.frequencies)
        atoms = np.abs(modes.eigenvectors.reshape(len(modes.frequencies), len(symbols), 3, -1)) ** 2
        atoms = atoms.sum(axis=2)
        shares.append(np.stack([atoms[:, symbols == element].sum(axis=1) for element in elements]))
    joined = np.concatenate(shares, axis=1)
    return MeshModes(mesh, qpoints, weights, np.concatenate(frequencies), dict(zip(elements, joined, strict=True)))


def density_of_states(
    modes: MeshModes, grid: Float[ndarray, "grid"] | None = None, broadening: float | None = None
) -> DensityOfStates:
    """Gaussian-broadened density of states, normalised to three states per atom.

    Args:
        grid: frequencies (THz); by default a little wider than the spectrum, a fifth of the broadening apart.
        broadening: standard deviation, THz; by default 1 % of the highest frequency.
    """
    low, high = float(modes.frequencies.min()), float(modes.frequencies.max())
    broadening = max(0.01 * high, 1e-3) if broadening is None else broadening
    if grid is None:
        margin = TRUNCATION * broadening
        grid = np.arange(min(low, 0.0) - margin, high + margin + broadening / 5, broadening / 5)
    weights = np.broadcast_to(modes.weights[:, None], modes.frequencies.shape)
    projected = {
        element: _broadened(modes.frequencies, weights * share, grid, broadening)
        for element, share in modes.element_weights.items()
    }
    return DensityOfStates(grid, _broadened(modes.frequencies, weights, grid, broadening), projected, broadening)


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
