"""Importers against phonopy itself: the frequencies of a record are those that phonopy computes from the same files."""

import lzma
import tarfile
from pathlib import Path

import numpy as np
import phonopy
import pytest
from phonopy import Phonopy
from phonopy.file_IO import (
    parse_BORN,
    parse_FORCE_SETS,
    write_FORCE_CONSTANTS,
    write_force_constants_to_hdf5,
)
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.interface.vasp import parse_set_of_forces, read_vasp
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from datamodules.importers import IMPORTERS, ImportOptions, Input, RejectedInput
from datamodules.importers.phonondb import find_phonondb, read_phonondb
from datamodules.records import Record, decode, encode
from mlrim.units import THZ_TO_CM1
from tests.datamodules.archives import archive_files, phonopy_calculation, rocksalt, write_archive

OPTIONS = ImportOptions()
TOLERANCE_CM1 = 1e-3

REAL_ARCHIVES = ["-1265-", "-2657-", "-1143-", "-2133-", "-5020-", "-675283-", "-550070-", "-8145-", "-556458-"]
"""MgO, rutile, corundum, wurtzite, BaTiO3, and centred cells with each of the other primitive axes."""


@pytest.fixture
def magnesia(tmp_path: Path) -> tuple[Path, Phonopy, dict[str, str]]:
    matrix = np.diag([2, 2, 2])
    phonon = phonopy_calculation(rocksalt("Mg", "O", 4.2), matrix, "F")
    files = archive_files(phonon, matrix)
    return write_archive(tmp_path / "materials-id-1-mgo-fm-3m-225.tar.lzma", files), phonon, files


