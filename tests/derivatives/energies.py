"""Energies and graphs that the tests of derivatives share."""

import numpy as np
import torch

from mlrim.graph.energy_graph import EnergyGraph, molecular_graph, periodic_graph
from mlrim.lattice.crystal import Crystal
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.models.potential import PotentialModel
from mlrim.models.stillinger_weber import StillingerWeber
from tests.lattice.crystals import random_crystal, zincblende

CUTOFF = 4.5
"""Å; more than that of the classical potential."""


def network(layers: int = 2) -> PotentialModel:
    """A small network of tensor products in float64, with weights at random."""
    torch.manual_seed(0)
    return PotentialModel(channels=4, layers=layers, radial=2, radial_hidden=8, cutoff=CUTOFF).double().eval()


def cartesian_network(layers: int = 2) -> CartesianPotentialModel:
    """A small network of Cartesian tensors in float64, with weights at random."""
    torch.manual_seed(0)
    sizes = {"scalars": 8, "channels": 4, "messages": 4, "hidden": 16, "element_hidden": 16}
    return CartesianPotentialModel(**sizes, layers=layers, cutoff=CUTOFF).double().eval()


def silicon(noise: float = 0.1) -> Crystal:
    """Silicon, two atoms, moved a little so that nothing vanishes by symmetry."""
    ideal = zincblende(5.431, (14, 14))
    moved = ideal.positions + noise * np.random.default_rng(1).normal(size=(2, 3))
    return Crystal(ideal.lattice, moved, ideal.numbers)


def molecule() -> tuple[np.ndarray, np.ndarray]:
    """Six atoms in the vacuum, one bond along each axis."""
    positions = np.array([[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [0, 0, 2.4], [-1.5, -1.5, -1.3], [1.7, 1.7, 1.6]])
    return np.array([14, 14, 14, 14, 14, 14]), positions


def graphs() -> dict[str, EnergyGraph]:
    """One crystal, one molecule."""
    return {"crystal": periodic_graph(silicon(), CUTOFF), "molecule": molecular_graph(*molecule(), CUTOFF)}


ENERGIES = {"pairs and angles": StillingerWeber, "tensor products": network, "Cartesian tensors": cartesian_network}
GENERAL = random_crystal(3, 3)
"""Triclinic, three atoms."""
