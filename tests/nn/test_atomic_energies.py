"""What energies of networks have in common, and the statistics of a training set."""

import numpy as np
import pytest
import torch
from torch import nn

from mlrim.derivatives.capabilities import ALL, Capabilities, capabilities_of
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import batch_graphs, edge_vectors, molecular_graph, periodic_graph
from mlrim.graph.energy_labels import join_labelled, unlabelled
from mlrim.nn.atomic_energies import AtomicEnergies, EnergyStatistics, energy_statistics
from mlrim.nn.element_tables import N_NUMBERS, properties_by_number, radii_by_number
from mlrim.nn.repulsion import faded_repulsion_derivatives
from tests.lattice.crystals import random_crystal

CUTOFF = 4.0


class Springs(AtomicEnergies):
    """Each atom has a quarter of k d² of its pairs, in units of the scale."""

    capabilities = Capabilities("springs", ALL, hops=2)

    def __init__(self, repulsion=False):
        super().__init__(CUTOFF, 1, repulsion)
        self.stiffness = nn.Parameter(torch.tensor(2.0))

    def atomic_energies(self, graph, vectors):
        energies = self.stiffness * vectors.square().sum(1) / 4
        return energies.new_zeros(len(graph.numbers)).index_add_(0, graph.receiver, energies)


def dimer(distance, numbers=(14, 8)):
    return molecular_graph(np.array(numbers), np.array([[0, 0, 0], [0.0, 0, distance]]), CUTOFF)


def statistics(scale=3.0):
    return EnergyStatistics([-float(z) for z in range(N_NUMBERS)], scale, 20.0)


def test_energy_is_references_plus_scale_times_what_was_learned():
    network = Springs().double()
    network.set_statistics(statistics())
    torch.testing.assert_close(network(dimer(2.0)), torch.tensor([-14 - 8 + 3.0 * 4.0], dtype=torch.float64))


def test_the_default_is_the_learned_energy_alone():
    torch.testing.assert_close(Springs().double()(dimer(2.0)), torch.tensor([4.0], dtype=torch.float64))


def test_statistics_travel_with_the_weights():
    network, other = Springs().double(), Springs().double()
    network.set_statistics(statistics())
    other.load_state_dict(network.state_dict())
    assert float(other.neighbours) == 20.0
    torch.testing.assert_close(other(dimer(1.3)), network(dimer(1.3)))


def test_everything_follows_the_precision_of_the_parameters():
    network = Springs(repulsion=True)
    assert network(dimer(0.9).to(torch.float32)).dtype == torch.float32
    assert network.double()(dimer(0.9)).dtype == torch.float64


def test_each_pair_repels_itself_once():
    plain, repelling = Springs().double(), Springs(repulsion=True).double()
    distance = torch.tensor([0.8], dtype=torch.float64)
    touching = torch.tensor([radii_by_number()[14] + radii_by_number()[8]])
    expected = faded_repulsion_derivatives(0, distance, torch.tensor([[14], [8]]), touching)
    torch.testing.assert_close(repelling(dimer(0.8)) - plain(dimer(0.8)), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(repelling(dimer(2.5)), plain(dimer(2.5)))


def test_repulsion_of_a_crystal_has_forces_and_a_hessian():
    crystal = random_crystal(3, 3)
    graph = periodic_graph(crystal, CUTOFF)
    network = Springs(repulsion=True).double()
    result = differentiate(network, graph._replace(positions=graph.positions * 0.9, cell=graph.cell * 0.9))
    without = differentiate(Springs().double(), graph._replace(positions=graph.positions * 0.9, cell=graph.cell * 0.9))
    assert float((result.energy - without.energy)[0]) > 0.1
    torch.testing.assert_close(result.forces.sum(0), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)
    hessian = result.hessian()[0]
    torch.testing.assert_close(hessian, hessian.T)


def test_each_instance_declares_its_own_hops():
    assert capabilities_of(Springs()).hops == 1
    assert Springs.capabilities.hops == 2


def test_the_base_has_no_energy_of_its_own():
    class Nothing(AtomicEnergies):
        capabilities = Capabilities("nothing", ALL)

    with pytest.raises(NotImplementedError):
        Nothing(CUTOFF, 1, False)(dimer(1.0))


def labelled(graph, **labels):
    sample = unlabelled(graph, torch.ones(len(graph.numbers)))
    return sample._replace(labels=sample.labels._replace(**labels))


def test_references_of_elements_are_found_from_energies():
    water = molecular_graph(np.array([8, 1, 1]), np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]), CUTOFF)
    known = [(dimer(1.0, (1, 1)), -2.0), (dimer(1.0, (8, 8)), -10.0), (water, -7.0)]
    samples = [labelled(graph, energy=torch.tensor([energy], dtype=torch.float64)) for graph, energy in known]
    found = energy_statistics([join_labelled(samples[:2]), samples[2], labelled(dimer(1.0, (3, 9)))])
    np.testing.assert_allclose([found.reference_energies[z] for z in (1, 8, 3)], [-1.0, -5.0, 0.0], atol=1e-12)
    assert len(found.reference_energies) == N_NUMBERS
    assert found.neighbours == (3 * 2 + 6) / 9


def test_the_scale_is_the_typical_curvature_or_else_the_typical_force():
    graph = dimer(1.0)
    forces = torch.full((2, 3), 0.5, dtype=torch.float64)
    hessian = [7.0 * torch.eye(6, dtype=torch.float64)]
    assert energy_statistics([labelled(graph, forces=forces)]).scale == pytest.approx(0.5)
    assert energy_statistics([labelled(graph, forces=forces, hessian=hessian)]).scale == pytest.approx(7.0)
    assert energy_statistics([labelled(graph)]).scale == 1.0


def test_results_do_not_depend_on_the_batch():
    network = Springs(repulsion=True).double()
    graphs = [dimer(0.9), periodic_graph(random_crystal(3, 3), CUTOFF)]
    separate = torch.cat([network(graph) for graph in graphs])
    torch.testing.assert_close(network(batch_graphs(graphs)), separate)
    assert edge_vectors(graphs[0]).shape == (2, 3)


def test_tables_cover_all_elements():
    radii, properties = radii_by_number(), properties_by_number()
    assert radii.shape == (N_NUMBERS,)
    assert (radii[1:] > 0.25).all()
    np.testing.assert_allclose(radii[[1, 8, 14, 118]], [0.31, 0.66, 1.11, radii[96]])
    assert properties[[84, 118]].any() == np.False_
    assert properties[[1, 83, 89, 94]].any(axis=1).all()
