"""Energies, forces and stress against ASE and against numbers from the literature."""

import numpy as np
import torch
from ase.calculators.lj import LennardJones

from mlrim.derivatives.capabilities import ALL, Capabilities, DeclaredEnergy
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import edge_vectors, molecular_graph, periodic_graph, strained, sum_over_atoms
from mlrim.lattice.crystal import Crystal
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.nn.neighbour_sums import sum_over_neighbours
from tests.derivatives.energies import GENERAL, molecule, silicon

DEPTH, DIAMETER, START, CUTOFF = 0.4, 2.1, 4.0, 6.0
GPA = 160.21766208
"""eV/Å³"""


def lennard_jones(graph):
    """With the smooth cut-off that ASE has: a cubic in r² between START and CUTOFF."""
    square = edge_vectors(graph).pow(2).sum(1)
    power = (DIAMETER**2 / square) ** 3
    inner, outer = START**2, CUTOFF**2
    fade = (outer - square) ** 2 * (outer + 2 * square - 3 * inner) / (outer - inner) ** 3
    pairs = 2 * DEPTH * (power**2 - power) * torch.where(square < inner, 1.0, fade)
    return sum_over_atoms(sum_over_neighbours(pairs, graph.receiver, len(graph.numbers)), graph)


ENERGY = DeclaredEnergy(lennard_jones, Capabilities("Lennard-Jones", ALL, hops=1))


def with_ase(atoms):
    atoms.calc = LennardJones(epsilon=DEPTH, sigma=DIAMETER, rc=CUTOFF, ro=START, smooth=True)
    return atoms


def test_lennard_jones_crystal_agrees_with_ase():
    result = differentiate(ENERGY, periodic_graph(GENERAL, CUTOFF), stress=True)
    atoms = with_ase(GENERAL.to_ase())
    np.testing.assert_allclose(result.energy.item(), atoms.get_potential_energy(), rtol=1e-10)
    np.testing.assert_allclose(result.forces.numpy(), atoms.get_forces(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(result.stress[0].numpy(), atoms.get_stress(voigt=False), rtol=0, atol=1e-10)


def test_lennard_jones_molecule_agrees_with_ase():
    from ase import Atoms

    numbers, positions = molecule()
    result = differentiate(ENERGY, molecular_graph(numbers, positions, CUTOFF))
    atoms = with_ase(Atoms(numbers, positions))
    np.testing.assert_allclose(result.energy.item(), atoms.get_potential_energy(), rtol=1e-10)
    np.testing.assert_allclose(result.forces.numpy(), atoms.get_forces(), rtol=0, atol=1e-10)


def test_silicon_has_the_cohesive_energy_of_the_potential():
    """−4.3363 eV per atom, two bonds of depth ε for each (Stillinger and Weber 1985)."""
    energy, crystal = StillingerWeber(), silicon(noise=0)
    result = differentiate(energy, periodic_graph(crystal, energy.cutoff), stress=True)
    np.testing.assert_allclose(result.energy.item() / 2, -4.3363, atol=1e-3)
    assert result.forces.abs().max() < 1e-10
    assert result.stress.abs().max() * GPA < 0.01


def test_silicon_has_the_elastic_constants_of_the_literature():
    """C11 = 151.4 GPa and C12 = 76.4 GPa (Balamane, Halicioglu and Tiller, Phys. Rev. B 46, 2250, 1992)."""
    energy, crystal = StillingerWeber(), silicon(noise=0)
    graph = periodic_graph(Crystal(crystal.lattice, crystal.positions, crystal.numbers), energy.cutoff)
    strain = torch.zeros(1, 3, 3, dtype=torch.float64)
    strain[0, 0, 0] = 1e-4
    ahead, behind = (
        differentiate(energy, strained(graph, sign * strain), stress=True).stress[0] * GPA for sign in (1, -1)
    )
    stiffness = (ahead - behind) / 2e-4
    np.testing.assert_allclose(stiffness[0, 0], 151.4, atol=0.1)
    np.testing.assert_allclose([stiffness[1, 1], stiffness[2, 2]], 76.4, atol=0.1)
