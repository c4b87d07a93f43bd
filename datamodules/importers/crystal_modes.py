"""Orthonormal, symmetry-adapted eigenvectors from modes that are printed with four decimals.

Rounding leaves every printed displacement wrong by up to half a unit of its last decimal. What the modes must obey
takes most of that away again: every level spans an invariant subspace of the point group, the three translations are
known exactly, and all modes are orthonormal. The modes are printed with the amplitude √(ħ/ω), so that soft modes are
known better than hard ones; where two are not orthogonal, the worse known one is changed more.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from datamodules.importers.crystal_text import CrystalOutput
from datamodules.importers.registry import RejectedInput
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from mlrim.vibrations.irreps import PointGroupAction

MAX_ROUNDS = 20
ORTHONORMAL = 1e-12
INVARIANT = 0.9
"""Smallest share of a level that may be left when its projector is averaged over the point group."""
SOFTEST = 0.01
"""cm⁻¹; below this an optical mode counts as known no better."""


def eigenvectors(output: CrystalOutput, action: PointGroupAction) -> Float[ndarray, "components modes"]:
    """Orthonormal mass-weighted eigenvectors as columns, in the order of the printed modes.

    The projector on every level is averaged over the point group; its leading eigenvectors, turned to those that were
    printed, are then made orthogonal to the translations and to each other.

    Raises:
        RejectedInput: the levels do not have the symmetry of the point group.
    """
    masses = output.crystal.masses
    printed = mass_weighted(output)
    adapted = np.empty_like(printed)
    for level in output.levels:
        given = _nearest_orthonormal(printed[:, level.members])
        shares, vectors = np.linalg.eigh(action.symmetrize(given @ given.T))
        if shares[-level.degeneracy] < INVARIANT:
            raise RejectedInput(
                f"the modes at {level.frequency} cm⁻¹ do not have the symmetry {action.symbol} of the crystal; "
                f"is symprec too large?"
            )
        adapted[:, level.members] = _turned_to(vectors[:, -level.degeneracy :], given)
    translations = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
    acoustic = acoustic_modes(adapted, masses)
    optical = np.setdiff1d(np.arange(adapted.shape[1]), acoustic)
    adapted[:, acoustic] = _turned_to(translations, adapted[:, acoustic])
    internal = adapted[:, optical] - translations @ (translations.T @ adapted[:, optical])
    adapted[:, optical] = _orthonormalized(internal, np.abs(output.frequencies[optical]), masses)
    return adapted


def mass_weighted(output: CrystalOutput) -> Float[ndarray, "components modes"]:
    """The printed displacements times √m, normalised: eigenvectors before anything is done to their rounding."""
    weighted = output.amplitudes * np.sqrt(np.repeat(output.crystal.masses, 3))[:, None]
    return weighted / np.linalg.norm(weighted, axis=0)


def acoustic_modes(vectors: Float[ndarray, "components modes"], masses: Float[ndarray, "atoms"]) -> Int[ndarray, "3"]:
    """Indices of the three modes most like uniform translations."""
    translations = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
    overlaps = np.sum((translations.T @ vectors) ** 2, axis=0)
    return np.sort(np.argsort(-overlaps, kind="stable")[:3])


def force_constants(
    vectors: Float[ndarray, "components modes"],
    frequencies: Float[ndarray, "modes"],
    masses: Float[ndarray, "atoms"],
) -> Float[ndarray, "atoms atoms 3 3"]:
    """Force constants (eV/Å²) at Γ that have these eigenvectors and signed frequencies (cm⁻¹)."""
    eigenvalues = np.sign(frequencies) * (frequencies / SQRT_EIGENVALUE_TO_CM1) ** 2
    root_mass = np.sqrt(np.repeat(masses, 3))
    matrix = (vectors * eigenvalues) @ vectors.T * root_mass[:, None] * root_mass[None, :]
    return matrix.reshape(len(masses), 3, len(masses), 3).transpose(0, 2, 1, 3)


def _orthonormalized(
    vectors: Float[ndarray, "components modes"],
    frequencies: Float[ndarray, "modes"],
    masses: Float[ndarray, "atoms"],
) -> Float[ndarray, "components modes"]:
    """Modes made orthonormal, the overlap of two taken from both in proportion to the variance their rounding gives it.

    An error of the printed displacements with variance s², the same for all atoms and modes, makes mode n overlap
    with mode m with a variance of s² ω_n/ħ Σ_k m_k e²_km.
    """
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    mean_mass = np.repeat(masses, 3) @ vectors**2
    variance = np.maximum(frequencies, SOFTEST)[:, None] * mean_mass[None, :]
    share = variance / (variance + variance.T)
    for _ in range(MAX_ROUNDS):
        excess = vectors.T @ vectors - np.eye(vectors.shape[1])
        if np.abs(excess).max() < ORTHONORMAL:
            break
        vectors = vectors - vectors @ (share * excess).T
    return _nearest_orthonormal(vectors)


def _nearest_orthonormal(vectors: Float[ndarray, "components columns"]) -> Float[ndarray, "components columns"]:
    """The orthonormal columns nearest to some normalised ones."""
    left, _, right = np.linalg.svd(vectors / np.linalg.norm(vectors, axis=0), full_matrices=False)
    return left @ right


def _turned_to(
    basis: Float[ndarray, "components columns"], vectors: Float[ndarray, "components columns"]
) -> Float[ndarray, "components columns"]:
    """An orthonormal basis, turned within the space it spans to be as near as possible to some vectors."""
    left, _, right = np.linalg.svd(basis.T @ vectors)
    return basis @ left @ right
