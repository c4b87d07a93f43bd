"""Properties that hold for any weights: float64, untrained network, random crystals."""

import numpy as np
import pytest
import torch

from mlrim.graph.response_graph import ResponseGraph, batch_responses, build_response_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import space_group
from mlrim.models.response import Response, ResponseModel, ResponseStatistics, dielectric_tensor
from mlrim.models.response_predictor import evaluate
from tests.graph.crystals import random_crystal, random_orthogonal, rock_salt, rotated, rutile, some_baseline


@pytest.fixture(scope="module")
def model() -> ResponseModel:
    torch.manual_seed(3)
    made = ResponseModel(64, 16, 8, layers=3, edge_features=32, update_hidden=64, head_hidden=32).double().eval()
    made.set_statistics(ResponseStatistics([0.0] * 256, [1.0] * 256, 1.2, 2.0))
    with torch.no_grad():  # larger than at the start of training, so that every part is seen
        for parameter in made.bonds.parameters():
            parameter.mul_(3.0)
    return made


def graph_of(crystal: Crystal, theory: int = 0, symprec: float | None = None) -> ResponseGraph:
    charges = np.linspace(-1, 1, 120)[crystal.numbers]
    prior = None
    return build_response_graph(
        crystal, some_baseline(crystal), charges, theory, prior, symprec=symprec, dtype=torch.float64
    )


