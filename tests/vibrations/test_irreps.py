"""Irreps against published factor-group analyses and the symbols of the 32 point groups in any textbook."""

import numpy as np
import pytest
import spglib

from mlrim.lattice.crystal import Crystal
from mlrim.structures import primitive_crystal
from mlrim.vibrations.irreps import PointGroupAction, conventional_axes, irreducible_characters, point_group_action
from tests.vibrations.prototypes import prototype

# Optical modes at Γ, as published: rutile Porto et al. (1967), corundum Porto and Krishnan (1967), wurtzite Arguello
# et al. (1969), anatase Ohsaka (1978), scheelite Porto and Scott (1967), calcite Porto et al. (1966), quartz Scott
# and Porto (1967), LiNbO3 Barker and Loudon (1967), chalcopyrite Koschel et al. (1975), MoS2 Verble and Wieting
# (1970) with the axes of the International Tables, GdFeO3 Smirnova et al. (1999), ZrO2 Quintard et al. (2002),
# pyrite Lutz and Waeschenbach (1985).
OPTICAL_MODES = {
    "rocksalt": "T1u",
    "fluorite": "T1u + T2g",
    "zincblende": "T2",
    "pyrite": "Ag + 2Au + Eg + 2Eu + 3Tg + 5Tu",
    "cubic perovskite": "3T1u + T2u",
    "rutile": "A1g + A2g + A2u + B1g + 2B1u + B2g + Eg + 3Eu",
    "anatase": "A1g + A2u + 2B1g + B2u + 3Eg + 2Eu",
    "tetragonal BaTiO3": "3A1 + B1 + 4E",
    "scheelite": "3Ag + 4Au + 5Bg + 3Bu + 5Eg + 4Eu",
    "chalcopyrite": "A1 + 2A2 + 3B1 + 3B2 + 6E",
    "corundum": "2A1g + 2A1u + 3A2g + 2A2u + 5Eg + 4Eu",
    "calcite": "A1g + 2A1u + 3A2g + 3A2u + 4Eg + 5Eu",
    "LiNbO3": "4A1 + 5A2 + 9E",
    "quartz": "4A1 + 4A2 + 8E",
    "wurtzite": "A1 + 2B1 + E1 + 2E2",
    "CdI2": "A1g + A2u + Eg + Eu",
    "GdFeO3": "7Ag + 8Au + 5B1g + 9B1u + 7B2g + 7B2u + 5B3g + 9B3u",
    "baddeleyite": "9Ag + 8Au + 9Bg + 7Bu",
}

SILENT = {"rutile": {"A2g", "B1u"}, "corundum": {"A2g", "A1u"}, "wurtzite": {"B1"}, "chalcopyrite": {"A2"},
          "calcite": {"A2g", "A1u"}, "LiNbO3": {"A2"}, "cubic perovskite": {"T2u"}, "anatase": {"B2u"}}  # fmt: skip

IRREPS_OF_POINT_GROUPS = {
    "1": "A", "-1": "Ag Au", "2": "A B", "m": "A' A''", "2/m": "Ag Au Bg Bu",
    "222": "A B1 B2 B3", "mm2": "A1 A2 B1 B2", "mmm": "Ag Au B1g B1u B2g B2u B3g B3u",
    "4": "A B E", "-4": "A B E", "4/m": "Ag Au Bg Bu Eg Eu", "422": "A1 A2 B1 B2 E", "4mm": "A1 A2 B1 B2 E",
    "-42m": "A1 A2 B1 B2 E", "4/mmm": "A1g A1u A2g A2u B1g B1u B2g B2u Eg Eu",
    "3": "A E", "-3": "Ag Au Eg Eu", "32": "A1 A2 E", "3m": "A1 A2 E", "-3m": "A1g A1u A2g A2u Eg Eu",
    "6": "A B E1 E2", "-6": "A' A'' E' E''", "6/m": "Ag Au Bg Bu E1g E1u E2g E2u",
    "622": "A1 A2 B1 B2 E1 E2", "6mm": "A1 A2 B1 B2 E1 E2", "-6m2": "A1' A1'' A2' A2'' E' E''",
    "6/mmm": "A1g A1u A2g A2u B1g B1u B2g B2u E1g E1u E2g E2u",
    "23": "A E T", "m-3": "Ag Au Eg Eu Tg Tu", "432": "A1 A2 E T1 T2", "-43m": "A1 A2 E T1 T2",
    "m-3m": "A1g A1u A2g A2u Eg Eu T1g T1u T2g T2u",
}  # fmt: skip


def every_setting() -> list:
    """All 530 settings of the space groups: every orientation in which a point group occurs."""
    return list(range(1, 531))


