"""Well-known structure types with rough parameters, and lattice dynamics that have their symmetry and nothing else."""

import numpy as np
from ase.spacegroup import crystal as build

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction, neutralize_born_charges
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import neighbour_pairs
from mlrim.lattice.symmetry import space_group, symmetrize_site_tensors, symmetrize_tensor
from mlrim.structures import primitive_crystal
from mlrim.symmetrization import impose_symmetry

CUBIC = [90, 90, 90]
HEXAGONAL = [90, 90, 120]

PARAMETERS = {
    "rocksalt": (225, ["Na", "Cl"], [(0, 0, 0), (0.5, 0.5, 0.5)], [5.64] * 3 + CUBIC),
    "fluorite": (225, ["Ca", "F"], [(0, 0, 0), (0.25, 0.25, 0.25)], [5.46] * 3 + CUBIC),
    "zincblende": (216, ["Ga", "N"], [(0, 0, 0), (0.25, 0.25, 0.25)], [4.5] * 3 + CUBIC),
    "pyrite": (205, ["Fe", "S"], [(0, 0, 0), (0.385, 0.385, 0.385)], [5.4] * 3 + CUBIC),
    "cubic perovskite": (221, ["Sr", "Ti", "O"], [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)], [3.9] * 3 + CUBIC),
    "rutile": (136, ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], [4.6, 4.6, 2.96, *CUBIC]),
    "anatase": (141, ["Ti", "O"], [(0, 0, 0), (0, 0, 0.208)], [3.78, 3.78, 9.51, *CUBIC]),
    "tetragonal BaTiO3": (
        99,
        ["Ba", "Ti", "O", "O"],
        [(0, 0, 0), (0.5, 0.5, 0.512), (0.5, 0.5, -0.023), (0.5, 0, 0.486)],
        [3.99, 3.99, 4.03, *CUBIC],
    ),
    "scheelite": (
        88,
        ["Ca", "W", "O"],
        [(0, 0, 0.5), (0, 0, 0), (0.2413, 0.1511, 0.0861)],
        [5.24, 5.24, 11.37, *CUBIC],
    ),
    "chalcopyrite": (
        122,
        ["Cu", "Fe", "S"],
        [(0, 0, 0), (0, 0, 0.5), (0.2574, 0.25, 0.125)],
        [5.29, 5.29, 10.4, *CUBIC],
    ),
    "corundum": (167, ["Al", "O"], [(0, 0, 0.352), (0.306, 0, 0.25)], [4.76, 4.76, 12.99, *HEXAGONAL]),
    "calcite": (167, ["Ca", "C", "O"], [(0, 0, 0), (0, 0, 0.25), (0.257, 0, 0.25)], [4.99, 4.99, 17.06, *HEXAGONAL]),
    "LiNbO3": (
        161,
        ["Li", "Nb", "O"],
        [(0, 0, 0.28), (0, 0, 0), (0.048, 0.343, 0.063)],
        [5.15, 5.15, 13.86, *HEXAGONAL],
    ),
    "quartz": (154, ["Si", "O"], [(0.47, 0, 2 / 3), (0.413, 0.266, 0.786)], [4.91, 4.91, 5.4, *HEXAGONAL]),
    "wurtzite": (186, ["Zn", "O"], [(1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, 0.382)], [3.25, 3.25, 5.2, *HEXAGONAL]),
    "CdI2": (164, ["Cd", "I"], [(0, 0, 0), (1 / 3, 2 / 3, 0.25)], [4.24, 4.24, 6.85, *HEXAGONAL]),
    "MoS2": (194, ["Mo", "S"], [(1 / 3, 2 / 3, 0.25), (1 / 3, 2 / 3, 0.62)], [3.16, 3.16, 12.3, *HEXAGONAL]),
    "GdFeO3": (
        62,
        ["Ca", "Ti", "O", "O"],
        [(0.036, 0.25, -0.007), (0, 0, 0.5), (0.484, 0.25, 0.071), (0.289, 0.037, 0.711)],
        [5.44, 7.64, 5.38, *CUBIC],
    ),
    "baddeleyite": (
        14,
        ["Zr", "O", "O"],
        [(0.2754, 0.0395, 0.2083), (0.07, 0.3317, 0.3447), (0.4496, 0.7569, 0.4792)],
        [5.15, 5.21, 5.32, 90, 99.2, 90],
    ),
}


def prototype(name: str) -> Crystal:
    """The primitive cell of a structure type."""
    number, symbols, sites, cell = PARAMETERS[name]
    atoms = build(symbols, sites, spacegroup=number, cellpar=cell)
    return primitive_crystal(Crystal.from_ase(atoms))[0]


def symmetric_dynamics(crystal: Crystal, seed: int = 0, cutoff: float = 4.0) -> LatticeDynamics:
    """Stiff springs plus random force constants and Born charges, projected onto the space group of the crystal."""
    generator = np.random.default_rng(seed)
    group = space_group(crystal)
    pairs = neighbour_pairs(crystal, cutoff)
    blocks = -0.8 * np.eye(3) + 0.3 * generator.normal(size=(len(pairs.i), 3, 3))
    short_range, _ = impose_symmetry(PairForceConstants(pairs, blocks), crystal, group)
    born = symmetrize_site_tensors(generator.normal(size=(crystal.n_atoms, 3, 3)), group)
    dielectric = symmetrize_tensor(3 * np.eye(3) + 0.2 * generator.normal(size=(3, 3)), group)
    dipole = DipoleInteraction(crystal, neutralize_born_charges(born), dielectric)
    return LatticeDynamics(crystal, short_range, dipole)
