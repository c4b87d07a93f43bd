"""Properties of the elements as tables that networks look up by atomic number, from 0 (unused) to 118."""

from functools import cache

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float
from numpy import ndarray

from mlrim.graph.elements import element_indices, element_properties

N_NUMBERS = 119
LAST_RADIUS = 96
"""Curium, the last element with a measured covalent radius; those after it are given the same."""
TABULATED = np.array([z for z in range(1, 95) if not 84 <= z <= 88])
"""Atomic numbers of the 89 elements whose properties are tabulated."""


@cache
def radii_by_number() -> Float[ndarray, "119"]:
    """Covalent radii (Cordero et al., Dalton Trans. 2008, 2832), Å."""
    radii = covalent_radii[:N_NUMBERS].astype(np.float64)
    radii[LAST_RADIUS + 1 :] = radii[LAST_RADIUS]
    return radii


@cache
def properties_by_number() -> Float[ndarray, "119 properties"]:
    """Normalised properties of the elements, see `mlrim.graph.elements`; zero, their mean, where there is no table."""
    known = element_properties()
    table = np.zeros((N_NUMBERS, known.shape[1]))
    table[TABULATED] = known[element_indices(TABULATED)]
    return table
