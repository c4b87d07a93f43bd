"""What a prediction leaves behind is complete, consistent, and read by other programs."""

import csv
import json
from pathlib import Path

import numpy as np
import phonopy
import pytest
import yaml

from mlrim.errors import UserError
from mlrim.lattice.supercell import Supercell
from mlrim.pipeline import Settings, predict_structure
from mlrim.predictors import ForceConstantPrediction, Known, LongRange
from mlrim.report.folder import complete_folder, write_prediction
from mlrim.report.phonopy_files import to_phonopy
from mlrim.report.prediction import Prediction
from mlrim.report.summary import UNITS
from mlrim.structures import InputStructure
from mlrim.units import THZ_TO_CM1
from tests.vibrations.prototypes import prototype, symmetric_dynamics


class GivenDynamics:
    """A predictor that knows the answer."""

    description = "random springs"

    def __init__(self, dynamics):
        self.dynamics = dynamics

    def __call__(self, crystal, known):
        dipole = self.dynamics.dipole
        long_range = LongRange(dipole.born_charges, dipole.dielectric, "a test")
        return ForceConstantPrediction(self.dynamics.short_range, long_range)


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    crystal = prototype("rutile")
    structure = InputStructure("rutile", Path("rutile.cif"), crystal, ["a note"], ["a warning"])
    settings = Settings(mesh=(3, 3, 4), path_spacing=0.05, supercell=(2, 2, 3), temperatures=(0.0, 300.0, 100.0))
    return predict_structure(structure, GivenDynamics(symmetric_dynamics(crystal)), settings, Known())


@pytest.fixture(scope="module")
def folder(prediction, tmp_path_factory) -> Path:
    return write_prediction(prediction, tmp_path_factory.mktemp("out"), figures=["svg", "png"])


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_phonopy_loads_the_folder_and_gives_the_same_frequencies(prediction, folder, monkeypatch):
    monkeypatch.chdir(folder)
    phonon = phonopy.load("phonopy_params.yaml", log_level=0)
    qpoints = Supercell(prediction.dynamics.crystal, np.diag([2, 2, 3])).commensurate_qpoints
    theirs = phonon.run_qpoints(qpoints).frequencies
    difference = np.abs(theirs - prediction.dynamics.frequencies(qpoints)) * THZ_TO_CM1
    assert difference.max() < 0.05


def test_large_force_constants_go_into_an_hdf5_file_that_phonopy_loads(prediction, tmp_path, monkeypatch):
    monkeypatch.setattr("mlrim.report.phonopy_files.TEXT_LIMIT", 0)
    folder = write_prediction(prediction, tmp_path, figures=[])
    assert not (folder / "FORCE_CONSTANTS").exists()
    monkeypatch.chdir(folder)
    theirs = phonopy.load("phonopy_params.yaml", log_level=0).run_qpoints([[0.5, 0, 0]]).frequencies[0]
    assert theirs == pytest.approx(prediction.dynamics.frequencies(np.array([[0.5, 0, 0]]))[0], abs=1e-4)


def test_phonopy_splits_lo_and_to_modes_in_the_same_way(prediction, folder, monkeypatch):
    monkeypatch.chdir(folder)
    phonon = phonopy.load("phonopy_params.yaml", log_level=0)
    for axis in np.eye(3):
        theirs = phonon.run_qpoints([[0, 0, 0]], nac_q_direction=axis).frequencies[0]
        ours = prediction.dynamics.frequencies(np.zeros((1, 3)), axis @ prediction.dynamics.crystal.reciprocal)[0]
        assert np.abs(theirs - ours).max() * THZ_TO_CM1 < 0.05


@pytest.mark.parametrize("name", ["corundum", "wurtzite", "GdFeO3"])
def test_the_order_of_phonopys_supercell_atoms_is_found(name):
    dynamics = symmetric_dynamics(prototype(name))
    supercell = Supercell(dynamics.crystal, np.array([[2, 1, 0], [0, 1, 0], [0, 0, 2]]))
    theirs = to_phonopy(dynamics, supercell).run_qpoints(supercell.commensurate_qpoints).frequencies
    ours = dynamics.frequencies(supercell.commensurate_qpoints)
    squares = np.abs(np.sign(theirs) * theirs**2 - np.sign(ours) * ours**2)
    assert squares.max() < 1e-3  # THz²; phonopy rounds its constants at 1e-7


