"""Numbers that describe the surroundings of an atom: smooth overlap of atomic positions and coordination."""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import inv, sqrtm
from scipy.special import gamma

from mlrim.graph.elements import electronegativities
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors

if TYPE_CHECKING:
    from dscribe.ext import SOAPGTO

SOAP_SIZE = 256
SOAP_CUTOFF = 6.0
"""Å; reaches the second shell of neighbours in inorganic crystals."""
SOAP_SIGMA = 0.5
"""Width (Å) of the Gaussian that stands for a neighbour."""
SOAP_ELEMENTS = np.array([*range(1, 84), *range(89, 95)])
"""Atomic numbers that the descriptor weighs."""
GAUSSIAN_END = 1e-3
"""A Gaussian smaller than this counts as zero."""


class Expansion(NamedTuple):
    """A density of neighbours and the functions it is expanded in."""

    n_max: int
    l_max: int
    weight: str
    """What neighbours are weighted by: `number` or `electronegativity`."""

    @property
    def size(self) -> int:
        """Numbers in the power spectrum of one element-agnostic density."""
        return self.n_max * (self.n_max + 1) // 2 * (self.l_max + 1)


EXPANSIONS = (Expansion(7, 6, "number"), Expansion(4, 5, "electronegativity"))
"""28·7 + 10·6 = 256 numbers."""


def soap_descriptor(crystal: Crystal, atoms: Int[ndarray, "sites"] | None = None) -> Float[ndarray, "sites 256"]:
    """Smooth overlap of atomic positions around every atom (or the given ones), float32, shape (atoms, 256).

    The compressed form of order µ = 2 (Darby et al., npj Comput. Mater. 8, 166, 2022) has one density for all
    elements, so it only tells elements apart by the weights of the neighbours. Two expansions are joined: 196 numbers
    with neighbours weighted by atomic number and 60 with neighbours weighted by electronegativity.
    """
    from ase.cell import Cell  # what dscribe's compiled part takes

    centres = crystal.positions if atoms is None else crystal.positions[np.asarray(atoms, dtype=np.int64)]
    parts = []
    for expansion in EXPANSIONS:
        part = np.zeros((len(centres), expansion.size))
        _soap(expansion).create(
            part, crystal.positions, crystal.numbers, Cell(crystal.lattice), np.ones(3, dtype=bool), centres
        )
        parts.append(part)
    return np.concatenate(parts, axis=1).astype(np.float32)


@cache
def _soap(expansion: Expansion) -> "SOAPGTO":
    """The compiled descriptor of dscribe, without its Python layer, which takes longer to import than to run."""
    from dscribe.ext import SOAPGTO

    decay, orthonormal = radial_basis(expansion.n_max, expansion.l_max)
    padding = SOAP_SIGMA * np.sqrt(-2 * np.log(GAUSSIAN_END))
    return SOAPGTO(
        SOAP_CUTOFF,
        expansion.n_max,
        expansion.l_max,
        1 / (2 * SOAP_SIGMA**2),
        {},
        "off",
        padding,
        SOAP_ELEMENTS,
        element_weights(expansion.weight),
        True,
        "mu2",
        decay.flatten(),
        orthonormal.flatten(),
    )


def element_weights(weight: str) -> Float[ndarray, "89"]:
    """What a neighbour of each of `SOAP_ELEMENTS` counts for, about 1."""
    return SOAP_ELEMENTS / 60.0 if weight == "number" else electronegativities(SOAP_ELEMENTS) / 2.0


def radial_basis(n_max: int, l_max: int) -> tuple[Float[ndarray, "l n"], Float[ndarray, "l n n"]]:
    """Exponents (1/Å²) and Löwdin coefficients of Gaussian-type orbitals r^l exp(−αr²), as dscribe defines them.

    Source: Jäger et al., npj Comput. Mater. 4, 37 (2018); the orbitals fade at distances from 1 Å to the cut-off.
    """
    ends = np.linspace(1, SOAP_CUTOFF, n_max)
    exponents = np.stack([-np.log(GAUSSIAN_END / ends**order) / ends**2 for order in range(l_max + 1)])
    orders = np.arange(l_max + 1)[:, None, None]
    overlap = 0.5 * gamma(orders + 1.5) * (exponents[:, :, None] + exponents[:, None, :]) ** (-orders - 1.5)
    return exponents, np.stack([sqrtm(inv(matrix)) for matrix in overlap])


def coordination_numbers(crystal: Crystal, cutoff: float = 6.0) -> Float[ndarray, "atoms"]:
    """Effective coordination number of every atom: neighbours counted by exp(1 − (r/r̄)⁶).

    r̄ is the mean distance with the same weights, started from the shortest one. Source: R. Hoppe, Z. Kristallogr.
    150, 23 (1979). An atom with no neighbour within `cutoff` (Å) has the number 0.
    """
    pairs = neighbour_pairs(crystal, cutoff)
    lengths = np.linalg.norm(pair_vectors(crystal, pairs), axis=1)
    mean = np.full(crystal.n_atoms, np.inf)
    np.minimum.at(mean, pairs.i, lengths)
    for _ in range(3):
        weights = np.exp(1 - (lengths / mean[pairs.i]) ** 6)
        total = np.bincount(pairs.i, weights=weights, minlength=crystal.n_atoms)
        weighted = np.bincount(pairs.i, weights=weights * lengths, minlength=crystal.n_atoms)
        mean = weighted / np.where(total > 0, total, 1)
    return total
