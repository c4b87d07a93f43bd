"""One crystal of any space group: random atoms in general positions, and one on the origin of the group."""

import numpy as np
from ase.spacegroup import crystal as build

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import symmetry_dataset
from mlrim.structures import primitive_crystal

SPACE_GROUPS = {
    "1": [1], "-1": [2], "2": [4, 5], "m": [7, 8], "2/m": [14, 15], "222": [19, 24], "mm2": [33, 43], "mmm": [62, 70],
    "4": [76, 80], "-4": [81, 82], "4/m": [85, 88], "422": [92, 98], "4mm": [103, 109], "-42m": [114, 116, 122],
    "4/mmm": [136, 141], "3": [144, 146], "-3": [147, 148], "32": [152, 155], "3m": [159, 161], "-3m": [163, 167],
    "6": [169, 173], "-6": [174], "6/m": [175, 176], "622": [178, 182], "6mm": [185, 186], "-6m2": [188, 190],
    "6/mmm": [193, 194], "23": [198, 199], "m-3": [205, 206], "432": [212, 214], "-43m": [218, 220],
    "m-3m": [224, 227],
}  # fmt: skip
"""Space groups of every point group: nonsymmorphic ones where there are any (not in 1, −1, −3, −4 and −6)."""


def crystal_of(number: int) -> Crystal:
    """The primitive cell of a crystal with a given space group."""
    generator = np.random.default_rng(number)
    for _ in range(200):
        sites = [(0.0, 0.0, 0.0), tuple(generator.uniform(0.05, 0.95, 3))]
        atoms = build(["Ti", "O"], sites, spacegroup=number, cellpar=_cell(number, generator), symprec=1e-5)
        distances = atoms.get_all_distances(mic=True) + 1e3 * np.eye(len(atoms))
        if distances.min() > 0.9:
            crystal = primitive_crystal(Crystal.from_ase(atoms))[0]
            dataset = symmetry_dataset(crystal)
            if dataset is not None and dataset.number == number:
                return crystal
    raise AssertionError(f"no crystal of space group {number} was found")


def _cell(number: int, generator: np.random.Generator) -> list[float]:
    """Cell parameters of the crystal system, large enough for the atoms of a general position."""
    a, b, c = generator.uniform(0.9, 1.3, 3) * (6 if number < 75 else 8 if number < 195 else 14)
    alpha, beta, gamma = generator.uniform(75, 105, 3)
    if number <= 2:
        return [a, b, c, alpha, beta, gamma]
    if number <= 15:
        return [a, b, c, 90, 100, 90]
    if number <= 74:
        return [a, b, c, 90, 90, 90]
    if number <= 142:
        return [a, a, c, 90, 90, 90]
    if number <= 194:
        return [a, a, c, 90, 90, 120]
    return [a, a, a, 90, 90, 90]
