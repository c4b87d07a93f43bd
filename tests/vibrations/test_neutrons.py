"""Neutron scattering: sum rules, detailed balance, kinematics, and Euphonic's numbers."""

import json
from itertools import pairwise

import numpy as np
import pytest

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import space_group
from mlrim.units import NEUTRON_MEV_ANGSTROM2, RECOIL_MEV_ANGSTROM2, THZ_TO_MEV
from mlrim.vibrations.coherent_scattering import bose_factors, coherent_powder_map, structure_factors
from mlrim.vibrations.density_of_states import MeshModes, density_of_states, mesh_modes, refined_at_gamma
from mlrim.vibrations.displacements import mean_square_displacements
from mlrim.vibrations.incoherent_scattering import inelastic_spectrum, phonon_expansion
from mlrim.vibrations.neutron import (
    TOSCA_BACKWARD,
    TOSCA_FORWARD,
    NeutronScattering,
    direct_path,
    indirect_path,
    neutron_scattering,
    neutron_weighted_density,
)
from tests.vibrations import euphonic_reference
from tests.vibrations.prototypes import prototype, symmetric_dynamics

KT_300 = 8.617333262e-2 * 300
"""meV"""


@pytest.fixture(scope="module")
def rutile():
    return symmetric_dynamics(prototype("rutile"))


@pytest.fixture(scope="module")
def modes(rutile):
    return refined_at_gamma(rutile, mesh_modes(rutile, (4, 4, 6)))


@pytest.fixture(scope="module")
def displacements(rutile, modes):
    temperatures = np.array([0.0, 300.0])
    return mean_square_displacements(modes, rutile.crystal, space_group(rutile.crystal), temperatures)


@pytest.fixture(scope="module")
def stored():
    return json.loads(euphonic_reference.STORED.read_text(encoding="utf-8"))


def expansion(rutile, modes, energies, fwhm=1.0, temperature=300.0, **options):
    return phonon_expansion(modes, rutile.crystal, space_group(rutile.crystal), temperature, energies, fwhm, **options)


def oscillator(frequency_thz: float, mass: float) -> tuple[MeshModes, Crystal]:
    """One atom on equal springs: three modes of one frequency."""
    crystal = Crystal(4 * np.eye(3), np.zeros((1, 3)), np.array([1]), np.array([mass]))
    one = np.ones((1, 3))
    return (
        MeshModes((1, 1, 1), np.zeros((1, 3)), np.ones(1), one * frequency_thz, {"H": one}, np.eye(3)[None] + 0j),
        crystal,
    )


def test_tabulated_cross_sections_are_those_of_sears():
    """V. F. Sears, Neutron News 3, 26 (1992), total bound cross-sections in barn; the newer table is near them."""
    numbers = np.array([1, 1, 8, 23, 28, 26, 13])
    masses = np.array([1.008, 2.014, 15.999, 50.94, 58.69, 55.85, 26.98])
    table = neutron_scattering(Crystal(20 * np.eye(3), np.arange(21.0).reshape(7, 3), numbers, masses))
    assert table.cross_section("total") == pytest.approx([82.02, 7.64, 4.232, 5.10, 18.5, 11.62, 1.503], rel=3e-3)
    assert table.lengths == pytest.approx([-3.739, 6.671, 5.803, -0.3824, 10.3, 9.45, 3.449], rel=1e-3, abs=0.07)
    assert 4 * np.pi * table.lengths**2 / 100 == pytest.approx(table.coherent, rel=0.02, abs=0.01)


def test_elements_without_a_scattering_length_are_named():
    with pytest.raises(UserError, match="Po"):
        neutron_scattering(Crystal(4 * np.eye(3), np.zeros((1, 3)), np.array([84])))


def test_the_weighted_density_counts_cross_section_over_mass(rutile, modes):
    dos = density_of_states(modes)
    weighted = neutron_weighted_density(dos, rutile.crystal)
    expected = 2 * 3 * 4.355 / 47.867 + 4 * 3 * 4.232 / 15.999
    assert np.trapezoid(weighted.total, weighted.frequencies) == pytest.approx(expected, rel=1e-3)
    assert np.trapezoid(weighted.normalized, weighted.frequencies) == pytest.approx(18, rel=1e-6)
    assert weighted.projected["O"] == pytest.approx(dos.projected["O"] * 4.232 / 15.999)
    coherent = neutron_weighted_density(dos, rutile.crystal, cross_section="coherent")
    assert coherent.projected["Ti"] == pytest.approx(dos.projected["Ti"] * 1.485 / 47.867)


