"""Fitting a rigid-ion model to one compound: to its force constants, or to Γ frequencies with modes told by overlap.

Free are one Born–Mayer amplitude per pair of species (opposite charges, and anions among themselves), one hardness ρ
for each of these two kinds, and the charge scale unless Born charges and ε∞ fix the long-range part. Amplitudes and
the square of the charge scale enter the force constants linearly, so that only the two ρ need a search (variable
projection).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Inexact, Int
from numpy import ndarray
from scipy.optimize import least_squares, linear_sum_assignment, minimize, nnls
from scipy.sparse import csr_array

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import frequencies_from_eigenvalues
from mlrim.lattice.neighbours import Pairs, neighbour_pairs, pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.rim.charges import formal_charges
from mlrim.rim.mode_space import ModeSpace
from mlrim.rim.pair_potentials import Buckingham, SpeciesInteraction
from mlrim.rim.rigid_ion import RigidIonModel, radial_blocks
from mlrim.units import SQRT_EIGENVALUE_TO_THZ

CUTOFF, SWITCH_WIDTH = 6.5, 1.5
"""Å"""
SOFTNESS_BOUNDS = (0.08, 0.8)
"""Å: limits of ρ"""
START_GRID = (0.12, 0.18, 0.26, 0.38)
"""Å: guesses of ρ that the search may begin from"""
START_SOFTNESS = (0.25, 0.35)
"""Å: first guess of ρ for opposite charges and for anions"""


class RigidIonFit(NamedTuple):
    """The outcome of a fit."""

    model: RigidIonModel
    charge_scale: float
    """Charge over oxidation state; of no meaning for the long-range part where Born charges were given."""
    softness: tuple[float, float]
    """ρ for opposite charges and for anions, Å."""
    residual: float
    """Relative: |D_fit − D|/|D| in mode space for force constants, |ω_fit − ω|/|ω| for frequencies."""


def fit_rigid_ion(
    crystal: Crystal,
    compact: Float[ndarray, "atoms images 3 3"],
    supercell: Supercell,
    *,
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
) -> RigidIonFit:
    """Least-squares fit to the total force constants of a supercell (eV/Å², canonical order), in their mode space.

    Args:
        born_charges, dielectric: Z* (e) and ε∞; where both are given the long-range part is theirs and not fitted.
    """
    basis = _Basis.of(crystal, supercell)
    total = np.asarray(compact, dtype=float)
    space = ModeSpace.of(total, supercell)
    fixed = _fixed_dipole(crystal, born_charges, dielectric)
    target = space.project(total if fixed is None else total - fixed.folded(supercell))
    coulomb = [space.project(basis.unit_coulomb.folded(supercell))] if fixed is None else []

    def solve(softness: tuple[float, float]) -> tuple[Float[ndarray, "parameters"], float]:
        columns = [space.project(column) for column in basis.columns(softness)]
        return _non_negative(coulomb + columns, target)

    softness = _best_softness(lambda softness: solve(softness)[1], basis)
    parameters, residual = solve(softness)
    return basis.result(parameters, softness, fixed is None, residual)


def fit_rigid_ion_to_gamma(
    crystal: Crystal,
    frequencies: Float[ndarray, "modes"],
    eigenvectors: Inexact[ndarray, "components modes"],
    *,
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
) -> RigidIonFit:
    """Least-squares fit to Γ frequencies (THz, signed, without LO–TO splitting); modes are told by overlap.

    Every mode of the model is compared with the given mode that its eigenvector resembles most, one to one
    (Hungarian assignment of |⟨e_model|e_given⟩|²), so that modes that cross during the fit keep their identity.

    Args:
        frequencies, eigenvectors: all modes at Γ; columns of `eigenvectors` are modes.
    """
    supercell = Supercell(crystal, np.eye(3, dtype=np.int64))
    basis = _Basis.of(crystal, supercell)
    fixed = _fixed_dipole(crystal, born_charges, dielectric)
    fitted_charge = fixed is None
    constant = np.zeros((3 * crystal.n_atoms,) * 2) if fixed is None else basis.matrix(fixed.folded(supercell))
    coulomb = basis.matrix(basis.unit_coulomb.folded(supercell)) if fitted_charge else None
    eigenvalues = np.sign(frequencies) * (frequencies / SQRT_EIGENVALUE_TO_THZ) ** 2
    given = (eigenvectors * eigenvalues) @ eigenvectors.conj().T
    start = _gamma_start(basis, given.real - constant, coulomb)
    residuals = _overlap_residuals(basis, constant, coulomb, frequencies, eigenvectors)
    fit = least_squares(residuals, start, bounds=_search_bounds(start), max_nfev=60)
    parameters, softness = np.exp(fit.x[:-2]), _softness(fit.x[-2:])
    residual = float(np.linalg.norm(fit.fun)) / max(float(np.linalg.norm(frequencies)), 1e-12)
    return basis.result(parameters, softness, fitted_charge, residual)


def assign_modes(
    model: Inexact[ndarray, "components modes"], given: Inexact[ndarray, "components modes"]
) -> Int[ndarray, "modes"]:
    """For every given mode the model mode that it overlaps with, one to one, with the largest total overlap."""
    overlap = np.abs(given.conj().T @ model) ** 2
    return linear_sum_assignment(-overlap)[1]


class _PairKind(NamedTuple):
    """All pairs of two species that share one amplitude."""

    species: tuple[int, int]
    softness_index: int
    members: Int[ndarray, "pairs"]
    shortest: float


@dataclass(frozen=True, eq=False)
class _Basis:
    """What a fit needs again and again: pairs, their kinds and where their blocks go."""

    crystal: Crystal
    formal: Float[ndarray, "atoms"]
    supercell: Supercell
    pairs: Pairs
    vectors: Float[ndarray, "pairs 3"]
    kinds: tuple[_PairKind, ...]

    @classmethod
    def of(cls, crystal: Crystal, supercell: Supercell) -> "_Basis":
        formal = formal_charges(crystal).charges
        pairs = neighbour_pairs(crystal, CUTOFF)
        vectors = pair_vectors(crystal, pairs)
        kinds = _pair_kinds(crystal, formal, pairs, np.linalg.norm(vectors, axis=1))
        return cls(crystal, formal, supercell, pairs, vectors, kinds)

    @cached_property
    def unit_coulomb(self) -> DipoleInteraction:
        """The Coulomb interaction of full oxidation states in vacuum."""
        return DipoleInteraction(self.crystal, self.formal[:, None, None] * np.eye(3), np.eye(3))

    def matrix(self, compact: Float[ndarray, "atoms atoms 3 3"]) -> Float[ndarray, "components components"]:
        """D(Γ) of force constants in the primitive cell."""
        root_mass = np.sqrt(np.repeat(self.crystal.masses, 3))
        size = len(root_mass)
        return compact.transpose(0, 2, 1, 3).reshape(size, size) / (root_mass[:, None] * root_mass)

    @cached_property
    def _scatter(self) -> csr_array:
        """Sums pair blocks into the supercell and takes them off the on-site block."""
        n_images, n_pairs = self.supercell.n_atoms, len(self.pairs.i)
        rows = self.pairs.i * n_images + self.supercell.image_index(self.pairs.j, self.pairs.shifts)
        home = self.pairs.i * n_images + self.pairs.i * self.supercell.n_cells
        columns = np.arange(n_pairs)
        return csr_array(
            (np.repeat([1.0, -1.0], n_pairs), (np.append(rows, home), np.append(columns, columns))),
            shape=(self.crystal.n_atoms * n_images, n_pairs),
        )

    def columns(self, softness: tuple[float, float]) -> list[Float[ndarray, "atoms images 3 3"]]:
        """Folded force constants of every kind with unit energy at its shortest distance."""
        result = []
        for kind in self.kinds:
            vectors = self.vectors[kind.members]
            distance = np.linalg.norm(vectors, axis=1)
            blocks = np.zeros((len(self.vectors), 9))
            potential = self._potential(kind, 1.0, softness)
            i, j = self.pairs.i[kind.members], self.pairs.j[kind.members]
            _, first, second = self._interaction({kind.species: potential}).derivatives(i, j, distance)
            blocks[kind.members] = radial_blocks(vectors, -second, -first / distance).reshape(-1, 9)
            compact = self._scatter @ blocks
            result.append(compact.reshape(self.crystal.n_atoms, self.supercell.n_atoms, 3, 3))
        return result

    def result(
        self,
        parameters: Float[ndarray, "parameters"],
        softness: tuple[float, float],
        fitted_charge: bool,
        residual: float,
    ) -> RigidIonFit:
        """The model with these amplitudes, and the square of the charge scale in front where it was fitted."""
        scale = float(np.sqrt(parameters[0])) if fitted_charge else 1.0
        amplitudes = parameters[1:] if fitted_charge else parameters
        potentials = {
            kind.species: self._potential(kind, float(amplitude), softness)
            for kind, amplitude in zip(self.kinds, amplitudes, strict=True)
        }
        model = RigidIonModel(self.crystal, self.formal * scale, self._interaction(potentials))
        return RigidIonFit(model, scale, softness, residual)

    def _potential(self, kind: _PairKind, energy: float, softness: tuple[float, float]) -> Buckingham:
        rho = softness[kind.softness_index]
        return Buckingham(energy * float(np.exp(kind.shortest / rho)), rho)

    def _interaction(self, potentials: dict[tuple[int, int], Buckingham]) -> SpeciesInteraction:
        return SpeciesInteraction(self.crystal.numbers, potentials, CUTOFF, SWITCH_WIDTH)


def _pair_kinds(
    crystal: Crystal, formal: Float[ndarray, "atoms"], pairs: Pairs, distance: Float[ndarray, "pairs"]
) -> tuple[_PairKind, ...]:
    """Species pairs that get an amplitude: opposite or zero charges (index 0) and anions (index 1)."""
    mean = {number: formal[crystal.numbers == number].mean() for number in set(crystal.numbers.tolist())}
    low = np.minimum(crystal.numbers[pairs.i], crystal.numbers[pairs.j])
    high = np.maximum(crystal.numbers[pairs.i], crystal.numbers[pairs.j])
    kinds = []
    for first, second in sorted(set(zip(low.tolist(), high.tolist(), strict=True))):
        if mean[first] > 0 and mean[second] > 0:
            continue
        members = np.flatnonzero((low == first) & (high == second))
        both_anions = mean[first] < 0 and mean[second] < 0
        kinds.append(_PairKind((first, second), int(both_anions), members, float(distance[members].min())))
    return tuple(kinds)


def _fixed_dipole(
    crystal: Crystal,
    born_charges: Float[ndarray, "atoms 3 3"] | None,
    dielectric: Float[ndarray, "3 3"] | None,
) -> DipoleInteraction | None:
    if born_charges is None or dielectric is None:
        return None
    return DipoleInteraction(crystal, born_charges, dielectric)


def _best_softness(residual: Callable[[tuple[float, float]], float], basis: _Basis) -> tuple[float, float]:
    """The ρ that leave the least residual: best of a coarse grid, then Nelder–Mead."""
    has_anion_pairs = any(kind.softness_index == 1 for kind in basis.kinds)
    anion_guesses = START_GRID if has_anion_pairs else START_SOFTNESS[1:]
    guesses = [(first, second) for first in START_GRID for second in anion_guesses]
    start = np.log(min(guesses, key=residual))
    search = minimize(
        lambda logarithms: residual(_softness(logarithms)),
        start,
        method="Nelder-Mead",
        options={
            "xatol": 0.01,
            "fatol": 1e-7,
            "maxfev": 60,
            "initial_simplex": start + np.array([[0.0, 0.0], [0.2, 0.0], [0.0, 0.2]]),
        },
    )
    return _softness(search.x)


def _non_negative(
    columns: list[Float[ndarray, "elements"]], target: Float[ndarray, "elements"]
) -> tuple[Float[ndarray, "parameters"], float]:
    """Best non-negative linear parameters and the relative residual that they leave."""
    if not columns:
        return np.zeros(0), 1.0
    design = np.stack(columns, axis=1)
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1.0
    orthogonal, triangle = np.linalg.qr(design / scale)
    parameters = nnls(triangle, orthogonal.T @ target)[0] / scale
    norm = max(float(np.linalg.norm(target)), 1e-12)
    return parameters, float(np.linalg.norm(design @ parameters - target)) / norm


def _gamma_start(
    basis: _Basis,
    target: Float[ndarray, "components components"],
    coulomb: Float[ndarray, "components components"] | None,
) -> Float[ndarray, "parameters"]:
    """Logarithms of parameters that fit D(Γ) itself: where the search for frequencies begins."""
    columns = [basis.matrix(column).reshape(-1) for column in basis.columns(START_SOFTNESS)]
    if coulomb is not None:
        columns = [coulomb.reshape(-1), *columns]
    parameters, _ = _non_negative(columns, target.reshape(-1))
    floor = 1e-3 * max(float(parameters.max(initial=0.0)), 1e-3)
    return np.log(np.append(np.maximum(parameters, floor), START_SOFTNESS))


def _overlap_residuals(
    basis: _Basis,
    constant: Float[ndarray, "components components"],
    coulomb: Float[ndarray, "components components"] | None,
    frequencies: Float[ndarray, "modes"],
    eigenvectors: Inexact[ndarray, "components modes"],
) -> Callable[[Float[ndarray, "parameters"]], Float[ndarray, "modes"]]:
    def residuals(logarithms: Float[ndarray, "parameters"]) -> Float[ndarray, "modes"]:
        columns = [basis.matrix(column) for column in basis.columns(_softness(logarithms[-2:]))]
        terms = np.array(([] if coulomb is None else [coulomb]) + columns)
        matrix = constant + np.tensordot(np.exp(logarithms[:-2]), terms, axes=1)
        eigenvalues, modes = np.linalg.eigh((matrix + matrix.T) / 2)
        return frequencies_from_eigenvalues(eigenvalues)[assign_modes(modes, eigenvectors)] - frequencies

    return residuals


def _softness(logarithms: Float[ndarray, "2"]) -> tuple[float, float]:
    low, high = SOFTNESS_BOUNDS
    first, second = np.clip(np.exp(np.clip(logarithms, -10, 10)), low, high)
    return float(first), float(second)


def _search_bounds(
    start: Float[ndarray, "parameters"],
) -> tuple[Float[ndarray, "parameters"], Float[ndarray, "parameters"]]:
    """A factor of a thousand down and a hundred up for amplitudes, and the limits of ρ."""
    lower, upper = start - np.log(1e3), start + np.log(1e2)
    lower[-2:], upper[-2:] = np.log(SOFTNESS_BOUNDS)[:, None]
    return lower, upper
