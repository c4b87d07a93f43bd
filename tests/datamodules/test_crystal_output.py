"""The CRYSTAL importer gives back what an output was written from, and leaves out what cannot be trusted."""

import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.importers import ImportOptions, RejectedInput
from datamodules.importers.crystal_modes import eigenvectors, mass_weighted
from datamodules.importers.crystal_output import find_crystal_outputs, read_crystal_output
from datamodules.importers.crystal_text import parse_crystal_output
from datamodules.quality import commensurate_frequencies
from datamodules.records import Record, decode, encode
from datamodules.store import RecordStore
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.irreps import point_group_action
from tests.datamodules.crystal_writer import (
    Calculation,
    dipole_file,
    output_text,
    polarizability_file,
    printed_infrared,
    printed_raman,
    rigid_ion_calculation,
)
from tests.rim.crystals import corundum, low_symmetry

NAME = "calc-Al2O3_167_icsd0815_tzvp_PBE0-DONE"


@pytest.fixture(scope="module")
def alumina() -> Calculation:
    return rigid_ion_calculation(corundum())


@pytest.fixture(scope="module")
def triclinic() -> Calculation:
    return rigid_ion_calculation(low_symmetry())


def write(folder: Path, one: Calculation, changed: Callable[[str], str] = lambda text: text) -> Path:
    target = folder / NAME
    target.mkdir(parents=True)
    (target / "a.out").write_text(changed(output_text(one)))
    (target / "TENS_IR.DAT").write_text(dipole_file(one))
    (target / "TENS_RAMAN.DAT").write_text(polarizability_file(one))
    return target


def read(folder: Path) -> Record:
    (source,) = find_crystal_outputs(folder)
    return decode(encode(read_crystal_output(source, ImportOptions())))


def dynamical_matrix(crystal: Crystal, compact: np.ndarray) -> np.ndarray:
    root_mass = np.sqrt(np.repeat(crystal.masses, 3))
    size = 3 * crystal.n_atoms
    return compact.transpose(0, 2, 1, 3).reshape(size, size) / np.outer(root_mass, root_mass)


def test_force_constants_are_those_the_modes_were_made_from(tmp_path: Path, alumina: Calculation) -> None:
    record = read(write(tmp_path, alumina))
    assert np.allclose(record.crystal.positions, alumina.crystal.positions, atol=1e-9)
    expected, found = (dynamical_matrix(record.crystal, compact) for compact in (alumina.compact, record.compact()))
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    frequencies = np.linalg.eigvalsh(found)
    assert np.abs(np.sort(frequencies) - np.linalg.eigvalsh(expected)).max() < 1e-6 * frequencies.max()


def test_frequencies_are_the_printed_ones_with_their_sign(tmp_path: Path, triclinic: Calculation) -> None:
    record = read(write(tmp_path, triclinic))
    assert record.gamma_frequencies is not None
    optical = np.concatenate([np.full(mode.degeneracy, not mode.acoustic) for mode in triclinic.modes])
    expected = np.where(optical, triclinic.frequencies, 0.0)
    assert expected.min() < -10
    assert np.abs(record.gamma_frequencies * THZ_TO_CM1 - expected).max() < 1e-4
    assert record.quality["min_gamma_thz"] == pytest.approx(expected.min() / THZ_TO_CM1, abs=1e-4)


def test_born_charges_have_the_field_first_and_the_displacement_second(tmp_path: Path, triclinic: Calculation) -> None:
    record = read(write(tmp_path, triclinic))
    assert record.born_charges is not None
    assert np.abs(record.born_charges - triclinic.born_charges).max() < 1e-3
    assert np.abs(record.born_charges - triclinic.born_charges.transpose(0, 2, 1)).max() > 1


def test_raman_tensors_are_in_square_angstrom_with_the_displacement_last(
    tmp_path: Path, triclinic: Calculation
) -> None:
    record = read(write(tmp_path, triclinic))
    assert record.raman_tensors is not None
    assert np.abs(record.raman_tensors - triclinic.raman_tensors).max() < 1e-8
    assert np.abs(record.raman_tensors.sum(axis=0)).max() < 1e-12


def test_intensities_of_degenerate_modes_are_shared_out(tmp_path: Path, alumina: Calculation) -> None:
    record = read(write(tmp_path, alumina))
    degeneracies = [mode.degeneracy for mode in alumina.modes]
    starts = np.concatenate([[0], np.cumsum(degeneracies)[:-1]])
    powder, crystal = printed_raman(alumina)
    assert np.abs(np.add.reduceat(record.spectra["infrared"], starts) - printed_infrared(alumina)).max() < 0.006
    assert np.abs(np.add.reduceat(record.spectra["raman_total"], starts) - powder[:, 0]).max() < 0.006
    assert np.abs(np.add.reduceat(record.spectra["raman_crystal"], starts) - crystal).max() < 0.006
    pair = starts[next(index for index, count in enumerate(degeneracies) if count == 2)]
    for values in record.spectra.values():
        assert np.array_equal(values[pair], values[pair + 1])
    assert record.irreps == [mode.irrep.symbol for mode in alumina.modes for _ in range(mode.degeneracy)]