def test_the_cross_section_of_all_orders_is_that_of_a_free_atom(rutile, modes):
    """∫ S dE with the elastic line is Σ σ/4π at every Q, and ∫ E S dE is the recoil energy ħ²Q²/2m."""
    energies = np.arange(-900, 900, 0.25)
    found = expansion(rutile, modes, energies, orders=12)
    lengths = np.array([0.5, 2.0, 6.0, 12.0])
    table = neutron_scattering(rutile.crystal)
    spectrum = found.map(lengths)
    area = spectrum.sum(axis=1) * 0.25 + found.elastic(lengths)
    total = table.cross_section("total")
    assert area == pytest.approx(np.full(4, total.sum() / (4 * np.pi)), rel=1e-6)
    recoil = np.sum(total / rutile.crystal.masses) / (4 * np.pi) * RECOIL_MEV_ANGSTROM2 * lengths**2
    assert (spectrum @ energies) * 0.25 == pytest.approx(recoil, rel=1e-5)
    assert found.omitted(lengths).max() < 1e-9


@pytest.mark.parametrize("temperature", [300.0, 900.0])
def test_gain_and_loss_obey_detailed_balance(rutile, modes, temperature):
    """S(Q, −E) = exp(−E/kT) S(Q, E)."""
    energies = np.arange(-100, 100.01, 0.5)
    loss = expansion(rutile, modes, energies, fwhm=1.5, temperature=temperature).map(np.array([3.0]))[0]
    strong = (energies > 30) & (loss > 0.05 * loss.max())
    slope = np.log(loss[strong] / loss[::-1][strong]) / energies[strong]
    assert slope == pytest.approx(1 / (KT_300 * temperature / 300), rel=0.05)


def test_at_rest_there_is_no_gain(rutile, modes):
    energies = np.arange(-100, 100, 0.5)
    spectrum = expansion(rutile, modes, energies, temperature=0.0).map(np.array([2.0]))[0]
    assert np.abs(spectrum[energies < -5]).max() < 1e-9 * spectrum.max()


def test_an_oscillator_has_the_closed_series():
    """A proton on springs of 10 THz at rest: S_n = σ/4π exp(−Q²u) (Q²u)^n/n! at n·41.36 meV, u = 0.505379/(2·…) Å²."""
    modes, crystal = oscillator(10.0, 1.008)
    energies = np.arange(-20, 300, 0.05)
    found = phonon_expansion(modes, crystal, space_group(crystal), 0.0, energies, 1.0, orders=6)
    displacement = 0.505379 / 1.008 / 10
    assert found.displacements == pytest.approx([displacement], rel=1e-5)
    spectrum = found.map(np.array([5.0]))[0]
    mean = 25 * displacement
    for order in range(1, 6):
        window = np.abs(energies - order * 10 * THZ_TO_MEV) < 5
        expected = 82.0168 / (4 * np.pi) * np.exp(-mean) * mean**order / [1, 2, 6, 24, 120][order - 1]
        assert spectrum[window].sum() * 0.05 == pytest.approx(expected, rel=1e-4)


def test_equivalent_atoms_share_their_motion(rutile, modes, displacements):
    found = expansion(rutile, modes, np.arange(1.0, 90))
    assert len(found.atoms) == 2
    assert found.displacements == pytest.approx(displacements.isotropic[1][found.atoms], rel=1e-6)
    assert found.cross_sections == pytest.approx([2 * 4.355, 4 * 4.232])


@pytest.mark.parametrize("degree", [5, 11])
def test_sum_rules_hold_for_the_average_over_directions(rutile, modes, degree):
    energies = np.arange(-400, 400, 0.25)
    found = expansion(rutile, modes, energies, orders=6, degree=degree)
    lengths = np.array([1.0, 4.0])
    spectrum, table = found.map(lengths), neutron_scattering(rutile.crystal)
    total = table.cross_section("total")
    area = spectrum.sum(axis=1) * 0.25 + found.elastic(lengths)
    assert area == pytest.approx(np.full(2, total.sum() / (4 * np.pi)), rel=1e-6)
    recoil = np.sum(total / rutile.crystal.masses) / (4 * np.pi) * RECOIL_MEV_ANGSTROM2 * lengths**2
    assert (spectrum @ energies) * 0.25 == pytest.approx(recoil, rel=1e-5)


def test_in_a_cubic_crystal_all_directions_are_alike():
    """Sites of cubic symmetry: the average over directions is the average motion."""
    dynamics = symmetric_dynamics(prototype("rocksalt"))
    crystal, group = dynamics.crystal, space_group(dynamics.crystal)
    modes, energies = mesh_modes(dynamics, (4, 4, 4)), np.arange(-80, 80.0)
    plain = phonon_expansion(modes, crystal, group, 300.0, energies, 1.0, degree=0).map(np.array([4.0]))
    averaged = phonon_expansion(modes, crystal, group, 300.0, energies, 1.0, degree=7).map(np.array([4.0]))
    assert averaged == pytest.approx(plain, rel=1e-8, abs=1e-12)


