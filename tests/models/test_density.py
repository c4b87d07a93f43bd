"""The density network: what holds for any weights; float64, random crystals."""

import numpy as np
import pytest
import torch

from mlrim.graph.structure_graph import batch_structures, build_structure_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.models.density import DensityModel
from tests.graph.crystals import random_crystal, random_orthogonal, rotated


@pytest.fixture(scope="module")
def model() -> DensityModel:
    torch.manual_seed(1)
    sizes = {"edge_features": 16, "update_hidden": 32, "head_hidden": 32, "bins": 48}
    return DensityModel(scalars=24, vectors=8, matrices=6, **sizes).double()


def states(model: DensityModel, *crystals: Crystal) -> np.ndarray:
    graphs = [build_structure_graph(crystal, 5.0, dtype=torch.float64) for crystal in crystals]
    return model.total(batch_structures(graphs)).detach().numpy()


def test_three_positive_states_for_every_atom(model: DensityModel) -> None:
    crystal = random_crystal(np.random.default_rng(0))
    found = model(build_structure_graph(crystal, 5.0, dtype=torch.float64))
    assert float(found.detach().min()) > 0
    torch.testing.assert_close(found.sum(-1), torch.full((5,), 3.0, dtype=torch.float64))


def test_density_rises_from_zero(model: DensityModel) -> None:
    found = states(model, random_crystal(np.random.default_rng(0)))[0] / model.grid.widths.numpy()
    assert found[0] < 0.05 * found.max()
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("determinant", [1, -1])
def test_nothing_depends_on_orientation_order_or_origin(model: DensityModel, determinant: int) -> None:
    generator = np.random.default_rng(2)
    crystal = random_crystal(generator)
    order = generator.permutation(5)
    moved = Crystal(crystal.lattice, crystal.positions[order] + 0.7, crystal.numbers[order], crystal.masses[order])
    turned = rotated(moved, random_orthogonal(generator, determinant))
    np.testing.assert_allclose(states(model, turned), states(model, crystal), rtol=1e-9)


def test_a_supercell_has_as_many_times_the_states(model: DensityModel) -> None:
    crystal = random_crystal(np.random.default_rng(4), 3)
    supercell = Supercell(crystal, np.diag([1, 2, 1])).to_crystal()
    np.testing.assert_allclose(states(model, supercell), 2 * states(model, crystal), rtol=1e-9)


def test_results_do_not_depend_on_the_batch(model: DensityModel) -> None:
    crystals = [random_crystal(np.random.default_rng(seed), n_atoms) for seed, n_atoms in ((0, 5), (1, 2), (2, 4))]
    together = states(model, *crystals)
    for index, crystal in enumerate(crystals):
        np.testing.assert_allclose(together[index], states(model, crystal)[0], rtol=1e-10)
