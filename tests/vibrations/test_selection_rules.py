"""Selection rules of all 32 point groups against two independent sources: published tables, and spgrep's irreps."""

import json
from pathlib import Path

import numpy as np
import pytest
import spglib
from spgrep.core import get_spacegroup_irreps_from_primitive_symmetry

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.symmetry import space_group
from mlrim.vibrations.gamma import gamma_modes
from mlrim.vibrations.irreps import point_group_action
from tests.vibrations.point_group_crystals import SPACE_GROUPS, crystal_of
from tests.vibrations.prototypes import prototype, symmetric_dynamics

TABLES = json.loads((Path(__file__).parent / "point_groups.json").read_text(encoding="utf-8"))["groups"]
EVERY_CRYSTAL = [(group, number) for group, numbers in SPACE_GROUPS.items() for number in numbers]
FORMS = {
    "x2": (1, 0, 0, 0, 0, 0), "y2": (0, 1, 0, 0, 0, 0), "z2": (0, 0, 1, 0, 0, 0), "xy": (0, 0, 0, 1, 0, 0),
    "xz": (0, 0, 0, 0, 1, 0), "yz": (0, 0, 0, 0, 0, 1), "x2+y2": (1, 1, 0, 0, 0, 0), "x2-y2": (1, -1, 0, 0, 0, 0),
    "x2+y2+z2": (1, 1, 1, 0, 0, 0), "2z2-x2-y2": (-1, -1, 2, 0, 0, 0),
}  # fmt: skip


def quadratic(name: str) -> np.ndarray:
    xx, yy, zz, xy, xz, yz = FORMS[name]
    return np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]], dtype=float)


def names(entry: str) -> list[str]:
    return entry.split(",") if entry else []


class FactorGroup:
    """The factor-group analysis with spglib's operations, spgrep's complex irreps and atoms counted one by one."""

    def __init__(self, crystal):
        cell = (crystal.lattice, crystal.fractional, crystal.numbers)
        dataset = spglib.get_symmetry_dataset(cell, symprec=1e-4)
        self.rotations = dataset.rotations
        moved = np.einsum("oab,nb->ona", dataset.rotations, crystal.fractional) + dataset.translations[:, None]
        offset = moved - crystal.fractional[None]
        fixed = np.sum(np.abs(offset - np.round(offset)).max(axis=2) < 1e-3, axis=1)
        # the trace and the determinant of a rotation do not depend on the basis
        trace = np.trace(dataset.rotations, axis1=1, axis2=2)
        squared = np.trace(dataset.rotations @ dataset.rotations, axis1=1, axis2=2)
        self.mechanical, self.vector, self.tensor = fixed * trace, trace, (trace**2 + squared) / 2
        matrices, mapping = get_spacegroup_irreps_from_primitive_symmetry(
            dataset.rotations, dataset.translations, np.zeros(3)
        )
        assert sum(block.shape[1] ** 2 for block in matrices) == len(dataset.rotations) == len(mapping)
        order = np.argsort(mapping)
        self.irreps = self._real([np.trace(block, axis1=1, axis2=2)[order] for block in matrices])

    @staticmethod
    def _real(characters):
        """Complex irreps and their conjugates as one."""
        kept = []
        for index, character in enumerate(characters):
            if np.abs(character.imag).max() < 1e-8:
                kept.append(character.real)
            elif not any(np.allclose(character.conj(), other) for other in characters[:index]):
                kept.append(2 * character.real)
        return kept

    @staticmethod
    def count(representation, irrep):
        number = representation @ irrep / (irrep @ irrep)
        assert number == pytest.approx(round(number), abs=1e-6)
        return round(number)

    def optical(self):
        """(dimension, infrared, Raman, number of optical modes) of every irrep."""
        return [
            (
                round(irrep.max()),
                self.count(self.vector, irrep) > 0,
                self.count(self.tensor, irrep) > 0,
                self.count(self.mechanical - self.vector, irrep),
            )
            for irrep in self.irreps
        ]


@pytest.fixture(scope="module", params=EVERY_CRYSTAL, ids=lambda pair: f"{pair[0]} ({pair[1]})")
def case(request):
    group, number = request.param
    return group, crystal_of(number)


def test_the_table_has_every_point_group_and_every_basis_function_once():
    assert set(TABLES) == {*SPACE_GROUPS, "-4m2"}
    for table in TABLES.values():
        assert sorted(name for vector, _ in table.values() for name in names(vector)) == ["x", "y", "z"]
        forms = [quadratic(name).ravel() for _, square in table.values() for name in names(square)]
        assert np.linalg.matrix_rank(forms) == len(forms) == 6


def test_symbols_and_activities_are_those_of_the_published_tables(case):
    group, crystal = case
    action = point_group_action(crystal)
    assert action.symbol == group
    table = TABLES[group]
    assert sorted(irrep.symbol for irrep in action.irreps) == sorted(table)
    for irrep in action.irreps:
        vector, square = table[irrep.symbol]
        assert (irrep.infrared, irrep.raman) == (bool(vector), bool(square)), irrep.symbol


