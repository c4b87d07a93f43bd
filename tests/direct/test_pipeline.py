"""From a structure to its vibrations without force constants: what is given, what is absent, and that it fits."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mlrim.checkpoint import LoadedModel, default_arguments
from mlrim.direct.answers import answer_of
from mlrim.direct.pipeline import ABSENT, predict_direct, thermal_of_bins
from mlrim.direct.predictor import DirectPredictor
from mlrim.disorder import virtual_crystal
from mlrim.errors import UserError
from mlrim.graph.structure_graph import build_structure_graph
from mlrim.models.direct import HEADS, DirectModel
from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.pipeline import Settings
from mlrim.potentials.settings import RelaxationSettings
from mlrim.structures import InputStructure
from mlrim.units import BOLTZMANN_J_PER_K_MOL, THZ_TO_CM1
from mlrim.vibrations.thermal import thermal_properties
from tests.graph.crystals import random_crystal, rock_salt, rutile

SETTINGS = Settings(mesh_spacing=0.1, path_spacing=0.05, temperatures=(0.0, 600.0, 300.0))


def network(*heads: str, seed: int = 0) -> LoadedModel:
    torch.manual_seed(seed)
    sizes = {"scalars": 12, "vectors": 4, "matrices": 4, "layers": 1, "edge_features": 8, "update_hidden": 12}
    config = {**default_arguments("direct"), **sizes, "head_hidden": 12, "heads": list(heads or HEADS)}
    return LoadedModel("direct", DirectModel(**config).eval(), config, {})


def structure(crystal) -> InputStructure:
    return InputStructure("some", Path("some.cif"), crystal, ["a note"], [])


@pytest.fixture(scope="module")
def predictor() -> DirectPredictor:
    return DirectPredictor([network()], "some.ckpt")


def test_everything_but_what_cannot_be_known_is_given(predictor: DirectPredictor) -> None:
    found = predict_direct(structure(rutile()), predictor, SETTINGS)
    for name in (
        "levels",
        "dispersion",
        "velocities",
        "density_of_states",
        "thermal",
        "stability",
        "infrared",
        "raman",
    ):
        assert getattr(found, name) is not None, name
    assert found.absent == ABSENT
    assert found.domain is None
    assert found.error_source is None
    assert found.dispersion_error is None
    assert all(level.error_cm1 is None for level in found.levels)
    assert sum(level.degeneracy for level in found.levels) == 18
    assert [level.degeneracy for level in found.levels if level.acoustic] == [3]


@pytest.mark.parametrize(
    ("heads", "absent"),
    [
        (("modes",), {"infrared", "raman", "scalars", "stability"}),
        (("density",), {"modes", "dispersion", "infrared", "raman", "scalars", "stability"}),
        (("spectra",), {"modes", "dispersion", "density_of_states", "thermal", "scalars", "stability"}),
        (("scalars",), {"modes", "dispersion", "density_of_states", "thermal", "infrared", "raman"}),
    ],
)
def test_what_a_model_has_no_head_for_is_said_to_be_absent(heads: tuple[str, ...], absent: set[str]) -> None:
    found = predict_direct(structure(rutile()), DirectPredictor([network(*heads)], "some.ckpt"), SETTINGS)
    assert found.absent.keys() - ABSENT.keys() == absent
    assert (found.levels is None) == ("modes" in absent)
    assert (found.density_of_states is None) == ("density_of_states" in absent)
    assert (found.infrared is None) == ("infrared" in absent)


def test_bands_are_those_of_the_network(predictor: DirectPredictor) -> None:
    crystal = random_crystal(np.random.default_rng(0))
    model = predictor.members[0].model
    found = predict_direct(structure(crystal), predictor, SETTINGS).dispersion
    waves = torch.tensor(found.path.qpoints[::40])[None]
    with torch.no_grad():
        (squares,) = model.squared_frequencies(build_structure_graph(crystal, 5.0, dtype=torch.float64), waves)
    from mlrim.lattice.dynamics import frequencies_from_eigenvalues

    expected = frequencies_from_eigenvalues(squares.numpy())
    optical = expected > 0.05
    np.testing.assert_allclose(found.frequencies[::40][optical], expected[optical], atol=1e-5)


def test_densities_of_elements_add_up_to_all_states(predictor: DirectPredictor) -> None:
    density = predict_direct(structure(rutile()), predictor, SETTINGS).density_of_states
    widths = predictor.density_grid.widths.double().numpy() / THZ_TO_CM1
    np.testing.assert_allclose(sum(density.projected.values()), density.total, rtol=1e-9)
    assert float(density.total @ widths) == pytest.approx(18, rel=1e-5)
    assert float(density.projected["O"] @ widths) == pytest.approx(12, rel=1e-5)


def test_thermal_functions_of_bins_are_those_of_their_states() -> None:
    grid = FrequencyGrid(128, 4000.0, 500.0)
    edges = grid.edges.double().numpy()
    generator = np.random.default_rng(0)
    frequencies = generator.uniform(60, 900, 20000)
    states = 12 * np.histogram(frequencies, edges)[0] / len(frequencies)
    temperatures = np.array([0.0, 100.0, 300.0, 1e5])
    found = thermal_of_bins(states, grid, temperatures)
    weights = np.full(len(frequencies), 1 / len(frequencies))
    exact = thermal_properties(frequencies[:, None] / THZ_TO_CM1, weights, temperatures).per(1 / 12)
    np.testing.assert_allclose(found.free_energy[:3], exact.free_energy[:3], atol=0.01)
    np.testing.assert_allclose(found.entropy[:3], exact.entropy[:3], atol=0.05)
    assert found.zero_point_energy == pytest.approx(exact.zero_point_energy, rel=1e-4)
    assert float(found.heat_capacity[-1]) == pytest.approx(12 * BOLTZMANN_J_PER_K_MOL, rel=1e-4)
    assert found.heat_capacity_limit == pytest.approx(12 * BOLTZMANN_J_PER_K_MOL)


def test_mixed_crystals_meet_their_end_members(predictor: DirectPredictor) -> None:
    crystal = rock_salt()
    results = {}
    for share in (0.0, 0.5, 1.0):
        mixed, occupancy = virtual_crystal(crystal, {0: {"Mg": 1 - share, "Ca": share}})
        results[share] = predict_direct(structure(mixed), predictor, SETTINGS, occupancy)
    calcium = type(crystal)(crystal.lattice, crystal.positions, np.array([20, 8]))
    for share, pure in ((0.0, crystal), (1.0, calcium)):
        expected = predict_direct(structure(pure), predictor, SETTINGS)
        assert results[share].levels[-1].frequency_cm1 == pytest.approx(expected.levels[-1].frequency_cm1, abs=1e-6)
        np.testing.assert_allclose(results[share].density_of_states.total, expected.density_of_states.total, atol=1e-8)
    half = results[0.5].density_of_states
    assert set(half.projected) == {"Mg", "Ca", "O"}
    np.testing.assert_allclose(half.projected["Mg"], half.projected["Ca"])
    assert results[0.5].formula == "Ca0.5Mg0.5O"
    assert results[0.5].sites == ["Ca 0.5, Mg 0.5", "O"]


def test_an_ensemble_predicts_the_mean_of_its_members() -> None:
    members = [network(seed=0), network(seed=1)]
    both = DirectPredictor(members, "several")
    crystal = rutile()
    gammas = [answer_of(member.model, crystal).gamma for member in members]
    found = predict_direct(structure(crystal), both, SETTINGS)
    assert found.levels[-1].frequency_cm1 == pytest.approx((gammas[0][-1] + gammas[1][-1]) / 2)


@pytest.mark.parametrize(
    ("relaxation", "message"),
    [
        (RelaxationSettings(relax="positions"), "relax=positions needs a model with an energy"),
        (RelaxationSettings(imaginary="follow"), "imaginary=follow needs a model with an energy"),
    ],
)
def test_options_that_need_an_energy_are_refused(
    predictor: DirectPredictor, relaxation: RelaxationSettings, message: str
) -> None:
    settings = Settings(relaxation=relaxation)
    with pytest.raises(UserError, match=message):
        predict_direct(structure(rutile()), predictor, settings)
