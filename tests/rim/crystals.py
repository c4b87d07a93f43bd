"""Crystals that several tests of the classical models use."""

import numpy as np
from ase.build import bulk
from ase.spacegroup import crystal as space_group_crystal
from hypothesis import strategies as st

from mlrim.lattice.crystal import Crystal


def rocksalt(formula: str, a: float) -> Crystal:
    return Crystal.from_ase(bulk(formula, "rocksalt", a=a))


def fluorite(a: float = 5.491) -> Crystal:
    return Crystal.from_ase(bulk("CaF2", "fluorite", a=a))


def rutile(a: float = 4.493, c: float = 3.009, u: float = 0.305) -> Crystal:
    atoms = space_group_crystal(["Ti", "O"], [(0, 0, 0), (u, u, 0)], spacegroup=136, cellpar=[a, a, c, 90, 90, 90])
    return Crystal.from_ase(atoms)


def wurtzite(formula: str = "ZnO", a: float = 3.25, c: float = 5.207, u: float = 0.382) -> Crystal:
    return Crystal.from_ase(bulk(formula, "wurtzite", a=a, c=c, u=u))


def corundum() -> Crystal:
    atoms = space_group_crystal(
        ["Al", "O"],
        [(0, 0, 0.352), (0.306, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.76, 4.76, 12.99, 90, 90, 120],
        primitive_cell=True,
    )
    return Crystal.from_ase(atoms)


def low_symmetry() -> Crystal:
    """A triclinic Mg₂O₂ cell with nothing symmetric about it."""
    lattice = np.array([[4.3, 0.0, 0.0], [0.5, 4.0, 0.0], [0.35, -0.55, 4.6]])
    fractional = [[0.02, 0.01, 0.0], [0.51, 0.47, 0.03], [0.49, 0.03, 0.45], [0.03, 0.52, 0.54]]
    return Crystal.from_fractional(lattice, np.array(fractional), np.array([12, 12, 8, 8]))


@st.composite
def ionic_crystals(draw: st.DrawFn) -> Crystal:
    """Distorted AB, AB₂ and ABX₃ crystals of random ions in random cells without short contacts."""
    prototype = draw(st.sampled_from(["MgO", "NaCl", "CaF2", "TiO2", "SrTiO3"]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    if prototype == "SrTiO3":
        crystal = Crystal.from_fractional(
            np.eye(3) * 3.9,
            np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
            np.array([38, 22, 8, 8, 8]),
        )
    else:
        crystal = {
            "MgO": rocksalt("MgO", 4.21),
            "NaCl": rocksalt("NaCl", 5.64),
            "CaF2": fluorite(),
            "TiO2": rutile(),
        }[prototype]
    strain = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
    positions = (crystal.positions + rng.normal(scale=0.06, size=crystal.positions.shape)) @ strain
    return Crystal(crystal.lattice @ strain, positions, crystal.numbers)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return rotation * np.sign(np.linalg.det(rotation))
