"""Imaginary modes and the phases that they lead to; every minimum here is known in closed form."""

from pathlib import Path

import numpy as np
import pytest

from mlrim.errors import UserError
from mlrim.lattice.commensurate_cells import smallest_cell
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import no_force_constants
from mlrim.lattice.symmetry import space_group
from mlrim.models.potential_predictor import PotentialPhonons
from mlrim.potentials.instabilities import (
    background_in,
    follow,
    follow_structure,
    most_unstable,
    real_patterns,
    refuse_imaginary,
    searched_qpoints,
)
from mlrim.potentials.settings import RelaxationSettings
from mlrim.predictors import DeltaPredictor
from mlrim.structures import InputStructure
from mlrim.units import SQRT_EIGENVALUE_TO_THZ
from tests.lattice.crystals import rocksalt
from tests.potentials.energies import CubicDoubleWell, caesium_chloride_at

POLAR = CubicDoubleWell(unlike=(-0.1, 1.0))
"""Atoms leave the centre, all in the same direction: δ_α² = k/c, the energy of a cell is −6k²/c."""
ALTERNATING = CubicDoubleWell(unlike=(1.0, 0.0), alike=(2.0, 0.0), second=(-0.75, 0.5), number=17)
"""Cl atoms move to and fro, R is unstable: u_α² = b/24c with b = −(6κ + 4k), the energy of a cell −b²/16c."""
SETTINGS = RelaxationSettings("positions", fmax=1e-6)


def dynamics_of(energy, crystal=None):
    crystal = caesium_chloride_at() if crystal is None else crystal
    return LatticeDynamics(crystal, PotentialPhonons(energy, crystal).force_constants)


def test_the_unstable_mode_has_the_frequency_of_the_formula():
    instability = most_unstable(dynamics_of(POLAR))
    masses = caesium_chloride_at().masses
    expected = np.sqrt(8 * 0.1 * (1 / masses).sum()) * SQRT_EIGENVALUE_TO_THZ
    assert instability.frequency == pytest.approx(-expected, rel=1e-9)
    np.testing.assert_array_equal(instability.qpoint, 0)
    assert len(instability.patterns) == 3
    assert instability.cell.n_cells == 1


def test_a_polar_mode_is_followed_to_its_minimum():
    dynamics = dynamics_of(POLAR)
    transition = follow(POLAR, most_unstable(dynamics), None, SETTINGS)
    assert transition.energy_change == pytest.approx(-6 * 0.1**2, rel=1e-6)
    assert transition.largest_force < 1e-6
    assert space_group(transition.crystal).symbol == "R3m"
    bond = transition.crystal.fractional[1] - transition.crystal.fractional[0]
    shift = (bond - np.round(bond * 2) / 2) * 4.0
    np.testing.assert_allclose(np.abs(shift), np.sqrt(0.1), atol=1e-6)
    after = dynamics_of(POLAR, transition.crystal)
    assert most_unstable(after) is None
    hardened = np.sqrt(8 * 2 * 0.1 * (1 / caesium_chloride_at().masses).sum()) * SQRT_EIGENVALUE_TO_THZ
    np.testing.assert_allclose(after.frequencies(np.zeros((1, 3)))[0, 3:], hardened, rtol=1e-5)
    assert "Pm-3m to R3m (160)" in transition.notes[0]
    assert "-60.00 meV" in transition.notes[0]


def test_a_mode_at_the_zone_boundary_doubles_the_cell():
    dynamics = dynamics_of(ALTERNATING)
    instability = most_unstable(dynamics)
    np.testing.assert_allclose(np.abs(instability.qpoint), 0.5)
    assert instability.cell.n_cells == 2
    transition = follow(ALTERNATING, instability, None, SETTINGS)
    assert transition.crystal.n_atoms == 4
    b = 6 * 0.75 - 4 * 1.0
    assert transition.energy_change == pytest.approx(-(b**2) / (16 * 0.5), rel=1e-5)
    assert space_group(transition.crystal).number < 221
    assert most_unstable(dynamics_of(ALTERNATING, transition.crystal)) is None