def test_basis_functions_belong_to_the_irreps_of_the_published_tables(case):
    """x, y, z and the quadratic forms, in the axes of the conventional cell, are kept by their irrep's projector."""
    group, crystal = case
    action = point_group_action(crystal)
    table = TABLES["-4m2" if 115 <= space_group(crystal).number <= 120 else group]
    axes = np.linalg.qr(action.axes.T)[0].T
    rotations = axes @ action.rotations @ axes.T
    for irrep in action.irreps:
        weight = irrep.characters * irrep.dimension / (irrep.characters @ irrep.characters)
        for name in names(table[irrep.symbol][0]):
            unit = np.eye(3)["xyz".index(name)]
            assert np.einsum("g,gab,b->a", weight, rotations, unit) == pytest.approx(unit, abs=1e-6), name
        for name in names(table[irrep.symbol][1]):
            form = quadratic(name)
            projected = np.einsum("g,gac,cd,gbd->ab", weight, rotations, form, rotations, optimize=True)
            assert projected == pytest.approx(form, abs=1e-6), name


def test_optical_modes_are_those_of_the_factor_group_analysis(case):
    """Irrep by irrep: the same characters, the same number of modes, the same activities as with spgrep."""
    _, crystal = case
    action, reference = point_group_action(crystal), FactorGroup(crystal)
    optical = action.decomposition(action.displacement_characters - np.trace(action.rotations, axis1=1, axis2=2))
    cartesian = crystal.lattice.T @ reference.rotations @ np.linalg.inv(crystal.lattice.T)
    order = [int(np.argmin(np.abs(action.rotations - matrix).sum(axis=(1, 2)))) for matrix in cartesian]
    unmatched = list(zip(reference.irreps, reference.optical(), strict=True))
    for irrep in action.irreps:
        (found,) = [pair for pair in unmatched if np.allclose(pair[0], irrep.characters[order], atol=1e-6)]
        assert found[1] == (irrep.dimension, irrep.infrared, irrep.raman, optical.get(irrep.symbol, 0)), irrep.symbol
    assert len(unmatched) == len(action.irreps)


@pytest.mark.parametrize(("group", "number"), [(group, numbers[0]) for group, numbers in SPACE_GROUPS.items()])
def test_modes_of_a_crystal_of_each_point_group_have_the_activities_of_the_analysis(group, number):
    """From force constants to activities: infrared, Raman and silent modes, multiplet by multiplet."""
    crystal = crystal_of(number)
    gamma = gamma_modes(symmetric_dynamics(crystal, cutoff=6.0))
    expected = {"IR": 0, "Raman": 0, "IR+Raman": 0, "silent": 0}
    degenerate = 0
    for dimension, infrared, raman, count in FactorGroup(crystal).optical():
        expected[("IR+Raman" if raman else "IR") if infrared else ("Raman" if raman else "silent")] += count
        degenerate += dimension * count
    assert gamma.activity_counts == expected
    assert degenerate == 3 * crystal.n_atoms - 3
    assert len(gamma.silent) == expected["silent"]
    assert sum(mode.degeneracy for mode in gamma.modes if mode.acoustic) == 3


@pytest.mark.parametrize(("name", "silent"), [("rutile", {"A2g": 1, "B1u": 2}), ("corundum", {"A2g": 3, "A1u": 2})])
def test_silent_modes_of_rutile_and_corundum_are_named(name, silent):
    gamma = gamma_modes(symmetric_dynamics(prototype(name)))
    found = [mode.irrep.symbol for mode in gamma.silent]
    assert {symbol: found.count(symbol) for symbol in found} == silent
    assert all(mode.activity == "silent" for mode in gamma.modes if mode.irrep.symbol == "A2g" and not mode.acoustic)


@pytest.mark.parametrize("split", [0.0, 1e-12, 1e-9, 1e-6])
def test_modes_of_different_irreps_at_nearly_the_same_frequency_are_not_mixed(split):
    """Springs to fixed points give every mode of scheelite one frequency, up to a split; each keeps its own irrep."""
    crystal = prototype("scheelite")
    dynamics = symmetric_dynamics(crystal)
    pairs = dynamics.short_range.pairs
    on_site = (pairs.i == pairs.j) & (np.abs(pairs.shifts).sum(axis=1) == 0)
    blocks = split * dynamics.short_range.blocks
    blocks[on_site] += np.eye(3) * crystal.masses[pairs.i[on_site]][:, None, None]
    gamma = gamma_modes(LatticeDynamics(crystal, dynamics.short_range._replace(blocks=blocks)))
    counts: dict[str, int] = {}
    for mode in gamma.modes:
        counts[mode.irrep.symbol] = counts.get(mode.irrep.symbol, 0) + 1
        characters = [
            np.trace(mode.eigenvectors.T @ _displacement_matrix(gamma.action, index) @ mode.eigenvectors)
            for index in range(len(gamma.action.rotations))
        ]
        assert characters == pytest.approx(mode.irrep.characters, abs=1e-6)
    assert counts == {"Ag": 3, "Au": 5, "Bg": 5, "Bu": 3, "Eg": 5, "Eu": 5}


def _displacement_matrix(action, index):
    n_atoms = action.permutations.shape[1]
    matrix = np.zeros((n_atoms, 3, n_atoms, 3))
    matrix[action.permutations[index], :, np.arange(n_atoms), :] = action.rotations[index]
    return matrix.reshape(3 * n_atoms, 3 * n_atoms)