def test_four_decimals_are_nearly_enough_for_the_eigenvectors(alumina: Calculation) -> None:
    """Symmetry, translations and orthogonality take away most of what rounding did."""
    output = parse_crystal_output(output_text(alumina))
    found = eigenvectors(output, point_group_action(alumina.crystal))
    printed = mass_weighted(output)
    assert np.abs(found.T @ found - np.eye(len(found))).max() < 1e-12
    optical = np.concatenate([np.full(mode.degeneracy, not mode.acoustic) for mode in alumina.modes])
    worst, before = (np.linalg.norm(vectors - alumina.eigenvectors, axis=0)[optical] for vectors in (found, printed))
    assert worst.max() < 0.6 * before.max()
    assert worst.max() < 1.5e-3


def test_levels_without_the_symmetry_of_the_crystal_are_rejected(alumina: Calculation) -> None:
    output = parse_crystal_output(output_text(alumina))
    pair = next(level for level in output.levels if level.degeneracy == 2)
    halves = [replace(pair, degeneracy=1), replace(pair, degeneracy=1, first=pair.first + 1)]
    levels = [half for level in output.levels for half in (halves if level is pair else [level])]
    with pytest.raises(RejectedInput, match="do not have the symmetry -3m"):
        eigenvectors(replace(output, levels=levels), point_group_action(alumina.crystal))


def test_modes_printed_with_all_their_digits_are_used(tmp_path: Path, triclinic: Calculation) -> None:
    vectors = triclinic.eigenvectors / np.sqrt(np.repeat(triclinic.crystal.masses, 3))[:, None]
    rows = "\n".join("".join(f"{value:23.15E}" for value in row) for row in vectors.T.reshape(-1, 3))
    text = output_text(triclinic, decimals=1).replace("(IN BOHR)\n", f"(IN BOHR)\n themode {rows}\n", 1)
    output = parse_crystal_output(text)
    assert output.precise
    found = eigenvectors(output, point_group_action(triclinic.crystal))
    assert np.abs(np.abs(np.sum(found * triclinic.eigenvectors, axis=0))[6:] - 1).max() < 1e-12


def test_table_of_modes_survives_what_another_process_prints_into_it(tmp_path: Path, triclinic: Calculation) -> None:
    def interrupted(text: str) -> str:
        place = text.index(" AT.   3") + 20
        rows = "  0.147435433883774       0.000000000000000E+000  0.000000000000000E+000\n"
        return text[:place] + " themode" + 3 * rows + text[place:]

    whole, broken = read(write(tmp_path / "whole", triclinic)), read(write(tmp_path / "broken", triclinic, interrupted))
    assert np.array_equal(whole.compact(), broken.compact())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (lambda text: text.replace("CALCULATION OF PHONON", "NOTHING"), "no frequency calculation"),
        (lambda text: text[: text.index("FREQ(CM**-1)")], "normal modes are incomplete"),
        (lambda text: text[: text.rindex("FREQ(CM**-1)")], "24 normal modes of 30"),
        (lambda text: text[: text.index(" AT.   5")], "normal modes are incomplete"),
        (lambda text: text[: text.index("MODES         EIGV")], "no table of modes"),
        (lambda text: re.sub(r"\n +1- .*", "", text, count=1), "lists 2[789] of 30 modes"),
        (lambda text: text.replace("ISOTOPIC MASS", "MASS"), "0 isotopic masses"),
        (lambda text: text.replace("DIRECT LATTICE", "LATTICE"), "no lattice vectors"),
    ],
)
def test_incomplete_outputs_are_rejected(
    tmp_path: Path, alumina: Calculation, changed: Callable[[str], str], reason: str
) -> None:
    folder = write(tmp_path, alumina, changed)
    with pytest.raises(RejectedInput, match=reason):
        read(folder)


def test_two_outputs_in_one_folder_are_rejected(tmp_path: Path, alumina: Calculation) -> None:
    folder = write(tmp_path, alumina)
    (folder / "b.out").write_text(output_text(alumina))
    with pytest.raises(RejectedInput, match="none or several"):
        read(folder)


def test_no_output_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder with a CRYSTAL output"):
        find_crystal_outputs(tmp_path)


def test_unphysical_born_charges_are_absent_with_their_intensities(tmp_path: Path, alumina: Calculation) -> None:
    metallic = replace(alumina, born_charges=alumina.born_charges * 12.1 / np.abs(alumina.born_charges).max())
    record = read(write(tmp_path, metallic))
    assert record.born_charges is None
    assert "infrared" not in record.spectra
    assert record.raman_tensors is not None
    assert record.dielectric is not None
    assert record.quality["born_max"] == pytest.approx(12.1, abs=1e-3)


