"""Frequencies of the direct network: what must hold before any training; float64, random crystals."""

import numpy as np
import pytest
import torch

from mlrim.graph.structure_graph import SiteOccupancy, batch_structures, build_structure_graph, full_occupancy
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.models.direct import DirectModel
from mlrim.nn.dynamical import dynamical_matrices
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from tests.graph.crystals import random_crystal, random_orthogonal, rock_salt, rotated

EMBEDDINGS = ("one_hot", "learned", "properties", "learned_and_properties")


@pytest.fixture(scope="module")
def model() -> DirectModel:
    torch.manual_seed(3)
    sizes = {"scalars": 24, "vectors": 8, "matrices": 6, "edge_features": 16, "update_hidden": 32, "head_hidden": 32}
    return DirectModel(["modes"], **sizes).double()


def graph_of(crystal: Crystal, occupancy: SiteOccupancy | None = None):
    return build_structure_graph(crystal, 5.0, occupancy, torch.float64)


def frequencies(model: DirectModel, crystal: Crystal, *qpoints, occupancy: SiteOccupancy | None = None) -> np.ndarray:
    """cm⁻¹, (qpoints, modes), imaginary ones negative."""
    waves = torch.tensor(np.array(qpoints, dtype=float))[None] if qpoints else None
    (values,) = model.squared_frequencies(graph_of(crystal, occupancy), waves)
    return (values.sign() * values.abs().sqrt()).detach().numpy() * SQRT_EIGENVALUE_TO_CM1


def stacked(*crystals: Crystal):
    return batch_structures([graph_of(crystal) for crystal in crystals])


@pytest.mark.parametrize("seed", range(4))
def test_matrices_are_hermitian(model: DirectModel, seed: int) -> None:
    crystal = random_crystal(np.random.default_rng(seed))
    graph = graph_of(crystal)
    waves = torch.rand(1, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    (group,) = dynamical_matrices(model.virtual_force_constants(graph), graph, waves)
    largest = group.matrices.abs().max()
    assert largest > 1e-3
    assert (group.matrices - group.matrices.mH).abs().max() < 1e-12 * largest


@pytest.mark.parametrize("seed", range(4))
def test_three_modes_at_gamma_are_zero_without_training(model: DirectModel, seed: int) -> None:
    found = frequencies(model, random_crystal(np.random.default_rng(seed)))[0]
    smallest = np.sort(np.abs(found))
    assert smallest[2] < 1e-6
    assert smallest[3] > 1


def test_the_sum_rule_holds_to_rounding(model: DirectModel) -> None:
    graph = graph_of(random_crystal(np.random.default_rng(5)))
    (group,) = dynamical_matrices(model.virtual_force_constants(graph), graph)
    matrix = group.matrices[0, 0]
    translations = torch.eye(3, dtype=torch.float64).repeat(len(graph.masses), 1)
    moved = matrix @ (graph.masses.sqrt().repeat_interleave(3)[:, None] * translations)
    assert moved.abs().max() < 1e-12 * matrix.abs().max() * graph.masses.sqrt().max() * len(graph.masses)


def test_wave_vectors_repeat_with_the_reciprocal_lattice(model: DirectModel) -> None:
    crystal = random_crystal(np.random.default_rng(1))
    found = frequencies(model, crystal, [0.1, 0.2, 0.3], [1.1, -1.8, 0.3], [-0.1, -0.2, -0.3])
    np.testing.assert_allclose(found[1:], found[[0, 0]], atol=1e-8)


@pytest.mark.parametrize("determinant", [1, -1])
def test_frequencies_do_not_turn_with_the_crystal(model: DirectModel, determinant: int) -> None:
    generator = np.random.default_rng(2)
    crystal = random_crystal(generator)
    turned = rotated(crystal, random_orthogonal(generator, determinant))
    waves = [[0.1, 0.2, 0.3], [0.5, 0, 0]]
    np.testing.assert_allclose(frequencies(model, turned, *waves), frequencies(model, crystal, *waves), atol=1e-7)


def test_order_of_atoms_and_origin_do_not_matter(model: DirectModel) -> None:
    crystal = random_crystal(np.random.default_rng(3))
    order = np.array([3, 1, 0, 4, 2])
    moved = crystal.positions[order] + np.array([0.3, -1.7, 9.1])
    moved[0] += crystal.lattice[1]
    other = Crystal(crystal.lattice, moved, crystal.numbers[order], crystal.masses[order])
    waves = [[0.1, 0.2, 0.3], [0.5, 0, 0]]
    np.testing.assert_allclose(frequencies(model, other, *waves), frequencies(model, crystal, *waves), atol=1e-7)


def test_supercell_has_the_folded_frequencies(model: DirectModel) -> None:
    crystal = random_crystal(np.random.default_rng(4), 3)
    supercell = Supercell(crystal, np.array([[1, 1, 0], [0, 2, 0], [0, 0, 1]]))
    separate = frequencies(model, crystal, *supercell.commensurate_qpoints)
    together = frequencies(model, supercell.to_crystal())[0]
    squares = np.sort((np.sign(separate) * separate**2).ravel())
    np.testing.assert_allclose(np.sign(together) * together**2, squares, atol=1e-6 * np.abs(squares).max())


def test_results_do_not_depend_on_the_batch(model: DirectModel) -> None:
    crystals = [random_crystal(np.random.default_rng(seed), n_atoms) for seed, n_atoms in ((0, 5), (1, 2), (2, 5))]
    waves = torch.rand(3, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = model.squared_frequencies(stacked(*crystals), waves)
    for index, crystal in enumerate(crystals):
        (alone,) = model.squared_frequencies(graph_of(crystal), waves[index : index + 1])
        torch.testing.assert_close(together[index], alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_shared_sites_lie_between_their_elements(embedding: str) -> None:
    torch.manual_seed(0)
    small = DirectModel(["modes"], 8, 4, 4, 2, 8, 8, 16, 16, embedding=embedding).double()
    crystal = rock_salt()
    cation = crystal.numbers[0]
    pure = frequencies(small, crystal)
    anion = crystal.numbers[1]
    shares = SiteOccupancy(np.array([cation, cation, anion]), np.array([0.3, 0.7, 1.0]), np.array([0, 0, 1]))
    np.testing.assert_allclose(frequencies(small, crystal, occupancy=shares), pure, atol=1e-8)
    mixed = SiteOccupancy(np.array([cation, 38, anion]), np.array([0.5, 0.5, 1.0]), np.array([0, 0, 1]))
    other = SiteOccupancy(np.array([38, anion]), np.ones(2), np.array([0, 1]))
    middle = frequencies(small, crystal, occupancy=mixed)
    assert np.abs(middle - pure).max() > 1e-3
    assert np.abs(middle - frequencies(small, crystal, occupancy=other)).max() > 1e-3


def test_gradients_are_finite_at_degenerate_modes(model: DirectModel) -> None:
    graph = graph_of(rock_salt())
    (values,) = model.squared_frequencies(graph)
    assert float((values[0, 4] - values[0, 3]).detach().abs()) < 1e-10
    gradients = torch.autograd.grad(values.square().sum(), [p for p in model.parameters() if p.requires_grad])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(float(gradient.abs().max()) > 0 for gradient in gradients)


def test_full_occupancy_is_the_crystal_itself() -> None:
    crystal = rock_salt()
    occupancy = full_occupancy(crystal)
    np.testing.assert_array_equal(occupancy.numbers, crystal.numbers)
    assert occupancy.shares.tolist() == [1.0, 1.0]
