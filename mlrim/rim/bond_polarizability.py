"""Raman tensors of any crystal from the bond-polarisability model (Wolkenstein), without a fit to the compound.

The polarisability of a cell is a sum over bonds, each with α∥ along it and α⊥ across,
α_ij = ⅓(α∥ + 2α⊥) δ_ij + (α∥ − α⊥)(r̂_i r̂_j − ⅓δ_ij). Moving one end of a bond of length r changes it by

    ∂α_ij/∂r_k = ⅓(α∥′ + 2α⊥′) δ_ij r̂_k + (α∥′ − α⊥′)(r̂_i r̂_j − ⅓δ_ij) r̂_k
                 + (α∥ − α⊥)/r · (δ_ik r̂_j + δ_jk r̂_i − 2 r̂_i r̂_j r̂_k),

and the other end by the opposite, so that uniform translations change nothing. All pairs of atoms are bonds, with a
weight w = exp(−6 (r/s − 1)) that falls smoothly with the distance (s: sum of the covalent radii) and ends at 6 Å. The
three parameters of a bond are w s² (or, for the last, w s³/r) times quadratic functions of three properties of the
two elements: mean electronegativity, difference of the electronegativities and s. They hold for all compounds.

Source: M. V. Wolkenstein, C. R. Acad. Sci. URSS 30, 791 (1941); D. A. Long, Proc. R. Soc. A 217, 203 (1953);
P. Umari, A. Pasquarello and A. Dal Corso, Phys. Rev. B 63, 094305 (2001) for solids.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from ase.data import covalent_radii
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import Pairs, neighbour_pairs, pair_vectors
from mlrim.rim.charges import pauling_electronegativity
from mlrim.rim.pair_potentials import switch_factor

CUTOFF, SWITCH_WIDTH = 6.0, 2.0
"""Å: weights go smoothly to zero between 4 and 6 Å."""
DECAY = 6.0
"""Decay of the weight per relative elongation r/s."""
BONDED = 0.5
"""Pairs of larger weight count as bonds when the range of properties that a fit has seen is noted."""
CENTRE = np.array([2.3, 1.0, 2.3])
"""Typical mean and difference of electronegativity and sum of radii (Å); properties are relative to it."""
TERMS = 10
"""Terms of a quadratic function of three properties."""
RIDGE = 1e-3
"""Penalty on every coefficient, relative to its weight in the average compound."""
ISOTROPIC_WEIGHT, ANISOTROPIC_WEIGHT = np.sqrt(45.0), np.sqrt(10.5)
"""Weights of trace/3 and of the traceless part that make the squared error the activity 45a² + 7γ² of the error."""


@dataclass(frozen=True, eq=False)
class BondPolarizability:
    """Coefficients of the model for all elements.

    Attributes:
        coefficients: of ⅓(α∥′ + 2α⊥′)/s², (α∥′ − α⊥′)/s² and (α∥ − α⊥)/s³, each for 1, the three properties and their
            products, at r = s.
        lowest, highest: range of the properties among the bonds of the fit; beyond it the nearest value is used.
        source: what it was fitted to.
        scale, exponent: where ε∞ is known, tensors are multiplied by scale · (tr ε∞/3 − 1)^exponent.
    """

    coefficients: Float[ndarray, "3 10"]
    lowest: Float[ndarray, "3"]
    highest: Float[ndarray, "3"]
    source: str
    scale: float = 1.0
    exponent: float = 0.0

    def magnitude(self, dielectric: Float[ndarray, "3 3"]) -> float:
        """Factor that ε∞ suggests for all tensors of a compound; one where there is no polarisable medium."""
        susceptibility = float(np.trace(dielectric)) / 3 - 1
        return self.scale * susceptibility**self.exponent if susceptibility > 0 else 1.0


class Bonds(NamedTuple):
    """All pairs with their weights and what their parameters depend on."""

    pairs: Pairs
    directions: Float[ndarray, "pairs 3"]
    sizes: Float[ndarray, "pairs"]
    """Sum of the covalent radii, Å."""
    distances: Float[ndarray, "pairs"]
    """Å"""
    weights: Float[ndarray, "pairs"]
    properties: Float[ndarray, "pairs 3"]


def bond_polarizability_tensors(
    crystal: Crystal,
    parameters: BondPolarizability | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
) -> Float[ndarray, "atoms 3 3 3"]:
    """∂α_ij/∂u_k of every atom [atom, i, j, k], Å², with the stored parameters or others.

    The tensors are symmetric in i and j, sum to zero over the atoms and have the symmetry of the crystal.

    Args:
        dielectric: ε∞, where known: it improves the magnitude, which a sum over bonds misses by a factor of three in
            crystals with a small gap. The ratios of the tensors do not depend on it.
    """
    parameters = default_parameters() if parameters is None else parameters
    basis = basis_tensors(crystal, parameters.lowest, parameters.highest)
    tensors = basis @ parameters.coefficients.reshape(-1)
    return tensors if dielectric is None else tensors * parameters.magnitude(dielectric)


@cache
def default_parameters() -> BondPolarizability:
    """The stored parameters; their file says what they were fitted to."""
    stored = yaml.safe_load((files("mlrim.rim") / "bond_polarizability.yaml").read_text())
    arrays = {name: np.array(stored[name], dtype=float) for name in ("coefficients", "lowest", "highest")}
    return BondPolarizability(source=stored["source"], **arrays, scale=stored["scale"], exponent=stored["exponent"])


def write_parameters(parameters: BondPolarizability, path: Path) -> None:
    """Write parameters in the form of `default_parameters`."""
    rows = "\n".join(f"  - [{', '.join(f'{value:.6g}' for value in row)}]" for row in parameters.coefficients)
    ranges = [f"{name}: {[round(float(v), 4) for v in getattr(parameters, name)]}" for name in ("lowest", "highest")]
    lines = [
        "# Coefficients of the bond-polarisability model; the module of the same name says what they mean.",
        f"source: {parameters.source}",
        f"coefficients:\n{rows}",
        *ranges,
        f"scale: {parameters.scale:.4f}",
        f"exponent: {parameters.exponent:.4f}",
    ]
    path.write_text("\n".join(lines) + "\n")


def fit_bond_polarizability(
    crystals: Sequence[Crystal],
    tensors: Sequence[Float[ndarray, "_ 3 3 3"]],
    displacements: Sequence[Float[ndarray, "_ _ 3"]] | None = None,
    dielectrics: Sequence[Float[ndarray, "3 3"] | None] | None = None,
    ridge: float = RIDGE,
    source: str = "fitted",
) -> BondPolarizability:
    """Least-squares parameters from known Raman tensors (Å²); every compound counts the same, whatever its magnitude.

    Args:
        displacements: for every crystal the patterns of displacement, shape (patterns, atoms, 3), whose change of
            polarisability counts, such as those of `spectral_displacements`; by default those of single atoms with
            1/√mass. The squared error of a pattern is the activity 45a² + 7γ² of the difference.
        dielectrics: ε∞ of every crystal where known, for the factor of the magnitude that depends on it.
        ridge: penalty on the coefficients.
        source: remembered with the result.
    """
    sampled = [_range_of_properties(crystal) for crystal in crystals]
    lowest = np.min([low for low, _ in sampled], axis=0)
    highest = np.max([high for _, high in sampled], axis=0)
    patterns = [_single_atoms(crystal) for crystal in crystals] if displacements is None else displacements
    equations = [
        normal_equations(basis_tensors(crystal, lowest, highest), tensor, pattern)
        for crystal, tensor, pattern in zip(crystals, tensors, patterns, strict=True)
    ]
    coefficients = sum(equations, NormalEquations.zero()).solution(ridge)
    scale, exponent = _magnitudes(
        equations, coefficients, [None] * len(crystals) if dielectrics is None else dielectrics
    )
    return BondPolarizability(coefficients.reshape(3, TERMS), lowest, highest, source, scale, exponent)


def _magnitudes(
    equations: Sequence["NormalEquations"],
    coefficients: Float[ndarray, "parameters"],
    dielectrics: Sequence[Float[ndarray, "3 3"] | None],
) -> tuple[float, float]:
    """Least squares for log(known norm / norm of the sum over bonds) against log(ε − 1); (1, 0) without ε∞."""
    rows = [
        (np.log(np.trace(dielectric) / 3 - 1), -np.log(float(coefficients @ equation.matrix @ coefficients)) / 2)
        for equation, dielectric in zip(equations, dielectrics, strict=True)
        if dielectric is not None and np.trace(dielectric) > 3 and equation.matrix.any()
    ]
    if len(rows) < 2:
        return 1.0, 0.0
    abscissa, ordinate = np.array(rows).T
    exponent, offset = np.polyfit(abscissa, ordinate, 1)
    return float(np.exp(offset)), float(exponent)


class NormalEquations(NamedTuple):
    """Sums over compounds of the least-squares problem."""

    matrix: Float[ndarray, "parameters parameters"]
    vector: Float[ndarray, "parameters"]

    @classmethod
    def zero(cls) -> "NormalEquations":
        """The sum over no compound."""
        return cls(np.zeros((3 * TERMS, 3 * TERMS)), np.zeros(3 * TERMS))

    def __add__(self, other: object) -> "NormalEquations":
        if not isinstance(other, NormalEquations):
            return NotImplemented
        return NormalEquations(self.matrix + other.matrix, self.vector + other.vector)

    def solution(self, ridge: float) -> Float[ndarray, "parameters"]:
        """Coefficients with a penalty relative to the diagonal; those that nothing depends on are zero."""
        scale = np.sqrt(np.diag(self.matrix))
        scale = np.where(scale > 0, scale, 1.0)
        scaled = self.matrix / (scale[:, None] * scale[None, :]) + ridge * np.eye(len(scale))
        return np.linalg.solve(scaled, self.vector / scale) / scale


def normal_equations(
    basis: Float[ndarray, "atoms 3 3 3 parameters"],
    tensors: Float[ndarray, "atoms 3 3 3"],
    displacements: Float[ndarray, "patterns atoms 3"],
) -> NormalEquations:
    """The least-squares problem of one compound, divided by the square of what is to be fitted."""
    columns = np.tensordot(displacements, basis, axes=([1, 2], [0, 3]))
    target = np.tensordot(displacements, tensors, axes=([1, 2], [0, 3]))
    design = _activity_norm(columns.reshape(len(displacements), 9, -1))
    wanted = _activity_norm(target.reshape(len(displacements), 9, 1))
    design, wanted = design.reshape(-1, design.shape[-1]), wanted.reshape(-1)
    total = float(wanted @ wanted)
    if total == 0:
        return NormalEquations.zero()
    return NormalEquations(design.T @ design / total, design.T @ wanted / total)


def _single_atoms(crystal: Crystal) -> Float[ndarray, "components atoms 3"]:
    weights = np.repeat(crystal.masses**-0.5, 3)
    return np.diag(weights).reshape(-1, crystal.n_atoms, 3)


def _activity_norm(tensors: Float[ndarray, "rows 9 columns"]) -> Float[ndarray, "rows 10 columns"]:
    """Components whose sum of squares is 45a² + 7γ²."""
    mean = tensors[:, [0, 4, 8]].mean(axis=1, keepdims=True)
    traceless = tensors - mean * np.eye(3).reshape(1, 9, 1)
    return np.concatenate([ISOTROPIC_WEIGHT * mean, ANISOTROPIC_WEIGHT * traceless], axis=1)


def bonds(crystal: Crystal) -> Bonds:
    """Pairs within the cut-off, with the properties of their elements."""
    pairs = neighbour_pairs(crystal, CUTOFF)
    vectors = pair_vectors(crystal, pairs)
    distance = np.linalg.norm(vectors, axis=1)
    radius, chi = covalent_radii[crystal.numbers], pauling_electronegativity(crystal.numbers)
    size = radius[pairs.i] + radius[pairs.j]
    weight = np.exp(-DECAY * (distance / size - 1)) * switch_factor(distance, CUTOFF, SWITCH_WIDTH).value
    first, second = chi[pairs.i], chi[pairs.j]
    properties = np.column_stack([(first + second) / 2, np.abs(first - second), size]) - CENTRE
    return Bonds(pairs, vectors / distance[:, None], size, distance, weight, properties)


def _range_of_properties(crystal: Crystal) -> tuple[Float[ndarray, "3"], Float[ndarray, "3"]]:
    found = bonds(crystal)
    bonded = found.properties[found.weights >= min(BONDED, float(found.weights.max(initial=0.0)))]
    return bonded.min(axis=0, initial=np.inf), bonded.max(axis=0, initial=-np.inf)


def basis_tensors(
    crystal: Crystal, lowest: Float[ndarray, "3"], highest: Float[ndarray, "3"]
) -> Float[ndarray, "atoms 3 3 3 parameters"]:
    """The tensors that every coefficient alone would give; each bond is in the list once from either end."""
    found = bonds(crystal)
    functions = _quadratic(np.clip(found.properties, lowest, highest))
    functions *= (found.weights * found.sizes**2)[:, None]
    blocks = []
    for kind in _bond_derivatives(found):
        flat = np.zeros((crystal.n_atoms, 27, TERMS))
        for atom in range(crystal.n_atoms):
            own = found.pairs.i == atom
            flat[atom] = -(kind[own].T @ functions[own])
        blocks.append(flat.reshape(crystal.n_atoms, 3, 3, 3, TERMS))
    return np.concatenate(blocks, axis=-1)


def _bond_derivatives(found: Bonds) -> Iterator[Float[ndarray, "pairs 27"]]:
    """∂α_ij/∂r_k of every bond for a unit of each of the three parameters."""
    unit, identity = found.directions, np.eye(3)
    outer = np.einsum("pi,pj->pij", unit, unit)
    along = np.einsum("ij,pk->pijk", identity, unit)
    stretch = np.einsum("pij,pk->pijk", outer - identity / 3, unit)
    across = np.einsum("ik,pj->pijk", identity, unit) + np.einsum("jk,pi->pijk", identity, unit)
    turn = across - 2 * np.einsum("pij,pk->pijk", outer, unit)
    for kind in (along, stretch, turn * (found.sizes / found.distances)[:, None, None, None]):
        yield kind.reshape(-1, 27)


def _quadratic(properties: Float[ndarray, "pairs 3"]) -> Float[ndarray, "pairs 10"]:
    first, second = np.triu_indices(3)
    products = properties[:, first] * properties[:, second]
    return np.concatenate([np.ones((len(properties), 1)), properties, products], axis=1)
