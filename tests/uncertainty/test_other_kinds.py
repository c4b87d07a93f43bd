"""Errors of delta and response models through the same interface as those of direct ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mlrim.checkpoint import LoadedModel
from mlrim.graph.crystal_scalars import SCALARS
from mlrim.models.delta import DeltaModel
from mlrim.models.response import ResponseModel
from mlrim.pipeline import Settings, predict_structure
from mlrim.predictors import CalibratedDelta, DeltaPredictor, Known
from mlrim.report.mode_table import mode_columns
from mlrim.report.summary import summary
from mlrim.responses import ResponseEnsemble
from mlrim.structures import InputStructure
from mlrim.uncertainty.calibrated import Uncertainty
from mlrim.uncertainty.error_model import Residuals, fit_error_model
from mlrim.uncertainty.training_domain import fit_domain
from tests.graph.crystals import rock_salt

WIDTH = 8
SETTINGS = Settings(mesh=(3, 3, 3), path_spacing=0.1, temperatures=(0.0, 300.0, 300.0))


def uncertainty(method: str, *names: str, elements: tuple[int, ...] = (8, 12)) -> Uncertainty:
    generator, ones = np.random.default_rng(0), np.ones(50)
    model = fit_error_model(Residuals(100 * ones, generator.normal(size=50), ones, ones, ones))
    cloud = generator.normal(size=(60, WIDTH))
    return Uncertainty(method, dict.fromkeys(names, model), fit_domain(cloud[:40], cloud[40:], elements))


def deltas() -> list[DeltaPredictor]:
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = DeltaModel(WIDTH, 4, 4, 1, 8, 4, 8, 8).eval()
        found.append(DeltaPredictor(LoadedModel("delta", model, {}, {"baseline": "rim"}), "some"))
    return found


@pytest.mark.parametrize("method", ["ensemble", "laplace"])
def test_delta_predictions_carry_errors(method: str) -> None:
    networks = deltas()
    predictor = CalibratedDelta(networks, "some", uncertainty(method, "frequency", "density", *SCALARS))
    crystal = rock_salt()
    prediction = predict_structure(InputStructure("MgO", Path("MgO.cif"), crystal, [], []), predictor, SETTINGS)
    errors = prediction.errors
    assert errors is not None
    for mode, error in zip(prediction.gamma.modes, errors.frequencies, strict=True):
        assert (error is None) == mode.acoustic
        assert mode.acoustic or error > 0
    assert mode_columns(prediction)["frequency_error_cm1"] == errors.frequencies
    assert summary(prediction)["uncertainty"]["domain"]["limit"] == errors.domain.limit
    assert all(one.error > 0 for one in errors.scalars.values())
    singles = [network(crystal, Known()).short_range.blocks for network in networks]
    expected = np.mean(singles, axis=0) if method == "ensemble" else singles[0]
    np.testing.assert_allclose(predictor(crystal, Known()).short_range.blocks, expected)


def test_elements_that_a_delta_model_was_not_trained_on_are_told() -> None:
    known = uncertainty("ensemble", "frequency", elements=(8, 20))
    structure = InputStructure("MgO", Path("MgO.cif"), rock_salt(), [], [])
    prediction = predict_structure(structure, CalibratedDelta(deltas(), "some", known), SETTINGS)
    assert any("without Mg" in warning for warning in prediction.warnings)


def test_responses_carry_errors_and_the_domain() -> None:
    members = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = ResponseModel(WIDTH, 4, 4, 1, 8, 4, 8, 8, raman=False).eval()
        members.append(LoadedModel("response", model, {}, {}))
    known = uncertainty("ensemble", "born_charge", "dielectric", elements=(8, 20))
    answer = ResponseEnsemble(members, ["a", "b"], "pbesol", known)(rock_salt())
    assert answer.errors["born_charges"] > 0
    assert answer.errors["dielectric"] > 0
    assert any("without Mg" in warning for warning in answer.warnings)
    assert ResponseEnsemble(members, ["a", "b"], "pbesol")(rock_salt()).errors == {}