def response(model: ResponseModel, crystal: Crystal, **options) -> Response:
    with torch.no_grad():
        return model(graph_of(crystal, **options))


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("seed", range(3))
def test_tensors_turn_with_the_crystal(model: ResponseModel, determinant: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    crystal = random_crystal(generator)
    turn = random_orthogonal(generator, determinant)
    here, there = response(model, crystal), response(model, rotated(crystal, turn))
    born = np.einsum("ab,nbc,dc->nad", turn, here.born_charges, turn)
    raman = np.einsum("ai,bj,ck,nijk->nabc", turn, turn, turn, here.raman_tensors)
    assert np.abs(here.raman_tensors.numpy()).max() > 1e-3
    np.testing.assert_allclose(there.born_charges, born, atol=1e-10)
    np.testing.assert_allclose(there.raman_tensors, raman, atol=1e-10)
    np.testing.assert_allclose(
        there.log_susceptibility[0], turn @ here.log_susceptibility[0].numpy() @ turn.T, atol=1e-10
    )
    np.testing.assert_allclose(there.metal_logit, here.metal_logit, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_sums_vanish_and_the_dielectric_tensor_exceeds_one(model: ResponseModel, seed: int) -> None:
    found = response(model, random_crystal(np.random.default_rng(seed)))
    assert found.born_charges.sum(0).abs().max() < 1e-12
    assert found.raman_tensors.sum(0).abs().max() < 1e-12
    np.testing.assert_allclose(found.raman_tensors, found.raman_tensors.transpose(1, 2), atol=1e-12)
    dielectric = dielectric_tensor(found.log_susceptibility)[0]
    np.testing.assert_allclose(dielectric, dielectric.T, atol=1e-12)
    assert torch.linalg.eigvalsh(dielectric).min() > 1


def test_born_charges_need_not_be_symmetric(model: ResponseModel) -> None:
    born = response(model, random_crystal(np.random.default_rng(1))).born_charges
    assert (born - born.transpose(1, 2)).abs().max() > 1e-5


def test_symmetry_saves_work_and_changes_nothing(model: ResponseModel) -> None:
    every, few = response(model, rutile()), response(model, rutile(), symprec=1e-3)
    assert len(graph_of(rutile(), symprec=1e-3).crystal.element) == 2
    for whole, part in zip(every, few, strict=True):
        np.testing.assert_allclose(part, whole, atol=1e-10)


def test_a_centre_of_inversion_forbids_raman_tensors(model: ResponseModel) -> None:
    found = response(model, rock_salt())
    assert found.raman_tensors.abs().max() < 1e-10
    isotropic = found.born_charges - found.born_charges.diagonal(dim1=1, dim2=2).mean(-1)[:, None, None] * torch.eye(3)
    assert isotropic.abs().max() < 1e-10


def test_a_supercell_has_the_response_of_its_cell(model: ResponseModel) -> None:
    crystal = random_crystal(np.random.default_rng(2))
    supercell = Supercell(crystal, np.diag([2, 1, 1]))
    one, two = response(model, crystal), response(model, supercell.to_crystal())
    np.testing.assert_allclose(two.log_susceptibility, one.log_susceptibility, atol=1e-10)
    np.testing.assert_allclose(two.born_charges[::2], one.born_charges, atol=1e-10)
    np.testing.assert_allclose(two.raman_tensors[::2], one.raman_tensors, atol=1e-10)


def test_crystals_in_a_batch_do_not_see_each_other(model: ResponseModel) -> None:
    crystals = [rutile(), random_crystal(np.random.default_rng(0)), rock_salt()]
    graphs = [graph_of(crystal, theory) for theory, crystal in enumerate(crystals)]
    with torch.no_grad():
        together = model(batch_responses(graphs))
        alone = [model(graph) for graph in graphs]
    for name in Response._fields:
        joined = torch.cat([getattr(found, name) for found in alone])
        np.testing.assert_allclose(getattr(together, name), joined, atol=1e-10)


def susceptibility(found: Response) -> float:
    """ε∞ − 1, the geometric mean over directions."""
    return float(torch.exp(torch.linalg.eigvalsh(found.log_susceptibility[0].detach()).mean()))


def test_the_level_of_theory_matters(model: ResponseModel) -> None:
    first, second = response(model, rutile(), theory=0), response(model, rutile(), theory=1)
    assert (first.log_susceptibility - second.log_susceptibility).abs().max() > 1e-4


def test_a_prior_is_added_and_turned_with_its_atoms(model: ResponseModel) -> None:
    crystal = rutile()
    generator = np.random.default_rng(0)
    prior = generator.normal(size=(6, 3, 3, 3))
    prior = prior + prior.swapaxes(1, 2)
    charges = np.linspace(-1, 1, 120)[crystal.numbers]
    with_prior = build_response_graph(
        crystal, some_baseline(crystal), charges, 0, prior, symprec=None, dtype=torch.float64
    )
    silent = ResponseModel(16, 4, 4, layers=1, edge_features=8, update_hidden=16, head_hidden=16).double().eval()
    with torch.no_grad():  # the learned part of a network that has not been trained on Raman tensors is zero
        found, whole = silent(with_prior), model(with_prior)
        learned = whole.raman_tensors - susceptibility(whole) * prior
        twice = model(with_prior._replace(raman_prior=2 * with_prior.raman_prior)).raman_tensors
    np.testing.assert_allclose(found.raman_tensors, susceptibility(found) * prior, atol=1e-10)
    np.testing.assert_allclose(twice - 2 * susceptibility(whole) * prior, 2 * learned, rtol=0.02, atol=1e-4)


def test_answers_are_neutral_in_double_precision_whatever_the_network_computes_in() -> None:
    torch.manual_seed(0)
    small = ResponseModel(16, 4, 4, layers=1, edge_features=8, update_hidden=16, head_hidden=16).eval()
    answer = evaluate(small, rutile(), "pbesol")
    assert np.abs(answer.born_charges.sum(axis=0)).max() < 1e-12
    assert answer.raman_tensors is None, "an untrained head must not be heard"
    assert 0 < answer.insulator_probability < 1


@pytest.mark.parametrize("make", [rutile, rock_salt])
def test_answers_have_the_symmetry_of_the_crystal(make) -> None:
    """Site and crystal symmetry to 1e-8 in single precision, measured operation by operation."""
    torch.manual_seed(1)
    network = ResponseModel(16, 4, 4, layers=1, edge_features=8, update_hidden=16, head_hidden=16).eval()
    network.raman_scale.fill_(1.0)
    crystal = make()
    answer, group = evaluate(network, crystal, "pbesol"), space_group(crystal)
    assert len(group.cartesian) > 8
    for turn, moved in zip(group.cartesian, group.permutations, strict=True):
        born = np.einsum("ab,nbc,dc->nad", turn, answer.born_charges, turn)
        raman = np.einsum("ai,bj,ck,nijk->nabc", turn, turn, turn, answer.raman_tensors)
        np.testing.assert_allclose(answer.born_charges[moved], born, atol=1e-8)
        np.testing.assert_allclose(answer.raman_tensors[moved], raman, atol=1e-8)
        np.testing.assert_allclose(turn @ answer.dielectric @ turn.T, answer.dielectric, atol=1e-8)


def test_a_crystal_of_metals_only_is_taken_for_a_metal() -> None:
    torch.manual_seed(0)
    network = ResponseModel(16, 4, 4, layers=1, edge_features=8, update_hidden=16, head_hidden=16).eval()
    lattice = 2.02 * (np.ones((3, 3)) - np.eye(3))
    aluminium = Crystal.from_fractional(lattice, np.zeros((1, 3)), np.array([13]))
    assert evaluate(network, aluminium, "pbesol").insulator_probability <= 0.1
