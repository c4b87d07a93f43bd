"""predict.py, evaluate.py and export with checkpoints of potentials, end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write

from datamodules.build import BuildOptions, build
from datamodules.store import RecordStore
from mlrim import checkpoint
from mlrim.checkpoint import class_of, default_arguments, save_model
from mlrim.export import main as export
from mlrim.models.stillinger_weber import StillingerWeber
from tests.potentials.energies import SMALL, CubicDoubleWell

QUICK = (
    "mesh=[2,2,2]",
    "path_spacing=0.1",
    "figures=[]",
    "supercell=[2,2,2]",
    "quiet=true",
    "response=none",
    "potential.min_length=6",
)


def save(folder: Path, kind: str, **metadata: object) -> Path:
    config = default_arguments(kind) | SMALL[kind]
    torch.manual_seed(0)
    return save_model(folder / kind, class_of(kind)(**config), kind, config, metadata)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: save(folder, kind, background=["dipole"], elements=[8, 12]) for kind in SMALL}


@pytest.fixture
def exact(tmp_path, monkeypatch) -> dict[str, Path]:
    """Checkpoints of energies that are known exactly."""
    monkeypatch.setitem(checkpoint.KINDS, "stillinger_weber", "mlrim.models.stillinger_weber.StillingerWeber")
    monkeypatch.setitem(checkpoint.KINDS, "double_well", "tests.potentials.energies.CubicDoubleWell")
    monkeypatch.setattr(checkpoint, "POTENTIALS", ("stillinger_weber", "double_well"))
    return {
        "silicon": save_model(tmp_path / "silicon", StillingerWeber(), "stillinger_weber", {}, {}),
        "well": save_model(tmp_path / "well", CubicDoubleWell(), "double_well", {}, {}),
    }


def read(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize("kind", SMALL)
def test_a_potential_predicts_like_any_other_checkpoint(kind, checkpoints, run, repository, tmp_path):
    structure = f"structure={repository / 'examples/MgO.cif'}"
    assert run("predict.py", f"ckpt={checkpoints[kind]}", structure, f"out={tmp_path}", *QUICK) == (0, "")
    summary = read(tmp_path / "MgO")
    assert summary["model"] == f"dipole + potential ({kind})"
    assert [mode["irrep"] for mode in summary["gamma"]["modes"]] == ["T1u", "T1u"]
    assert summary["quality"]["asymmetry"] < 1e-9
    assert summary["quality"]["acoustic_residual_cm1"] < 0.01
    assert summary["long_range"]["source"].startswith("rigid-ion charges")
    notes = " ".join(summary["notes"])
    assert "the potential at this geometry: largest force" in notes
    assert "force constants from rows of the Hessian" in notes
    files = {path.name for path in (tmp_path / "MgO").iterdir()}
    assert {"report.html", "modes.csv", "bands.csv", "thermal.csv", "phonopy_params.yaml", "BORN"} <= files


@pytest.mark.parametrize("kind", SMALL)
def test_an_exported_potential_is_the_same(kind, checkpoints, run, repository, tmp_path):
    assert export([str(checkpoints[kind]), str(tmp_path / "folder")]) == 0
    structure = f"structure={repository / 'examples/MgO.cif'}"
    results = []
    for name, ckpt in (("a", checkpoints[kind]), ("b", tmp_path / "folder")):
        assert run("predict.py", f"ckpt={ckpt}", structure, f"out={tmp_path / name}", *QUICK) == (0, "")
        results.append([mode["frequency_cm1"] for mode in read(tmp_path / name / "MgO")["gamma"]["modes"]])
    assert results[0] == results[1]


def test_ways_to_the_force_constants_agree_in_whole_predictions(checkpoints, run, repository, tmp_path):
    structure = f"structure={repository / 'examples/MgO.cif'}"
    highest = {}
    for method in ("supercell", "bloch", "finite_displacements"):
        arguments = (f"potential.method={method}", "potential.displacement=0.001", f"out={tmp_path / method}", *QUICK)
        assert run("predict.py", f"ckpt={checkpoints['cartesian_potential']}", structure, *arguments) == (0, "")
        modes = read(tmp_path / method / "MgO")["gamma"]["modes"]
        highest[method] = max(abs(mode["frequency_cm1"]) for mode in modes)
    assert highest["bloch"] == pytest.approx(highest["supercell"], abs=1e-6)
    assert highest["finite_displacements"] == pytest.approx(highest["supercell"], abs=0.1)
    assert highest["finite_displacements"] != highest["supercell"]


def test_potentials_are_evaluated_beside_other_models(checkpoints, run, tmp_path):
    store = tmp_path / "embedded"
    build(BuildOptions(source="embedded", out=store, workers=1, limit=2, quiet=True))
    paths = [str(path) for path in checkpoints.values()]
    arguments = (f"data={store}", "split=all", "quality=false", f"out={tmp_path / 'e'}", "workers=0", "quiet=true")
    assert run("evaluate.py", f"ckpt=[{','.join(paths)},{paths[0]}:own,rim]", *arguments) == (0, "")
    content = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert set(content["overall"]) == {*paths, f"{paths[0]}:own", "rim"}


def test_a_record_gives_born_charges_and_supercell(checkpoints, run, tmp_path):
    store = tmp_path / "embedded"
    build(BuildOptions(source="embedded", out=store, workers=1, limit=1, quiet=True))
    name = RecordStore(store).ids[0]
    arguments = (f"data={store}", f"structure={name}", f"out={tmp_path / 'out'}", *QUICK)
    assert run("predict.py", f"ckpt={checkpoints['cartesian_potential']}", *arguments) == (0, "")
    assert read(tmp_path / "out" / name)["long_range"]["source"].startswith(f"record {name}")


def write_silicon(path: Path, spacing: float) -> Path:
    write(path, bulk("Si", a=spacing))
    return path


def test_silicon_is_relaxed_before_its_phonons(exact, run, tmp_path):
    structure = write_silicon(tmp_path / "Si.cif", 5.6)
    frequencies = []
    for relax, volume in (("none", 5.6**3 / 4), ("cell", 5.4309**3 / 4)):
        out = tmp_path / relax
        arguments = (f"structure={structure}", f"out={out}", f"relax={relax}", *QUICK)
        assert run("predict.py", f"ckpt={exact['silicon']}", *arguments) == (0, "")
        summary = read(out / "Si")
        assert summary["crystal"]["volume"] == pytest.approx(volume, rel=1e-4)
        assert summary["crystal"]["space_group"] == "Fd-3m"
        frequencies.append(summary["gamma"]["modes"][-1]["frequency_thz"])
        assert ("relax=cell" in " ".join(summary["warnings"])) == (relax == "none")
    assert frequencies[1] == pytest.approx(17.83, abs=0.01)
    assert frequencies[0] < 17


def write_salt(path: Path) -> Path:
    write(path, Atoms("CsCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=4 * np.eye(3), pbc=True))
    return path


def test_imaginary_modes_are_warned_of_refused_or_followed(exact, run, tmp_path):
    structure = write_salt(tmp_path / "CsCl.cif")
    given = (f"ckpt={exact['well']}", f"structure={structure}", *QUICK)
    assert run("predict.py", *given, f"out={tmp_path / 'warn'}") == (0, "")
    warned = read(tmp_path / "warn" / "CsCl")
    assert warned["crystal"]["space_group"] == "Pm-3m"
    assert warned["gamma"]["imaginary_optical_modes"] == 3
    assert "not stable" in " ".join(warned["warnings"])

    status, errors = run("predict.py", *given, f"out={tmp_path / 'error'}", "imaginary=error")
    assert status == 1
    assert "imaginary=follow" in errors
    assert not (tmp_path / "error" / "CsCl").exists()

    assert run("predict.py", *given, f"out={tmp_path / 'follow'}", "imaginary=follow") == (0, "")
    followed = read(tmp_path / "follow" / "CsCl")
    assert followed["crystal"]["space_group"] == "R3m"
    assert followed["gamma"]["imaginary_optical_modes"] == 0
    assert not followed["warnings"]
    assert "Pm-3m to R3m (160)" in " ".join(followed["notes"])
    assert "-60.00 meV" in " ".join(followed["notes"])


@pytest.mark.parametrize("option", ["relax=cell", "relax=positions", "imaginary=follow"])
def test_models_without_energy_refuse_to_move_atoms(option, run, repository, tmp_path):
    structure = f"structure={repository / 'examples/MgO.cif'}"
    status, errors = run("predict.py", "ckpt=rim", structure, f"out={tmp_path / 'out'}", option, *QUICK)
    assert status == 1
    assert option in errors
    assert "needs a model with an energy" in errors
    assert not (tmp_path / "out" / "MgO").exists()


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("relax=atoms", "positions"),
        ("imaginary=ignore", "follow"),
        ("potential.method=magic", "finite_displacements"),
        ("potential.displacement=0", "potential.displacement"),
        ("fmax=-1", "fmax"),
    ],
)
def test_wrong_options_name_what_is_allowed(option, allowed, run, repository, tmp_path):
    structure = f"structure={repository / 'examples/MgO.cif'}"
    status, errors = run("predict.py", "ckpt=rim", structure, f"out={tmp_path / 'out'}", option)
    assert status != 0
    assert option.split("=")[0] in errors
    assert allowed in errors
