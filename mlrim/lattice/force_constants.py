"""Force constants on pairs (i, j, R) and their folding onto the atoms of a supercell.

Two forms of the same thing. *Pairs*: one 3×3 block Φ_ij(R) per pair, valid in the infinite crystal. *Compact*: an
array (atoms, images, 3, 3) over the images of a supercell in canonical order, in which all translations that coincide
modulo the supercell are summed. `fold` goes from the first to the second; `unfold` back, by sharing every block
equally among the shortest vectors, as phonopy does.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import Pairs, concatenate_pairs, on_site_pairs, pair_vectors, reverse_index
from mlrim.lattice.supercell import Supercell


class PairForceConstants(NamedTuple):
    """Force constants Φ_ij(R) = ∂²E/∂u_i∂u_j(R) on directed pairs, the on-site pairs (i, i, 0) among them."""

    pairs: Pairs
    blocks: Float[ndarray, "pairs 3 3"]
    """eV/Å²"""


def with_self_blocks(pairs: Pairs, blocks: Float[ndarray, "pairs 3 3"], n_atoms: int) -> PairForceConstants:
    """Add the on-site blocks that the acoustic sum rule demands: Φ_ii(0) = −Σ of all other blocks of atom i."""
    on_site = np.zeros((n_atoms, 3, 3))
    np.add.at(on_site, pairs.i, -blocks)
    return PairForceConstants(concatenate_pairs(pairs, on_site_pairs(n_atoms)), np.concatenate([blocks, on_site]))


def no_force_constants(n_atoms: int) -> PairForceConstants:
    """Force constants that are zero."""
    return PairForceConstants(on_site_pairs(n_atoms), np.zeros((n_atoms, 3, 3)))


def add(*terms: PairForceConstants) -> PairForceConstants:
    """The sum of several sets of force constants; a pair may be listed more than once."""
    return PairForceConstants(
        concatenate_pairs(*(term.pairs for term in terms)), np.concatenate([term.blocks for term in terms])
    )


def symmetrize_permutation(force_constants: PairForceConstants) -> PairForceConstants:
    """Average Φ_ij(R) with Φ_ji(−R)ᵀ; the list must hold each pair once and be closed under reversal."""
    reverse = reverse_index(force_constants.pairs)
    blocks = force_constants.blocks
    return force_constants._replace(blocks=(blocks + blocks[reverse].transpose(0, 2, 1)) / 2)


def acoustic_residual(force_constants: PairForceConstants, n_atoms: int) -> float:
    """Largest |Σ_jR Φ_ij(R)| over atoms and components, eV/Å²: zero when the acoustic sum rule holds."""
    total = np.zeros((n_atoms, 3, 3))
    np.add.at(total, force_constants.pairs.i, force_constants.blocks)
    return float(np.abs(total).max())


def truncate(force_constants: PairForceConstants, crystal: Crystal, cutoff: float) -> PairForceConstants:
    """Keep the pairs closer than `cutoff` (Å) and restore the acoustic sum rule on the on-site blocks."""
    lengths = np.linalg.norm(pair_vectors(crystal, force_constants.pairs), axis=1)
    keep = (lengths < cutoff) & (lengths > 1e-6)
    pairs = Pairs(*(part[keep] for part in force_constants.pairs))
    return with_self_blocks(pairs, force_constants.blocks[keep], crystal.n_atoms)


def fold(force_constants: PairForceConstants, supercell: Supercell) -> Float[ndarray, "atoms images 3 3"]:
    """Sum the blocks of all pairs that coincide modulo the supercell; compact, canonical order, eV/Å²."""
    pairs, n_images = force_constants.pairs, supercell.n_atoms
    compact = np.zeros((supercell.crystal.n_atoms * n_images, 3, 3))
    np.add.at(compact, pairs.i * n_images + supercell.image_index(pairs.j, pairs.shifts), force_constants.blocks)
    return compact.reshape(-1, n_images, 3, 3)


def unfold(compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell) -> PairForceConstants:
    """Share every block of a supercell among its equidistant shortest vectors; `fold` takes it back exactly."""
    pairs, image, weight = supercell.shortest_images()
    return PairForceConstants(pairs, compact[pairs.i, image] * weight[:, None, None])


def symmetrize_compact(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell
) -> Float[ndarray, "atoms images 3 3"]:
    """Impose permutation symmetry and the acoustic sum rule on compact force constants, exactly.

    The residue S_i of the sum rule is spread evenly over all images: the block between atoms i and j loses
    (S_i + S_jᵀ)/n − ΣS/n², which keeps the permutation symmetry.
    """
    n_atoms, n_images = compact.shape[:2]
    partner, cell = np.divmod(np.arange(n_images), supercell.n_cells)
    home = np.broadcast_to(np.arange(n_atoms)[:, None], (n_atoms, n_images))
    back = np.broadcast_to(-supercell.shifts[cell], (n_atoms, n_images, 3))
    mirrored = compact[partner[None, :], supercell.image_index(home, back)].swapaxes(-1, -2)
    compact = (compact + mirrored) / 2
    sums = compact.sum(axis=1)
    excess = (sums[:, None] + sums.swapaxes(1, 2)[None, :]) / n_atoms - sums.sum(axis=0) / n_atoms**2
    return compact - np.repeat(excess, supercell.n_cells, axis=1) / supercell.n_cells