def test_the_powder_average_of_an_anisotropic_oscillator_is_its_integral():
    """Springs of 4, 12 and 12 THz: ∫ dcosθ Q²cos²θ u exp(−Q²(u cos²θ + u' sin²θ)) for the line at 4 THz."""
    crystal = Crystal(np.diag([4.0, 5, 6]), np.zeros((1, 3)), np.array([1]), np.array([1.008]))
    frequencies = np.array([[4.0, 12.0, 12.0]])
    modes = MeshModes((1, 1, 1), np.zeros((1, 3)), np.ones(1), frequencies, {}, np.eye(3)[None] + 0j)
    energies = np.arange(5, 30, 0.05)
    soft, hard = 0.505379 / 1.008 / 4, 0.505379 / 1.008 / 12
    cosine = (np.arange(20000) + 0.5) / 20000
    strength = 64 * cosine**2 * soft * np.exp(-64 * (soft * cosine**2 + hard * (1 - cosine**2)))
    expected = 82.0168 / (4 * np.pi) * strength.mean()
    found = {
        degree: phonon_expansion(modes, crystal, space_group(crystal), 0.0, energies, 1.0, orders=1, degree=degree)
        .map(np.array([8.0]))[0].sum() * 0.05
        for degree in (0, 29)
    }  # fmt: skip
    assert found[29] == pytest.approx(expected, rel=1e-4)
    assert abs(found[0] / expected - 1) > 0.1


def test_a_degree_without_a_rule_is_refused(rutile, modes):
    with pytest.raises(UserError, match="Lebedev"):
        expansion(rutile, modes, np.arange(1.0, 9), degree=4)


def test_a_path_has_the_values_of_the_map(rutile, modes):
    energies = np.linspace(5, 100, 96)
    found = expansion(rutile, modes, energies)
    lengths = indirect_path(energies, TOSCA_BACKWARD)
    along = found.along(lengths)
    assert along.sum(axis=0) == pytest.approx(np.diag(found.map(lengths)), rel=1e-10)
    assert along.min() > -1e-12


def test_an_indirect_spectrum_is_mostly_one_phonon_where_the_atoms_are_heavy(rutile, modes):
    spectrum = inelastic_spectrum(modes, rutile.crystal, space_group(rutile.crystal), TOSCA_BACKWARD, orders=6)
    assert np.all(spectrum.total >= spectrum.one_phonon - 1e-12)
    assert 0.7 < spectrum.one_phonon.max() / spectrum.total.max() <= 1
    assert spectrum.omitted < 1e-6
    forward = inelastic_spectrum(modes, rutile.crystal, space_group(rutile.crystal), TOSCA_FORWARD, orders=6)
    assert forward.total.max() < spectrum.total.max()


def test_momentum_transfer_of_the_spectrometers():
    """TOSCA: Q² tends to E/2.07 meV Å²; elastic scattering in direct geometry has 2 k sin(θ/2)."""
    energies = np.array([0.0, 100.0, 500.0])
    lengths = indirect_path(energies, TOSCA_BACKWARD)
    assert lengths[0] == pytest.approx(
        2 * np.sqrt(3.96751 / NEUTRON_MEV_ANGSTROM2) * np.sin(np.radians(67.5)), rel=1e-5
    )
    assert lengths[2] ** 2 / (500 / 2.0721) == pytest.approx(1.14, abs=0.01)
    assert direct_path(np.zeros(1), 100.0, 60.0) == pytest.approx(np.sqrt(100 / NEUTRON_MEV_ANGSTROM2), rel=1e-9)
    assert TOSCA_BACKWARD.fwhm(np.array([0.0])) == pytest.approx([2.5 * 0.12398420 * 2.3548200], rel=1e-6)


@pytest.mark.parametrize(
    ("energies", "call"),
    [
        (np.array([-10.0, 5.0]), lambda energies: indirect_path(energies, TOSCA_BACKWARD)),
        (np.array([5.0, 60.0]), lambda energies: direct_path(energies, 50.0, 90.0)),
    ],
)
def test_impossible_energy_transfers_are_refused(energies, call):
    with pytest.raises(UserError, match="meV"):
        call(energies)


def test_a_width_of_zero_is_refused(rutile, modes):
    with pytest.raises(UserError, match="positive"):
        expansion(rutile, modes, np.arange(1.0, 9), fwhm=0.0)
    with pytest.raises(UserError, match="larger width"):
        expansion(rutile, modes, np.arange(1.0, 9), fwhm=1e-3)