def action_of_hall_number(number: int) -> PointGroupAction:
    """The point group of a space-group setting, acting on one atom in a lattice of the right shape."""
    kind = spglib.get_spacegroup_type(number)
    rotations = np.unique(spglib.get_symmetry_from_database(number)["rotations"].reshape(-1, 9), axis=0).reshape(
        -1, 3, 3
    )
    metric = np.mean(rotations.transpose(0, 2, 1) @ np.array([[9, 1, 2], [1, 16, 3], [2, 3, 25.0]]) @ rotations, axis=0)
    lattice = np.linalg.cholesky(metric)
    cartesian = lattice.T @ rotations @ np.linalg.inv(lattice.T)
    symbol = {"-4m2": "-42m", "-62m": "-6m2", "321": "32", "312": "32", "3m1": "3m", "31m": "3m", "-3m1": "-3m",
              "-31m": "-3m"}.get(kind.pointgroup_international, kind.pointgroup_international)  # fmt: skip
    return PointGroupAction(symbol, cartesian, np.zeros((len(rotations), 1), dtype=int), lattice)


@pytest.mark.parametrize("name", OPTICAL_MODES)
def test_optical_modes_are_the_published_ones(name):
    action = point_group_action(prototype(name))
    optical = action.displacement_characters - np.trace(action.rotations, axis1=1, axis2=2)
    counts = sorted(action.decomposition(optical).items())
    assert " + ".join(f"{count if count > 1 else ''}{symbol}" for symbol, count in counts) == OPTICAL_MODES[name]


@pytest.mark.parametrize("name", SILENT)
def test_silent_modes_are_neither_infrared_nor_raman(name):
    irreps = {irrep.symbol: irrep for irrep in point_group_action(prototype(name)).irreps}
    assert all(irreps[symbol].activity == "silent" for symbol in SILENT[name])


def test_raman_uses_the_symmetric_square():
    """Rotations (antisymmetric square) are no Raman modes: A2g of 4/mmm and -3m, T1g of m-3m."""
    for name, rotation in (("rutile", "A2g"), ("corundum", "A2g"), ("fluorite", "T1g")):
        irreps = {irrep.symbol: irrep for irrep in point_group_action(prototype(name)).irreps}
        assert not irreps[rotation].raman
        assert {symbol for symbol, irrep in irreps.items() if irrep.raman} == {
            "rutile": {"A1g", "B1g", "B2g", "Eg"},
            "corundum": {"A1g", "Eg"},
            "fluorite": {"A1g", "Eg", "T2g"},
        }[name]


def test_every_setting_of_every_point_group_has_its_textbook_symbols():
    wrong = {}
    for number in every_setting():
        action = action_of_hall_number(number)
        symbols = " ".join(irrep.symbol for irrep in action.irreps)
        if symbols != IRREPS_OF_POINT_GROUPS[action.symbol]:
            wrong[number] = (action.symbol, symbols)
    assert not wrong


@pytest.mark.parametrize("number", [1, 2, 90, 230, 349, 400, 430, 462, 488, 517, 530])
def test_characters_are_orthogonal_and_complete(number):
    action = action_of_hall_number(number)
    characters = np.array(irreducible_characters(action.rotations))
    gram = characters @ characters.T / len(action.rotations)
    norms = np.diag(gram)
    assert gram == pytest.approx(np.diag(norms), abs=1e-9)
    assert set(np.round(norms, 9)) <= {1.0, 2.0}
    assert np.sum(characters.max(axis=1) ** 2 / norms) == pytest.approx(len(action.rotations))


@pytest.mark.parametrize("name", ["rutile", "wurtzite", "GdFeO3", "fluorite"])
def test_isotypic_bases_span_all_displacements(name):
    action = point_group_action(prototype(name))
    basis = np.concatenate([action.isotypic_basis(irrep) for irrep in action.irreps], axis=1)
    assert basis.T @ basis == pytest.approx(np.eye(3 * action.permutations.shape[1]), abs=1e-9)


FACE_CENTRED = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_axes_of_a_face_centred_cell_are_those_of_the_file(shift):
    """Zincblende in both orientations, and rock salt: the primitive cell alone would allow turned axes."""
    fractional = np.concatenate([FACE_CENTRED, FACE_CENTRED + shift])
    cell = Crystal.from_fractional(5.4 * np.eye(3), fractional, np.repeat([30, 16], 4), np.repeat([65.4, 32.1], 4))
    crystal, _ = primitive_crystal(cell)
    assert crystal.n_atoms == 2
    assert point_group_action(crystal).axes == pytest.approx(5.4 * np.eye(3), abs=1e-9)


def test_axes_of_an_orthorhombic_crystal_keep_their_order_though_lengths_are_equal():
    mmm = np.array([np.diag(signs) for signs in np.array(np.meshgrid(*[[1, -1]] * 3)).reshape(3, 8).T])
    setting = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    axes = conventional_axes(4 * np.eye(3), np.linalg.inv(setting).T, mmm)
    assert np.abs(axes) == pytest.approx(4 * np.abs(setting))
    assert axes[2, 2] == pytest.approx(4)
    assert np.linalg.det(axes) == pytest.approx(64)
