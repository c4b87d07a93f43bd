"""The negative control on the embedded data set, with two steps of training."""

import numpy as np
import pytest
import torch

from benchmarks import data_efficiency_control
from benchmarks.data_efficiency_control import ARMS, Options, crystals, errors, run, table
from benchmarks.small_potentials import Training


@pytest.fixture(scope="module")
def embedded(repository):
    folder = repository / "data" / "embedded"
    if not (folder / "manifest.json").is_file():
        pytest.skip("the embedded data set was not made (make data)")
    return folder


def options(embedded, tmp_path):
    return Options(data=str(embedded), minutes=1e-9, max_atoms=4, channels=2, out=tmp_path)


@pytest.mark.parametrize("arm", ARMS)
def test_arms_know_what_they_say(embedded, tmp_path, arm):
    datamodule = crystals(options(embedded, tmp_path), arm)
    with_hessian = [len(sample.labels.hessian[0]) > 0 for sample in datamodule.dataset("train")]
    assert any(with_hessian) == (arm != "displaced forces")
    known = [len(sample.labels.hessian[0]) > 0 for sample in datamodule.training_samples()]
    assert all(known)  # the scale of energies is the same in every arm
    assert (datamodule.displaced_share > 0) == (arm != "Hessians")  # the embedded crystals have none to show


def test_errors_of_a_network_that_says_nothing(embedded, tmp_path):
    datamodule = crystals(options(embedded, tmp_path), "Hessians")
    model = Training(channels=2).network(0)
    with torch.no_grad():
        model.scale.zero_()
    found = errors(model, datamodule)
    assert found["held_out"] == len(datamodule.names("test"))
    assert np.isfinite(found["gamma_mae"])
    assert found["gamma_mae"] > 20


def test_the_experiment_writes_a_row_for_each_arm(embedded, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data_efficiency_control, "TRIAL_STEPS", 1)
    run(options(embedded, tmp_path))
    shown = capsys.readouterr().out
    assert all(f"| {text} | 1 |" in shown for text in ARMS.values())


def test_table_names_what_was_trained_on():
    row = {"arm": "Hessians", "steps": 7, "seconds": 3.0, "gamma_mae": 12.34, "gamma_median": 5.0, "gamma_norm": 0.1}
    assert table([row]).splitlines()[-1] == "| Hessians of small cells | 7 | 3 | 12.3 | 5.0 | 0.100 |"
