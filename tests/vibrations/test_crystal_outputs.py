"""Intensities and symmetries that CRYSTAL printed, computed again from its eigenvectors, Z* and Raman tensors."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.crystal_irreps import parse_symmetry, symmetry_agreement
from benchmarks.crystal_spectra import (
    INFRARED_LIMIT,
    RAMAN_LIMIT,
    Comparison,
    compare_all,
    compare_infrared,
    summary,
)
from datamodules.importers.crystal_modes import eigenvectors
from datamodules.importers.crystal_output import OUTPUT, find_crystal_outputs, read_files
from datamodules.importers.crystal_text import parse_crystal_output, parse_dipole_derivatives
from mlrim.vibrations.irreps import point_group_action
from mlrim.vibrations.normal_modes import NormalModes

FEW = ["ZnO_186", "TiO2_136", "SiO2_152", "CaCO3_167", "ZrO2_14", "AsS2_4", "Sb2O3_227", "KNbO3_160", "BaTi(SiO3)3_188"]
"""Wurtzite, rutile, quartz, calcite, and crystals of low symmetry, with all digits, ferroelectric, with soft modes."""


@pytest.fixture(scope="module")
def archive(shared_data: Path) -> Path:
    path = shared_data / "data" / "raman_pbe0"
    if not path.is_dir():
        pytest.skip(f"no CRYSTAL outputs at {path}")
    return path


def texts(archive: Path, part: str) -> dict[str, str]:
    (source,) = [one for one in find_crystal_outputs(archive) if f"-{part}_icsd" in one.name]
    return read_files(source)


def assert_agreement(one: Comparison) -> None:
    if one.infrared is not None:
        assert one.infrared.error <= INFRARED_LIMIT
        if one.infrared.precise:
            assert one.infrared.relative_errors.max(initial=0.0) <= INFRARED_LIMIT
    for error in (one.powder, one.crystal):
        assert error is None or error <= RAMAN_LIMIT
    assert one.symmetry is not None
    assert one.symmetry.complete


@pytest.mark.parametrize("part", FEW)
def test_printed_intensities_and_symmetries_are_found_again(archive: Path, part: str) -> None:
    (one,) = compare_all(archive, f"*calc-{part}_icsd*".replace("(", "[(]"))
    assert one.infrared is not None
    assert (one.powder is None) == ("Raman: no TENS_RAMAN" in one.unusable)
    assert_agreement(one)


@pytest.mark.slow
def test_printed_intensities_and_symmetries_of_all_outputs_are_found_again(archive: Path) -> None:
    comparisons = compare_all(archive)
    for one in comparisons:
        assert_agreement(one)
    assert len(comparisons) == 196
    assert sum(one.infrared is not None for one in comparisons) >= 186
    assert sum(one.crystal is not None for one in comparisons) >= 124
    assert "9167 lines: same representation 9167, same infrared activity 9167" in summary(comparisons)[-1]


def test_born_charges_are_printed_with_the_field_first(archive: Path) -> None:
    """Transposed, they give other intensities in a monoclinic crystal; TENS_IR has its rows by displacement."""
    files = texts(archive, "AsS_14")
    output = parse_crystal_output(files[OUTPUT])
    assert output.born_charges is not None
    derivatives = parse_dipole_derivatives(files["TENS_IR"], output.crystal.n_atoms)
    assert np.abs(derivatives - output.born_charges).max() < 1e-4
    vectors = eigenvectors(output, point_group_action(output.crystal))
    modes = NormalModes(output.frequencies, vectors, output.crystal.masses, output.crystal.volume)
    transposed = type(output)(**{**vars(output), "born_charges": output.born_charges.transpose(0, 2, 1)})
    (right, _), (wrong, _) = compare_infrared(output, modes), compare_infrared(transposed, modes)
    assert right is not None
    assert wrong is not None
    assert right.error < INFRARED_LIMIT / 5 < 0.1 < wrong.error


def test_other_representations_would_be_noticed(archive: Path) -> None:
    """With the symbols of two representations exchanged, exactly their lines disagree."""
    text = texts(archive, "TiO2_136")[OUTPUT]
    start, stop = text.index("MODES         EIGV"), text.index("<RAMAN>")
    table = text[start:stop].replace("(B1u)", "(xxx)").replace("(A2u)", "(B1u)").replace("(xxx)", "(A2u)")
    agreement = symmetry_agreement(parse_crystal_output(text[:start] + table + text[stop:]), text)
    assert not agreement.complete
    assert agreement.levels - agreement.irreps == table.count("(B1u)") + table.count("(A2u)") > 2
    assert agreement.infrared == agreement.levels


def test_characters_are_read_with_the_operators_of_their_classes(archive: Path) -> None:
    text = texts(archive, "SiO2_152")[OUTPUT]
    symmetry = parse_symmetry(text, parse_crystal_output(text).crystal.lattice)
    assert symmetry.characters["E"] == {"E": 2.0, "C3": -1.0, "C2": 0.0}
    assert {name: len(operators) for name, operators in symmetry.classes.items()} == {"E": 1, "C3": 2, "C2": 3}
    products = symmetry.rotations @ symmetry.rotations.transpose(0, 2, 1)
    assert np.abs(products - np.eye(3)).max() < 1e-9
