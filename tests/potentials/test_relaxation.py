"""Relaxing crystals with their symmetry."""

from pathlib import Path

import numpy as np
import pytest

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import space_group
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.potentials.calculators import PotentialCalculator
from mlrim.potentials.relaxation import at_rest, forces_at, off_the_minimum, relax_crystal
from mlrim.potentials.settings import RelaxationSettings
from mlrim.structures import InputStructure
from tests.lattice.crystals import rutile, zincblende
from tests.potentials.energies import SMALL, small_network

POSITIONS, CELL = RelaxationSettings("positions"), RelaxationSettings("cell")


def test_silicon_finds_its_lattice_constant():
    """5.431 Å to the accuracy of σ and ε: the minimum of the pair energy is at 2^(1/6) σ in this structure."""
    relaxed = relax_crystal(StillingerWeber(), zincblende(5.6, (14, 14)), CELL)
    assert relaxed.converged
    bond = np.linalg.norm(relaxed.crystal.positions[1] - relaxed.crystal.positions[0])
    assert bond == pytest.approx(2 ** (1 / 6) * 2.0951, abs=1e-5)
    assert space_group(relaxed.crystal).symbol == "Fd-3m"
    assert relaxed.volume_change == pytest.approx((bond * 4 / 3**0.5 / 5.6) ** 3 - 1, abs=1e-9)
    assert relaxed.energy_change < -0.1
    assert "cell" in relaxed.description


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("settings", [POSITIONS, CELL], ids=["positions", "cell"])
def test_the_space_group_is_kept_and_forces_vanish(kind, settings):
    energy, crystal = small_network(kind), rutile()
    before = space_group(crystal, 1e-6)
    relaxed = relax_crystal(energy, crystal, settings)
    assert relaxed.converged
    assert space_group(relaxed.crystal, 1e-6).number == before.number
    force, stress = forces_at(energy, relaxed.crystal)
    assert force == pytest.approx(relaxed.largest_force, abs=1e-9)
    assert force < 1e-4
    assert force < forces_at(energy, crystal)[0] or forces_at(energy, crystal)[0] < 1e-4
    if settings is CELL:
        assert np.abs(stress).max() * crystal.volume < 1e-3
        assert abs(relaxed.volume_change) > 1e-6
    else:
        np.testing.assert_array_equal(relaxed.crystal.lattice, crystal.lattice)


def test_atoms_in_general_places_relax_too():
    ideal = zincblende(5.431, (14, 14))
    moved = Crystal(ideal.lattice, ideal.positions + [[0, 0, 0], [0.1, -0.05, 0.07]], ideal.numbers)
    relaxed = relax_crystal(StillingerWeber(), moved, POSITIONS)
    bond = relaxed.crystal.fractional[1] - relaxed.crystal.fractional[0]
    np.testing.assert_allclose(bond, 0.25, atol=1e-5)
    assert 0.05 < relaxed.moved < 0.15


def test_too_few_steps_are_told():
    moved = Crystal(zincblende(5.431).lattice, np.array([[0, 0, 0], [1.5, 1.3, 1.4]]), np.array([14, 14]))
    relaxed = relax_crystal(StillingerWeber(), moved, RelaxationSettings("positions", 1e-6, 2))
    assert not relaxed.converged
    assert relaxed.steps == 2
    assert "max_steps" in relaxed.warnings[0]


class Predictor:
    """The least that a predictor with an energy has."""

    description = "a test"

    def __init__(self, energy):
        self.energy, self.metadata = energy, {}

    def __call__(self, crystal, known):
        raise NotImplementedError


def structure(crystal: Crystal) -> InputStructure:
    return InputStructure("Si", Path("Si.cif"), crystal, ["a note"], [])


def test_a_structure_that_is_not_relaxed_is_told_its_forces():
    moved = Crystal(zincblende(5.431).lattice, np.array([[0, 0, 0], [1.5, 1.3, 1.4]]), np.array([14, 14]))
    found = at_rest(structure(moved), Predictor(StillingerWeber()), RelaxationSettings())
    assert found.crystal is moved
    assert found.notes[0] == "a note"
    assert "largest force" in found.notes[1]
    assert "relax=positions" in found.warnings[0]
    relaxed = at_rest(structure(moved), Predictor(StillingerWeber()), CELL)
    assert not relaxed.warnings
    assert "relaxed positions and cell" in relaxed.notes[1]
    assert PotentialCalculator(StillingerWeber()).implemented_properties[0] == "energy"


def test_small_forces_and_stress_are_not_warned_of():
    assert off_the_minimum(0.01, np.zeros((3, 3))) == []
    assert off_the_minimum(0.01, None) == []
    assert "relax=cell" in off_the_minimum(0.01, 0.1 * np.eye(3))[0]
    assert "0.2 eV/Å" in off_the_minimum(0.2, None)[0]


def test_a_cell_needs_a_model_with_stress():
    from tests.potentials.energies import CubicDoubleWell, caesium_chloride_at

    with pytest.raises(UserError, match="stress"):
        relax_crystal(CubicDoubleWell(), caesium_chloride_at(), CELL)