def test_the_modes_table_lists_every_mode_once(prediction, folder):
    rows = read_csv(folder / "modes.csv")
    assert sum(int(row["degeneracy"]) for row in rows) == 18
    assert sum(int(row["degeneracy"]) for row in rows if row["kind"] == "acoustic") == 3
    frequencies = [float(row["frequency_cm1"]) for row in rows]
    assert frequencies == sorted(frequencies)
    thz = np.array([float(row["frequency_thz"]) for row in rows])
    assert np.array(frequencies) == pytest.approx(thz * 33.3564095198, abs=1e-4)
    assert {row["activity"] for row in rows if row["irrep"] == "A2g" and row["kind"] == "optical"} == {"silent"}


def test_the_lo_to_table_names_transverse_partners(folder):
    rows = read_csv(folder / "lo_to.csv")
    assert {row["direction"] for row in rows} == {"[100]", "[001]"}
    assert {row["polarization"] for row in rows} == {"LO", "TO"}
    assert all(row["irrep"] in {"A2u", "Eu"} for row in rows)


def test_the_summary_is_plain_json_with_units(prediction, folder):
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["crystal"]["space_group_number"] == 136
    assert summary["gamma"]["optical_representation"] == "A1g + A2g + A2u + B1g + 2B1u + B2g + Eg + 3Eu"
    assert summary["long_range"]["source"] == "a test"
    assert summary["mesh"]["dos_integral"] == pytest.approx(18, rel=1e-3)
    assert summary["warnings"][0] == "a warning"
    for key in ("born_charges", "frequency_thz", "entropy", "residuals"):
        assert UNITS[key]
    assert max(summary["residuals"].values()) < 1e-10


def test_band_yaml_holds_the_bands(prediction, folder):
    content = yaml.safe_load((folder / "band.yaml").read_text(encoding="utf-8"))
    assert content["nqpoint"] == len(content["phonon"]) == sum(content["segment_nqpoint"])
    first = [band["frequency"] for band in content["phonon"][0]["band"]]
    assert first == pytest.approx(prediction.dispersion.frequencies[0], abs=1e-8)


def test_tables_of_bands_dos_and_thermal_properties_have_their_rows(prediction, folder):
    assert len(read_csv(folder / "bands.csv")) == len(prediction.dispersion.path.qpoints)
    assert list(read_csv(folder / "dos.csv")[0])[-2:] == ["Ti_per_thz", "O_per_thz"]
    temperatures = [float(row["temperature_k"]) for row in read_csv(folder / "thermal.csv")]
    assert temperatures == [0, 100, 200, 298.15, 300]


def test_figures_are_drawn_in_every_format(folder):
    for name in ("dispersion", "thermal"):
        assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert "</svg>" in (folder / f"{name}.svg").read_text(encoding="utf-8")


def test_a_failure_leaves_nothing_behind(tmp_path):

    def write_half() -> None:
        with complete_folder(tmp_path / "result") as folder:
            (folder / "half.txt").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_result_that_was_there(tmp_path):
    old = tmp_path / "result"
    old.mkdir()
    (old / "summary.json").write_text("{}")
    with pytest.raises(OSError, match="full"), complete_folder(old):
        raise OSError("disk is full")
    assert (old / "summary.json").read_text() == "{}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_a_new_result_replaces_the_old_one(tmp_path):
    for content in ("1", "2"):
        with complete_folder(tmp_path / "result") as folder:
            (folder / "summary.json").write_text(content)
            (folder / content).touch()
    assert sorted(entry.name for entry in (tmp_path / "result").iterdir()) == ["2", "summary.json"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_somebody_elses_folder_is_not_replaced(tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "thesis.tex").touch()
    with pytest.raises(UserError, match="not an output folder"), complete_folder(tmp_path / "result"):
        pass