def test_born_charges_that_disagree_with_the_dipole_derivatives_are_absent(
    tmp_path: Path, alumina: Calculation
) -> None:
    folder = write(tmp_path, alumina)
    (folder / "TENS_IR.DAT").write_text(dipole_file(replace(alumina, born_charges=1.2 * alumina.born_charges)))
    record = read(folder)
    assert record.born_charges is None
    assert record.quality["born_asymmetry"] > 0.1


def test_intensity_that_overflowed_is_not_a_number(tmp_path: Path, alumina: Calculation) -> None:
    strongest = int(np.argmax(printed_infrared(alumina)))
    number = f"{printed_infrared(alumina)[strongest]:9.2f}"
    record = read(write(tmp_path, alumina, lambda text: text.replace(number, "*********")))
    assert np.isnan(record.spectra["infrared"]).sum() == alumina.modes[strongest].degeneracy
    assert np.nansum(record.spectra["infrared"]) > 0


@pytest.mark.parametrize("kind", ["overflow", "missing", "unsymmetric", "another crystal"])
def test_raman_tensors_that_cannot_be_trusted_are_absent(tmp_path: Path, alumina: Calculation, kind: str) -> None:
    folder = write(tmp_path, alumina)
    file = folder / "TENS_RAMAN.DAT"
    noise = np.random.default_rng(3).normal(size=alumina.raman_tensors.shape)
    text = {
        "overflow": file.read_text()[:-17] + "*" * 16 + "\n",
        "missing": "",
        "unsymmetric": polarizability_file(replace(alumina, raman_tensors=alumina.raman_tensors + noise)),
        "another crystal": "\n".join(file.read_text().splitlines()[:-3]),
    }[kind]
    file.write_text(text)
    if kind == "missing":
        file.unlink()
    record = read(folder)
    assert record.raman_tensors is None
    assert ("raman_total" in record.spectra) == (kind == "missing")


def test_packed_calculations_are_those_of_the_folders(tmp_path: Path, alumina: Calculation) -> None:
    folder = write(tmp_path / "folders", alumina)
    with tarfile.open(tmp_path / "outputs.tar.xz", "w:xz") as archive:
        archive.add(folder, NAME)
    options = {"workers": 1, "features": False, "quiet": True}
    for name, path in (("a", tmp_path / "folders"), ("b", tmp_path / "outputs.tar.xz"), ("c", tmp_path)):
        build(BuildOptions("raman_pbe0", tmp_path / "sets" / name, path=path, **options))
    one, two, three = (RecordStore(tmp_path / "sets" / name) for name in "abc")
    assert one.ids == two.ids == three.ids == ("icsd-0815",)
    assert encode(one["icsd-0815"]) == encode(two["icsd-0815"]) == encode(three["icsd-0815"])
    assert one["icsd-0815"].theory == "PBE0 TZVP CRYSTAL17"


def test_damaged_archive_is_an_error_of_the_user(tmp_path: Path, alumina: Calculation) -> None:
    folder = write(tmp_path / "folders", alumina)
    archive = tmp_path / "outputs.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(folder, NAME)
    archive.write_bytes(archive.read_bytes()[:-500])
    with pytest.raises(UserError, match="no readable"):
        find_crystal_outputs(archive)


@pytest.mark.parametrize("part", ["ZnO_186", "TiO2_136", "SiO2_152", "ZrO2_14", "As2S3_2", "MgC2_136", "Li4GeS4_62"])
def test_real_outputs_become_records(shared_data: Path, part: str) -> None:
    """Wurtzite, rutile, quartz, low symmetry, imaginary modes, and a table that another process interrupted."""
    folder = shared_data / "data" / "raman_pbe0"
    if not folder.is_dir():
        pytest.skip(f"no CRYSTAL outputs at {folder}")
    (source,) = [one for one in find_crystal_outputs(folder) if f"-{part}_icsd" in one.name]
    record = decode(encode(read_crystal_output(source, ImportOptions())))
    assert record.space_group == int(part.split("_")[1])
    assert record.gamma_frequencies is not None
    frequencies = commensurate_frequencies(record.compact(), record.supercell)[0]
    assert np.abs(frequencies - np.sort(record.gamma_frequencies)).max() * THZ_TO_CM1 < 2e-3
    assert record.born_charges is not None
    assert np.abs(record.born_charges.sum(axis=0)).max() < 1e-12
    assert len(record.irreps) == len(record.spectra["infrared"]) == 3 * record.crystal.n_atoms
    assert record.theory == ("PBE0 TZVP CRYSTAL23" if part == "MgC2_136" else "PBE0 TZVP CRYSTAL17")
