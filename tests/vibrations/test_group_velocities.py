"""Group velocities against phonopy, and against differences of frequencies."""

from collections.abc import Callable

import numpy as np
import pytest

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.vibrations.group_velocities import group_velocities
from tests.graph.crystals import rock_salt, rutile, some_baseline
from tests.lattice.test_dynamics import phonopy_from

WAVES = np.array([[0.11, 0.23, 0.37], [0.4, 0.1, 0.05], [0.2, 0.2, 0.4]])


def springs(crystal: Crystal) -> LatticeDynamics:
    from mlrim.lattice.force_constants import with_self_blocks

    pairs, blocks = some_baseline(crystal, 4.0)
    return LatticeDynamics(crystal, with_self_blocks(pairs, blocks, crystal.n_atoms), None)


@pytest.mark.parametrize("make", [rock_salt, rutile])
def test_velocities_are_the_slopes_of_the_bands(make: Callable[[], Crystal]) -> None:
    dynamics = springs(make())
    for axis in np.eye(3):
        step = 1e-4 * dynamics.crystal.lattice @ axis
        upper, lower = (dynamics.frequencies(WAVES[:1] + sign * step) for sign in (1, -1))
        expected = 0.1 * (upper - lower)[0] / 2e-4
        found = group_velocities(dynamics, WAVES[:1])[0] @ axis
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_velocities_are_those_of_phonopy() -> None:
    crystal = rutile()
    supercell = Supercell(crystal, np.diag([3, 3, 4]))
    folded = LatticeDynamics.from_supercell(springs(crystal).folded(supercell), supercell)
    phonon = phonopy_from(crystal, folded, supercell)
    theirs = phonon.run_qpoints(WAVES, with_group_velocities=True)
    np.testing.assert_allclose(folded.frequencies(WAVES), theirs.frequencies, atol=1e-3)
    ours = group_velocities(folded, WAVES)
    expected = 0.1 * np.array(theirs.group_velocities)
    np.testing.assert_allclose(ours, expected, atol=2e-3 * np.abs(expected).max())


def test_degenerate_modes_of_a_cubic_crystal_have_the_speeds_of_phonopy() -> None:
    crystal = rock_salt()
    supercell = Supercell(crystal, 4 * np.eye(3, dtype=int))
    folded = LatticeDynamics.from_supercell(springs(crystal).folded(supercell), supercell)
    wave = np.array([[0.0, 0.2, 0.2]])
    theirs = phonopy_from(crystal, folded, supercell).run_qpoints(wave, with_group_velocities=True)
    speeds = np.linalg.norm(group_velocities(folded, wave), axis=-1)
    np.testing.assert_allclose(
        speeds, np.linalg.norm(0.1 * np.array(theirs.group_velocities), axis=-1), rtol=5e-3, atol=1e-2
    )


def test_acoustic_modes_have_the_speed_of_sound_and_none_at_gamma() -> None:
    dynamics = springs(rock_salt())
    assert not group_velocities(dynamics, np.zeros((1, 3)))[0, :3].any()
    near = 1e-3 * dynamics.crystal.lattice @ np.array([1.0, 0, 0])
    speeds = np.linalg.norm(group_velocities(dynamics, near[None])[0, :3], axis=-1)
    slopes = 0.1 * dynamics.frequencies(near[None])[0, :3] / 1e-3
    np.testing.assert_allclose(speeds, slopes, rtol=1e-3)