def test_the_background_of_the_unstable_structure_takes_part():
    """A dipole interaction that the network does not know makes the mode unstable, or more so."""
    crystal = caesium_chloride_at()
    born = np.array([1.0, -1.0])[:, None, None] * np.eye(3)
    dipole = DipoleInteraction(crystal, born, 4 * np.eye(3))
    energy = CubicDoubleWell(unlike=(0.0, 1.0))
    dynamics = LatticeDynamics(crystal, PotentialPhonons(energy, crystal).force_constants, dipole)
    background = background_in(dynamics, {"background": ["dipole"]})
    instability = most_unstable(dynamics)
    stiffness = float(dipole.force_constants(np.zeros((1, 3)))[0, 1, 1, 0, 0].real)
    assert stiffness < 0
    transition = follow(energy, instability, background, RelaxationSettings("cell", fmax=1e-6))
    # per component: −|K|δ²/2 + 8 c δ⁴/4 has its minimum −K²/(32 c)·… at δ² = |K|/(8 c)
    assert transition.energy_change == pytest.approx(-3 * stiffness**2 / 32, rel=1e-5)
    np.testing.assert_allclose(transition.crystal.lattice @ transition.crystal.lattice.T, 16 * np.eye(3), atol=1e-9)
    assert background_in(dynamics, {}) is None
    assert background_in(dynamics, {"background": ["rim"]}).dipole is None


def test_stable_structures_have_nothing_to_follow():
    stable = dynamics_of(CubicDoubleWell(unlike=(1.0, 1.0)))
    assert most_unstable(stable) is None
    refuse_imaginary(stable)


def test_imaginary_modes_are_refused_with_a_way_out():
    with pytest.raises(UserError, match=r"i cm⁻¹ at q = \(0 0 0\).*imaginary=follow"):
        refuse_imaginary(dynamics_of(POLAR))


def test_a_model_without_energy_cannot_be_followed():
    dynamics = dynamics_of(POLAR)
    start = InputStructure("CsCl", Path("CsCl.cif"), caesium_chloride_at(), [], [])
    predictor = DeltaPredictor(type("Loaded", (), {"metadata": {}})(), "delta.ckpt")
    with pytest.raises(UserError, match="needs a model with an energy"):
        follow_structure(start, predictor, dynamics, most_unstable(dynamics), SETTINGS)


def test_a_curvature_that_the_energy_does_not_have_is_noticed():
    """Force constants of one energy, followed with another."""
    with pytest.raises(UserError, match="does not fall"):
        follow(CubicDoubleWell(unlike=(1.0, 1.0)), most_unstable(dynamics_of(POLAR)), None, SETTINGS)


def test_an_energy_without_minimum_is_refused():
    bottomless = CubicDoubleWell(unlike=(-0.1, -0.5))
    with pytest.raises(UserError, match="no minimum"):
        follow(bottomless, most_unstable(dynamics_of(bottomless)), None, RelaxationSettings("positions", 1e-6, 5))


def test_real_patterns_of_a_travelling_wave_are_two():
    crystal = rocksalt(4.2)
    qpoint = np.array([1 / 3, 1 / 3, 0.0])
    cell = smallest_cell(crystal, qpoint)
    vector = np.array([[1.0], [0], [0], [0], [0], [0]], dtype=complex)
    patterns = real_patterns(vector, qpoint, cell)
    assert patterns.shape == (2, cell.n_atoms, 3)
    np.testing.assert_allclose(np.linalg.norm(patterns, axis=2).max(axis=1), 1)
    np.testing.assert_allclose(patterns.sum(axis=1), 0, atol=1e-12)
    assert np.abs(patterns[:, :, 1:]).max() == 0


def test_wave_vectors_are_searched_once_of_every_pair():
    qpoints = searched_qpoints()
    assert len(qpoints) == len(np.unique(np.round(qpoints % 1, 9), axis=0))
    np.testing.assert_array_equal(qpoints[0], 0)
    mirrored = {tuple(np.round(-q % 1, 6) % 1) for q in qpoints} & {tuple(np.round(q % 1, 6) % 1) for q in qpoints}
    assert all(np.allclose(2 * np.array(q), np.round(2 * np.array(q))) for q in mirrored)
    assert no_force_constants(2).blocks.shape == (2, 3, 3)
