"""Crystals with shared sites: what is read from a CIF file, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase.data import atomic_masses_iupac2016, atomic_numbers

from mlrim.disorder import MixedStructure, main_elements, mean_masses, require_ordered, virtual_crystal
from mlrim.errors import UserError
from mlrim.graph.structure_graph import build_structure_graph
from mlrim.inputs import read_any
from tests.graph.crystals import rock_salt

HEADER = """data_mixed
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma {gamma}
_symmetry_space_group_name_H-M '{group}'
_symmetry_Int_Tables_number {number}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
WURTZITE = {"a": 3.15, "c": 5.08, "gamma": 120, "group": "P 63 m c", "number": 186}


def cif(folder: Path, *sites: str) -> Path:
    path = folder / "mixed.cif"
    path.write_text(HEADER.format(**WURTZITE) + "\n".join(sites) + "\n")
    return path


@pytest.fixture
def nitride(tmp_path: Path) -> MixedStructure:
    cation = "0.333333 0.666667 0.0"
    read = read_any(cif(tmp_path, f"Ga1 Ga {cation} 0.7", f"Al1 Al {cation} 0.3", "N1 N 0.333333 0.666667 0.377 1.0"))
    assert isinstance(read, MixedStructure)
    return read


def test_shared_sites_keep_their_elements_and_shares(nitride: MixedStructure) -> None:
    assert nitride.shared == ["Al 0.3, Ga 0.7"]
    assert nitride.structure.crystal.symbols == ["Ga", "Ga", "N", "N"]
    occupancy = nitride.occupancy
    assert occupancy.numbers.tolist() == [13, 31, 13, 31, 7, 7]
    np.testing.assert_allclose(occupancy.shares, [0.3, 0.7, 0.3, 0.7, 1, 1])
    assert occupancy.sites.tolist() == [0, 0, 1, 1, 2, 3]
    assert any("virtual crystal" in note for note in nitride.structure.notes)


def test_masses_are_averaged(nitride: MixedStructure) -> None:
    gallium, aluminium = (atomic_masses_iupac2016[atomic_numbers[symbol]] for symbol in ("Ga", "Al"))
    np.testing.assert_allclose(nitride.structure.crystal.masses[:2], 0.7 * gallium + 0.3 * aluminium)


def test_the_graph_averages_radii_and_keeps_constituents(nitride: MixedStructure) -> None:
    graph = build_structure_graph(nitride.structure.crystal, 5.0, nitride.occupancy)
    pure = {symbol: build_structure_graph(rock_salt_of(symbol), 5.0).radii[0] for symbol in ("Ga", "Al")}
    assert float(graph.radii[0]) == pytest.approx(0.7 * float(pure["Ga"]) + 0.3 * float(pure["Al"]))
    assert len(graph.element) == 6


def rock_salt_of(symbol: str):
    crystal = rock_salt()
    return type(crystal)(crystal.lattice, crystal.positions, np.array([atomic_numbers[symbol], 7]))


def test_a_cell_is_made_primitive_by_composition(tmp_path: Path) -> None:
    sites = ["Ga1 Ga 0.333333 0.666667 0.0 0.5", "Al1 Al 0.333333 0.666667 0.0 0.5", "N1 N 0.333333 0.666667 0.377 1"]
    read = read_any(cif(tmp_path, *sites))
    assert isinstance(read, MixedStructure)
    assert read.structure.crystal.n_atoms == 4


def test_vacancies_are_refused(tmp_path: Path) -> None:
    path = cif(tmp_path, "Ga1 Ga 0.333333 0.666667 0.0 0.7", "N1 N 0.333333 0.666667 0.377 1.0")
    with pytest.raises(UserError, match=r"disordered.*add up to 0\.7 .*no vacancies"):
        read_any(path)


def test_ordered_crystals_pass_and_mixed_ones_do_not(nitride: MixedStructure, repository: Path) -> None:
    ordered = read_any(repository / "examples" / "MgO.cif")
    assert require_ordered(ordered) is ordered
    with pytest.raises(UserError, match=r"disordered.*ckpt=direct"):
        require_ordered(nitride)


def test_virtual_crystals_of_one_element_are_that_crystal() -> None:
    crystal = rock_salt()
    mixed, occupancy = virtual_crystal(crystal, {0: {"Mg": 1.0, "Ca": 0.0}})
    assert occupancy.numbers.tolist() == crystal.numbers.tolist()
    np.testing.assert_allclose(mixed.masses, crystal.masses)
    half, shares = virtual_crystal(crystal, {0: {"Mg": 0.4, "Ca": 0.6}})
    assert half.symbols == ["Ca", "O"]
    assert main_elements(shares).tolist() == [20, 8]
    np.testing.assert_allclose(mean_masses(shares)[0], 0.4 * crystal.masses[0] + 0.6 * atomic_masses_iupac2016[20])
