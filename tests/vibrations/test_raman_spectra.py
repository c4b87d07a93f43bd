"""Selection rules of zincblende by Porto geometry, averages over orientations, areas and detailed balance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.rim.bond_polarizability import bond_polarizability_tensors
from mlrim.vibrations.gamma import gamma_modes
from mlrim.vibrations.normal_modes import modes_along
from mlrim.vibrations.raman import differential_cross_sections, mode_raman_tensors, raman_invariants, raman_lines
from mlrim.vibrations.raman_spectra import (
    RamanConditions,
    RamanCrystal,
    RamanSticks,
    arbitrary_units,
    crystal_efficiency,
    electro_optic_tensors,
    merged_sticks,
    powder_sticks,
    raman_spectrum,
    single_crystal_sticks,
)
from mlrim.vibrations.scattering_geometry import ScatteringGeometry, parse_porto
from tests.vibrations.prototypes import prototype, symmetric_dynamics


def raman_crystal(name: str, **options: object) -> RamanCrystal:
    """A structure type with random but symmetric dynamics and the tensors of the bond model."""
    crystal = prototype(name)
    dynamics = symmetric_dynamics(crystal)
    dipole = DipoleInteraction(crystal, 20 * dynamics.dipole.born_charges, dynamics.dipole.dielectric)
    dynamics = replace(dynamics, dipole=dipole) if name == "zincblende" else dynamics
    return RamanCrystal(dynamics, gamma_modes(dynamics), bond_polarizability_tensors(crystal), **options)


@pytest.fixture(scope="module")
def zincblende() -> RamanCrystal:
    return raman_crystal("zincblende")


def strengths(crystal: RamanCrystal, notation: str) -> tuple[float, float]:
    """TO and LO strength of zincblende in a geometry given by its cubic axes."""
    sticks = single_crystal_sticks(crystal, parse_porto(notation, crystal.gamma.action.axes))
    longitudinal = sticks.frequencies > crystal.transverse.frequencies.max() + 1
    return float(sticks.strengths[0, ~longitudinal].sum()), float(sticks.strengths[0, longitudinal].sum())


@pytest.mark.parametrize(
    ("notation", "transverse", "longitudinal"),
    [
        ("c(ab)-c", 0, 1),
        ("c(aa)-c", 0, 0),
        ("[001]([110] [110])[00-1]", 0, 1),
        ("[001]([110] [1-10])[00-1]", 0, 0),
        ("[110]([1-10] c)[-1-10]", 1, 0),
        ("[110]([1-10] [1-10])[-1-10]", 1, 0),
        ("[110](c c)[-1-10]", 0, 0),
        ("[111]([1-10] [1-10])[-1-1-1]", 2 / 3, 1 / 3),
        ("[111]([1-10] [11-2])[-1-1-1]", 2 / 3, 0),
        ("a(bc)b", 1 / 2, 1 / 2),
        ("a(ba)b", 1, 0),
        ("c(ab)c", 1, 0),
    ],
)
def test_selection_rules_of_zincblende(zincblende, notation, transverse, longitudinal):
    """In units of the squared tensor element: W. Hayes and R. Loudon, Scattering of Light by Crystals, section 4.1."""
    element = np.abs(mode_raman_tensors(zincblende.transverse, zincblende.raman_tensors)) ** 2
    unit = float(element.sum()) / 6
    found = np.array(strengths(zincblende, notation)) / unit
    assert found == pytest.approx([transverse, longitudinal], abs=1e-6)


@pytest.mark.parametrize(
    "name", ["fluorite", "pyrite", "rutile", "anatase", "corundum", "calcite", "quartz", "wurtzite", "MoS2", "GdFeO3"]
)
def test_modes_scatter_when_their_irrep_allows_it(name):
    """Tensors against characters: A2g of rutile and corundum are silent, and no allowed mode is."""
    crystal = raman_crystal(name)
    activity = raman_invariants(mode_raman_tensors(crystal.transverse, crystal.raman_tensors)).activity
    optical = [mode for mode in crystal.gamma.modes if not mode.acoustic]
    allowed = np.array([mode.irrep.raman for mode in optical for _ in range(mode.degeneracy)])
    assert activity[~allowed].max(initial=0.0) < 1e-20 * activity.max()
    assert activity[allowed].min() > 1e-12 * activity.max()


def test_forward_scattering_has_the_modes_without_field(zincblende):
    sticks = single_crystal_sticks(zincblende, parse_porto("z(xy)z"))
    assert sticks.frequencies == pytest.approx(zincblende.transverse.frequencies)


@pytest.mark.parametrize("name", ["zincblende", "wurtzite", "quartz", "LiNbO3", "tetragonal BaTiO3"])
@pytest.mark.parametrize("geometry", ["backscattering", "right-angle", "forward"])
def test_a_powder_scatters_as_much_as_its_modes_do_in_any_direction(name, geometry):
    """Summed over all lines, the average over directions of q is the average over orientations of a fixed crystal."""
    crystal = raman_crystal(name)
    sticks = powder_sticks(crystal, geometry, order=11)
    invariants = raman_lines(crystal.transverse, crystal.raman_tensors).invariants
    assert sticks.strengths.sum(axis=1) == pytest.approx([invariants.parallel.sum(), invariants.crossed.sum()])


def test_the_share_of_longitudinal_lines_of_a_powder(zincblende):
    """Independent average: the tensor of the LO mode is |ε_ijk| q_k; grains are turned at random angles."""
    sticks = powder_sticks(zincblende)
    longitudinal = sticks.frequencies > zincblende.transverse.frequencies.max() + 1
    frames = Rotation.random(200_000, random_state=0).as_matrix()
    first, second, q = frames[:, 0], frames[:, 1], frames[:, 2]
    swap = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    parallel = sum(2 * first[:, i] * first[:, j] * q[:, k] for i, j, k in swap)
    crossed = sum((first[:, i] * second[:, j] + first[:, j] * second[:, i]) * q[:, k] for i, j, k in swap)
    unit = np.abs(mode_raman_tensors(zincblende.transverse, zincblende.raman_tensors)) ** 2
    expected = np.array([np.mean(parallel**2), np.mean(crossed**2)]) * unit.sum() / 6
    assert sticks.strengths[:, longitudinal].sum(axis=1) == pytest.approx(expected, rel=0.01)
    assert 0.1 < expected.sum() / sticks.strengths.sum() < 0.9


def test_crystals_with_inversion_and_without_charges_have_one_set_of_modes(zincblende):
    rutile = raman_crystal("rutile")
    assert not rutile.splits
    assert powder_sticks(rutile).frequencies == pytest.approx(rutile.transverse.frequencies)
    neutral = replace(
        zincblende, dynamics=LatticeDynamics(zincblende.dynamics.crystal, zincblende.dynamics.short_range)
    )
    assert not neutral.splits
    assert zincblende.splits
    assert "electro-optic" in zincblende.note
    assert rutile.note == neutral.note == ""


def test_a_powder_is_many_crystals_at_all_orientations():
    """Single crystals in back-scattering, turned through a grid of Euler angles, against the powder's quadrature."""
    crystal = raman_crystal("quartz", widths=20.0)
    grid = np.arange(0.0, crystal.transverse.frequencies.max() + 200, 5.0)
    cosines, weights = np.polynomial.legendre.leggauss(10)
    around, turns = 2 * np.pi * np.arange(20) / 20, 2 * np.pi * np.arange(6) / 6
    found = []
    for polarization in (0, 1):
        sticks = []
        for cosine, weight in zip(cosines, weights, strict=True):
            for first in around:
                for last in turns:
                    x, y, z = Rotation.from_euler("ZYZ", [first, np.arccos(cosine), last]).as_matrix().T
                    geometry = ScatteringGeometry("", z, -z, x, (x, y)[polarization])
                    one = single_crystal_sticks(crystal, geometry)
                    sticks.append(one._replace(strengths=one.strengths * weight / 2 / 120))
        everything = RamanSticks(*(np.concatenate(parts, axis=-1) for parts in zip(*sticks, strict=True)))
        found.append(raman_spectrum(merged_sticks(everything), grid)[0])
    expected = raman_spectrum(powder_sticks(crystal), grid)
    assert np.stack(found) == pytest.approx(expected, abs=0.01 * expected.max())


