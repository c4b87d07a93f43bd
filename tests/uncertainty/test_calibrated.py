"""Folders of calibrated models: what is written is what is read; damage is told."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mlrim.checkpoint import LoadedModel, default_arguments, kind_of_model, load_model
from mlrim.errors import UserError
from mlrim.models.direct import DirectModel
from mlrim.uncertainty.calibrated import Uncertainty, is_calibrated, load_calibrated, save_calibrated
from mlrim.uncertainty.error_model import Residuals, fit_error_model
from mlrim.uncertainty.laplace import Curvature, draw, last_layers
from mlrim.uncertainty.stability import StabilityCalibration
from mlrim.uncertainty.training_domain import fit_domain

SIZES = {
    "scalars": 8,
    "vectors": 4,
    "matrices": 4,
    "layers": 1,
    "edge_features": 8,
    "update_hidden": 8,
    "head_hidden": 8,
}


def network(seed: int) -> LoadedModel:
    torch.manual_seed(seed)
    config = {**default_arguments("direct"), **SIZES, "heads": ["modes", "scalars"]}
    config |= {"density_bins": [16, 4000.0, 500.0], "spectrum_bins": [16, 4000.0, 500.0]}
    return LoadedModel("direct", DirectModel(**config).eval(), config, {"label": "dft", "elements": [8, 12]})


def uncertainty(method: str) -> Uncertainty:
    generator = np.random.default_rng(0)
    ones = np.ones(50)
    model = fit_error_model(Residuals(100 * ones, generator.normal(size=50), ones, ones, ones))
    cloud = generator.normal(size=(60, 8))
    domain = fit_domain(cloud[:40], cloud[40:], (8, 12))
    return Uncertainty(method, {"frequency": model}, domain, StabilityCalibration(0.5, 0.1), {"crystals": 50})


def drawn(first: LoadedModel) -> list[torch.nn.Module]:
    curvature = {
        name: Curvature(torch.eye(layer.in_features + 1).double(), torch.eye(layer.out_features).double(), 4)
        for name, layer in last_layers(first.model).items()
    }
    return draw(first.model, curvature, 3, scale=0.1)


@pytest.mark.parametrize("method", ["ensemble", "laplace"])
def test_members_and_uncertainty_come_back(tmp_path: Path, method: str) -> None:
    first = network(0)
    members = [first, network(1)] if method == "ensemble" else [first]
    posterior = drawn(first) if method == "laplace" else None
    folder = save_calibrated(tmp_path / "model", members, uncertainty(method), posterior)
    assert is_calibrated(folder)
    assert kind_of_model(folder) == "direct"
    found, read = load_calibrated(folder)
    expected = [one.model for one in members] + (posterior or [])
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name, value in other.state_dict().items():
            torch.testing.assert_close(one.model.state_dict()[name], value, rtol=0, atol=0)
    written = uncertainty(method)
    assert read.models == written.models
    assert (read.method, read.stability, read.facts) == (method, written.stability, written.facts)
    point = np.random.default_rng(1).normal(size=8)
    assert read.domain.distance(point) == pytest.approx(written.domain.distance(point), rel=1e-2)
    assert read.domain.elements == (8, 12)


def test_other_commands_take_the_first_member(tmp_path: Path) -> None:
    folder = save_calibrated(tmp_path / "model", [network(0), network(1)], uncertainty("ensemble"))
    loaded = load_model(folder, kind="direct")
    torch.testing.assert_close(loaded.model.state_dict(), network(0).model.state_dict())


def test_existing_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="exists already"):
        save_calibrated(tmp_path / "model", [network(0)], uncertainty("ensemble"))


@pytest.mark.parametrize("name", ["uncertainty.json", "domain.safetensors", "posterior.safetensors"])
def test_damage_is_told_in_one_message(tmp_path: Path, name: str) -> None:
    first = network(0)
    folder = save_calibrated(tmp_path / "model", [first], uncertainty("laplace"), drawn(first))
    (folder / name).write_bytes((folder / name).read_bytes()[:20])
    with pytest.raises(UserError, match="damaged"):
        load_calibrated(folder)


def test_later_versions_are_refused(tmp_path: Path) -> None:
    folder = save_calibrated(tmp_path / "model", [network(0), network(1)], uncertainty("ensemble"))
    path = folder / "uncertainty.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 7'))
    with pytest.raises(UserError, match="version 7"):
        load_calibrated(folder)
