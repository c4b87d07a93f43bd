"""Edges in blocks, and the functions on them."""

import numpy as np
import pytest
import torch

from mlrim.graph.energy_graph import batch_graphs, edge_vectors, molecular_graph, periodic_graph
from mlrim.nn.edge_functions import BLOCK, EdgeFunctions, neighbourhoods, radial_derivatives
from mlrim.nn.known_derivatives import ORDERS
from tests.lattice.crystals import random_crystal

CUTOFF = 5.0
ALONE = molecular_graph(np.array([2]), np.zeros((1, 3)), CUTOFF)


@pytest.fixture
def graph():
    return batch_graphs([periodic_graph(random_crystal(3, seed), CUTOFF) for seed in (1, 2)] + [ALONE])


def test_every_edge_has_a_slot_in_a_block_of_its_receiver_and_elements(graph):
    around = neighbourhoods(graph)
    assert len(set(around.place.tolist())) == len(graph.receiver)
    group = around.block_group[around.place // BLOCK]
    assert torch.equal(around.sender[around.place], graph.sender)
    assert torch.equal(around.group_receiver[group], graph.receiver)
    elements = around.elements[:, around.group_pair[group]]
    assert torch.equal(elements, torch.stack([graph.numbers[graph.receiver], graph.numbers[graph.sender]]))


def test_blocks_hold_one_group_and_little_unused_room(graph):
    around = neighbourhoods(graph)
    groups = {
        (int(atom), int(graph.numbers[sender])) for atom, sender in zip(graph.receiver, graph.sender, strict=True)
    }
    assert len(around.group_receiver) == len(groups)
    assert len(around.sender) - len(graph.receiver) < BLOCK * len(groups)


def test_functions_are_those_of_the_edges_and_unused_room_is_zero(graph):
    functions = EdgeFunctions(6, 4, CUTOFF).double()
    vectors = edge_vectors(graph)
    around, radial, angular = functions(graph, vectors)
    distance = vectors.norm(dim=1)
    x, y, z = (vectors / distance[:, None]).T
    expected = torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, z * x, x**2 - y**2, 2 * z**2 - x**2 - y**2])
    torch.testing.assert_close(angular.transpose(0, 1).reshape(9, -1)[:, around.place], expected)
    fade = ((distance - 0.4 * CUTOFF) / (0.6 * CUTOFF)).clamp(0, 1)
    envelope = 1 - fade**4 * (35 - 84 * fade + 70 * fade**2 - 20 * fade**3)
    first_wave = torch.sin(torch.pi * distance / CUTOFF) / (torch.pi * distance / CUTOFF) * envelope
    torch.testing.assert_close(radial[6, around.place], first_wave, rtol=1e-6, atol=1e-8)
    unused = torch.ones(radial.shape[1], dtype=torch.bool)
    unused[around.place] = False
    assert unused.any()
    assert not radial[:, unused].any()


@pytest.mark.parametrize("order", range(ORDERS))
def test_derivatives_of_radial_functions_are_those_of_one_another(order):
    distance, step = torch.linspace(1.0, 5.2, 200, dtype=torch.float64), 1e-4
    scale = torch.full_like(distance, 1.7)
    centres = torch.linspace(1, 8, 5, dtype=torch.float64)
    waves = torch.arange(1, 5, dtype=torch.float64) * torch.pi / CUTOFF

    def values(shift, order=order):
        return radial_derivatives(order, distance + shift, scale, centres, waves, CUTOFF)

    slope = (8 * (values(step) - values(-step)) - (values(2 * step) - values(-2 * step))) / (12 * step)
    torch.testing.assert_close(slope, values(0, order + 1), rtol=1e-6, atol=1e-6)


def test_a_lone_atom_has_no_blocks():
    around, radial, angular = EdgeFunctions(6, 4, CUTOFF).double()(ALONE, edge_vectors(ALONE))
    assert radial.shape == (10, 0)
    assert angular.shape == (0, 9, BLOCK)
    assert around.elements.shape == (2, 0)