def test_modes_along_a_direction_are_those_of_the_dynamical_matrix(zincblende):
    direction = np.array([0.48, 0.6, 0.64])
    expected = modes_along(zincblende.dynamics, direction).frequencies
    assert zincblende.modes(direction).frequencies == pytest.approx(expected, abs=1e-6)


def test_modes_of_uniaxial_crystals_move_with_the_direction():
    """Wurtzite: a powder's polar lines fill the range between TO and LO, non-polar E2 and B1 stay where they are."""
    crystal = raman_crystal("wurtzite")
    fixed = [mode.frequency_cm1 for mode in crystal.gamma.modes if not mode.acoustic and not mode.irrep.infrared]
    polar = [mode.frequency_cm1 for mode in crystal.gamma.modes if not mode.acoustic and mode.irrep.infrared]
    narrow = replace(crystal, widths=0.02)
    frequencies = powder_sticks(narrow, order=23).frequencies
    for frequency in fixed:
        assert np.abs(frequencies - frequency).min() < 1e-6
    moved = [value for value in frequencies if np.abs(value - np.array(fixed)).min() > 1e-3]
    assert len(moved) > 10
    assert min(moved) >= min(polar) - 1e-6


def test_merging_lines_keeps_strengths_and_hardly_changes_the_spectrum():
    generator = np.random.default_rng(0)
    sticks = RamanSticks(
        generator.uniform(200, 230, 500), generator.exponential(size=(2, 500)), generator.uniform(4, 5, 500)
    )
    merged = merged_sticks(sticks)
    assert len(merged.frequencies) < 200
    assert merged.strengths.sum(axis=1) == pytest.approx(sticks.strengths.sum(axis=1))
    grid = np.arange(150.0, 300.0, 0.5)
    spectra = [raman_spectrum(part, grid) for part in (sticks, merged)]
    assert spectra[1] == pytest.approx(spectra[0], abs=0.01 * spectra[0].max())
    total = spectra[0].sum(axis=0)
    assert spectra[1].sum(axis=0) == pytest.approx(total, abs=1e-3 * total.max())


