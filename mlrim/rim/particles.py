"""Charged particles that belong to atoms: cores and shells, their pairs, and their exact Coulomb interaction.

A shell may sit on its core or beside it. The core and the shell of one atom do not feel each other's charge; their
Gaussian part, which the reciprocal sum contains, is taken out by a function that is regular at zero distance.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int
from numpy import ndarray
from scipy.special import erf, erfc, factorial

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.rim.pair_potentials import PairInteraction
from mlrim.rim.transfer import CovalentSprings
from mlrim.units import COULOMB_EV_ANGSTROM

DECAY = 6.2
"""Ewald terms are summed until exp(−DECAY²) ≈ 2e-17 of the leading one."""


class PairTerms(NamedTuple):
    """Interactions of directed particle pairs (a, b): energies and derivatives with respect to the vector between.

    The second derivative of V(r) is slope · 1 + bend · r rᵀ with slope = V′/r and bend = (V″ − V′/r)/r².
    """

    a: Int[ndarray, "pairs"]
    b: Int[ndarray, "pairs"]
    vectors: Float[ndarray, "pairs 3"]
    atom_vectors: Float[ndarray, "pairs 3"]
    """Between the atoms that the particles belong to: the phase of a wave."""
    energy: Float[ndarray, "pairs"]
    slope: Float[ndarray, "pairs"]
    bend: Float[ndarray, "pairs"]

    @property
    def blocks(self) -> Float[ndarray, "pairs 3 3"]:
        """∂²V/∂x_a∂x_b, eV/Å²."""
        outer = self.vectors[:, :, None] * self.vectors[:, None, :]
        return -self.slope[:, None, None] * np.eye(3) - self.bend[:, None, None] * outer


@dataclass(frozen=True, eq=False)
class Particles:
    """Cores, one per atom and in their order, followed by shells.

    Attributes:
        crystal: the atoms; cores sit on them.
        atom: the atom of every particle, shape (particles,).
        offsets: position relative to that atom, Å, shape (particles, 3).
        charges: e, shape (particles,); neutral in sum.
    """

    crystal: Crystal
    atom: Int[ndarray, "particles"]
    offsets: Float[ndarray, "particles 3"]
    charges: Float[ndarray, "particles"]

    @property
    def n_cores(self) -> int:
        """Number of cores, which is that of atoms."""
        return self.crystal.n_atoms

    @cached_property
    def outermost(self) -> Int[ndarray, "atoms"]:
        """The particle that short-range forces act on: the shell, or the core of a rigid atom."""
        outermost = np.arange(self.n_cores)
        outermost[self.atom[self.n_cores :]] = np.arange(self.n_cores, len(self.atom))
        return outermost

    def short_range(self, interaction: PairInteraction) -> PairTerms:
        """Pair potentials between the outermost particles; a margin in the search covers their offsets."""
        reach = interaction.cutoff + 2 * float(np.linalg.norm(self.offsets, axis=1).max(initial=0.0))
        pairs = neighbour_pairs(self.crystal, reach)
        atom_vectors = pair_vectors(self.crystal, pairs)
        a, b = self.outermost[pairs.i], self.outermost[pairs.j]
        vectors = atom_vectors + self.offsets[b] - self.offsets[a]
        distance = np.linalg.norm(vectors, axis=1)
        value, first, second = interaction.derivatives(pairs.i, pairs.j, distance)
        slope = first / distance
        return PairTerms(a, b, vectors, atom_vectors, value, slope, (second - slope) / distance**2)

    def springs(self, stiffness: Float[ndarray, "shells"]) -> PairTerms:
        """Harmonic springs between every shell and its core, both directions, eV/Å²."""
        a, b, vectors = self._core_shell
        both = np.tile(stiffness, 2)
        energy = both * (vectors**2).sum(axis=1) / 2
        return PairTerms(a, b, vectors, np.zeros_like(vectors), energy, both, np.zeros_like(both))

    def bonds(self, springs: CovalentSprings) -> PairTerms:
        """Springs between cores that are at rest in the given structure: curvature without energy or force."""
        pairs = neighbour_pairs(self.crystal, springs.cutoff)
        vectors = pair_vectors(self.crystal, pairs)
        distance = np.linalg.norm(vectors, axis=1)
        longitudinal, transverse = springs.stiffness(pairs.i, pairs.j, distance)
        bend = (longitudinal - transverse) / distance**2
        return PairTerms(pairs.i, pairs.j, vectors, vectors, np.zeros_like(distance), transverse, bend)

    # --- Coulomb ------------------------------------------------------------------------------------------------

    @cached_property
    def width(self) -> float:
        """Ewald parameter, 1/Å."""
        return float(1.9 * np.sqrt(np.pi) / self.crystal.volume ** (1 / 3))

    @cached_property
    def near_coulomb(self) -> PairTerms:
        """Real-space part of the Ewald sum, and the correction for cores and shells of the same atom."""
        pairs = neighbour_pairs(self.crystal, DECAY / self.width)
        atom_vectors = pair_vectors(self.crystal, pairs)
        choices = [
            (first[pairs.i], second[pairs.j])
            for first in (np.arange(self.n_cores), self._shell_of_atom)
            for second in (np.arange(self.n_cores), self._shell_of_atom)
        ]
        present = [(a >= 0) & (b >= 0) for a, b in choices]
        a = np.concatenate([a[keep] for (a, _), keep in zip(choices, present, strict=True)])
        b = np.concatenate([b[keep] for (_, b), keep in zip(choices, present, strict=True)])
        atom_vectors = np.concatenate([atom_vectors[keep] for keep in present])
        vectors = atom_vectors + self.offsets[b] - self.offsets[a]
        strength = COULOMB_EV_ANGSTROM * self.charges[a] * self.charges[b]
        outer = PairTerms(a, b, vectors, atom_vectors, *_screened(vectors, self.width, strength))
        return _joined(outer, self._intra_atomic_correction())

    def _intra_atomic_correction(self) -> PairTerms:
        """Minus the Gaussian part between core and shell of one atom, and of every particle with itself."""
        a, b, vectors = self._core_shell
        everyone = np.arange(len(self.atom))
        a, b = np.append(a, everyone), np.append(b, everyone)
        vectors = np.concatenate([vectors, np.zeros((len(everyone), 3))])
        strength = -COULOMB_EV_ANGSTROM * self.charges[a] * self.charges[b]
        terms = _gaussian(vectors, self.width, strength)
        return PairTerms(a, b, vectors, np.zeros_like(vectors), *terms)

    @cached_property
    def _core_shell(self) -> tuple[Int[ndarray, "pairs"], Int[ndarray, "pairs"], Float[ndarray, "pairs 3"]]:
        shells = np.arange(self.n_cores, len(self.atom))
        cores = self.atom[shells]
        a, b = np.append(cores, shells), np.append(shells, cores)
        return a, b, self.offsets[b] - self.offsets[a]

    @cached_property
    def _shell_of_atom(self) -> Int[ndarray, "atoms"]:
        """The shell of every atom, −1 where there is none."""
        return np.where(self.outermost >= self.n_cores, self.outermost, -1)

    def coulomb_energy_gradient(self) -> tuple[float, Float[ndarray, "particles 3"]]:
        """Coulomb energy of a cell (eV) and its derivative with respect to the particles' positions (eV/Å)."""
        energy, gradient = energy_gradient(self.near_coulomb, len(self.atom))
        vectors, integers, kernel = self._reciprocal_terms(np.zeros(3))
        phases = self._phases(vectors, integers).conj() * self.charges
        structure = phases.sum(axis=1)
        energy += float((kernel * np.abs(structure) ** 2).sum() / 2)
        weights = (structure.conj()[:, None] * phases).imag * kernel[:, None]
        return energy, gradient - weights.T @ vectors

    def coulomb_hessian(
        self, qpoints: Float[ndarray, "qpoints 3"]
    ) -> Complex[ndarray, "qpoints components components"]:
        """∂²E/∂x_a∂x_b at wave vectors before the sum rule, conducting boundary at q = 0, eV/Å²."""
        result = pair_hessian(self.near_coulomb, self.crystal, len(self.atom), qpoints)
        for matrix, qpoint in zip(result, qpoints, strict=True):
            vectors, integers, kernel = self._reciprocal_terms(qpoint)
            factors = self._phases(vectors, integers) * self.charges * np.sqrt(kernel)[:, None]
            stacked = (factors[:, :, None] * vectors[:, None, :]).reshape(len(vectors), -1)
            matrix += stacked.conj().T @ stacked
        return result

    def _phases(
        self, vectors: Float[ndarray, "terms 3"], integers: Int[ndarray, "terms 3"]
    ) -> Complex[ndarray, "terms particles"]:
        lattice = 2 * np.pi * integers @ self.crystal.fractional[self.atom].T
        return np.exp(-1j * (lattice + vectors @ self.offsets.T))

    def _reciprocal_terms(
        self, qpoint: Float[ndarray, "3"]
    ) -> tuple[Float[ndarray, "terms 3"], Int[ndarray, "terms 3"], Float[ndarray, "terms"]]:
        """K = q + G, G in integers, and 4π e²/(4πε₀ V) exp(−K²/4Λ²)/K²."""
        vectors = 2 * np.pi * (self._reciprocal_points + qpoint) @ self.crystal.reciprocal
        squares = (vectors**2).sum(axis=1)
        keep = (squares > 1e-14) & (squares < (2 * self.width * DECAY) ** 2)
        prefactor = 4 * np.pi * COULOMB_EV_ANGSTROM / self.crystal.volume
        kernel = prefactor * np.exp(-squares[keep] / (4 * self.width**2)) / squares[keep]
        return vectors[keep], self._reciprocal_points[keep], kernel

    @cached_property
    def _reciprocal_points(self) -> Int[ndarray, "points 3"]:
        radius = self.width * DECAY / np.pi
        limits = np.ceil(radius * np.linalg.norm(self.crystal.lattice, axis=1)).astype(int) + 1
        axes = [np.arange(-limit, limit + 1) for limit in limits]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        margin = np.linalg.norm(self.crystal.reciprocal, axis=1).sum()
        return points[np.linalg.norm(points @ self.crystal.reciprocal, axis=1) < radius + margin]


