"""The fast potential; what holds for every network of energies is in test_potentials.py."""

import numpy as np
import pytest
import torch

from mlrim.derivatives.capabilities import capabilities_of
from mlrim.derivatives.engine import differentiate
from mlrim.derivatives.smoothness import check_smooth
from mlrim.graph.energy_graph import batch_graphs, molecular_graph, periodic_graph
from mlrim.lattice.crystal import Crystal
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.nn.atomic_energies import EnergyStatistics
from mlrim.nn.element_tables import N_NUMBERS
from tests.lattice.crystals import zincblende

CUTOFF = 4.0
SIZES = {"scalars": 8, "channels": 4, "messages": 4, "hidden": 16, "element_hidden": 16}


def network(**changes):
    torch.manual_seed(3)
    return CartesianPotentialModel(**(SIZES | {"cutoff": CUTOFF} | changes)).double()


def trimer(distance):
    """Two atoms close together and a third one at a distance from the first."""
    positions = np.array([[0, 0, 0], [-0.6, 1.4, 0.3], [distance, 0, 0]])
    return molecular_graph(np.array([8, 14, 3]), positions, 6.0)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_an_atom_sees_as_far_as_its_hops_say(layers):
    """A chain of atoms 3 Å apart: the first one's energy depends on as many of them as there are layers."""
    positions = np.array([[3.0 * k, 0.3 * (-1) ** k, 0] for k in range(6)])
    graph = molecular_graph(np.full(6, 14), positions, CUTOFF)
    alone = graph._replace(counted=torch.arange(6) == 0)
    model = network(layers=layers)
    assert capabilities_of(model).hops == layers
    depends = differentiate(model, alone).forces.norm(dim=1) > 1e-12
    assert depends.tolist() == [k <= layers for k in range(6)]


def test_three_derivatives_are_continuous_at_the_cutoff():
    """The fourth one jumps, so the third has a slope there and no step."""
    model = network()

    def third(distance, step=1e-3):
        slopes = []
        for moved in (distance - step, distance, distance + step):
            hessian = differentiate(model, trimer(moved)).hessian()[0]
            slopes.append(hessian[6, 6])
        return (slopes[2] - slopes[0]) / (2 * step)

    inside, at, outside = (third(CUTOFF + shift) for shift in (-0.02, 0.0, 0.02))
    assert outside == 0
    assert 0 < abs(at) < 0.2 * abs(inside)
    assert abs(inside) < 0.2 * abs(third(CUTOFF - 1.0))


def test_all_activations_are_smooth():
    model, graph = network(), trimer(2.0)
    graph = graph._replace(positions=graph.positions.requires_grad_())
    check_smooth(model, model(graph))


def test_angles_matter():
    """The distances from an atom to its two neighbours are the same; these do not see each other."""
    model = network(layers=1)
    energies = []
    for angle in (2.2, 3.1):
        outer = 2.4 * np.array([[1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
        graph = molecular_graph(np.array([8, 14, 14]), np.concatenate([np.zeros((1, 3)), outer]), CUTOFF)
        assert len(graph.receiver) == 4
        energies.append(model(graph).item())
    assert abs(energies[0] - energies[1]) > 1e-6


def test_elements_matter_in_their_order():
    energies = [network()(molecular_graph(np.array(pair), 1.9 * np.eye(3)[:2], CUTOFF)).item()
                for pair in ((8, 14), (14, 8), (8, 8), (14, 14))]  # fmt: skip
    assert energies[0] == pytest.approx(energies[1], abs=1e-12)
    assert len({round(energy, 9) for energy in energies}) == 3


def test_statistics_set_references_and_scale():
    model, graph = network(repulsion=False), trimer(2.0)
    before = model(graph)
    model.set_statistics(EnergyStatistics([0.5] * N_NUMBERS, 4.0, 50.0))
    torch.testing.assert_close(model(graph), 4 * before + 1.5)


def test_repulsion_is_felt_by_close_atoms_only():
    with_it, without = network(), network(repulsion=False)
    close, far = (molecular_graph(np.array([14, 14]), d * np.eye(3)[:2], CUTOFF) for d in (0.5, 2.0))
    assert (with_it(close) - without(close)).item() > 20
    torch.testing.assert_close(with_it(far), without(far))


def test_every_element_has_a_finite_energy():
    numbers = np.arange(1, N_NUMBERS)
    graphs = [molecular_graph(np.array([z, 8]), 1.5 * np.eye(3)[:2], CUTOFF) for z in numbers]
    assert bool(network()(batch_graphs(graphs)).isfinite().all())


def test_it_learns_a_hessian_with_three_body_forces():
    """Silicon after Stillinger and Weber, distorted: products with random vectors as in training."""
    teacher = StillingerWeber()
    ideal = zincblende(5.431, (14, 14))
    noise = np.random.default_rng(0).normal(scale=0.05, size=(5, 2, 3))
    crystals = [Crystal(ideal.lattice, ideal.positions + moved, ideal.numbers) for moved in noise]
    labels = [differentiate(teacher, periodic_graph(crystal, CUTOFF)).hessian()[0] for crystal in crystals]
    train, (test,) = batch_graphs([periodic_graph(c, CUTOFF) for c in crystals[:-1]]), crystals[-1:]
    model = network(scalars=16, channels=8, messages=8, repulsion=False)
    scale = float(torch.stack([label.diagonal() for label in labels]).square().mean().sqrt())
    model.set_statistics(EnergyStatistics([0.0] * N_NUMBERS, scale, 28.0))
    target = torch.block_diag(*labels[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(100):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 100)
        probe = torch.randn(len(target), 1, dtype=torch.float64)
        products = differentiate(model, train, training=True).product(probe.reshape(-1, 3)).reshape(-1, 1)
        optimizer.zero_grad()
        (products - target @ probe).square().mean().backward(inputs=list(model.parameters()))
        optimizer.step()
    found = differentiate(model, periodic_graph(test, CUTOFF)).hessian()[0]
    assert float((found - labels[-1]).norm() / labels[-1].norm()) < 0.05