def assert_same_frequencies(record: Record, phonon: Phonopy) -> None:
    """At all wave vectors of the supercell, without the non-analytic term, after a round trip through bytes."""
    record = decode(encode(record))
    phonon.nac_params = None
    qpoints = record.supercell.commensurate_qpoints
    expected = phonon.run_qpoints(qpoints).frequencies * THZ_TO_CM1
    bare = type(record.lattice_dynamics()).from_supercell(record.compact(), record.supercell)
    found = bare.frequencies(qpoints) * THZ_TO_CM1
    assert distance(found, expected) < TOLERANCE_CM1
    assert distance(record.gamma_frequencies * THZ_TO_CM1, expected[0]) < TOLERANCE_CM1


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, cm⁻¹; below 10 cm⁻¹, where a frequency is the root of rounding errors, of the squares."""
    squares = np.abs(found * np.abs(found) - expected * np.abs(expected))
    return float((squares / np.maximum(2 * np.abs(expected), 10.0)).max())


def with_force_constants(phonon: Phonopy) -> Phonopy:
    phonon.produce_force_constants(calculate_full_force_constants=False)
    phonon.symmetrize_force_constants(level=3, show_drift=False)
    return phonon


def read(path: Path) -> Record:
    return read_phonondb(Input(path.name, path), OPTIONS)


def test_archive_has_the_frequencies_of_phonopy(magnesia: tuple) -> None:
    path, phonon, _ = magnesia
    record = read(path)
    assert_same_frequencies(record, with_force_constants(phonon))
    assert (record.id, record.formula, record.space_group, record.point_group) == ("mp-1", "MgO", 225, "m-3m")
    assert record.crystal.n_atoms == 2
    assert record.supercell.n_atoms == 64


def test_noncubic_supercell_of_an_oblique_primitive_cell_has_the_frequencies_of_phonopy(tmp_path: Path) -> None:
    matrix = np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]])
    phonon = phonopy_calculation(rocksalt("Na", "Cl", 5.6), matrix, "F")
    path = write_archive(tmp_path / "materials-id-2-nacl-fm-3m-225.tar.lzma", archive_files(phonon, matrix))
    assert_same_frequencies(read(path), with_force_constants(phonon))


def test_force_constants_are_the_response_of_the_stored_forces(magnesia: tuple) -> None:
    record = read(magnesia[0])
    moved = record.displacements.astype(float)
    atoms = np.argwhere(np.abs(moved).max(axis=2) > 1e-6)
    for step, image in atoms:
        atom, cell = divmod(int(image), record.supercell.n_cells)
        home = record.supercell.image_index(
            np.arange(2).repeat(record.supercell.n_cells),
            np.tile(record.supercell.shifts, (2, 1)) - record.supercell.shifts[cell],
        )
        predicted = -np.einsum("a,sab->sb", moved[step, image], record.compact()[atom][home])
        assert predicted == pytest.approx(record.forces[step], abs=2e-3)  # anharmonic part


def test_born_charges_are_neutral_and_on_all_atoms(magnesia: tuple) -> None:
    record = read(magnesia[0])
    assert record.born_charges == pytest.approx(np.array([2.05, -2.05])[:, None, None] * np.eye(3))
    assert record.dielectric == pytest.approx(3 * np.eye(3))
    assert record.quality["born_neutrality"] == pytest.approx(0.1)


def test_archive_without_born_has_no_born_charges(tmp_path: Path, magnesia: tuple) -> None:
    files = {name: text for name, text in magnesia[2].items() if name != "BORN"}
    record = read(write_archive(tmp_path / "no-born.tar.lzma", files))
    assert record.born_charges is None
    assert record.dielectric is None


def test_unit_factor_in_born_is_accepted(tmp_path: Path, magnesia: tuple) -> None:
    files = dict(magnesia[2])
    files["BORN"] = "14.400\n" + files["BORN"].split("\n", 1)[1]
    record = read(write_archive(tmp_path / "factor.tar.lzma", files))
    assert record.dielectric[0, 0] == pytest.approx(3.0)


def test_truncated_archive_is_rejected(tmp_path: Path, magnesia: tuple) -> None:
    path = tmp_path / "truncated.tar.lzma"
    path.write_bytes(magnesia[0].read_bytes()[:-300])
    with pytest.raises(RejectedInput, match="truncated or damaged"):
        read(path)


def damaged_forces(files: dict[str, str], kind: str) -> dict[str, str]:
    lines = files["FORCE_SETS"].splitlines()
    if kind == "nan":
        lines[6] = "nan 0.0 0.0"
    elif kind == "count":
        lines[0] = "63"
    elif kind == "short":
        lines = lines[:-3]
    elif kind == "text":
        lines[6] = "0.0 **** 0.0"
    return files | {"FORCE_SETS": "\n".join(lines)}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("nan", "not finite"), ("count", "63 atoms, the supercell has 64"), ("short", "holds"), ("text", "no number")],
)
def test_damaged_force_sets_are_rejected(tmp_path: Path, magnesia: tuple, kind: str, reason: str) -> None:
    path = write_archive(tmp_path / f"{kind}.tar.lzma", damaged_forces(magnesia[2], kind))
    with pytest.raises(RejectedInput, match=reason):
        read(path)


def test_missing_file_in_archive_is_rejected(tmp_path: Path, magnesia: tuple) -> None:
    files = {name: text for name, text in magnesia[2].items() if name != "FORCE_SETS"}
    with pytest.raises(RejectedInput, match="FORCE_SETS"):
        read(write_archive(tmp_path / "incomplete.tar.lzma", files))


def test_metallic_dielectric_tensor_is_rejected(tmp_path: Path, magnesia: tuple) -> None:
    files = dict(magnesia[2])
    files["BORN"] = files["BORN"].replace("3 0 0 0 3 0 0 0 3", "-3 0 0 0 -3 0 0 0 -3")
    with pytest.raises(RejectedInput, match="positive definite"):
        read(write_archive(tmp_path / "metal.tar.lzma", files))


@pytest.mark.parametrize("part", REAL_ARCHIVES)
def test_real_archive_has_the_frequencies_of_phonopy(shared_data: Path, tmp_path: Path, part: str) -> None:
    source = next(one for one in find_phonondb(shared_data / "data/phonondb") if part in one.name)
    with tarfile.open(source.path, "r:xz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(entry for entry in tmp_path.iterdir() if entry.is_dir())
    settings = dict(line.split(" = ") for line in (folder / "phonopy.conf").read_text().strip().splitlines())
    axis = settings.get("PRIMITIVE_AXIS", "1 0 0 0 1 0 0 0 1").split()
    phonon = Phonopy(
        read_vasp(folder / "POSCAR-unitcell"),
        np.array(settings["DIM"].split(), dtype=int).reshape(3, 3),
        primitive_matrix=np.array([eval(number) for number in axis], dtype=float).reshape(3, 3),
        log_level=0,
    )
    phonon.dataset = parse_FORCE_SETS(filename=folder / "FORCE_SETS")
    record = read_phonondb(source, OPTIONS)
    assert_same_frequencies(record, with_force_constants(phonon))
    expected = parse_BORN(phonon.primitive, filename=folder / "BORN")
    assert record.dielectric == pytest.approx(expected["dielectric"], abs=0.02)
    assert np.abs(record.born_charges.sum(axis=0)).max() < 1e-12


def test_phonopy_directory_has_the_frequencies_of_phonopy(shared_data: Path) -> None:
    folder = shared_data / "data/formats/phonopy_dir_NaCl"
    record = IMPORTERS["phonopy"].read(Input("NaCl", folder), OPTIONS)
    phonon = phonopy.load(
        folder / "phonopy_disp.yaml", force_sets_filename=folder / "FORCE_SETS", is_nac=False, symmetrize_fc=False
    )
    phonon.symmetrize_force_constants(level=3, show_drift=False)
    assert_same_frequencies(record, phonon)
    assert record.born_charges[0, 0, 0] == pytest.approx((1.08703 + 1.08672) / 2)


def test_phonopy_params_have_the_frequencies_of_phonopy(shared_data: Path) -> None:
    inputs = IMPORTERS["phonopy_params"].find(shared_data / "data/formats/phonopy_params")
    record = IMPORTERS["phonopy_params"].read(inputs[0], OPTIONS)
    assert_same_frequencies(record, phonopy.load(inputs[0].path, is_nac=False))
    assert record.formula == "KCl"
    assert record.dielectric[0, 0] == pytest.approx(2.36462972)


@pytest.mark.parametrize("kind", ["FORCE_SETS", "FORCE_CONSTANTS", "force_constants.hdf5", "full FORCE_CONSTANTS"])
def test_directory_with_each_kind_of_forces(tmp_path: Path, magnesia: tuple, kind: str) -> None:
    _, phonon, files = magnesia
    phonon.save(tmp_path / "phonopy.yaml", settings={"force_sets": False, "displacements": False})
    with_force_constants(phonon)
    if kind == "FORCE_SETS":
        (tmp_path / kind).write_text(files[kind])
    elif kind == "force_constants.hdf5":
        write_force_constants_to_hdf5(
            phonon.force_constants, filename=tmp_path / kind, p2s_map=phonon.primitive.p2s_map
        )
    elif kind.startswith("full"):
        full = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
        write_FORCE_CONSTANTS(full, filename=tmp_path / "FORCE_CONSTANTS")
    else:
        write_FORCE_CONSTANTS(phonon.force_constants, tmp_path / kind, p2s_map=phonon.primitive.p2s_map)
    record = IMPORTERS["phonopy"].read(Input("MgO", tmp_path), OPTIONS)
    assert_same_frequencies(record, phonon)
    assert record.born_charges is None


def test_directory_without_forces_is_rejected(tmp_path: Path, magnesia: tuple) -> None:
    magnesia[1].save(tmp_path / "phonopy_disp.yaml", settings={"force_sets": False})
    with pytest.raises(RejectedInput, match="displacement 1 has no forces"):
        IMPORTERS["phonopy"].read(Input("MgO", tmp_path), OPTIONS)


def test_units_of_another_code_are_converted(tmp_path: Path, magnesia: tuple) -> None:
    """The same forces written as Quantum ESPRESSO has them, in Ry/bohr with lengths in bohr."""
    _, phonon, _ = magnesia
    units = get_calculator_physical_units("qe")
    cell = phonon.unitcell
    foreign = Phonopy(
        PhonopyAtoms(
            cell=cell.cell / units.distance_to_A, scaled_positions=cell.scaled_positions, symbols=cell.symbols
        ),
        phonon.supercell_matrix,
        primitive_matrix="F",
        calculator="qe",
        log_level=0,
    )
    steps = phonon.dataset["first_atoms"]
    foreign.dataset = {
        "natom": 64,
        "first_atoms": [
            {
                "number": step["number"],
                "displacement": np.array(step["displacement"]) / units.distance_to_A,
                "forces": step["forces"] / units.force_to_eVperA,
            }
            for step in steps
        ],
    }
    foreign.save(tmp_path / "phonopy_params.yaml", settings={"force_sets": True})
    record = IMPORTERS["phonopy_params"].read(Input("x", tmp_path / "phonopy_params.yaml"), OPTIONS)
    assert_same_frequencies(record, with_force_constants(phonon))
    assert record.theory == "qe"
    assert record.crystal.volume == pytest.approx(4.2**3 / 4)


def test_yaml_that_is_none_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "phonopy_params.yaml").write_text("nothing: here")
    with pytest.raises(RejectedInput, match=r"phonopy_params.yaml"):
        IMPORTERS["phonopy_params"].read(Input("x", tmp_path / "phonopy_params.yaml"), OPTIONS)


def test_vasprun_set_has_the_frequencies_of_phonopy(shared_data: Path) -> None:
    folder = shared_data / "data/formats/vasprun_SnO2"
    record = IMPORTERS["vasprun"].read(Input("SnO2", folder), OPTIONS)
    phonon = phonopy.load(folder / "phonopy_disp.yaml.xz", is_nac=False, produce_fc=False)
    runs = [str(folder / f"vasprun.xml-{number:03d}.xz") for number in range(4)]
    forces = np.array(parse_set_of_forces(72, runs, verbose=False)["forces"])
    phonon.forces = forces[1:] - forces[0]
    assert_same_frequencies(record, with_force_constants(phonon))
    assert record.born_charges.shape == (6, 3, 3)


def test_truncated_vasprun_is_rejected(shared_data: Path, tmp_path: Path) -> None:
    for file in (shared_data / "data/formats/vasprun_SnO2").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = lzma.decompress((tmp_path / "vasprun.xml-002.xz").read_bytes())
    (tmp_path / "vasprun.xml-002.xz").write_bytes(lzma.compress(whole[: len(whole) // 2]))
    with pytest.raises(RejectedInput, match="truncated or damaged"):
        IMPORTERS["vasprun"].read(Input("SnO2", tmp_path), OPTIONS)


def test_missing_vasprun_is_rejected(shared_data: Path, tmp_path: Path) -> None:
    for file in (shared_data / "data/formats/vasprun_SnO2").iterdir():
        if "00" not in file.name or "001" in file.name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RejectedInput, match="1 numbered vasprun files for 3 displacements"):
        IMPORTERS["vasprun"].read(Input("SnO2", tmp_path), OPTIONS)
