"""Spectra in predict.py: files, options and their mistakes, response models from checkpoints, what is absent."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.symmetry import space_group
from mlrim.pipeline import Settings, predict_structure
from mlrim.predictors import ForceConstantPrediction, Known, LongRange, load_predictor
from mlrim.report.folder import write_prediction
from mlrim.responses import LearnedResponse, averaged, complete_response
from mlrim.spectra.raman import chosen_geometries
from mlrim.spectra.settings import InfraredSettings, RamanSettings, SpectraSettings
from mlrim.structures import read_structure
from tests.integration.conftest import Finished

QUICK = ("mesh=[2,2,2]", "path_spacing=0.1", "figures=[]", "supercell=[2,2,2]", "quiet=true")
COARSE = Settings(mesh=(2, 2, 2), path_spacing=0.2, temperatures=(0.0, 300.0, 300.0), supercell=(1, 1, 1))
BORN = "14.4\n3 0 0 0 3 0 0 0 3\n1.96 0 0 0 1.96 0 0 0 1.96\n-1.96 0 0 0 -1.96 0 0 0 -1.96\n"


@pytest.fixture
def predict(finished) -> Callable[..., Finished]:
    return partial(finished, "predict.py")


@pytest.fixture
def seven(repository) -> Path:
    return repository / "examples" / "seven"


def read_csv(path: Path) -> dict[str, np.ndarray]:
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}


def test_the_tables_of_spectra_agree_with_closed_forms(predict, seven, tmp_path):
    """MgO with known Z* and ε∞: reflectivity, LO peak of the energy loss, Fröhlich peak of the pellet."""
    born = tmp_path / "BORN"
    born.write_text(BORN)
    options = ("infrared.width=2", "infrared.matrix=2.25", "infrared.volume_fraction=0.0001")
    done = predict("ckpt=rim", f"structure={seven / 'MgO.cif'}", f"born={born}", f"out={tmp_path}", *QUICK, *options)
    assert done == (0, "", "")
    table = read_csv(tmp_path / "MgO" / "infrared.csv")
    summary = json.loads((tmp_path / "MgO" / "summary.json").read_text())
    (transverse,) = [m["frequency_cm1"] for m in summary["gamma"]["modes"] if m["kind"] == "optical"]
    (longitudinal,) = [
        m["frequency_cm1"] for m in summary["gamma"]["directional_modes"]["[100]"] if m["polarization"] == "LO"
    ]
    grid = table["wavenumber_cm1"]
    assert grid[table["epsilon2_iso"].argmax()] == pytest.approx(transverse, abs=1)
    assert grid[table["energy_loss_iso"].argmax()] == pytest.approx(longitudinal, abs=1)
    static = 3 * (longitudinal / transverse) ** 2
    assert summary["infrared"]["static_dielectric"][0][0] == pytest.approx(static, rel=1e-6)
    assert table["epsilon1_iso"][0] == pytest.approx(static, rel=1e-3)
    assert table["reflectivity_iso"][0] == pytest.approx(((np.sqrt(static) - 1) / (np.sqrt(static) + 1)) ** 2, rel=1e-3)
    frohlich = transverse * np.sqrt((static + 2 * 2.25) / (3 + 2 * 2.25))
    assert grid[table["pellet_absorption_per_cm"].argmax()] == pytest.approx(frohlich, abs=1.5)
    (low, high), *_ = summary["infrared"]["reststrahlen_bands"]["iso"]
    assert (low, high) == pytest.approx((transverse, longitudinal), abs=1)
    assert summary["quality"]["lst_deviation"] < 1e-9
    assert summary["absent"]["raman"] == "no optical mode is Raman-active by symmetry"


def test_every_file_of_a_polar_crystal_is_there_and_consistent(predict, seven, tmp_path):
    geometry = "raman.geometry=z(xx)-z z(xy)-z x(zz)-x"
    arguments = (
        "ckpt=rim",
        f"structure={seven / 'ZnO.cif'}",
        f"out={tmp_path}",
        *QUICK,
        geometry,
        "directions=[101] z",
    )
    assert predict(*arguments) == (0, "", "")
    folder = tmp_path / "ZnO"
    expected = {"infrared.csv", "raman.csv", "neutrons.csv", "displacements.csv", "report.html", "phononwebsite.json"}
    assert expected <= {path.name for path in folder.iterdir()}
    raman = read_csv(folder / "raman.csv")
    total = raman["powder_parallel_cm2_per_sr_cm1"] + raman["powder_crossed_cm2_per_sr_cm1"]
    assert raman["powder_total_cm2_per_sr_cm1"] == pytest.approx(total)
    crossed, parallel = raman["z(xy)-z_cm2_per_sr_cm1"], raman["z(xx)-z_cm2_per_sr_cm1"]
    shift = raman["shift_cm1"]
    summary = json.loads((folder / "summary.json").read_text())
    modes = summary["gamma"]["modes"]
    e2 = max(mode["frequency_cm1"] for mode in modes if mode["irrep"] == "E2")
    assert shift[crossed.argmax()] == pytest.approx(e2, abs=1)
    axial = [m for m in summary["gamma"]["directional_modes"]["z"] if m["polarization"] == "LO"]
    at_lo = np.abs(shift - axial[0]["frequency_cm1"]) < 2
    assert parallel[at_lo].max() > 100 * crossed[at_lo].max()  # A1(LO): xx, never xy
    assert "[101]" in summary["gamma"]["directional_modes"]
    shares = [mode["participation_Zn"] + mode["participation_O"] for mode in modes]
    assert shares == pytest.approx([1.0] * len(shares))
    silent = [mode for mode in modes if mode["activity"] == "silent"]
    assert {mode["irrep"] for mode in silent} == {"B1"}
    active = [mode for mode in modes if "Raman" in mode["activity"]]
    assert all(0 <= mode["depolarization_ratio"] <= 0.75 + 1e-9 for mode in active)
    moved = read_csv(folder / "displacements.csv")
    assert np.all(np.diff(moved["u_iso_Zn1_a2"]) > 0)


def test_a_covalent_crystal_has_raman_but_no_infrared_spectrum(predict, tmp_path):
    path = tmp_path / "Si.vasp"
    path.write_text("Si\n1.0\n0 2.715 2.715\n2.715 0 2.715\n2.715 2.715 0\nSi\n2\nDirect\n0 0 0\n0.25 0.25 0.25\n")
    assert predict("ckpt=rim", f"structure={path}", f"out={tmp_path / 'out'}", *QUICK) == (0, "", "")
    folder = tmp_path / "out" / "Si"
    assert not (folder / "infrared.csv").exists()
    assert (folder / "raman.csv").exists()
    summary = json.loads((folder / "summary.json").read_text())
    assert "no Born charges are known" in summary["absent"]["infrared"]
    (optical,) = [mode for mode in summary["gamma"]["modes"] if mode["kind"] == "optical"]
    assert (optical["irrep"], optical["activity"]) == ("T2g", "Raman")
    assert optical["depolarization_ratio"] == pytest.approx(0.75)
    assert "ir_intensity_km_per_mol" not in optical


def test_the_console_shows_intensities_sources_and_checks(predict, seven, tmp_path):
    arguments = [word for word in QUICK if word != "quiet=true"]
    done = predict("ckpt=rim", f"structure={seven / 'TiO2.cif'}", f"out={tmp_path}", *arguments)
    assert done.status == 0
    for words in (
        "silent",
        "LO [100]",
        "Raman: activity",
        "IR: km/mol",
        "quality: ",
        "LST check",
        "Raman tensors: bond",
    ):
        assert words in done.output


def test_widths_from_a_file_reach_the_spectra(predict, seven, tmp_path):
    widths = tmp_path / "widths.txt"
    widths.write_text("# one for each of the 15 optical modes\n" + "\n".join(["20"] * 15) + "\n")
    base = ("ckpt=rim", f"structure={seven / 'TiO2.cif'}", *QUICK, "wavenumbers=[0,1200,1]")
    assert predict(*base, f"out={tmp_path / 'file'}", f"widths_file={widths}").status == 0
    assert predict(*base, f"out={tmp_path / 'number'}", "raman.width=20", "infrared.width=20").status == 0
    assert predict(*base, f"out={tmp_path / 'narrow'}").status == 0
    tables = [read_csv(tmp_path / name / "TiO2" / "raman.csv") for name in ("file", "number", "narrow")]
    powders = [table["powder_total_cm2_per_sr_cm1"] for table in tables]
    assert powders[0] == pytest.approx(powders[1])
    assert powders[2].max() > 1.5 * powders[0].max()
    assert len(powders[0]) == 1201


MISTAKES = {
    "raman.geometry=z(zx)z": ("raman.geometry", "transverse"),
    "raman.geometry=zxy": ("raman.geometry", "z(xy)-z"),
    "raman.laser=5": ("raman.laser", "100 to 3000"),
    "raman.detector=eye": ("raman.detector", "power, photon"),
    "raman.temperature=-1": ("raman.temperature", "≥ 0"),
    "raman.lazer=532": ("raman.lazer", 'Did you mean "raman.laser"?'),
    "raman=532": ("raman", "unknown option"),
    "infrared.matrix=KBrr": ("infrared.matrix", "KBr, KCl"),
    "infrared.matrix=0.5": ("infrared.matrix", "at least one"),
    "infrared.shape=spher": ("infrared.shape", 'Did you mean "sphere"?'),
    "infrared.volume_fraction=2": ("infrared.volume_fraction", "0.999"),
    "infrared.width=0": ("infrared.width", "> 0"),
    "infrared.normal=(00)": ("infrared.normal", "(hkl)"),
    "directions=[110": ("directions", "[uvw]"),
    "lines=lorenz": ("lines", 'Did you mean "lorentzian"?'),
    "widths_file=nothing.txt": ("widths_file", "there is no file"),
    "wavenumbers=[10,5,1]": ("wavenumbers", "first, last, step"),
    "wavenumbers=[0,100]": ("wavenumbers", "a list of 3 values"),
    "response_theory=hse": ("response_theory", "pbesol, pbe0"),
    "instrument=-1": ("instrument", "≥ 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_option_is_told_before_anything_runs(mistake, predict, seven, tmp_path):
    done = predict("ckpt=rim", f"structure={seven / 'MgO.cif'}", f"out={tmp_path / 'out'}", mistake)
    assert done.status == 2
    assert "Traceback" not in done.errors
    for words in MISTAKES[mistake]:
        assert words in done.errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "wide\n", "1 2 3\n", "-4\n", "5\n5\n"])
def test_a_wrong_file_of_widths_is_told(content, predict, seven, tmp_path):
    path = tmp_path / "widths.txt"
    path.write_text(content)
    arguments = ("ckpt=rim", f"structure={seven / 'MgO.cif'}", f"out={tmp_path / 'out'}", *QUICK)
    done = predict(*arguments, f"widths_file={path}")
    assert done.status == 1
    assert "widths.txt" in done.errors


@pytest.mark.parametrize("name", ["missing.ckpt", "text.ckpt"])
def test_a_wrong_response_model_is_told(name, predict, seven, tmp_path):
    (tmp_path / "text.ckpt").write_text("no weights")
    arguments = ("ckpt=rim", f"structure={seven / 'MgO.cif'}", f"out={tmp_path / 'out'}", *QUICK)
    done = predict(*arguments, f"response={tmp_path / name}")
    assert done.status == 1
    assert name in done.errors


class StandIn:
    """A response model with a fixed answer."""

    description = "stand-in"

    def __init__(self, answer: LearnedResponse) -> None:
        self.answer = answer

    def __call__(self, crystal) -> LearnedResponse:
        return self.answer


def noisy_response(n_atoms: int, seed: int = 0, **values) -> LearnedResponse:
    """Tensors that obey neither symmetry nor neutrality."""
    generator = np.random.default_rng(seed)
    born = np.array([2.4] * (n_atoms // 2) + [-2.4] * (n_atoms // 2))[:, None, None] * np.eye(3)
    raman = generator.normal(size=(n_atoms, 3, 3, 3))
    dielectric = 4 * np.eye(3) + 0.1 * generator.normal(size=(3, 3))
    return LearnedResponse(born + 0.2 * generator.normal(size=born.shape), dielectric, raman, **values)


def test_predicted_responses_obey_the_symmetry_exactly(seven):
    structure = read_structure(seven / "ZnO.cif")
    crystal, group = structure.crystal, space_group(structure.crystal)
    response = StandIn(noisy_response(crystal.n_atoms))
    prediction = predict_structure(structure, load_predictor("rim"), COARSE, response=response)
    found = prediction.response
    assert found.sources["born_charges"] == found.sources["raman_tensors"] == "stand-in"
    assert np.abs(found.born_charges.sum(axis=0)).max() < 1e-12
    assert np.abs(found.raman_tensors.sum(axis=0)).max() < 1e-12
    assert found.raman_tensors == pytest.approx(found.raman_tensors.swapaxes(1, 2), abs=1e-12)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        moved = np.einsum("ai,bj,ck,nijk->nabc", rotation, rotation, rotation, found.raman_tensors)
        assert np.abs(moved - found.raman_tensors[permutation]).max() < 1e-8
        assert np.abs(rotation @ found.born_charges @ rotation.T - found.born_charges[permutation]).max() < 1e-8
        assert np.abs(rotation @ found.dielectric @ rotation.T - found.dielectric).max() < 1e-8
    assert found.correction > 0.05
    assert prediction.quality.born_correction == found.correction
    assert prediction.quality.lst_deviation < 1e-9
    assert prediction.infrared is not None
    assert prediction.raman is not None


def test_known_quantities_are_trusted_more_than_predicted_ones(seven):
    structure = read_structure(seven / "MgO.cif")
    born = np.array([1.5, -1.5])[:, None, None] * np.eye(3)
    known = Known(long_range=LongRange(born, 2 * np.eye(3), "a file"))
    response = StandIn(noisy_response(2))
    found = predict_structure(structure, load_predictor("rim"), COARSE, known, response).response
    assert found.sources["born_charges"] == "a file"
    assert found.born_charges == pytest.approx(born)
    assert found.sources["raman_tensors"] == "stand-in"
    assert not found.screened


def test_without_any_model_the_rigid_ions_and_bonds_are_left(seven):
    structure = read_structure(seven / "MgO.cif")
    prediction = predict_structure(structure, load_predictor("rim"), COARSE)
    assert prediction.response.screened
    assert "rigid-ion" in prediction.long_range
    assert prediction.response.sources["raman_tensors"] == "bond-polarisability model"
    assert any("ε∞ is set to one" in warning for warning in prediction.warnings)


def test_a_metal_is_told(seven):
    structure = read_structure(seven / "MgO.cif")
    response = StandIn(noisy_response(2, insulator_probability=0.1))
    prediction = predict_structure(structure, load_predictor("rim"), COARSE, response=response)
    assert any("metal" in warning for warning in prediction.warnings)


def test_an_ensemble_is_the_mean_and_tells_its_spread(seven):
    crystal = read_structure(seven / "MgO.cif").crystal
    answers = [noisy_response(2, seed) for seed in range(3)]
    mean = averaged(answers)
    assert mean.born_charges == pytest.approx(np.mean([a.born_charges for a in answers], axis=0))
    assert mean.raman_tensors == pytest.approx(np.mean([a.raman_tensors for a in answers], axis=0))
    assert mean.spread["born_charges"] > 0.05
    known = Known(long_range=LongRange(mean.born_charges, mean.dielectric, "ensemble"))
    found = complete_response(crystal, space_group(crystal), known, None, mean)
    assert found.spread == mean.spread


def test_plates_and_needles_absorb_elsewhere_than_spheres(seven):
    structure = read_structure(seven / "MgO.cif")
    born = np.array([1.96, -1.96])[:, None, None] * np.eye(3)
    known = Known(long_range=LongRange(born, 3 * np.eye(3), "a test"))
    peaks = {}
    for shape in ("plate", "sphere", "needle"):
        spectra = SpectraSettings(infrared=InfraredSettings(shape=shape, normal="(001)"))
        settings = Settings(COARSE.mesh, path_spacing=0.2, supercell=(1, 1, 1), spectra=spectra)
        infrared = predict_structure(structure, load_predictor("rim"), settings, known).infrared
        assert infrared is not None
        peaks[shape] = infrared.wavenumbers[infrared.pellet.absorption_coefficient.argmax()]
    assert peaks["needle"] < peaks["sphere"] or peaks["plate"] < peaks["sphere"]
    assert len(set(peaks.values())) == 3


def test_anti_stokes_lines_are_weaker_by_the_boltzmann_factor(seven):
    structure = read_structure(seven / "CaF2.cif")
    spectra = SpectraSettings(raman=RamanSettings(anti_stokes=True, detector="photon", width=2.0))
    settings = Settings(COARSE.mesh, path_spacing=0.2, supercell=(1, 1, 1), spectra=spectra)
    raman = predict_structure(structure, load_predictor("rim"), settings).raman
    assert raman is not None
    stokes = raman.total[raman.wavenumbers > 0].max()
    anti_stokes = raman.total[raman.wavenumbers < 0].max()
    shift, laser = float(raman.wavenumbers[raman.total.argmax()]), 1e7 / 532
    expected = np.exp(-1.438776877 * shift / 300) * ((laser + shift) / (laser - shift)) ** 3
    assert anti_stokes / stokes == pytest.approx(expected, rel=0.01)


def test_mistakes_of_every_kind_are_told_together(predict, seven, tmp_path):
    wrong = ("raman.geometry=nonsense", "raman.width=-3", "infrared.matrix=cheese", "directions=[12")
    done = predict("ckpt=rim", f"structure={seven / 'MgO.cif'}", f"out={tmp_path / 'out'}", *wrong)
    assert done.status == 2
    assert "4 problems" in done.errors
    assert [word for word in wrong if word.partition("=")[0] not in done.errors] == []


def test_geometries_along_lattice_vectors_wait_for_the_lattice(predict, seven, tmp_path):
    """[100] and [120] are at right angles in a hexagonal cell, and in no cubic one."""
    arguments = ("ckpt=rim", f"structure={seven / 'ZnO.cif'}", f"out={tmp_path}", *QUICK)
    assert predict(*arguments, "raman.geometry=[100]([010] c)-[100]").status == 1
    assert predict(*arguments, "raman.geometry=[100]([120] c)-[100]") == (0, "", "")


def test_numbers_with_an_exponent_are_numbers(predict, seven, tmp_path):
    numbers = ("symprec=1e-3", "raman.laser=5.32e2", "wavenumbers=[0,1e3,2e0]", "instrument=1e0")
    arguments = ("ckpt=rim", f"structure={seven / 'MgO.cif'}", f"out={tmp_path}", *QUICK, *numbers)
    assert predict(*arguments) == (0, "", "")
    assert len(read_csv(tmp_path / "MgO" / "infrared.csv")["wavenumber_cm1"]) == 501


def test_extremely_narrow_lines_do_not_make_huge_files(predict, seven, tmp_path):
    arguments = ("ckpt=rim", f"structure={seven / 'CaF2.cif'}", f"out={tmp_path}", *QUICK)
    assert predict(*arguments, "raman.width=0.001", "infrared.width=0.001") == (0, "", "")
    table = read_csv(tmp_path / "CaF2" / "raman.csv")
    assert len(table["shift_cm1"]) <= 10_001
    summary = json.loads((tmp_path / "CaF2" / "summary.json").read_text())
    assert any("narrower than the steps" in warning for warning in summary["warnings"])


class PushingSprings:
    """Force constants of the wrong sign."""

    description = "pushing springs"

    def __call__(self, crystal, known) -> ForceConstantPrediction:
        right = load_predictor("rim")(crystal, known)
        pairs, blocks = right.short_range
        return ForceConstantPrediction(PairForceConstants(pairs, -blocks), right.long_range)


def test_an_unstable_crystal_is_predicted_without_spectra(seven, tmp_path):
    structure = read_structure(seven / "MgO.cif")
    prediction = predict_structure(structure, PushingSprings(), COARSE)
    assert prediction.infrared is None
    assert "imaginary" in prediction.absent["infrared"]
    assert prediction.quality.lst_deviation is None
    folder = write_prediction(prediction, tmp_path, figures=["png"])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["gamma"]["imaginary_optical_modes"] == 3
    assert not (folder / "infrared.png").exists()


def test_geometries_with_brackets_are_separated_by_blanks():
    found = chosen_geometries("z(xx)-z [110]([1-10] c)[-1-10]")
    assert [geometry.label for geometry in found] == ["z(xx)-z", "[110]([1-10] c)[-1-10]"]
