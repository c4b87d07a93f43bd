"""Dynamical matrices at the wave vectors of a supercell, where force constants are exact without interpolation."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int
from numpy import ndarray

from mlrim.lattice.supercell import Supercell


class CommensurateMatrices(NamedTuple):
    """D(q) at one of every ±q pair; Γ is the first."""

    qpoints: Float[ndarray, "qpoints 3"]
    """In primitive reciprocal vectors."""
    weights: Float[ndarray, "qpoints"]
    """Share of the zone of every wave vector."""
    matrices: Complex[ndarray, "qpoints components components"]
    """Mass-weighted and Hermitian, eV/Å²/amu, in the convention exp(iq·R) with lattice vectors R."""


def commensurate_matrices(compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell) -> CommensurateMatrices:
    """D(q) of the total force constants of a supercell (eV/Å², canonical order)."""
    indices, weights = half_of_zone(supercell.commensurate_qpoints)
    qpoints = supercell.commensurate_qpoints[indices]
    crystal = supercell.crystal
    phases = np.exp(2j * np.pi * qpoints @ supercell.shifts.T)
    blocks = compact.reshape(crystal.n_atoms, crystal.n_atoms, supercell.n_cells, 3, 3)
    summed = np.einsum("ijkab,qk->qiajb", blocks, phases, optimize=True)
    size = 3 * crystal.n_atoms
    root_mass = np.sqrt(np.repeat(crystal.masses, 3))
    matrices = summed.reshape(-1, size, size) / (root_mass[:, None] * root_mass)
    return CommensurateMatrices(qpoints, weights, (matrices + matrices.conj().transpose(0, 2, 1)) / 2)


def half_of_zone(qpoints: Float[ndarray, "qpoints 3"]) -> tuple[Int[ndarray, "half"], Float[ndarray, "half"]]:
    """One of every ±q pair (modulo reciprocal lattice vectors), the first ones first, and its share of the zone."""
    keys = [tuple(np.round(np.mod(q + 1e-7, 1.0), 5)) for q in qpoints]
    mirrored = [tuple(np.round(np.mod(-q + 1e-7, 1.0), 5)) for q in qpoints]
    chosen: dict[tuple, int] = {}
    counts: dict[int, int] = {}
    for index, (key, mirror) in enumerate(zip(keys, mirrored, strict=True)):
        owner = chosen.get(mirror, chosen.setdefault(key, index))
        counts[owner] = counts.get(owner, 0) + 1
    return np.array(list(counts)), np.array(list(counts.values())) / len(qpoints)
