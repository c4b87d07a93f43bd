"""Mode Raman tensors against closed forms, invariants against orientation averages, cross-sections."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mlrim.errors import UserError
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.raman import (
    differential_cross_sections,
    mode_raman_tensors,
    polarized_strengths,
    raman_invariants,
    raman_lines,
)

LEVI_CIVITA = np.zeros((3, 3, 3))
for axes in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    LEVI_CIVITA[axes] = LEVI_CIVITA[axes[0], axes[2], axes[1]] = 1.0
"""1 where all three indices differ: the form of a Raman tensor with tetrahedral symmetry."""


def diamond(strength: float = 2.0, mass: float = 12.0) -> tuple[NormalModes, np.ndarray]:
    """The F2g modes of diamond, and ∂α_ij/∂u_k = ±strength |ε_ijk| of its two atoms."""
    eigenvectors = np.concatenate([np.eye(3), -np.eye(3)]) / np.sqrt(2)
    modes = NormalModes(np.full(3, 1332.0), eigenvectors, np.full(2, mass), 11.34)
    return modes, np.stack([strength * LEVI_CIVITA, -strength * LEVI_CIVITA])


def random_modes(seed: int = 0) -> tuple[NormalModes, np.ndarray]:
    """Nine modes of three atoms and Raman tensors without any symmetry."""
    generator = np.random.default_rng(seed)
    eigenvectors, _ = np.linalg.qr(generator.normal(size=(9, 9)))
    tensors = generator.normal(size=(3, 3, 3, 3))
    modes = NormalModes(np.linspace(100.0, 900.0, 9), eigenvectors, np.array([1.0, 12.0, 16.0]), 50.0)
    return modes, tensors + tensors.swapaxes(1, 2)


def test_the_f2g_tensors_of_diamond():
    """a√(2/m) in the two elements off the diagonal: relative motion of both atoms with reduced mass m/2."""
    modes, raman = diamond()
    tensors = mode_raman_tensors(modes, raman)
    assert tensors[2] == pytest.approx(2.0 * np.sqrt(2 / 12.0) * LEVI_CIVITA[:, :, 2])
    lines = raman_lines(modes, raman)
    assert lines.degeneracies.tolist() == [3]
    assert lines.invariants.activity == pytest.approx([126 * 2.0**2 / 12.0])
    assert lines.invariants.depolarization_ratio == pytest.approx([3 / 4])
    assert lines.invariants.natural_depolarization_ratio == pytest.approx([6 / 7])


def test_the_modes_of_a_tetrahedral_molecule():
    """XY4 with bond parameters: breathing changes the trace alone, a rigid F2 shift of Y4 shears.

    Bonds along (111) etc. with α∥′ = p, α⊥′ = t, no turning term. Breathing, Q = √(4m) r: tensor
    4/√(4m) · (p + 2t)/3 · 1. Y4 against X along z: Σ r̂_z [⅓(p + 2t) 1 + (p − t)(r̂r̂ − ⅓)] leaves xy = 4(p − t)/(3√3).
    """
    parallel, perpendicular, mass = 3.0, 0.5, 1.008
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    change = [
        (parallel + 2 * perpendicular) / 3 * np.eye(3) + (parallel - perpendicular) * (np.outer(b, b) - np.eye(3) / 3)
        for b in bonds
    ]
    raman = np.stack([np.einsum("ij,k->ijk", part, bond) for part, bond in zip(change, bonds, strict=True)])
    breathing = bonds.reshape(-1) / 2
    shift = np.tile([0.0, 0.0, 1.0], 4) / 2
    modes = NormalModes(np.array([1300.0, 3000.0]), np.stack([shift, breathing], axis=1), np.full(4, mass), None)
    shear, breath = mode_raman_tensors(modes, raman)
    assert breath == pytest.approx(4 / np.sqrt(4 * mass) * (parallel + 2 * perpendicular) / 3 * np.eye(3))
    expected = 4 * (parallel - perpendicular) / (3 * np.sqrt(3)) / np.sqrt(4 * mass)
    assert shear == pytest.approx(expected * LEVI_CIVITA[:, :, 2])
    ratios = raman_lines(modes, raman).invariants.depolarization_ratio
    assert ratios == pytest.approx([3 / 4, 0.0])


def test_invariants_do_not_depend_on_the_orientation():
    modes, raman = random_modes()
    reference = raman_lines(modes, raman).invariants
    for rotation in Rotation.random(5, random_state=1).as_matrix():
        turned = np.einsum("ai,bj,ck,nijk->nabc", rotation, rotation, rotation, raman)
        vectors = np.einsum("ab,nbm->nam", rotation, modes.eigenvectors.reshape(3, 3, 9)).reshape(9, 9)
        found = raman_lines(NormalModes(modes.frequencies, vectors, modes.masses, modes.volume), turned).invariants
        assert found.isotropic == pytest.approx(reference.isotropic)
        assert found.anisotropic == pytest.approx(reference.anisotropic)


def test_parallel_and_crossed_intensities_are_averages_over_orientations():
    """Product quadrature over Euler angles, exact for the fourth powers of direction cosines that occur."""
    tensors = mode_raman_tensors(*random_modes(2))
    cosines, weights = np.polynomial.legendre.leggauss(5)
    angles = 2 * np.pi * np.arange(6) / 6
    parallel, crossed = np.zeros(9), np.zeros(9)
    for cosine, weight in zip(cosines, weights, strict=True):
        for first in angles:
            for last in angles:
                frame = Rotation.from_euler("zyz", [first, np.arccos(cosine), last]).as_matrix()
                share = weight / 2 / 36
                parallel += share * polarized_strengths(tensors, frame[:, 0], frame[:, 0])
                crossed += share * polarized_strengths(tensors, frame[:, 0], frame[:, 1])
    invariants = raman_invariants(tensors)
    assert invariants.parallel == pytest.approx(parallel)
    assert invariants.crossed == pytest.approx(crossed)
    assert invariants.activity == pytest.approx(45 * (parallel + crossed))
    assert invariants.depolarization_ratio == pytest.approx(crossed / parallel)


def test_the_choice_of_degenerate_eigenvectors_changes_no_line():
    modes, raman = diamond()
    mixing = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()
    mixed = NormalModes(modes.frequencies, modes.eigenvectors @ mixing, modes.masses, modes.volume)
    assert raman_lines(mixed, raman).invariants.activity == pytest.approx(raman_lines(modes, raman).invariants.activity)
    incident, scattered = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.6, 0.8])
    sums = [polarized_strengths(mode_raman_tensors(one, raman), incident, scattered).sum() for one in (modes, mixed)]
    assert sums[0] == pytest.approx(sums[1])
    assert sums[0] == pytest.approx(2.0**2 * 2 / 12.0 * (0.36**2 + 0.64**2 + 0.48**2))


def test_nearly_equal_frequencies_are_one_line_and_others_are_not():
    modes, raman = diamond()
    split = NormalModes(np.array([1331.0, 1332.0, 1332.005]), modes.eigenvectors, modes.masses, modes.volume)
    lines = raman_lines(split, raman)
    assert lines.degeneracies.tolist() == [1, 2]
    assert lines.frequencies == pytest.approx([1331.0, 1332.0025])


def test_silent_lines_have_no_depolarisation_ratio():
    modes, raman = diamond(strength=0.0)
    assert np.isnan(raman_lines(modes, raman).invariants.depolarization_ratio).all()
    rounding = raman_invariants(np.stack([np.eye(3), 1e-16 * np.ones((3, 3))]))
    assert rounding.depolarization_ratio[0] == 0
    assert np.isnan(rounding.depolarization_ratio[1])


def test_anti_stokes_over_stokes_is_boltzmanns_factor():
    shifts, one = np.array([150.0, 800.0]), np.ones(2)
    stokes, anti = (
        differential_cross_sections(shifts, one, 514.5, 400.0, "power", side) for side in ("stokes", "anti-stokes")
    )
    laser = 1e7 / 514.5
    expected = ((laser + shifts) / (laser - shifts)) ** 4 * np.exp(-1.438776877 * shifts / 400.0)
    assert anti / stokes == pytest.approx(expected, rel=1e-8)


def test_photons_and_power_differ_by_the_energy_of_a_photon():
    shifts = np.array([520.0])
    power, photons = (
        differential_cross_sections(shifts, np.ones(1), 785.0, 300.0, detector) for detector in ("power", "photon")
    )
    laser = 1e7 / 785.0
    assert power / photons == pytest.approx((laser - shifts) / laser)


def test_cold_crystals_scatter_to_the_red_only():
    shifts = np.array([300.0])
    assert differential_cross_sections(shifts, np.ones(1), temperature=0.0)[0] > 0
    assert differential_cross_sections(shifts, np.ones(1), temperature=0.0, side="anti-stokes")[0] == 0


def test_imaginary_modes_scatter_nothing():
    assert differential_cross_sections(np.array([-80.0, 0.0]), np.ones(2)).tolist() == [0.0, 0.0]


def test_impossible_conditions_are_reported_together():
    with pytest.raises(UserError, match=r"wavelength is 0\.5 nm.*temperature is -3.*unknown detector 'ccd'"):
        differential_cross_sections(np.ones(1), np.ones(1), 0.5, -3.0, "ccd")
