"""Products of tensors as numbers against matrices and vectors, and sums over neighbours against loops."""

import torch

from mlrim.graph.energy_graph import edge_vectors, periodic_graph
from mlrim.nn.cartesian_layers import MATRICES, VECTORS, Densities, ElementPairs, Messages, Update, components
from mlrim.nn.edge_functions import EdgeFunctions
from tests.lattice.crystals import random_crystal

CUTOFF, CHANNELS = 5.0, 3


def random_tensors(atoms=4, channels=CHANNELS, seed=0):
    return torch.randn(9, atoms, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrices_of(tensors):
    """The matrices (times 3/2) of which the last five numbers are the components."""
    xy, yz, zx, difference, long = tensors[MATRICES]
    xx, yy, zz = (3 * difference - long) / 6, (-3 * difference - long) / 6, long / 3
    rows = [torch.stack(row, -1) for row in ((xx, xy, zx), (xy, yy, yz), (zx, yz, zz))]
    return 1.5 * torch.stack(rows, -2)


def products(left, right):
    update = Update(2, CHANNELS, CHANNELS, 4, 0.0, last=False).double()
    return update._products(left, right)


def test_numbers_of_a_matrix_are_its_components():
    tensors = random_tensors()
    matrix = matrices_of(tensors)[1, 2]
    torch.testing.assert_close(components(matrix), 1.5 * tensors[MATRICES, 1, 2])
    torch.testing.assert_close(matrix.trace(), torch.zeros((), dtype=torch.float64))


def test_products_are_those_of_vectors_and_matrices():
    left, right = random_tensors(seed=1), random_tensors(seed=2)
    found = products(left, right)
    v, w = (tensors[VECTORS].permute(1, 2, 0) for tensors in (left, right))
    t, s = matrices_of(left), matrices_of(right)
    torch.testing.assert_close(found[0], (v * w).sum(-1))
    torch.testing.assert_close(found[1], (t * s).sum((-1, -2)))
    torch.testing.assert_close(found[2:5].permute(1, 2, 0), (t @ w[..., None])[..., 0])
    outer = v[..., :, None] * w[..., None, :]
    symmetric = outer + outer.mT
    expected = torch.stack([components(symmetric[atom, 0]) for atom in range(len(v))], -1)
    torch.testing.assert_close(found[5:, :, 0], expected)


def surroundings():
    graph = periodic_graph(random_crystal(3, 5), CUTOFF)
    vectors = edge_vectors(graph)
    return graph, EdgeFunctions(4, 3, CUTOFF).double()(graph, vectors)


def edge_values(edges):
    """Radial and angular functions in the order of the edges."""
    radial = edges.radial[:, edges.around.place]
    return radial, edges.angular.transpose(0, 1).reshape(9, -1)[:, edges.around.place]


def test_densities_are_sums_over_neighbours():
    torch.manual_seed(0)
    graph, edges = surroundings()
    densities = Densities(CHANNELS, 7).double()
    weights = torch.randn(edges.around.elements.shape[1], 3 * CHANNELS, dtype=torch.float64)
    found = densities(edges, weights, len(graph.numbers))
    radial, angular = edge_values(edges)
    kinds = edges.around.elements.T.tolist()
    expected = torch.zeros_like(found)
    for edge, (i, j) in enumerate(zip(graph.receiver.tolist(), graph.sender.tolist(), strict=True)):
        pair = kinds.index([int(graph.numbers[i]), int(graph.numbers[j])])
        for component, rank in enumerate((0, 1, 1, 1, 2, 2, 2, 2, 2)):
            shape = radial[:, edge] @ densities.radial.weight[rank] * weights[pair].view(3, CHANNELS)[rank]
            expected[component, i] += angular[component, edge] * shape
    torch.testing.assert_close(found, expected)


def test_messages_are_sums_over_neighbours():
    torch.manual_seed(0)
    graph, edges = surroundings()
    messages = Messages(5, CHANNELS, 7).double()
    scalars = torch.randn(len(graph.numbers), 5, dtype=torch.float64)
    radial, angular = edge_values(edges)
    sent = messages.send(scalars)[graph.sender] * messages.filters(radial.T)
    expected = torch.zeros(9, len(scalars), CHANNELS, dtype=torch.float64)
    expected.index_add_(1, graph.receiver, angular[:, :, None] * sent)
    torch.testing.assert_close(messages(edges, scalars), expected)


def test_an_update_turns_with_its_tensors():
    torch.manual_seed(0)
    update = Update(5, CHANNELS, CHANNELS, 8, 0.0, last=False).double()
    tensors, scalars = random_tensors(), torch.randn(4, 5, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    turned = tensors.clone()
    turned[VECTORS] = torch.einsum("ab,bnc->anc", turn, tensors[VECTORS])
    rotated = turn @ matrices_of(tensors) @ turn.T / 1.5
    for atom in range(4):
        for channel in range(CHANNELS):
            turned[MATRICES, atom, channel] = components(rotated[atom, channel])
    (plain, before), (same, after) = update(scalars, tensors), update(scalars, turned)
    torch.testing.assert_close(same, plain)
    torch.testing.assert_close(after[:3], torch.einsum("ab,bnc->anc", turn, before[:3]))
    old, new = (matrices_of(torch.cat([tensors[:4], part[3:]])) for part in (before, after))
    torch.testing.assert_close(new, turn @ old @ turn.T)


def test_pairs_of_elements_are_ordered_and_every_element_is_known():
    torch.manual_seed(0)
    pairs = ElementPairs(6, 8, 4, 0.0)
    found = pairs(torch.tensor([[8, 12, 118], [12, 8, 88]]))
    assert found.shape == (3, 4)
    assert bool(found.isfinite().all())
    assert not torch.allclose(found[0], found[1])
