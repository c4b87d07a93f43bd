"""predict.py on molecules: with a small untrained network, saved and loaded as a trained one is."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.io import read, write

from datamodules.build import BuildOptions, build
from datamodules.molecules.shipped import shipped_configurations
from mlrim.checkpoint import save_model
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.units import THZ_TO_CM1
from tests.molecules.energies import methane, xyz

SMALL = {"scalars": 8, "channels": 4, "messages": 4, "hidden": 16, "element_hidden": 16, "cutoff": 4.0}
QUICK = ("figures=[]", "quiet=true", "response=none", "temperatures=[0,600,100]")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "small.ckpt"
    return save_model(path, CartesianPotentialModel(**SMALL), "cartesian_potential", SMALL, {"background": []})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_methane_from_an_xyz_file(checkpoint, finished, tmp_path):
    path = xyz(tmp_path / "CH4.xyz", methane())
    done = finished("predict.py", f"ckpt={checkpoint}", f"structure={path}", f"out={tmp_path / 'out'}", *QUICK)
    assert (done.status, done.errors) == (0, "")
    folder = tmp_path / "out" / "CH4"
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["molecule"]["formula"] == "CH4"
    assert summary["molecule"]["point_group"] == "Td"
    assert summary["vibrations"]["representation"] == "A1 + E + 2T2"
    assert summary["relaxation"]["converged"]
    assert summary["molecule"]["largest_force"] < 1e-4
    assert {"infrared", "raman"} <= set(summary["absent"])
    found = {(row["irrep"], row["activity"]) for row in rows(folder / "modes.csv")}
    assert found == {("A1", "Raman"), ("E", "Raman"), ("T2", "IR+Raman")}
    assert "ir_intensity_km_per_mol" not in rows(folder / "modes.csv")[0]
    assert not (folder / "infrared.csv").exists()
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "modes.csv", "modes.xyz", "molecule.xyz", "report.html", "summary.json", "thermal.csv",
    ]  # fmt: skip


def test_the_files_of_a_molecule_agree_with_each_other(checkpoint, run, tmp_path):
    path = xyz(tmp_path / "water.xyz", molecule("H2O"))
    assert run("predict.py", f"ckpt={checkpoint}", f"structure={path}", f"out={tmp_path}", *QUICK) == (0, "")
    folder = tmp_path / "water"
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    modes, frames = rows(folder / "modes.csv"), read(folder / "modes.xyz", index=":")
    assert len(frames) == sum(int(row["degeneracy"]) for row in modes) >= 3
    for frame in frames:
        row = modes[frame.info["mode"] - 1]
        assert frame.info["frequency_cm1"] == pytest.approx(float(row["frequency_cm1"]), abs=1e-4)
        assert float(row["frequency_thz"]) * THZ_TO_CM1 == pytest.approx(float(row["frequency_cm1"]))
        displacement = frame.arrays["displacement"]
        assert np.linalg.norm(displacement, axis=1).max() == pytest.approx(1, abs=1e-6)
        momentum = frame.get_masses() @ displacement
        assert momentum == pytest.approx(np.zeros(3), abs=1e-6)
    geometry = read(folder / "molecule.xyz")
    assert geometry.positions == pytest.approx(np.array(summary["molecule"]["positions"]), abs=1e-7)
    thermal = rows(folder / "thermal.csv")
    assert float(thermal[0]["enthalpy_kj_per_mol"]) == pytest.approx(
        summary["thermochemistry"]["zero_point_energy"], rel=1e-6
    )
    assert thermal[0]["entropy_j_per_k_mol"] == ""
    assert float(thermal[3]["temperature_k"]) == 298.15


def test_known_derivatives_give_intensities(checkpoint, run, tmp_path):
    known = shipped_configurations("methane")[0]
    atoms = methane()
    atoms.positions = known.positions
    atoms.numbers = known.numbers
    atoms.arrays["dipole_derivatives"] = known.dipole_derivatives.reshape(-1, 9)
    atoms.arrays["polarizability_derivatives"] = known.polarizability_derivatives.reshape(-1, 27)
    path = xyz(tmp_path / "known.xyz", atoms)
    options = (*QUICK[1:], "figures=[svg]", "raman.laser=785", "infrared.width=20")
    assert run("predict.py", f"ckpt={checkpoint}", f"structure={path}", f"out={tmp_path}", *options) == (0, "")
    folder = tmp_path / "known"
    for row in rows(folder / "modes.csv"):
        assert (row["ir_intensity_km_per_mol"] != "") == (row["irrep"] == "T2")
        assert float(row["raman_activity_a4_per_amu"]) > 0
        assert 0 <= float(row["depolarization_ratio"]) <= 0.75 + 1e-9
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["absent"] == {}
    assert summary["raman"]["laser"] == 785
    assert summary["infrared"]["widths"] == [20.0] * 4
    assert {"infrared.csv", "raman.csv", "infrared.svg", "raman.svg", "modes.svg", "thermal.svg"} <= {
        entry.name for entry in folder.iterdir()
    }


def test_a_molecule_of_a_data_set_brings_its_derivatives(checkpoint, finished, tmp_path):
    """The one at equilibrium; the others of the set are matched by the same pattern."""
    data = tmp_path / "molecules"
    build(BuildOptions("molecules", data, select="water/0000", quiet=True))
    arguments = (f"ckpt={checkpoint}", f"data={data}", f"out={tmp_path / 'out'}", *QUICK)
    done = finished("predict.py", "structure=water-*", *arguments)
    assert (done.status, done.errors) == (0, "")
    summary = json.loads((tmp_path / "out" / "water-equilibrium" / "summary.json").read_text(encoding="utf-8"))
    assert summary["absent"] == {}
    assert "RHF/6-31G*" in summary["response"]["source"]
    assert np.array(summary["response"]["dipole_derivatives"]).shape == (3, 3, 3)
    missing = finished("predict.py", "structure=argon", *arguments)
    assert missing.status == 1
    assert "no record" in missing.errors


def test_molecules_and_crystals_in_one_run(checkpoint, finished, repository, tmp_path):
    """The molecules are predicted; a crystal with the same model too; the index lists all of them."""
    folder = tmp_path / "structures"
    folder.mkdir()
    xyz(folder / "CH4.xyz", methane())
    xyz(folder / "CO2.xyz", molecule("CO2"))
    (folder / "MgO.cif").write_text((repository / "examples/MgO.cif").read_text())
    (folder / "alone.xyz").write_text("1\n\nAr 0 0 0\n")
    options = (*QUICK, "mesh=[2,2,2]", "path_spacing=0.1", "supercell=[2,2,2]", "potential.min_length=4")
    done = finished("predict.py", f"ckpt={checkpoint}", f"structure={folder}", f"out={tmp_path / 'out'}", *options)
    assert done.status == 1
    assert "1 of 4 structures failed" in done.errors
    assert "single atom" in done.errors
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "D<sub>∞h</sub>" in page
    assert "T<sub>d</sub>" in page
    assert "Fm<span" in page


@pytest.mark.parametrize("model", ["rim", "shell"])
def test_models_of_crystals_say_that_molecules_need_an_energy(run, tmp_path, model):
    path = xyz(tmp_path / "CH4.xyz", methane())
    status, errors = run("predict.py", f"ckpt={model}", f"structure={path}", f"out={tmp_path / 'out'}", *QUICK)
    assert status == 1
    assert "is a molecule" in errors
    assert "experiment=hessian_" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out" / "CH4").exists()


def test_a_born_file_is_no_file_of_molecules(checkpoint, run, tmp_path):
    path = xyz(tmp_path / "CH4.xyz", methane())
    born = tmp_path / "BORN"
    born.write_text("14.4\n3 0 0 0 3 0 0 0 3\n2 0 0 0 2 0 0 0 2\n")
    status, errors = run("predict.py", f"ckpt={checkpoint}", f"structure={path}", f"born={born}", f"out={tmp_path}")
    assert status == 1
    assert "dipole_derivatives" in errors


def test_an_older_output_is_replaced_and_foreign_folders_are_left_alone(checkpoint, run, tmp_path):
    path = xyz(tmp_path / "CO2.xyz", molecule("CO2"))
    arguments = ("predict.py", f"ckpt={checkpoint}", f"structure={path}", f"out={tmp_path / 'out'}", *QUICK)
    assert run(*arguments) == (0, "")
    (tmp_path / "out" / "CO2" / "modes.csv").unlink()
    assert run(*arguments) == (0, "")
    assert (tmp_path / "out" / "CO2" / "modes.csv").exists()
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["CO2"]
    foreign = tmp_path / "other" / "CO2"
    foreign.mkdir(parents=True)
    (foreign / "thesis.tex").write_text("years of work")
    status, errors = run(*arguments[:3], f"out={tmp_path / 'other'}", *QUICK)
    assert status == 1
    assert "not an output folder" in errors
    assert (foreign / "thesis.tex").exists()


def test_a_diatomic_molecule(checkpoint, run, tmp_path):
    path = tmp_path / "N2.xyz"
    write(path, molecule("N2"))
    assert run("predict.py", f"ckpt={checkpoint}", f"structure={path}", f"out={tmp_path}", *QUICK) == (0, "")
    (row,) = rows(tmp_path / "N2" / "modes.csv")
    assert (row["irrep"], row["activity"]) == ("Σg+", "Raman")
