"""A direct model from train.py, calibrated, and used by predict.py and evaluate.py: ordered and disordered crystals."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from datamodules.build import BuildOptions, build
from mlrim.checkpoint import load_model

TINY = [
    "model.scalars=8", "model.vectors=4", "model.matrices=4", "model.layers=1", "model.edge_features=8",
    "model.update_hidden=8", "model.head_hidden=8", "data.sample_workers=0", "trainer.max_epochs=2", "quiet=true",
]  # fmt: skip

MIXED = """data_mixed
_cell_length_a 4.4
_cell_length_b 4.4
_cell_length_c 4.4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg1 Mg 0 0 0 0.75
Ca1 Ca 0 0 0 0.25
O1 O 0.5 0.5 0.5 1
"""


def run(repository: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=400, env=environment
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "embedded"
    build(BuildOptions("embedded", out, workers=1, quiet=True))
    return out


@pytest.fixture(scope="module")
def checkpoint(repository: Path, data: Path) -> Path:
    folder = data.parent / "run"
    arguments = ["experiment=direct_embedded", f"data.path={data}", f"hydra.run.dir={folder}", *TINY]
    done = run(repository, data.parent, str(repository / "train.py"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def calibrated(repository: Path, data: Path, checkpoint: Path) -> Path:
    folder = data.parent / "calibrated"
    split = data.parent / "split.json"  # the embedded data set is small: half of it calibrates
    shares = ["train=0.5", "validation=0.45", "test=0.05"]
    made = run(repository, data.parent, "-m", "datamodules.splits", f"data={data}", f"out={split}", *shares)
    assert made.returncode == 0, made.stdout + made.stderr
    arguments = [
        f"ckpt={checkpoint}",
        f"data={data}",
        f"out={folder}",
        "members=2",
        f"split_file={split}",
        "quiet=true",
    ]
    done = run(repository, data.parent, "-m", "mlrim.calibrate", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_training_leaves_a_direct_model(checkpoint: Path) -> None:
    loaded = load_model(checkpoint, kind="direct")
    assert loaded.config["heads"] == ["modes", "density", "spectra", "scalars"]
    assert 20 in loaded.metadata["elements"]
    assert (checkpoint.parent.parent / "figures" / "parity.svg").exists()


def test_frozen_parts_stay_as_they_were(repository: Path, data: Path, checkpoint: Path, tmp_path: Path) -> None:
    start = [f"task.start={checkpoint}", "task.freeze=[encoder,modes]", "task.learning_rate=0.01", "callbacks=default"]
    arguments = ["experiment=direct_embedded", f"data.path={data}", f"hydra.run.dir={tmp_path}/run", *TINY, *start]
    done = run(repository, tmp_path, str(repository / "train.py"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = (
        load_model(path).model.state_dict() for path in (checkpoint, tmp_path / "run/checkpoints/best.ckpt")
    )
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed - {"raman"} == {"density", "infrared", "scalars"}  # no Raman labels here: weight decay alone


def test_predictions_say_what_they_are_and_what_is_absent(repository: Path, checkpoint: Path, tmp_path: Path) -> None:
    arguments = [f"ckpt={checkpoint}", f"structure={repository}/examples/MgO.cif", "figures=[svg]", "quiet=true"]
    done = run(repository, tmp_path, str(repository / "predict.py"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "predictions" / "MgO"
    names = {path.name for path in folder.iterdir()}
    assert names >= {"summary.json", "report.html", "modes.csv", "bands.csv", "dos.csv", "thermal.csv", "infrared.csv"}
    assert not names & {"FORCE_CONSTANTS", "phonopy_params.yaml", "lo_to.csv", "phononwebsite.json"}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["mode"] == "direct"
    assert {"eigenvectors", "irreps", "mode_intensities", "lo_to_splitting"} <= summary["absent"].keys()
    assert "uncertainty" not in summary
    assert not any({"irrep", "activity", "error_cm1"} & mode.keys() for mode in summary["gamma"]["modes"])
    assert "Learned from frequencies alone" in (folder / "report.html").read_text()


def test_calibrated_models_give_errors_and_the_domain(repository: Path, calibrated: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixed.cif"
    path.write_text(MIXED)
    arguments = [f"ckpt={calibrated}", f"structure={path}", "figures=[]"]
    done = run(repository, tmp_path, str(repository / "predict.py"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "distance from the training set" in done.stdout
    summary = json.loads((tmp_path / "predictions" / "mixed" / "summary.json").read_text())
    assert summary["crystal"]["disordered"] is True
    assert summary["crystal"]["symbols"] == ["Ca 0.25, Mg 0.75", "O"]
    optical = [mode for mode in summary["gamma"]["modes"] if mode["kind"] == "optical"]
    assert all(mode["error_cm1"] > 0 for mode in optical)
    assert all(one["error"] > 0 for one in summary["scalars"].values())
    assert summary["uncertainty"]["domain"]["limit"] > 0
    with (tmp_path / "predictions" / "mixed" / "dos.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert all(float(row["total_error_per_thz"]) >= 0 for row in rows)


def test_unknown_elements_are_told(repository: Path, calibrated: Path, tmp_path: Path) -> None:
    path = tmp_path / "strange.cif"
    path.write_text(
        MIXED.replace("Mg", "Pu").replace("Ca", "Pu").replace("0.75", "1").replace("Pu1 Pu 0 0 0 0.25\n", "")
    )
    done = run(
        repository, tmp_path, str(repository / "predict.py"), f"ckpt={calibrated}", f"structure={path}", "figures=[]"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "predictions" / "strange" / "summary.json").read_text())
    assert summary["uncertainty"]["domain"]["unseen_elements"] == ["Pu"]
    assert any("without Pu" in warning for warning in summary["warnings"])


def test_evaluation_compares_it_with_force_constant_models(
    repository: Path, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = [f"ckpt=[{checkpoint},rim]", f"data={data}", "limit=3", "workers=0", "quiet=true"]
    done = run(repository, tmp_path, str(repository / "evaluate.py"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = (tmp_path / "evaluation").glob("compounds.csv")
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["model"] for row in rows} == {str(checkpoint), "rim"}
    for row in rows:
        assert float(row["gamma_optical_mae"]) >= 0
        assert (row["matrix_norm"] == "") == (row["model"] != "rim")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ckpt=[rim]"], "no checkpoint rim"),
        (["method=ensemble"], "needs several checkpoints"),
    ],
)
def test_calibration_tells_mistakes_in_one_message(
    repository: Path, data: Path, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    given = {"ckpt": f"ckpt={checkpoint}", "data": f"data={data}", "out": f"out={tmp_path}/model"}
    given |= {argument.split("=")[0]: argument for argument in arguments}
    done = run(repository, tmp_path, "-m", "mlrim.calibrate", *given.values())
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "model").exists()
