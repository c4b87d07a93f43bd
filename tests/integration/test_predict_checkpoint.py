"""predict.py and evaluate.py with a checkpoint: a small untrained network, saved and loaded as a trained one is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.build import BuildOptions, build
from mlrim.checkpoint import save_model
from mlrim.models.delta import DeltaModel
from mlrim.predictors import Known, load_predictor
from mlrim.structures import read_structure

SMALL = {"scalars": 16, "vectors": 4, "matrices": 2, "layers": 2, "update_hidden": 16, "head_hidden": 16}
QUICK = ("mesh=[2,2,2]", "path_spacing=0.1", "figures=[]", "supercell=[2,2,2]", "quiet=true", "response=none")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "small"
    save_model(path, DeltaModel(**SMALL), "delta", SMALL, {"baseline": "rim", "label": "dft", "cutoff": 6.0})
    return path


def test_a_checkpoint_corrects_its_baseline(checkpoint, run, repository, tmp_path):
    structure = f"structure={repository / 'examples/MgO.cif'}"
    assert run("predict.py", f"ckpt={checkpoint}", structure, f"out={tmp_path / 'ml'}", *QUICK) == (0, "")
    assert run("predict.py", "ckpt=rim", structure, f"out={tmp_path / 'rim'}", *QUICK) == (0, "")
    ml, rim = (json.loads((tmp_path / name / "MgO" / "summary.json").read_text()) for name in ("ml", "rim"))
    assert "rim + ML correction" in ml["model"]
    assert ml["long_range"] == rim["long_range"]
    frequencies = [result["gamma"]["modes"][-1]["frequency_cm1"] for result in (ml, rim)]
    assert abs(frequencies[0] - frequencies[1]) > 0.01
    assert abs(ml["gamma"]["modes"][0]["frequency_cm1"]) < 0.01
    assert [mode["irrep"] for mode in ml["gamma"]["modes"]] == ["T1u", "T1u"]


def test_known_born_charges_reach_the_network(checkpoint, repository):
    crystal = read_structure(repository / "examples/MgO.cif").crystal
    predictor = load_predictor(str(checkpoint))
    from mlrim.predictors import LongRange

    born = np.array([1.96, -1.96])[:, None, None] * np.eye(3)
    known = Known(long_range=LongRange(born, 3 * np.eye(3), "a test"))
    without, informed = predictor(crystal, Known()), predictor(crystal, known)
    assert np.abs(without.short_range.blocks - informed.short_range.blocks).max() > 1e-6


def test_checkpoints_and_classical_models_are_evaluated_together(checkpoint, run, tmp_path):
    store = tmp_path / "embedded"
    build(BuildOptions(source="embedded", out=store, workers=1, limit=4, quiet=True))
    arguments = (f"data={store}", "split=all", "quality=false", f"out={tmp_path / 'e'}", "workers=0", "quiet=true")
    assert run("evaluate.py", f"ckpt=[{checkpoint},rim]", *arguments) == (0, "")
    content = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert set(content["overall"]) == {str(checkpoint), "rim"}
    assert content["settings"]["split"] == "all"


def test_a_copy_without_trained_models_says_so(run, repository, tmp_path, monkeypatch):
    for module in ("mlrim.predictors", "mlrim.responses"):
        monkeypatch.setattr(f"{module}.shipped_model", lambda kind: None)
    structure = f"structure={repository / 'examples/MgO.cif'}"
    status, errors = run("predict.py", structure, f"out={tmp_path / 'out'}", *QUICK)
    assert status == 1
    assert "mlrim/pretrained/delta" in errors
    assert "ckpt=rim" in errors
    quick = [word for word in QUICK if not word.startswith("response")]
    status, errors = run("predict.py", "ckpt=rim", "response=mlrim", structure, f"out={tmp_path / 'out'}", *quick)
    assert status == 1
    assert "mlrim/pretrained/response" in errors
    assert not (tmp_path / "out").exists()


def test_a_structure_is_all_that_is_needed(run, repository, tmp_path):
    """The models that come with mlrim, on a crystal that they were not trained on; measured values for comparison."""
    quick = [word for word in QUICK if not word.startswith("response")]
    structure = f"structure={repository / 'examples/seven/CaF2.cif'}"
    assert run("predict.py", structure, f"out={tmp_path}", *quick) == (0, "")
    summary = json.loads((tmp_path / "CaF2" / "summary.json").read_text())
    assert summary["response"]["sources"]["born_charges"] == "response model mlrim"
    assert summary["response"]["sources"]["raman_tensors"] == "response model mlrim"
    assert "mlrim" in summary["model"]
    frequencies = {
        mode["irrep"]: mode["frequency_cm1"] for mode in summary["gamma"]["modes"] if mode["kind"] == "optical"
    }
    assert frequencies["T1u"] == pytest.approx(257, rel=0.1)
    assert frequencies["T2g"] == pytest.approx(322, rel=0.1)
    longitudinal = [m for m in summary["gamma"]["directional_modes"]["[100]"] if m["polarization"] == "LO"]
    assert longitudinal[-1]["frequency_cm1"] == pytest.approx(470, rel=0.1)
    assert summary["response"]["dielectric"][0][0] == pytest.approx(2.33, rel=0.1)
    assert summary["quality"]["lst_deviation"] < 1e-9