def compare_with_euphonic(reference):
    dynamics = euphonic_reference.wurtzite()
    crystal = dynamics.crystal
    modes = mesh_modes(dynamics, euphonic_reference.MESH)
    tensors = mean_square_displacements(
        modes, crystal, space_group(crystal), np.array([euphonic_reference.TEMPERATURE])
    ).tensors[0]
    assert tensors / 2 == pytest.approx(np.array(reference["debye_waller_angstrom2"]), abs=1e-9)
    lengths = np.array([euphonic_reference.LENGTHS[symbol] for symbol in crystal.symbols])
    scattering = NeutronScattering(lengths, np.zeros(4), np.zeros(4))
    wave_vectors = 2 * np.pi * euphonic_reference.WAVE_VECTORS @ crystal.reciprocal
    factors = structure_factors(dynamics, wave_vectors, tensors, scattering)
    assert factors.energies == pytest.approx(np.array(reference["frequencies_mev"]), abs=1e-5)
    theirs = np.array(reference["structure_factors_mbarn"])
    assert 1000 / 4 * factors.strengths == pytest.approx(theirs, rel=1e-5, abs=1e-7 * theirs.max())
    energies = np.arange(-20, 120, 0.1)
    powder = coherent_powder_map(
        dynamics,
        tensors,
        euphonic_reference.TEMPERATURE,
        np.array([euphonic_reference.POWDER_LENGTH]),
        energies,
        fwhm=0.5,
        directions=1500,
        scattering=scattering,
    )[0]
    edges = euphonic_reference.POWDER_EDGES
    sums = [powder[(energies >= low) & (energies < high)].sum() * 0.1 for low, high in pairwise(edges)]
    theirs = np.array(reference["powder_mbarn"])
    assert 1000 / 4 * np.array(sums) == pytest.approx(theirs, rel=0.01, abs=2e-3 * theirs.sum())


def test_coherent_scattering_is_that_of_euphonic(stored):
    """Single wave vectors to 1e-5, the powder average to 1 % (other directions of Q); no inversion centre."""
    compare_with_euphonic(stored)


@pytest.mark.filterwarnings("ignore:More than one OpenMP library")
def test_coherent_scattering_is_that_of_the_installed_euphonic():
    pytest.importorskip("euphonic", reason="Euphonic is not installed (pip install euphonic): stored numbers are used")
    compare_with_euphonic(euphonic_reference.euphonic_numbers())


def test_powder_average_obeys_detailed_balance(rutile, displacements):
    """The gain side of a line is exp(−E/kT) times its loss side."""
    energies = np.arange(-110, 110.01, 0.5)
    powder = coherent_powder_map(rutile, displacements.tensors[1], 300.0, np.array([2.7]), energies, 2.0, directions=60)
    gain, loss = powder[0][::-1], powder[0]
    strong = (loss > 0.2 * loss.max()) & (energies > 20)
    ratio = np.log(loss[strong] / gain[strong]) / energies[strong]
    assert ratio == pytest.approx(1 / KT_300, rel=0.05)


def test_debye_waller_factors_only_weaken(rutile, displacements):
    wave_vectors = np.array([[3.1, 2.2, -4.0]])
    still = structure_factors(rutile, wave_vectors, np.zeros_like(displacements.tensors[0]))
    moving = structure_factors(rutile, wave_vectors, displacements.tensors[1])
    assert 0.5 * still.strengths.sum() < moving.strengths.sum() < still.strengths.sum()


def test_structure_factors_are_those_of_a_monatomic_chain_formula():
    """One atom in the cell: ħ²Q²/(2mE) b² cos² between Q and the polarisation; the sum over the three modes of 1/E."""
    dynamics = symmetric_dynamics(prototype("rocksalt"))
    crystal = dynamics.crystal
    wave_vector = np.array([[0.4, 0.3, 0.2]])
    lengths = np.array([1.0, 0.0])
    factors = structure_factors(
        dynamics, wave_vector, np.zeros((2, 3, 3)), NeutronScattering(lengths, lengths, lengths)
    )
    quanta = dynamics.modes(wave_vector @ crystal.lattice.T / (2 * np.pi))
    projection = np.abs(np.einsum("a,am->m", wave_vector[0], quanta.eigenvectors[0][:3])) ** 2
    energies = quanta.frequencies[0] * THZ_TO_MEV
    expected = RECOIL_MEV_ANGSTROM2 / crystal.masses[0] * projection / energies / 100
    assert factors.strengths[0] == pytest.approx(expected, rel=1e-9)
    first_moment = np.sum(factors.strengths * factors.energies)
    assert first_moment == pytest.approx(RECOIL_MEV_ANGSTROM2 / crystal.masses[0] * 0.29 / 100, rel=1e-9)


def test_bose_factors_tend_to_their_limits():
    loss, gain = bose_factors(np.array([-5.0, 0.0, 1.0, 500.0]), 300.0)
    assert loss[:2].tolist() == [1, 1]
    assert gain[:2].tolist() == [0, 0]
    assert gain[2] == pytest.approx(KT_300 - 0.5, rel=1e-3)
    assert loss[3] == pytest.approx(1, abs=1e-8)