def test_merging_keeps_lines_that_are_apart_or_silent():
    sticks = RamanSticks(np.array([-40.0, 100.0, 100.1]), np.array([[1.0, 0.0, 0.0]]), np.array([4.0, 4.0, 8.0]))
    merged = merged_sticks(sticks)
    assert merged.frequencies == pytest.approx([-40.0, 100.05])
    assert merged.widths == pytest.approx([4.0, 6.0])
    assert merged.strengths.tolist() == [[1.0, 0.0]]


def test_the_electro_optic_term_of_zincblende(zincblende):
    """−2·14.3996 d Z/ε Å² in the LO tensor for χ⁽²⁾_xyz = d (Å/V), nothing for TO."""
    dipole = zincblende.dynamics.dipole
    axes = zincblende.gamma.action.axes / np.linalg.norm(zincblende.gamma.action.axes, axis=1, keepdims=True)
    chi2 = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        chi2[i, j, k] = chi2[j, i, k] = 30.0
    chi2 = np.einsum("ia,jb,kc,ijk->abc", axes, axes, axes, chi2)
    known = replace(zincblende, chi2=chi2)
    assert known.note == ""
    added = electro_optic_tensors(dipole.born_charges, dipole.dielectric, chi2, axes[2])
    charge, epsilon = dipole.born_charges[0, 0, 0], dipole.dielectric[0, 0]
    element = np.einsum("i,j,k,ijk->", axes[0], axes[1], axes[2], added[0])
    assert element == pytest.approx(-2 * 14.3996455 * 0.30 * charge / epsilon)
    assert strengths(known, "[110]([1-10] c)[-1-10]") == pytest.approx(strengths(zincblende, "[110]([1-10] c)[-1-10]"))
    masses = zincblende.dynamics.crystal.masses
    bare = np.einsum("i,j,k,ijk->", axes[0], axes[1], axes[2], zincblende.raman_tensors[0])
    assert strengths(known, "c(ab)-c")[1] == pytest.approx((bare + element) ** 2 * np.sum(1 / masses), rel=1e-6)


def test_a_spectrum_keeps_the_cross_sections():
    sticks = RamanSticks(np.array([300.0, 700.0]), np.array([[1.0, 2.0], [0.5, 0.0]]), np.array([4.0, 8.0]))
    grid = np.arange(-4000.0, 4000.0, 0.5)
    conditions = RamanConditions(laser_nm=633.0, temperature=500.0)
    for shape in ("lorentzian", "gaussian", "voigt"):
        spectrum = raman_spectrum(sticks, grid, conditions, shape)
        for sign, side in ((1, "stokes"), (-1, "anti-stokes")):
            expected = [
                differential_cross_sections(sticks.frequencies, row, 633.0, 500.0, side=side).sum()
                for row in sticks.strengths
            ]
            found = spectrum[:, sign * grid > 0].sum(axis=1) * 0.5
            assert found == pytest.approx(expected, rel=0.01)


