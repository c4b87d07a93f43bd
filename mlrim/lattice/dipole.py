"""The dipole–dipole interaction of Born charges in an anisotropic dielectric, summed exactly.

Two point dipoles in a medium with dielectric tensor ε interact through −∇∇ of 1/(√det ε · Δ), Δ² = rᵀ ε⁻¹ r.
The lattice sum is split by a Gaussian into a reciprocal and a real-space part (Ewald); their sum does not depend on
the splitting. Source: X. Gonze and C. Lee, Phys. Rev. B 55, 10355 (1997), eqs. 69–75. Point charges q in vacuum are
the special case Z* = q·1, ε = 1, so that this is the Coulomb part of a rigid-ion model too.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Float, Int
from numpy import ndarray
from scipy.sparse import csr_array
from scipy.special import erfc

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import Pairs, concatenate_pairs, neighbour_pairs, on_site_pairs, pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.units import COULOMB_EV_ANGSTROM

DECAY = 5.6
"""Terms are summed until exp(−DECAY²) ≈ 2e-14 of the leading one."""

PHASES_AT_ONCE = 2_000_000
"""Bound on wave vectors × pairs handled at once, to keep memory small."""

REPAIR_RANGE = 6.0
"""Range (Å) of the short-ranged blocks that make the sum rule compatible with permutation symmetry."""


@dataclass(frozen=True, eq=False)
class DipoleInteraction:
    """Long-range force constants of a crystal from its Born charges and electronic dielectric tensor.

    Attributes:
        crystal: primitive cell.
        born_charges: Z*, e, shape (atoms, 3, 3); first index electric field, second index displacement.
        dielectric: ε∞, shape (3, 3), symmetric positive definite.
        ewald_parameter: width of the splitting, 1/Å, in the metric of ε; chosen for speed when not given.
    """

    crystal: Crystal
    born_charges: Float[ndarray, "atoms 3 3"]
    dielectric: Float[ndarray, "3 3"]
    ewald_parameter: float | None = None

    def __post_init__(self) -> None:
        dielectric = np.array(self.dielectric, dtype=float)
        if np.abs(dielectric - dielectric.T).max() > 1e-6 or np.linalg.eigvalsh(dielectric).min() <= 0:
            raise ValueError(
                f"the dielectric tensor must be symmetric and positive definite, not {dielectric.tolist()}"
            )
        object.__setattr__(self, "dielectric", dielectric)
        object.__setattr__(self, "born_charges", np.array(self.born_charges, dtype=float))

    def force_constants(self, qpoints: Float[ndarray, "qpoints 3"]) -> Complex[ndarray, "qpoints atoms atoms 3 3"]:
        """Φ_ij(q) = Σ_R Φ_ij(R) exp(iq·(r_j + R − r_i)), eV/Å², without the non-analytic term at q = 0.

        Args:
            qpoints: wave vectors in primitive reciprocal vectors (without 2π).
        """
        qpoints = np.atleast_2d(np.asarray(qpoints, dtype=float))
        pairs, vectors, blocks = self._real_space
        return self._reciprocal(qpoints) + self._fourier(qpoints, pairs, vectors, blocks)

    def non_analytic(self, direction: Float[ndarray, "3"]) -> Float[ndarray, "atoms atoms 3 3"]:
        """The term that the limit q → 0 along a Cartesian direction adds to Φ(q = 0), eV/Å²."""
        direction = np.asarray(direction, dtype=float)
        charges = direction @ self.born_charges
        prefactor = 4 * np.pi * COULOMB_EV_ANGSTROM / self.crystal.volume
        return prefactor * np.einsum("ia,jb->ijab", charges, charges) / (direction @ self.dielectric @ direction)

    def folded(self, supercell: Supercell) -> Float[ndarray, "atoms images 3 3"]:
        """The interaction in a supercell: for every image the sum over its periodic repetitions, eV/Å²."""
        qpoints = supercell.commensurate_qpoints
        unique, weights = _half_of_zone(qpoints)
        qpoints = qpoints[unique]
        tau = self.crystal.fractional
        home = np.exp(2j * np.pi * (qpoints @ tau.T))
        cell_phase = self.force_constants(qpoints) * (home[:, :, None] * home.conj()[:, None, :])[..., None, None]
        inverse = np.exp(-2j * np.pi * qpoints @ supercell.shifts.T) * weights[:, None] / supercell.n_cells
        compact = np.einsum("qijab,qk->ijkab", cell_phase, inverse, optimize=True).real
        return np.ascontiguousarray(compact.reshape(self.crystal.n_atoms, supercell.n_atoms, 3, 3))

    def near_field(self, smearing: float) -> PairForceConstants:
        """What point dipoles have more than dipoles of Gaussian charges; short-ranged, with the sum rule, eV/Å².

        Points have a pole at each other's place, ions have not: at a nearest neighbour the interaction of points is
        far larger than force constants are. It falls off as erfc(smearing · r); what is left of the interaction at
        long distance, its limit q → 0 above all, is the same.

        Args:
            smearing: 1/Å, √½ over the width of the charges.
        """
        narrow = replace(self, ewald_parameter=smearing * np.sqrt(np.trace(self.dielectric) / 3))
        pairs, _, blocks = narrow._bare_real_space
        between = pairs.i.size - self.crystal.n_atoms  # the last are on-site terms
        pairs, blocks = Pairs(*(part[:between] for part in pairs)), blocks[:between]
        row_sums = np.zeros((self.crystal.n_atoms, 3, 3))
        np.add.at(row_sums, pairs.i, blocks)
        symmetric = (row_sums + row_sums.swapaxes(1, 2)) / 2
        repair = self._antisymmetric_repair(row_sums - symmetric)
        return PairForceConstants(
            concatenate_pairs(pairs, on_site_pairs(self.crystal.n_atoms), repair[0]),
            np.concatenate([blocks, -symmetric, repair[2]]),
        )

    @cached_property
    def _width(self) -> float:
        """Ewald parameter Λ, 1/Å."""
        if self.ewald_parameter is not None:
            return float(self.ewald_parameter)
        scale = np.linalg.det(self.dielectric) ** (1 / 6)
        return 1.35 * np.sqrt(np.pi) * scale / self.crystal.volume ** (1 / 3)

    def _reciprocal(self, qpoints: Float[ndarray, "qpoints 3"]) -> Complex[ndarray, "qpoints atoms atoms 3 3"]:
        prefactor = 4 * np.pi * COULOMB_EV_ANGSTROM / self.crystal.volume
        charges = self.born_charges.transpose(1, 0, 2).reshape(3, -1)
        result = np.empty((len(qpoints), charges.shape[1], charges.shape[1]), dtype=complex)
        for index, qpoint in enumerate(qpoints):
            integers = self._reciprocal_points - np.round(qpoint).astype(np.int64)
            vectors = 2 * np.pi * (integers + qpoint) @ self.crystal.reciprocal
            screened = np.einsum("ka,ab,kb->k", vectors, self.dielectric, vectors)
            keep = (screened > 1e-14) & (screened < 4 * self._width**2 * DECAY**2)
            vectors, screened = vectors[keep], screened[keep]
            weight = np.sqrt(prefactor * np.exp(-screened / (4 * self._width**2)) / screened)
            phase = np.exp(-2j * np.pi * integers[keep] @ self.crystal.fractional.T)
            factors = (vectors @ charges) * np.repeat(phase, 3, axis=1) * weight[:, None]
            result[index] = factors.T.conj() @ factors
        return _as_blocks(result)

    @cached_property
    def _reciprocal_points(self) -> Int[ndarray, "points 3"]:
        """All G that can matter for a wave vector with coordinates in [−½, ½]."""
        radius = 2 * self._width * DECAY / np.sqrt(np.linalg.eigvalsh(self.dielectric).min()) / (2 * np.pi)
        limits = np.ceil(radius * np.linalg.norm(self.crystal.lattice, axis=1)).astype(int) + 1
        axes = [np.arange(-limit, limit + 1) for limit in limits]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        lengths = np.linalg.norm(points @ self.crystal.reciprocal, axis=1)
        margin = np.linalg.norm(self.crystal.reciprocal, axis=1).sum() / 2
        return points[lengths < radius + margin]

    def _fourier(
        self,
        qpoints: Float[ndarray, "qpoints 3"],
        pairs: Pairs,
        vectors: Float[ndarray, "pairs 3"],
        blocks: Float[ndarray, "pairs 3 3"],
    ) -> Complex[ndarray, "qpoints atoms atoms 3 3"]:
        """Σ_R of the blocks with the phases of their vectors."""
        n_atoms = self.crystal.n_atoms
        displacement = vectors @ self.crystal.reciprocal.T
        rows = ((pairs.i * n_atoms + pairs.j) * 9)[:, None] + np.arange(9)
        columns = np.broadcast_to(np.arange(len(pairs.i))[:, None], rows.shape)
        scatter = csr_array(
            (blocks.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape=(9 * n_atoms**2, len(pairs.i))
        )
        step = max(1, PHASES_AT_ONCE // max(1, len(pairs.i)))
        parts = [
            (scatter @ np.exp(2j * np.pi * (displacement @ qpoints[start : start + step].T))).T
            for start in range(0, len(qpoints), step)
        ]
        return np.concatenate(parts).reshape(-1, n_atoms, n_atoms, 3, 3)

    @cached_property
    def _real_space(self) -> tuple[Pairs, Float[ndarray, "pairs 3"], Float[ndarray, "pairs 3 3"]]:
        """Pairs, vectors and blocks of everything that is summed in real space, the sum-rule terms included."""
        bare = self._bare_real_space
        n_atoms = self.crystal.n_atoms
        gamma = np.zeros((1, 3))
        row_sums = (self._reciprocal(gamma) + self._fourier(gamma, *bare))[0].real.sum(axis=1)
        symmetric = (row_sums + row_sums.swapaxes(1, 2)) / 2
        repair = self._antisymmetric_repair(row_sums - symmetric)
        return (
            concatenate_pairs(bare[0], on_site_pairs(n_atoms), repair[0]),
            np.concatenate([bare[1], np.zeros((n_atoms, 3)), repair[1]]),
            np.concatenate([bare[2], -symmetric, repair[2]]),
        )

    def _antisymmetric_repair(
        self, excess: Float[ndarray, "atoms 3 3"]
    ) -> tuple[Pairs, Float[ndarray, "pairs 3"], Float[ndarray, "pairs 3 3"]]:
        """Short-ranged blocks w(r)(λ_j − λ_i) whose row sums are −excess.

        With general Born charges the row sums of the dipole interaction are not symmetric matrices, so that an
        on-site term cannot obey the sum rule and be symmetric at once. The antisymmetric excess A_i (Σ A_i = 0) is
        therefore carried by neighbours: λ solves the weighted graph Laplacian, which keeps Φ_ij(R) = Φ_ji(−R)ᵀ.
        """
        pairs = neighbour_pairs(self.crystal, REPAIR_RANGE)
        if np.abs(excess).max() < 1e-13:
            pairs = Pairs(*(part[:0] for part in pairs))
        vectors = pair_vectors(self.crystal, pairs)
        weights = (1 - np.einsum("pa,pa->p", vectors, vectors) / REPAIR_RANGE**2) ** 3
        laplacian = np.zeros((self.crystal.n_atoms, self.crystal.n_atoms))
        np.add.at(laplacian, (pairs.i, pairs.j), weights)
        laplacian -= np.diag(laplacian.sum(axis=1))
        potentials = np.linalg.pinv(laplacian, hermitian=True) @ -excess.reshape(-1, 9)
        blocks = weights[:, None] * (potentials[pairs.j] - potentials[pairs.i])
        return pairs, vectors, blocks.reshape(-1, 3, 3)

    @cached_property
    def _bare_real_space(self) -> tuple[Pairs, Float[ndarray, "pairs 3"], Float[ndarray, "pairs 3 3"]]:
        """The real-space half of the Ewald sum, the self term included, before the sum rule."""
        inverse = np.linalg.inv(self.dielectric)
        strength = COULOMB_EV_ANGSTROM / np.sqrt(np.linalg.det(self.dielectric))
        cutoff = DECAY / self._width / np.sqrt(np.linalg.eigvalsh(inverse).min())
        pairs = neighbour_pairs(self.crystal, cutoff)
        vectors = pair_vectors(self.crystal, pairs)
        inside = np.einsum("pa,ab,pb->p", vectors, inverse, vectors) < (DECAY / self._width) ** 2
        pairs, vectors = Pairs(*(part[inside] for part in pairs)), vectors[inside]
        tensors = _screened_dipole_tensors(vectors, inverse, self._width)
        own = -4 * self._width**3 / (3 * np.sqrt(np.pi)) * inverse
        pairs = concatenate_pairs(pairs, on_site_pairs(self.crystal.n_atoms))
        vectors = np.concatenate([vectors, np.zeros((self.crystal.n_atoms, 3))])
        tensors = np.concatenate([tensors, np.broadcast_to(own, (self.crystal.n_atoms, 3, 3))])
        charges = self.born_charges
        blocks = charges[pairs.i].swapaxes(1, 2) @ (strength * tensors) @ charges[pairs.j]
        return pairs, vectors, blocks


def _as_blocks(
    matrices: Complex[ndarray, "qpoints rows columns"],
) -> Complex[ndarray, "qpoints atoms atoms 3 3"]:
    n_atoms = matrices.shape[1] // 3
    return matrices.reshape(-1, n_atoms, 3, n_atoms, 3).transpose(0, 1, 3, 2, 4)


def _screened_dipole_tensors(
    vectors: Float[ndarray, "pairs 3"], inverse: Float[ndarray, "3 3"], width: float
) -> Float[ndarray, "pairs 3 3"]:
    """−∇∇ of erfc(Λ Δ)/Δ with Δ² = rᵀ ε⁻¹ r: force constants between unit dipoles, without e²/(4πε₀√det ε)."""
    covariant = vectors @ inverse
    distance = np.sqrt(np.einsum("pa,pa->p", covariant, vectors))
    gaussian = 2 * width / np.sqrt(np.pi) * np.exp(-((width * distance) ** 2))
    first = erfc(width * distance) / distance**3 + gaussian / distance**2
    second = 3 * first / distance**2 + 2 * width**2 * gaussian / distance**2
    return first[:, None, None] * inverse - second[:, None, None] * covariant[:, :, None] * covariant[:, None, :]


def dipole_blocks(
    vectors: Float[ndarray, "pairs 3"],
    pairs: Pairs,
    born_charges: Float[ndarray, "atoms 3 3"],
    dielectric: Float[ndarray, "3 3"],
) -> Float[ndarray, "pairs 3 3"]:
    """What single pairs add to the lattice sum: the interaction of two dipoles in the dielectric, eV/Å²."""
    strength = COULOMB_EV_ANGSTROM / np.sqrt(np.linalg.det(dielectric))
    tensors = _screened_dipole_tensors(vectors, np.linalg.inv(dielectric), 0.0)
    return born_charges[pairs.i].swapaxes(1, 2) @ (strength * tensors) @ born_charges[pairs.j]


def _half_of_zone(
    qpoints: Float[ndarray, "qpoints 3"],
) -> tuple[Int[ndarray, "half"], Float[ndarray, "half"]]:
    """One of every ±q pair (modulo reciprocal lattice vectors) and its multiplicity."""
    chosen: list[int] = []
    weights: list[float] = []
    seen: dict[tuple[int, ...], int] = {}
    for index, qpoint in enumerate(qpoints):
        opposite = _zone_key(-qpoint)
        if opposite in seen:
            weights[seen[opposite]] = 2.0
        else:
            seen[_zone_key(qpoint)] = len(chosen)
            chosen.append(index)
            weights.append(1.0)
    return np.array(chosen), np.array(weights)


def _zone_key(qpoint: Float[ndarray, "3"]) -> tuple[int, ...]:
    return tuple(np.round((qpoint - np.floor(qpoint + 1e-7)) * 1e6).astype(int).tolist())


def neutralize_born_charges(born_charges: Float[ndarray, "atoms 3 3"]) -> Float[ndarray, "atoms 3 3"]:
    """Spread the violation of Σ Z* = 0 evenly over the atoms."""
    return born_charges - born_charges.mean(axis=0, keepdims=True)
