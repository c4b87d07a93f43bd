"""Imposing on predicted force constants what every true Hessian obeys, and measuring how far they were from it.

Permutation, space group and the acoustic sum rule hold exactly afterwards. The on-site block that the sum rule
demands must itself be symmetric; its antisymmetric part, which predicted blocks may leave, is taken out of the pairs
by the smallest change in the weighted least-squares sense (a flow of antisymmetric matrices along the bonds).
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import (
    PairForceConstants,
    acoustic_residual,
    symmetrize_permutation,
    with_self_blocks,
)
from mlrim.lattice.neighbours import Pairs
from mlrim.lattice.symmetry import SpaceGroup, project_pairs


def impose_symmetry(
    force_constants: PairForceConstants, crystal: Crystal, group: SpaceGroup
) -> tuple[PairForceConstants, dict[str, float]]:
    """Force constants with space group, permutation and sum rule exact, and the residuals before (eV/Å²)."""
    raw = merge_pairs(force_constants)
    permuted = symmetrize_permutation(raw)
    projected = project_pairs(permuted, crystal, group)
    balanced, torque = balance_on_site(projected, crystal.n_atoms)
    residuals = {
        "acoustic_sum_rule": acoustic_residual(raw, crystal.n_atoms),
        "permutation": 2 * float(np.abs(raw.blocks - permuted.blocks).max()),
        "space_group": largest_difference(projected, permuted),
        "on_site_asymmetry": torque,
    }
    return with_self_blocks(*off_site(balanced), crystal.n_atoms), residuals


def merge_pairs(force_constants: PairForceConstants) -> PairForceConstants:
    """Every pair once, blocks of repeated pairs added, and the list closed under reversal."""
    pairs, blocks = force_constants
    rows = np.column_stack([pairs.i, pairs.j, pairs.shifts])
    reverse = np.column_stack([pairs.j, pairs.i, -pairs.shifts])
    distinct, inverse = np.unique(np.concatenate([rows, reverse]), axis=0, return_inverse=True)
    total = np.zeros((len(distinct), 3, 3))
    np.add.at(total, inverse.reshape(-1)[: len(rows)], blocks)
    return PairForceConstants(Pairs(distinct[:, 0], distinct[:, 1], distinct[:, 2:]), total)


def off_site(force_constants: PairForceConstants) -> PairForceConstants:
    """The force constants without the pairs of an atom with itself in the same cell."""
    pairs, blocks = force_constants
    others = ~((pairs.i == pairs.j) & np.all(pairs.shifts == 0, axis=1))
    return PairForceConstants(Pairs(*(part[others] for part in pairs)), blocks[others])


def balance_on_site(force_constants: PairForceConstants, n_atoms: int) -> tuple[PairForceConstants, float]:
    """Change the pairs as little as possible so that the blocks of every atom add up to a symmetric matrix.

    The change is W_ij = w_ij (u_i − u_j) with antisymmetric u and w the squared size of the block, which keeps
    permutation and space-group symmetry. Returned too is the largest antisymmetric element before, eV/Å².
    """
    pairs, blocks = off_site(force_constants)
    sums = np.zeros((n_atoms, 3, 3))
    np.add.at(sums, pairs.i, blocks)
    excess = (sums - sums.transpose(0, 2, 1)) / 2
    largest = float(np.abs(excess).max())
    if largest < 1e-13:
        return PairForceConstants(pairs, blocks), largest
    weights = np.sum(blocks**2, axis=(1, 2)) * (pairs.i != pairs.j)
    laplacian = np.zeros((n_atoms, n_atoms))
    np.add.at(laplacian, (pairs.i, pairs.i), weights)
    np.add.at(laplacian, (pairs.i, pairs.j), -weights)
    potential = -(np.linalg.pinv(laplacian, hermitian=True) @ excess.reshape(n_atoms, 9)).reshape(-1, 3, 3)
    change = weights[:, None, None] * (potential[pairs.i] - potential[pairs.j])
    return PairForceConstants(pairs, blocks + change), largest


def largest_difference(first: PairForceConstants, second: PairForceConstants) -> float:
    """Largest element of the difference of two sets of force constants."""
    joined = PairForceConstants(
        Pairs(*(np.concatenate(parts) for parts in zip(first.pairs, second.pairs, strict=True))),
        np.concatenate([first.blocks, -second.blocks]),
    )
    return _largest(merge_pairs(joined).blocks)


def _largest(blocks: Float[ndarray, "pairs 3 3"]) -> float:
    return float(np.abs(blocks).max()) if len(blocks) else 0.0
