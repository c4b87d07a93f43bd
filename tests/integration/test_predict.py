"""predict.py as a user runs it: one structure, many, records; and every kind of wrong input."""

import csv
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import Finished

CIF = """data_test
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""

QUICK = ("mesh=[2,2,2]", "path_spacing=0.1", "figures=[]", "supercell=[2,2,2]")


@pytest.fixture
def predict(finished) -> Callable[..., Finished]:
    """Runs predict.py in this process."""
    return partial(finished, "predict.py")


def cif(path: Path, sites: str, a: float = 4.12) -> Path:
    path.write_text(CIF.format(a=a, sites=sites))
    return path


def caesium_chloride(path: Path, a: float = 4.12) -> Path:
    return cif(path, "Cs1 Cs 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1", a)


def test_mgo_from_the_command_line(repository, tmp_path):
    """A cold run of the real command on the example, as the README shows it."""
    done = subprocess.run(
        [sys.executable, "predict.py", "ckpt=rim", "structure=examples/MgO.cif", f"out={tmp_path}"],
        cwd=repository, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "T1u" in done.stdout
    assert "rigid-ion charges" in done.stdout
    folder = tmp_path / "MgO"
    summary = json.loads((folder / "summary.json").read_text())
    optical = [mode for mode in summary["gamma"]["modes"] if mode["kind"] == "optical"]
    assert [(mode["irrep"], mode["degeneracy"], mode["activity"]) for mode in optical] == [("T1u", 3, "IR")]
    longitudinal = [m for m in summary["gamma"]["directional_modes"]["[100]"] if m["polarization"] == "LO"]
    assert longitudinal[0]["frequency_cm1"] > optical[0]["frequency_cm1"] > 200
    expected = {"summary.json", "modes.csv", "lo_to.csv", "bands.csv", "dos.csv", "thermal.csv", "band.yaml"}
    expected |= {"phonopy_params.yaml", "FORCE_CONSTANTS", "BORN", "dispersion.svg", "dispersion.png"}
    assert expected <= {path.name for path in folder.iterdir()}


def test_a_mistake_is_one_message_without_traceback(repository, tmp_path):
    done = subprocess.run(
        [sys.executable, "predict.py", "ckpt=rim", "structure=nothing.cif", f"out={tmp_path / 'out'}"],
        cwd=repository, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: structure file 'nothing.cif' does not exist")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_phonopy_load_reads_the_folder(repository, tmp_path, predict):
    assert predict("ckpt=rim", f"structure={repository / 'examples/MgO.cif'}", f"out={tmp_path}", *QUICK).status == 0
    command = Path(sys.executable).parent / "phonopy-load"
    done = subprocess.run(
        [str(command), "phonopy_params.yaml", "--qpoints", "0 0 0 0.5 0.5 0"],
        cwd=tmp_path / "MgO", capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NAC" in done.stdout
    assert (tmp_path / "MgO" / "qpoints.yaml").exists()


def test_a_bad_structure_does_not_stop_the_others(tmp_path, predict):
    inputs = tmp_path / "in"
    inputs.mkdir()
    caesium_chloride(inputs / "a.cif")
    (inputs / "b.cif").write_text("data_broken\n_cell_length_a 4\n")
    caesium_chloride(inputs / "c.cif", a=4.3)
    done = predict("ckpt=rim", f"structure={inputs}", f"out={tmp_path / 'out'}", *QUICK)
    assert done.status == 1
    assert "1 of 3 structures failed" in done.errors
    assert "b.cif" in done.errors
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c", "index.html"]


def test_a_glob_with_equal_names_gets_separate_folders(tmp_path, predict):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        caesium_chloride(tmp_path / folder / "CsCl.cif")
    assert predict("ckpt=rim", f"structure={tmp_path}/*/CsCl.cif", f"out={tmp_path / 'out'}", *QUICK).status == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CsCl", "CsCl_2", "index.html"]


def test_quiet_prints_nothing(tmp_path, predict):
    done = predict(
        "ckpt=rim", f"structure={caesium_chloride(tmp_path / 'a.cif')}", f"out={tmp_path}", "quiet=true", *QUICK
    )
    assert done == (0, "", "")


def test_a_born_file_sets_the_lo_to_splitting(repository, tmp_path, predict):
    born = tmp_path / "BORN"
    born.write_text("14.4\n3 0 0 0 3 0 0 0 3\n1.96 0 0 0 1.96 0 0 0 1.96\n-1.96 0 0 0 -1.96 0 0 0 -1.96\n")
    structure = f"structure={repository / 'examples/MgO.cif'}"
    assert predict("ckpt=rim", structure, f"born={born}", f"out={tmp_path}", *QUICK).status == 0
    summary = json.loads((tmp_path / "MgO" / "summary.json").read_text())
    assert "BORN" in summary["long_range"]["source"]
    (transverse,) = [m["frequency_thz"] for m in summary["gamma"]["modes"] if m["kind"] == "optical"]
    modes = summary["gamma"]["directional_modes"]["[100]"]
    (longitudinal,) = [m["frequency_thz"] for m in modes if m["polarization"] == "LO"]
    reduced_mass = 1 / (1 / 24.305 + 1 / 15.999)
    expected = 44224.5297 * 1.96**2 / (3 * 4.211**3 / 4 * reduced_mass)
    assert longitudinal**2 - transverse**2 == pytest.approx(expected, rel=1e-4)


def test_poscar_and_phonopy_yaml_give_the_same_as_cif(repository, tmp_path, predict):
    from ase.io import read, write

    atoms = read(repository / "examples/MgO.cif")
    write(tmp_path / "MgO.vasp", atoms, format="vasp")
    assert predict("ckpt=rim", f"structure={repository / 'examples/MgO.cif'}", f"out={tmp_path}", *QUICK).status == 0
    params = tmp_path / "MgO" / "phonopy_params.yaml"
    assert predict("ckpt=rim", f"structure={tmp_path / 'MgO.vasp'}", f"out={tmp_path / 'b'}", *QUICK).status == 0
    assert predict("ckpt=rim", f"structure={params}", f"out={tmp_path / 'c'}", *QUICK).status == 0
    results = [tmp_path / "MgO", tmp_path / "b" / "MgO", tmp_path / "c" / "MgO_phonopy_params"]
    frequencies = []
    for folder in results:
        with (folder / "modes.csv").open() as stream:
            frequencies.append([float(row["frequency_cm1"]) for row in csv.DictReader(stream)])
    assert np.abs(np.array(frequencies) - frequencies[0]).max() < 0.01


BAD_SITES = {
    "unknown element": ("Xx1 Xx 0 0 0 1\nO1 O 0.5 0.5 0.5 1", 4.2, "element"),
    "dummy element": ("X1 X 0 0 0 1\nO1 O 0.5 0.5 0.5 1", 4.2, "element"),
    "overlapping atoms": ("Mg1 Mg 0 0 0 1\nO1 O 0.01 0 0 1", 4.2, "overlap"),
    "partial occupancy": ("Mg1 Mg 0 0 0 0.8\nO1 O 0.5 0.5 0.5 1", 4.2, "disordered"),
    "mixed site": ("Mg1 Mg 0 0 0 0.5\nFe1 Fe 0 0 0 0.5\nO1 O 0.5 0.5 0.5 1", 4.2, "disordered"),
    "molecule in a box": ("O1 O 0.5 0.5 0.5 1\nH1 H 0.54 0.53 0.5 1\nH2 H 0.46 0.53 0.5 1", 20.0, "molecule"),
    "no number": ("Mg1 Mg nan 0 0 1\nO1 O 0.5 0.5 0.5 1", 4.2, "bad.cif"),
}


@pytest.mark.parametrize("mistake", BAD_SITES)
def test_wrong_crystals_are_told_in_one_message(tmp_path, predict, mistake):
    sites, a, word = BAD_SITES[mistake]
    path = cif(tmp_path / "bad.cif", sites, a)
    done = predict("ckpt=rim", f"structure={path}", f"out={tmp_path / 'out'}", *QUICK)
    assert done.status == 1
    assert done.errors.startswith("error: ")
    assert word in done.errors
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def write_bad_file(kind: str, folder: Path) -> Path:
    path = folder / "bad.cif"
    if kind == "empty":
        path.touch()
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 8)
    elif kind == "xyz of a molecule":
        path = folder / "water.xyz"
        path.write_text("3\n\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n")
    elif kind == "flat lattice":
        path = folder / "POSCAR"
        path.write_text("flat\n1.0\n3 0 0\n0 3 0\n3 3 0\nMg\n1\nDirect\n0 0 0\n")
    elif kind == "not a phonopy yaml":
        path = folder / "phonopy.yaml"
        path.write_text("a: 1\n")
    return path


@pytest.mark.parametrize("kind", ["empty", "binary", "xyz of a molecule", "flat lattice", "not a phonopy yaml"])
def test_wrong_files_are_told_in_one_message(tmp_path, predict, kind):
    path = write_bad_file(kind, tmp_path)
    done = predict("ckpt=rim", f"structure={path}", f"out={tmp_path / 'out'}", *QUICK)
    assert done.status == 1
    assert str(path) in done.errors
    assert not (tmp_path / "out").exists()


BORN_MISTAKES = {
    "missing": None,
    "words": "not\na BORN file\n",
    "one tensor too few": "14.4\n3 0 0 0 3 0 0 0 3\n2 0 0 0 2 0 0 0 2\n",
    "dielectric below one": "14.4\n-3 0 0 0 3 0 0 0 3\n2 0 0 0 2 0 0 0 2\n-2 0 0 0 -2 0 0 0 -2\n",
    "not finite": "14.4\n3 0 0 0 3 0 0 0 3\nnan 0 0 0 2 0 0 0 2\n-2 0 0 0 -2 0 0 0 -2\n",
}


@pytest.mark.parametrize("mistake", BORN_MISTAKES)
def test_wrong_born_files_are_told_in_one_message(tmp_path, predict, mistake):
    born = tmp_path / "BORN"
    if BORN_MISTAKES[mistake] is not None:
        born.write_text(BORN_MISTAKES[mistake])
    structure = f"structure={caesium_chloride(tmp_path / 'a.cif')}"
    done = predict("ckpt=rim", structure, f"born={born}", f"out={tmp_path / 'out'}", *QUICK)
    assert done.status == 1
    assert "BORN file" in done.errors


def write_bad_checkpoint(kind: str, folder: Path) -> Path:
    path = folder / "model.ckpt"
    if kind == "text":
        path.write_text("no weights here")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"code": os.getcwd}))
    return path


@pytest.mark.parametrize("kind", ["missing", "text", "pickle"])
def test_wrong_checkpoints_are_told_in_one_message(repository, tmp_path, predict, kind):
    path = write_bad_checkpoint(kind, tmp_path)
    done = predict(f"ckpt={path}", f"structure={repository / 'examples/MgO.cif'}", f"out={tmp_path / 'out'}", *QUICK)
    assert done.status == 1
    assert "model.ckpt" in done.errors
    assert not (tmp_path / "out").exists()


def test_all_mistakes_in_the_options_are_told_together(predict):
    done = predict("ckpt=rim", "structur=a.cif", "mesh=[0,2]", "figures=[gif]", "temperatures=warm")
    assert done.status == 2
    assert 'Did you mean "structure"?' in done.errors
    for option in ("structur", "mesh", "figures", "temperatures"):
        assert f" {option}: " in done.errors


def test_a_misspelt_model_gets_a_suggestion(repository, predict):
    done = predict("ckpt=rimm", f"structure={repository / 'examples/MgO.cif'}")
    assert done.status == 1
    assert 'Did you mean "rim"?' in done.errors


def test_a_fitted_model_needs_something_to_fit(repository, predict):
    done = predict("ckpt=fitted", f"structure={repository / 'examples/MgO.cif'}")
    assert done.status == 1
    assert "data=" in done.errors


def test_a_folder_in_the_way_is_not_overwritten(repository, tmp_path, predict):
    (tmp_path / "MgO").mkdir()
    (tmp_path / "MgO" / "precious.txt").write_text("keep me")
    done = predict("ckpt=rim", f"structure={repository / 'examples/MgO.cif'}", f"out={tmp_path}", *QUICK)
    assert done.status == 1
    assert "not an output folder" in done.errors
    assert [path.name for path in tmp_path.rglob("*")] == ["MgO", "precious.txt"]


def test_a_full_disk_leaves_nothing_half_written(repository, tmp_path):
    """A limit of 4 kB per file stands in for a full disk."""
    command = (
        f"ulimit -f 4; exec {sys.executable} predict.py ckpt=rim structure=examples/MgO.cif out={tmp_path / 'out'}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=repository, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_help_shows_every_option_with_its_explanation(predict):
    done = predict("--help")
    assert done.status == 0
    assert "structure: ???" in done.output
    assert "# BORN file" in done.output