def energy_gradient(terms: PairTerms, n_particles: int) -> tuple[float, Float[ndarray, "particles 3"]]:
    """Energy (eV) and gradient (eV/Å) of pair terms."""
    pull = -terms.slope[:, None] * terms.vectors
    gradient = np.stack([np.bincount(terms.a, pull[:, axis], minlength=n_particles) for axis in range(3)], axis=1)
    return float(terms.energy.sum() / 2), gradient


def pair_hessian(
    terms: PairTerms, crystal: Crystal, n_particles: int, qpoints: Float[ndarray, "qpoints 3"]
) -> Complex[ndarray, "qpoints components components"]:
    """∂²E/∂x_a∂x_b of pair terms at wave vectors, phases by the atoms' positions, before the sum rule."""
    flat = terms.a * n_particles + terms.b
    order = np.argsort(flat, kind="stable")
    occupied, starts = np.unique(flat[order], return_index=True)
    blocks = terms.blocks.reshape(-1, 9)[order]
    displacement = (terms.atom_vectors @ crystal.reciprocal.T)[order]
    result = np.zeros((len(qpoints), n_particles**2, 9), dtype=complex)
    for matrix, qpoint in zip(result, qpoints, strict=True):
        phase = np.exp(2j * np.pi * (displacement @ qpoint))
        if len(flat):
            matrix[occupied] = np.add.reduceat(blocks * phase[:, None], starts, axis=0)
    stacked = result.reshape(-1, n_particles, n_particles, 3, 3).transpose(0, 1, 3, 2, 4)
    return stacked.reshape(len(qpoints), 3 * n_particles, 3 * n_particles)