def test_a_weakly_damped_oscillator_is_a_lorentzian():
    sticks = RamanSticks(np.array([400.0]), np.ones((1, 1)), np.array([2.0]))
    grid = np.arange(300.0, 500.0, 0.25)
    lorentzian, oscillator = (
        raman_spectrum(sticks, grid, shape=shape) for shape in ("lorentzian", "damped_oscillator")
    )
    assert oscillator.sum() == pytest.approx(lorentzian.sum(), rel=0.01)
    assert grid[oscillator.argmax()] == pytest.approx(400.0, abs=0.5)


def test_an_overdamped_mode_rises_towards_the_laser_line_in_detailed_balance():
    sticks = RamanSticks(np.array([36.0]), np.ones((1, 1)), np.array([80.0]))
    grid = np.arange(-300.0, 300.5, 1.0)
    spectrum = raman_spectrum(sticks, grid, RamanConditions(temperature=250.0), "damped_oscillator")[0]
    shift = np.array([20.0, 100.0, 200.0])
    stokes, anti = (np.interp(sign * shift, grid, spectrum) for sign in (1, -1))
    laser = 1e7 / 532.0
    boltzmann = np.exp(-1.438776877 * shift / 250.0) * ((laser + shift) / (laser - shift)) ** 4
    assert anti / stokes == pytest.approx(boltzmann, rel=1e-3)
    assert np.argmax(spectrum[grid > 0]) < 5


def test_widths_of_longitudinal_modes_are_those_of_the_modes_they_consist_of(zincblende):
    crystal = replace(zincblende, widths=np.array([3.0, 3.0, 3.0]))
    assert np.unique(powder_sticks(crystal, order=11).widths.round(9)).tolist() == [3.0]
    wurtzite = raman_crystal("wurtzite", widths=np.linspace(1.0, 9.0, 9))
    widths = wurtzite.mode_widths(wurtzite.modes(np.array([0.6, 0.0, 0.8])))
    assert wurtzite.mode_widths(wurtzite.transverse) == pytest.approx(np.linspace(1.0, 9.0, 9))
    assert widths.sum() == pytest.approx(45.0)
    assert np.all((widths >= 1.0) & (widths <= 9.0))


def test_units_of_crystals_and_of_comparison():
    assert crystal_efficiency(np.array([2e-30]), 40.0) == pytest.approx([5e-8])
    assert arbitrary_units(np.array([[1.0, 4.0], [2.0, 0.0]])).tolist() == [[0.25, 1.0], [0.5, 0.0]]
    assert arbitrary_units(np.zeros((1, 2))).tolist() == [[0.0, 0.0]]


def test_an_element_with_one_atom_per_cell_has_no_spectrum():
    crystal = Crystal(2.0 * (np.ones((3, 3)) - np.eye(3)), np.zeros((1, 3)), np.array([13]))
    dynamics = symmetric_dynamics(crystal)
    aluminium = RamanCrystal(dynamics, gamma_modes(dynamics), bond_polarizability_tensors(crystal))
    assert len(raman_lines(aluminium.transverse, aluminium.raman_tensors).frequencies) == 0
    sticks = powder_sticks(aluminium)
    assert raman_spectrum(sticks, np.arange(0.0, 10.0)).tolist() == np.zeros((2, 10)).tolist()
    assert merged_sticks(sticks).strengths.shape == (2, 0)


def test_mistakes_are_told(zincblende):
    with pytest.raises(UserError, match="degree 12: choose"):
        powder_sticks(zincblende, order=12)


def test_equivalent_directions_are_taken_together():
    """Whether symmetry is used or not, the powder is the same point by point."""
    crystal = raman_crystal("quartz")
    grid = np.arange(0.0, crystal.transverse.frequencies.max() + 200, 2.0)
    one = replace(crystal.gamma.action, rotations=np.eye(3)[None], permutations=np.arange(9)[None])
    alone = replace(crystal, gamma=replace(crystal.gamma, action=one))
    reduced, full = powder_sticks(crystal, order=17), powder_sticks(alone, order=17)
    spectra = [raman_spectrum(sticks, grid) for sticks in (reduced, full)]
    assert spectra[0] == pytest.approx(spectra[1], rel=1e-6, abs=1e-9 * spectra[1].max())
