import numpy as np
import pytest
import torch

from mlrim.errors import UserError
from mlrim.graph.crystal_graph import ResponseFeatures, batch, build_graph
from mlrim.graph.elements import element_indices
from mlrim.graph.orbits import pair_orbits, symmetry_operations
from mlrim.lattice.force_constants import no_force_constants
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from tests.graph.crystals import random_crystal, rock_salt, rutile, some_baseline


def test_symmetry_leaves_one_pair_for_each_shell_and_kind_in_rock_salt() -> None:
    crystal = rock_salt(4.21)
    graph = build_graph(crystal, no_force_constants(2), np.array([1.2, -1.2]))
    lengths = np.round(graph.pair_vector.norm(dim=1).numpy(), 3)
    ends = np.sort(np.column_stack([graph.pair_i, graph.pair_j]), axis=1)
    kinds = {(length, *pair) for length, pair in zip(lengths.tolist(), ends.tolist(), strict=True)}
    assert len(kinds) == len(graph.pair_i)
    assert len(graph.edge_i) == len(neighbour_pairs(crystal, 6.0).i)


@pytest.mark.parametrize("crystal", [rock_salt(), rutile()])
def test_every_edge_vector_is_its_pair_rotated(crystal) -> None:
    graph = build_graph(crystal, no_force_constants(crystal.n_atoms), np.zeros(crystal.n_atoms), dtype=torch.float64)
    pairs = neighbour_pairs(crystal, 6.0)
    sign = torch.where(graph.edge_reversed, -1.0, 1.0)[:, None]
    moved = (graph.edge_rotation @ graph.pair_vector[graph.edge_pair, :, None])[:, :, 0] * sign
    np.testing.assert_allclose(moved.numpy(), pair_vectors(crystal, pairs), atol=1e-9)


def test_orbits_of_pairs_are_not_larger_than_the_group_allows() -> None:
    crystal = rutile()
    operations = symmetry_operations(crystal, 1e-4)
    orbits = pair_orbits(neighbour_pairs(crystal, 5.0), operations)
    _, sizes = np.unique(orbits.representative, return_counts=True)
    assert sizes.max() <= 2 * len(operations.rotations)


def test_baseline_blocks_are_on_the_edges_they_belong_to() -> None:
    crystal = random_crystal(np.random.default_rng(1))
    baseline = some_baseline(crystal, cutoff=4.0)
    graph = build_graph(crystal, baseline, np.zeros(crystal.n_atoms), symprec=None, dtype=torch.float64)
    pairs, near = neighbour_pairs(crystal, 6.0), neighbour_pairs(crystal, 4.0)
    assert len(near.i) < len(pairs.i)
    inside = np.linalg.norm(pair_vectors(crystal, pairs), axis=1) < 4.0
    np.testing.assert_allclose(graph.baseline.numpy()[inside], baseline.blocks)
    assert np.abs(graph.baseline.numpy()[~inside]).max() == 0


def test_batch_keeps_every_graph_as_it_was() -> None:
    generator = np.random.default_rng(0)
    crystals = [rock_salt(), random_crystal(generator), rutile()]
    graphs = [build_graph(c, no_force_constants(c.n_atoms), np.zeros(c.n_atoms)) for c in crystals]
    joined = batch(graphs)
    start = len(graphs[0].edge_i)
    stop = start + len(graphs[1].edge_i)
    assert torch.equal(joined.edge_i[start:stop] - graphs[0].n_atoms, graphs[1].edge_i)
    assert torch.equal(joined.pair_vector[joined.edge_pair[start:stop]], graphs[1].pair_vector[graphs[1].edge_pair])
    assert torch.equal(joined.n_atoms, torch.tensor([2, 5, 6]))
    assert torch.equal(joined.element[joined.atom_site[2:7]], graphs[1].element[graphs[1].atom_site])


def test_known_response_is_split_into_trace_and_shape() -> None:
    crystal = rock_salt()
    born = np.array([np.diag([2.0, 2.0, 1.4]), -np.diag([2.0, 2.0, 1.4])])
    graph = build_graph(
        crystal, no_force_constants(2), np.zeros(2), ResponseFeatures(born, 3 * np.eye(3)), symprec=None
    )
    np.testing.assert_allclose(graph.site_features[:, 2:], [[1.8, 1 / 3, 1], [-1.8, 1 / 3, 1]], rtol=1e-6)
    np.testing.assert_allclose(graph.site_tensors[0], np.diag([0.2, 0.2, -0.4]), atol=1e-7)


def test_unknown_element_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="Po"):
        element_indices(np.array([8, 84]))
