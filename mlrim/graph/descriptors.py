"""Numbers that describe the surroundings of an atom: smooth overlap of atomic positions and coordination."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.graph.elements import electronegativities
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors

if TYPE_CHECKING:
    from dscribe.descriptors import SOAP

SOAP_SIZE = 256
SOAP_CUTOFF = 6.0
"""Å; reaches the second shell of neighbours in inorganic crystals."""
_EXPANSIONS = ((7, 6, "number"), (4, 5, "electronegativity"))
"""Radial functions, largest angular momentum and weight of the neighbours: 28·7 + 10·6 = 256 numbers."""


def soap_descriptor(crystal: Crystal, atoms: Int[ndarray, "sites"] | None = None) -> Float[ndarray, "sites 256"]:
    """Smooth overlap of atomic positions around every atom (or the given ones), float32, shape (atoms, 256).

    The compressed form of order µ = 2 (Darby et al., npj Comput. Mater. 8, 166, 2022) has one density for all
    elements, so it only tells elements apart by the weights of the neighbours. Two expansions are joined: 196 numbers
    with neighbours weighted by atomic number and 60 with neighbours weighted by electronegativity.
    """
    centres = list(range(crystal.n_atoms)) if atoms is None else [int(atom) for atom in atoms]
    system = crystal.to_ase()
    parts = [_soap(*expansion).create(system, centers=centres) for expansion in _EXPANSIONS]
    return np.concatenate([np.asarray(part).reshape(len(centres), -1) for part in parts], axis=1).astype(np.float32)


@cache
def _soap(n_max: int, l_max: int, weight: str) -> "SOAP":
    from ase.data import chemical_symbols
    from dscribe.descriptors import SOAP

    numbers = np.array([*range(1, 84), *range(89, 95)])
    values = numbers / 60.0 if weight == "number" else electronegativities(numbers) / 2.0
    symbols = [chemical_symbols[number] for number in numbers]
    return SOAP(
        r_cut=SOAP_CUTOFF,
        n_max=n_max,
        l_max=l_max,
        sigma=0.5,
        periodic=True,
        compression={
            "mode": "mu2",
            "species_weighting": dict(zip(symbols, values.tolist(), strict=True)),
        },
        species=symbols,
    )


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
