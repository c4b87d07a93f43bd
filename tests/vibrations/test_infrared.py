"""Mode charges, oscillator strengths and intensities: closed forms, conventions, levels."""

import numpy as np
import pytest

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.units import OSCILLATOR_STRENGTH_TO_KM_PER_MOL
from mlrim.vibrations.gamma import gamma_modes
from mlrim.vibrations.infrared import InfraredModes, infrared_levels, infrared_modes, molar_absorption
from mlrim.vibrations.normal_modes import NormalModes, transverse_modes
from tests.vibrations.ionic import MAGNESIA, diatomic_modes
from tests.vibrations.prototypes import prototype, symmetric_dynamics


def random_modes(seed, atoms=4):
    generator = np.random.default_rng(seed)
    eigenvectors, _ = np.linalg.qr(generator.normal(size=(3 * atoms, 3 * atoms)))
    modes = NormalModes(
        np.sort(generator.uniform(50, 800, 3 * atoms)), eigenvectors, generator.uniform(1, 200, atoms), 60.0
    )
    return modes, generator.normal(size=(atoms, 3, 3))


def crystal_modes(name) -> tuple[LatticeDynamics, InfraredModes, list, list]:
    dynamics = symmetric_dynamics(prototype(name))
    gamma = gamma_modes(dynamics)
    optical = [mode for mode in gamma.modes if not mode.acoustic]
    infrared = infrared_modes(transverse_modes(dynamics, gamma), dynamics.dipole.born_charges)
    return dynamics, infrared, [mode.degeneracy for mode in optical], [mode.irrep for mode in optical]


def test_magnesia_has_the_closed_form():
    """Z̃ = Z*/√μ, the normalised charge is Z* times a factor of the masses alone."""
    light, heavy = sorted(MAGNESIA["masses"])
    charge = MAGNESIA["charge"]
    modes = diatomic_modes(MAGNESIA["masses"], 401.0, 18.68)
    infrared = infrared_modes(modes, np.array([charge * np.eye(3), -charge * np.eye(3)]))
    assert infrared.charges == pytest.approx(charge * np.sqrt(1 / light + 1 / heavy) * np.eye(3), abs=1e-12)
    assert infrared.intensities == pytest.approx(np.full(3, 974.8801 * charge**2 * (1 / light + 1 / heavy)), rel=1e-7)
    lengths = np.hypot(light, heavy) / (light + heavy)
    assert infrared.normalized_charges == pytest.approx(charge / lengths * np.eye(3), abs=1e-12)


def test_hydrogen_chloride_has_the_intensity_of_its_dipole_derivative():
    """A molecule: 42.256 km/mol per (D/Å)²/amu; dμ/dr of HCl, 0.92 D/Å, gives 36 km/mol (measured: 33 to 40)."""
    masses, slope = (1.008, 34.969), 0.92 / 4.80320471
    tensors = np.zeros((2, 3, 3))
    tensors[0, 2, 2], tensors[1, 2, 2] = slope, -slope
    infrared = infrared_modes(diatomic_modes(masses, 2991.0, None), tensors)
    expected = 42.256 * 0.92**2 * (1 / masses[0] + 1 / masses[1])
    assert infrared.intensities == pytest.approx([0, 0, expected], rel=1e-5)
    assert infrared.intensities.sum() == pytest.approx(36.5, abs=0.1)


def test_the_first_index_of_a_born_charge_is_the_field():
    """One atom moves along x and has a dipole along y only: Z*[field y, displacement x]."""
    modes = NormalModes(np.array([100.0]), np.array([[1.0], [0.0], [0.0]]), np.array([4.0]), 10.0)
    charge = np.zeros((1, 3, 3))
    charge[0, 1, 0] = 3.0
    infrared = infrared_modes(modes, charge)
    assert infrared.charges[0].tolist() == [0.0, 1.5, 0.0]
    assert infrared.normalized_charges[0].tolist() == [0.0, 3.0, 0.0]


@pytest.mark.parametrize("seed", range(3))
def test_all_strengths_together_do_not_depend_on_the_modes(seed):
    """Σ_m S_m = Σ_k Z*_k Z*_kᵀ/m_k for a complete set of modes."""
    modes, charges = random_modes(seed)
    expected = np.einsum("nab,ncb,n->ac", charges, charges, 1 / modes.masses)
    assert infrared_modes(modes, charges).strengths.sum(axis=0) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["rutile", "wurtzite", "corundum", "tetragonal BaTiO3", "quartz"])
def test_modes_absorb_exactly_where_their_irrep_allows_it(name):
    _, infrared, degeneracies, irreps = crystal_modes(name)
    levels = infrared_levels(infrared, degeneracies, [irrep.symbol for irrep in irreps])
    largest = max(level.intensity for level in levels)
    for level, irrep in zip(levels, irreps, strict=True):
        assert level.symbol == irrep.symbol
        if not irrep.infrared:
            assert level.intensity < 1e-9 * largest
    assert largest > 1
    assert any(level.intensity > 1e-3 * largest for level in levels if level.degeneracy > 1)


def test_partners_of_a_level_depend_on_the_basis_but_their_sum_does_not():
    dynamics, infrared, degeneracies, _ = crystal_modes("rutile")
    modes = transverse_modes(dynamics, gamma_modes(dynamics))
    start = next(sum(degeneracies[:k]) for k, count in enumerate(degeneracies) if count == 2)
    turned = modes.eigenvectors.copy()
    turned[:, start : start + 2] = turned[:, start : start + 2] @ np.array([[0.8, -0.6], [0.6, 0.8]])
    other = infrared_modes(
        NormalModes(modes.frequencies, turned, modes.masses, modes.volume), dynamics.dipole.born_charges
    )
    before, after = (infrared_levels(item, degeneracies) for item in (infrared, other))
    assert [level.intensity for level in after] == pytest.approx([level.intensity for level in before], abs=1e-9)
    assert other.strengths.sum(axis=0) == pytest.approx(infrared.strengths.sum(axis=0), abs=1e-12)


def test_levels_are_found_by_frequency_where_irreps_are_not_known():
    infrared = InfraredModes(
        np.array([100.0, 100.0, 300.0]), np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 2.0]]), np.zeros((3, 3)), None
    )
    low, high = infrared_levels(infrared)
    assert (low.degeneracy, low.strength, low.charge) == (2, 2.0, pytest.approx(np.sqrt(2)))
    assert (high.frequency, high.intensity) == (300.0, pytest.approx(4 * OSCILLATOR_STRENGTH_TO_KM_PER_MOL))
    with pytest.raises(ValueError, match="do not fit"):
        infrared_levels(infrared, [2, 2])
    nothing = InfraredModes(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)), None)
    assert infrared_levels(nothing) == []


def test_the_area_of_a_molar_spectrum_is_the_sum_of_the_real_modes():
    charges = np.array([[0.3, 0, 0], [0, 0.5, 0]])
    infrared = InfraredModes(np.array([-80.0, 500.0]), charges, charges, None)
    grid = np.linspace(0, 100000, 200001)
    spectrum = molar_absorption(infrared, 10.0, grid)
    assert np.trapezoid(spectrum, grid) == pytest.approx(100 * 974.8801 * 0.25, rel=1e-3)
    assert np.trapezoid(molar_absorption(infrared, 10.0, grid, "gaussian"), grid) == pytest.approx(24372.0, rel=1e-5)
