"""The Γ table: degeneracies, acoustic modes by overlap, LO modes and their irreps."""

import numpy as np
import pytest

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.vibrations.gamma import directional_modes, gamma_modes, translation_overlaps
from tests.vibrations.prototypes import prototype, symmetric_dynamics

STRUCTURES = ["rutile", "wurtzite", "tetragonal BaTiO3", "corundum", "fluorite", "quartz", "GdFeO3"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_frequencies_are_those_of_the_plain_eigenvalue_problem(name):
    dynamics = symmetric_dynamics(prototype(name))
    gamma = gamma_modes(dynamics)
    listed = np.sort(np.concatenate([[mode.frequency_thz] * mode.degeneracy for mode in gamma.modes]))
    direct = dynamics.frequencies(np.zeros((1, 3)))[0]
    assert np.sign(listed) * listed**2 == pytest.approx(np.sign(direct) * direct**2, abs=1e-8)
    assert gamma.symmetry_residual < 1e-10


def test_an_accidental_degeneracy_is_told_apart():
    """Uncoupled atoms on equal springs: all optical modes coincide, yet each multiplet keeps its own irrep."""
    crystal = prototype("wurtzite")
    dynamics = symmetric_dynamics(crystal)
    n_pairs = len(dynamics.short_range.pairs.i)
    on_site = (dynamics.short_range.pairs.i == dynamics.short_range.pairs.j) & (
        np.abs(dynamics.short_range.pairs.shifts).sum(axis=1) == 0
    )
    blocks = np.zeros((n_pairs, 3, 3))
    blocks[on_site] = np.eye(3) * crystal.masses[dynamics.short_range.pairs.i[on_site]][:, None, None]
    einstein = LatticeDynamics(crystal, dynamics.short_range._replace(blocks=blocks))
    symbols = sorted(mode.irrep.symbol for mode in gamma_modes(einstein).modes)
    assert symbols == ["A1", "A1", "B1", "B1", "E1", "E1", "E2", "E2"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_acoustic_modes_are_found_below_and_above_optical_ones(name):
    dynamics = symmetric_dynamics(prototype(name))
    flipped = dynamics.short_range._replace(blocks=-dynamics.short_range.blocks)
    for variant in (dynamics, LatticeDynamics(dynamics.crystal, flipped)):
        gamma = gamma_modes(variant)
        acoustic = [mode for mode in gamma.modes if mode.acoustic]
        assert sum(mode.degeneracy for mode in acoustic) == 3
        assert max(abs(mode.frequency_thz) for mode in acoustic) < 1e-4
        for mode in gamma.modes:
            overlap = translation_overlaps(mode.eigenvectors, dynamics.crystal.masses)
            assert overlap == pytest.approx(np.full(mode.degeneracy, float(mode.acoustic)), abs=1e-6)
    assert gamma.n_imaginary == 3 * dynamics.crystal.n_atoms - 3


def test_longitudinal_modes_of_rutile_follow_the_direction():
    """Along c the one A2u mode is longitudinal and Eu stays as it is; along a one partner of every Eu is."""
    gamma = gamma_modes(symmetric_dynamics(prototype("rutile")))
    assert set(gamma.directional) == {"[100]", "[001]"}
    along_c = [(mode.symbol, mode.polarization) for mode in gamma.directional["[001]"]]
    along_a = [(mode.symbol, mode.polarization) for mode in gamma.directional["[100]"]]
    assert sorted(along_c) == [("A2u", "LO"), *[("Eu", "TO")] * 6]
    assert sorted(along_a) == [("A2u", "TO"), *[("Eu", "LO")] * 3, *[("Eu", "TO")] * 3]


def test_transverse_modes_keep_their_frequency_and_longitudinal_ones_rise():
    gamma = gamma_modes(symmetric_dynamics(prototype("rutile")))
    transverse = sorted(mode.frequency_thz for mode in gamma.modes if mode.irrep.symbol == "Eu" and not mode.acoustic)
    along_a = gamma.directional["[100]"]
    kept = sorted(mode.frequency_thz for mode in along_a if (mode.symbol, mode.polarization) == ("Eu", "TO"))
    raised = sorted(mode.frequency_thz for mode in along_a if (mode.symbol, mode.polarization) == ("Eu", "LO"))
    assert kept == pytest.approx(transverse, abs=1e-6)
    assert all(low <= high for low, high in zip(transverse, raised, strict=True))
    assert all(high <= low for high, low in zip(raised, transverse[1:], strict=False))


def test_the_splitting_of_a_diatomic_cubic_crystal_is_that_of_the_closed_formula():
    """ω_LO² − ω_TO² = e²Z*²/(ε₀ ε∞ V μ)."""
    dynamics = symmetric_dynamics(prototype("rocksalt"))
    gamma = gamma_modes(dynamics)
    (transverse,) = [mode.frequency_thz for mode in gamma.modes if not mode.acoustic]
    (longitudinal,) = [m.frequency_thz for m in gamma.directional["[100]"] if m.polarization == "LO"]
    charge, epsilon = dynamics.dipole.born_charges[0, 0, 0], dynamics.dipole.dielectric[0, 0]
    mu = 1 / np.sum(1 / dynamics.crystal.masses)
    expected = 44224.5297 * charge**2 / (epsilon * dynamics.crystal.volume * mu)
    squares = np.sign([longitudinal, transverse]) * np.square([longitudinal, transverse])
    assert squares[0] - squares[1] == pytest.approx(expected, rel=1e-6)


def test_a_crystal_without_ions_has_no_longitudinal_modes():
    dynamics = symmetric_dynamics(prototype("fluorite"))
    assert gamma_modes(LatticeDynamics(dynamics.crystal, dynamics.short_range)).directional == {}


def test_along_an_oblique_direction_modes_mix_irreps_and_say_how_much():
    """Between a and c, A2u and Eu of rutile share their longitudinal modes; the transverse Eu normal to both do not."""
    dynamics = symmetric_dynamics(prototype("rutile"))
    modes = gamma_modes(dynamics).modes
    oblique = directional_modes(dynamics, np.array([1.0, 0, 1]) / np.sqrt(2), modes)
    assert len(oblique) == 7
    untouched = [mode for mode in oblique if mode.share > 1 - 1e-9]
    assert [(mode.symbol, mode.polarization) for mode in untouched] == [("Eu", "TO")] * 3
    mixed = [mode for mode in oblique if mode.share <= 1 - 1e-9]
    assert all(mode.share >= 0.5 for mode in mixed)
    assert sum(mode.symbol == "A2u" for mode in mixed) == 1
    transverse = [modes[mode.partner] for mode in untouched]
    assert [mode.frequency_thz for mode in untouched] == pytest.approx([mode.frequency_thz for mode in transverse])


@pytest.mark.parametrize("name", ["baddeleyite", "quartz", "wurtzite", "LiNbO3", "corundum", "GdFeO3", "chalcopyrite"])
def test_every_polar_mode_is_mapped_to_a_polar_irrep(name):
    """Polar and non-polar groups: as many modes along each axis as polar ones at Γ, of the same irreps in total."""
    gamma = gamma_modes(symmetric_dynamics(prototype(name)))
    polar = [mode for mode in gamma.modes if not mode.acoustic and mode.irrep.infrared]
    for modes in gamma.directional.values():
        expected = sorted(mode.irrep.symbol for mode in polar for _ in range(mode.degeneracy))
        assert sorted(mode.symbol for mode in modes) == expected
        assert all(gamma.modes[mode.partner].irrep.infrared for mode in modes)
        assert any(mode.polarization == "LO" for mode in modes)
