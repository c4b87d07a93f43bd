"""The 89 elements that networks know, and a table of their properties.

The set is that of inorganic databases: H to Bi and Ac to Pu. The table (`elements.csv`) holds group, period, electrons
outside the noble-gas core by subshell, Pauling electronegativity, covalent and calculated atomic radius (Å), first
ionisation energy and electron affinity (eV), as collected in pymatgen and ASE; helium, neon and argon carry Allen's
electronegativities, because Pauling's scale has none.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError

N_ELEMENTS = 89


@cache
def _table() -> Float[ndarray, "89 columns"]:
    lines = (files("mlrim.graph") / "elements.csv").read_text().splitlines()[1:]
    return np.array([[float(value) for k, value in enumerate(line.split(",")) if k != 1] for line in lines])


@cache
def _index_of_number() -> Int[ndarray, "numbers"]:
    index = np.full(119, -1, dtype=np.int64)
    index[_table()[:, 0].astype(int)] = np.arange(N_ELEMENTS)
    return index


def element_indices(numbers: Int[ndarray, "atoms"]) -> Int[ndarray, "atoms"]:
    """Position of every atomic number among the 89 elements.

    Raises:
        UserError: an element is not among them.
    """
    numbers = np.asarray(numbers)
    known = (numbers > 0) & (numbers < 119)
    index = np.where(known, _index_of_number()[np.where(known, numbers, 0)], -1)
    if (index < 0).any():
        from ase.data import chemical_symbols

        names = sorted({chemical_symbols[z] if 0 <= z < 119 else str(z) for z in numbers[index < 0]})
        raise UserError(
            f"no network knows the element(s) {', '.join(names)}: allowed are H to Bi and Ac to Pu; "
            "use the classical models (ckpt=rim or ckpt=shell) for this structure"
        )
    return index


@cache
def element_properties() -> Float[ndarray, "89 properties"]:
    """Properties of the 89 elements, each column with zero mean and unit variance."""
    columns = _table()[:, 1:]
    return (columns - columns.mean(0)) / columns.std(0)


def electronegativities(numbers: Int[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """Pauling electronegativity."""
    return _table()[element_indices(numbers), 7]


def covalent_radii(numbers: Int[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """Covalent radius, Å."""
    return _table()[element_indices(numbers), 8]


def all_covalent_radii() -> Float[ndarray, "89"]:
    """Covalent radii of the 89 elements, Å."""
    return _table()[:, 8].copy()