def _joined(*terms: PairTerms) -> PairTerms:
    return PairTerms(*(np.concatenate(parts) for parts in zip(*terms, strict=True)))


class _Radial(NamedTuple):
    energy: Float[ndarray, "pairs"]
    slope: Float[ndarray, "pairs"]
    bend: Float[ndarray, "pairs"]


def _screened(vectors: Float[ndarray, "pairs 3"], width: float, strength: Float[ndarray, "pairs"]) -> _Radial:
    """strength · erfc(Λr)/r."""
    distance = np.linalg.norm(vectors, axis=1)
    bare = erfc(width * distance) / distance
    gaussian = 2 * width / np.sqrt(np.pi) * np.exp(-((width * distance) ** 2))
    slope = -(bare + gaussian) / distance**2
    bend = (3 * (bare + gaussian) / distance**2 + 2 * width**2 * gaussian) / distance**2
    return _Radial(strength * bare, strength * slope, strength * bend)


def _gaussian(vectors: Float[ndarray, "pairs 3"], width: float, strength: Float[ndarray, "pairs"]) -> _Radial:
    """strength · erf(Λr)/r, by its power series where Λr < 1, so that r = 0 is regular."""
    x = width * np.linalg.norm(vectors, axis=1)
    energy, slope, bend = _gaussian_series(np.minimum(x, 1.0))
    far = x >= 1.0
    if np.any(far):
        y = x[far]
        value, bell = erf(y) / y, 2 / np.sqrt(np.pi) * np.exp(-(y**2))
        energy[far] = value
        slope[far] = (bell - value) / y**2
        bend[far] = (3 * (value - bell) / y**2 - 2 * bell) / y**2
    return _Radial(strength * width * energy, strength * width**3 * slope, strength * width**5 * bend)


def _gaussian_series(x: Float[ndarray, "pairs"]) -> _Radial:
    """erf(x)/x, its slope and bend from erf(x)/x = (2/√π) Σ (−1)ⁿ x²ⁿ/(n! (2n + 1))."""
    n = np.arange(22)
    coefficients = 2 / np.sqrt(np.pi) * (-1.0) ** n / (factorial(n) * (2 * n + 1))
    powers = x[:, None] ** (2 * n)
    slope = powers[:, :-1] @ (coefficients * 2 * n)[1:]
    bend = powers[:, :-2] @ (coefficients * 2 * n * (2 * n - 2))[2:]
    return _Radial(powers @ coefficients, slope, bend)
