"""Properties that hold for any weights: float64, untrained network, random crystals."""

import numpy as np
import pytest
import torch

from mlrim.graph.crystal_graph import ResponseFeatures, batch, build_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import acoustic_residual, fold
from mlrim.lattice.neighbours import reverse_index
from mlrim.lattice.supercell import Supercell
from mlrim.models.delta import DeltaModel
from mlrim.models.predictor import predict_correction
from mlrim.units import THZ_TO_CM1
from tests.graph.crystals import (
    random_crystal,
    random_orthogonal,
    rock_salt,
    rotated,
    rutile,
    some_baseline,
)


@pytest.fixture(scope="module")
def model() -> DeltaModel:
    torch.manual_seed(3)
    return DeltaModel().double().eval()


def correction(model: DeltaModel, crystal: Crystal, response: ResponseFeatures | None = None, **options):
    charges = np.linspace(-1, 1, 120)[crystal.numbers]
    options = {"symprec": None, "dtype": torch.float64} | options
    return predict_correction(model, crystal, some_baseline(crystal), response, charges, **options)


def some_response(crystal: Crystal) -> ResponseFeatures:
    generator = np.random.default_rng(0)
    return ResponseFeatures(generator.normal(size=(crystal.n_atoms, 3, 3)), np.diag([2.0, 2.5, 3.0]))


def test_default_size_is_that_of_the_paper() -> None:
    count = sum(parameter.numel() for parameter in DeltaModel().parameters())
    assert 1.1e6 < count < 1.4e6


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_turn_with_the_crystal(model: DeltaModel, determinant: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    crystal = random_crystal(generator)
    rotation = random_orthogonal(generator, determinant)
    response = some_response(crystal)
    turned_response = ResponseFeatures(
        rotation @ response.born_charges @ rotation.T, rotation @ response.dielectric @ rotation.T
    )
    blocks = correction(model, crystal, response).blocks
    turned = correction(model, rotated(crystal, rotation), turned_response).blocks
    assert np.abs(blocks).max() > 1e-3
    np.testing.assert_allclose(turned, rotation @ blocks @ rotation.T, atol=1e-8 * np.abs(blocks).max())


def test_network_itself_is_symmetric_under_permutation_of_a_pair(model: DeltaModel) -> None:
    crystal = random_crystal(np.random.default_rng(4))
    graph = build_graph(crystal, some_baseline(crystal), np.zeros(crystal.n_atoms), symprec=None, dtype=torch.float64)
    blocks = model(graph).detach().numpy()
    from mlrim.lattice.neighbours import Pairs

    reverse = reverse_index(Pairs(*(part.numpy() for part in (graph.edge_i, graph.edge_j, graph.edge_shift))))
    np.testing.assert_allclose(blocks, blocks[reverse].transpose(0, 2, 1), atol=1e-10)


def test_sum_rule_and_antisymmetric_part(model: DeltaModel) -> None:
    crystal = random_crystal(np.random.default_rng(5))
    predicted = correction(model, crystal)
    assert acoustic_residual(predicted, crystal.n_atoms) < 1e-10
    off_site = predicted.blocks[: -crystal.n_atoms]
    assert np.abs(off_site - off_site.transpose(0, 2, 1)).max() > 1e-6, "blocks must not be forced to be symmetric"


def test_supercell_gives_the_same_force_constants_as_the_primitive_cell(model: DeltaModel) -> None:
    crystal = random_crystal(np.random.default_rng(6), n_atoms=3)
    supercell = Supercell(crystal, np.diag([2, 1, 1]))
    folded = fold(correction(model, crystal), supercell)
    larger = supercell.to_crystal()
    whole = fold(correction(model, larger), Supercell(larger, np.eye(3, dtype=int)))
    home = np.arange(crystal.n_atoms) * supercell.n_cells
    np.testing.assert_allclose(whole[home], folded, atol=1e-8)


@pytest.mark.parametrize("crystal", [rock_salt(), rutile()])
def test_symmetry_only_saves_work(model: DeltaModel, crystal: Crystal) -> None:
    plain, symmetric = (correction(model, crystal, symprec=symprec).blocks for symprec in (None, 1e-4))
    np.testing.assert_allclose(symmetric, plain, atol=1e-9 * np.abs(plain).max())


def test_degenerate_modes_stay_degenerate(model: DeltaModel) -> None:
    crystal = rock_salt()
    modes = LatticeDynamics(crystal, correction(model, crystal)).modes(np.zeros((1, 3)))
    optical = modes.frequencies[0] * THZ_TO_CM1
    largest = np.sort(np.abs(optical))[-3:]
    assert largest.min() > 1
    assert np.ptp(largest) < 1e-6


def test_blocks_vanish_smoothly_at_the_cutoff(model: DeltaModel) -> None:
    def block_at(distance: float) -> float:
        crystal = Crystal(30 * np.eye(3), np.array([[0, 0, 0], [distance, 0, 0], [0, 2, 0]]), np.array([12, 8, 8]))
        predicted = correction(model, crystal)
        chosen = (predicted.pairs.i == 0) & (predicted.pairs.j == 1)
        return float(predicted.blocks[chosen].sum())

    inside = [block_at(6.0 - step) for step in (1e-3, 2e-3, 4e-3)]
    assert block_at(6.0 + 1e-6) == 0
    assert abs(inside[0]) < 1e-6
    assert abs(block_at(5.0)) > 1e-4
    assert abs(inside[2]) < 9 * abs(inside[1]) + 1e-12, "no faster than the third power of the distance"


def test_batch_mates_do_not_matter(model: DeltaModel) -> None:
    generator = np.random.default_rng(8)
    crystals = [random_crystal(generator), rock_salt(), rutile()]
    graphs = [build_graph(c, some_baseline(c), np.zeros(c.n_atoms), dtype=torch.float64) for c in crystals]
    alone = torch.cat([model(graph) for graph in graphs])
    torch.testing.assert_close(model(batch(graphs)), alone, atol=1e-10, rtol=1e-8)


def test_every_parameter_receives_a_gradient() -> None:
    crystal = random_crystal(np.random.default_rng(9))
    graph = build_graph(crystal, some_baseline(crystal), np.zeros(crystal.n_atoms), some_response(crystal))
    model = DeltaModel()
    model(graph).square().sum().backward()
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not silent


def test_unknown_response_is_that_of_the_rigid_ions_and_marked() -> None:
    crystal, charges = rock_salt(), np.array([1.2, -1.2])
    ions = ResponseFeatures(charges[:, None, None] * np.eye(3), np.eye(3))
    unknown, known = (build_graph(crystal, some_baseline(crystal), charges, response) for response in (None, ions))
    assert torch.equal(unknown.pair_dipole, known.pair_dipole)
    assert unknown.pair_dipole.abs().max() > 0.1
    assert torch.equal(unknown.site_features[:, :4], known.site_features[:, :4])
    assert unknown.site_features[:, 4].tolist() == [0, 0]
    assert known.site_features[:, 4].tolist() == [1, 1]
