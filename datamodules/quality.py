"""Figures that say how far a record can be trusted, and the filter that decides on them.

A record keeps its figures whatever they are; filters choose at training time. Only what cannot become a record at
all is rejected when a data set is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.dynamics import frequencies_from_eigenvalues
from mlrim.lattice.supercell import Supercell


@dataclass(frozen=True)
class QualityLimits:
    """Which records are good enough to train on.

    Attributes:
        min_gamma_thz: lowest frequency allowed at Γ, THz (negative means imaginary); −0.5 is the ML-RIM paper's.
        min_commensurate_thz: lowest frequency allowed at the wave vectors of the supercell, THz.
        max_dielectric: largest trace(ε∞)/3 allowed; larger values mean a compound that is nearly a metal.
        max_born_charge: largest component |Z*| allowed, e.
        max_acoustic_thz: largest acoustic frequency at Γ before symmetrisation, THz: noise of the forces.
    """

    min_gamma_thz: float = -0.5
    min_commensurate_thz: float = -float("inf")
    max_dielectric: float = 30.0
    max_born_charge: float = 10.0
    max_acoustic_thz: float = 0.5


DECIMALS = 6
"""Stored frequencies (THz) and residuals are rounded to so many decimals, below which runs differ by arithmetic."""


def quality_flags(quality: Mapping[str, float], limits: QualityLimits) -> tuple[str, ...]:
    """The limits that a record breaks, each as a readable reason; an absent figure breaks none.

    >>> quality_flags({"min_gamma_thz": -2.0, "born_max": 3.1}, QualityLimits())
    ('min_gamma_thz -2 < -0.5',)
    """
    lower = {"min_gamma_thz": limits.min_gamma_thz, "min_commensurate_thz": limits.min_commensurate_thz}
    upper = {
        "dielectric_mean": limits.max_dielectric,
        "born_max": limits.max_born_charge,
        "acoustic_thz": limits.max_acoustic_thz,
    }
    below = [(name, "<", limit) for name, limit in lower.items() if quality.get(name, limit) < limit]
    above = [(name, ">", limit) for name, limit in upper.items() if quality.get(name, limit) > limit]
    return tuple(f"{name} {quality[name]:.4g} {sign} {limit:.4g}" for name, sign, limit in below + above)


def force_constant_quality(
    raw: Float[ndarray, "atoms images 3 3"], compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell
) -> dict[str, float]:
    """Figures of force constants.

    Args:
        raw: as they came from the forces, eV/Å².
        compact: the same after symmetrisation.
    """
    frequencies = commensurate_frequencies(compact, supercell)
    return {
        "sum_rule_residual": round(float(np.abs(raw.sum(axis=1)).max()), DECIMALS),
        "acoustic_thz": round(acoustic_frequency(raw, supercell), DECIMALS),
        "min_gamma_thz": float(frequencies[0].min()),
        "max_gamma_thz": float(frequencies[0].max()),
        "min_commensurate_thz": float(frequencies.min()),
    }


def dielectric_quality(
    raw_born: Float[ndarray, "atoms 3 3"], raw_dielectric: Float[ndarray, "3 3"]
) -> dict[str, float]:
    """Figures of Born charges (e) and ε∞ as they came."""
    return {
        "born_max": float(np.abs(raw_born).max()),
        "born_neutrality": float(np.abs(raw_born.sum(axis=0)).max()),
        "dielectric_mean": float(np.trace(raw_dielectric) / 3),
        "dielectric_asymmetry": float(np.abs(raw_dielectric - raw_dielectric.T).max()),
    }


def acoustic_frequency(compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell) -> float:
    """Largest |frequency| of the three modes at Γ that are most like translations, THz; zero under the sum rule."""
    matrix = dynamical_matrices(compact, supercell, np.zeros((1, 3)))[0].real
    eigenvalues, eigenvectors = np.linalg.eigh(matrix)
    masses = supercell.crystal.masses
    translations = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
    overlap = ((translations.T @ eigenvectors) ** 2).sum(axis=0)
    acoustic = np.argsort(-overlap, kind="stable")[:3]
    return float(np.abs(frequencies_from_eigenvalues(eigenvalues[acoustic])).max())


def commensurate_frequencies(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell
) -> Float[ndarray, "cells modes"]:
    """Frequencies (THz) at the wave vectors of the supercell, Γ first, without the non-analytic term."""
    matrices = dynamical_matrices(compact, supercell, supercell.commensurate_qpoints)
    frequencies = frequencies_from_eigenvalues(np.linalg.eigvalsh(matrices))
    return np.round(frequencies, DECIMALS) + 0.0


def dynamical_matrices(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, qpoints: Float[ndarray, "qpoints 3"]
) -> Complex[ndarray, "qpoints components components"]:
    """Hermitian D(q), eV/Å²/amu, at commensurate wave vectors, where any image of an atom gives the same phase."""
    n_atoms, n_cells = supercell.crystal.n_atoms, supercell.n_cells
    phases = np.exp(2j * np.pi * qpoints @ supercell.shifts.T)
    blocks = compact.reshape(n_atoms, n_atoms, n_cells, 3, 3).transpose(0, 3, 1, 4, 2).reshape(-1, n_cells)
    matrices = (phases @ blocks.T).reshape(len(qpoints), 3 * n_atoms, 3 * n_atoms)
    root_mass = np.sqrt(np.repeat(supercell.crystal.masses, 3))
    matrices = matrices / (root_mass[:, None] * root_mass[None, :])
    return (matrices + matrices.conj().transpose(0, 2, 1)) / 2
