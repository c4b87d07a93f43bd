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
from datamodules.importers import ImportOptions
from datamodules.importers.crystal_modes import eigenvectors
from datamodules.importers.crystal_output import OUTPUT, find_crystal_outputs, read_crystal_output, read_files
from datamodules.importers.crystal_text import parse_crystal_output, parse_dipole_derivatives
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
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


@pytest.mark.parametrize("part", ["CaN6_70", "CaC2_139"])
def test_raman_tensors_turn_the_polarizability_with_the_anions(archive: Path, part: str) -> None:
    """Unit, sign and volume of ∂α/∂u: where rods of anions make α = V(ε∞ − 1)/4π anisotropic, turning them turns it."""
    (source,) = [one for one in find_crystal_outputs(archive) if f"-{part}_icsd" in one.name]
    record = read_crystal_output(source, ImportOptions())
    assert record.raman_tensors is not None
    assert record.dielectric is not None
    polarizability = record.crystal.volume * (record.dielectric - np.eye(3)) / (4 * np.pi)
    from_crystal, from_atoms = [], []
    for axis in np.eye(3):
        turn = np.cross(axis, np.eye(3)).T
        from_crystal.append(turn @ polarizability - polarizability @ turn)
        arms = np.cross(axis, anion_arms(record.crystal))
        from_atoms.append(np.einsum("nijk,nk->ij", record.raman_tensors, arms))
    expected, found = np.array(from_crystal).ravel(), np.array(from_atoms).ravel()
    assert expected @ found / np.linalg.norm(expected) / np.linalg.norm(found) > 0.95
    assert expected @ found / (expected @ expected) == pytest.approx(1.0, abs=0.2)


def anion_arms(crystal: Crystal) -> np.ndarray:
    """For every atom the vector (Å) from the centre of the N₃ or C₂ that it belongs to; zero for cations."""
    bonded = neighbour_pairs(crystal, 1.5)
    neighbours = np.bincount(bonded.i, minlength=crystal.n_atoms)
    arms = np.zeros((crystal.n_atoms, 3))
    for atom, other, vector in zip(bonded.i, bonded.j, pair_vectors(crystal, bonded), strict=True):
        if neighbours[atom] == 1:
            arms[atom] = -vector if neighbours[other] == 2 else -vector / 2
    return arms


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
