"""Intensities of molecules: closed formulas, selection rules, numbers of PySCF, any orientation and order of atoms."""

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from datamodules.molecules.shipped import molecule_names, reference, shipped_configurations
from mlrim.errors import UserError
from mlrim.spectra.molecules import gas_spectra
from mlrim.spectra.settings import SpectraSettings
from mlrim.units import CHARGE_TO_DEBYE_PER_ANGSTROM
from mlrim.vibrations.molecular_spectra import (
    DipoleDerivatives,
    infrared_intensities,
    raman_activities,
    symmetric_derivatives,
)
from mlrim.vibrations.molecules import molecular_vibrations
from tests.vibrations.test_molecules import springs

MOLECULES = {
    "water": ("C2v", "2A1 + B2", "A1 B2", "A1 B2"),
    "methane": ("Td", "A1 + E + 2T2", "T2", "A1 E T2"),
    "ammonia": ("C3v", "2A1 + 2E", "A1 E", "A1 E"),
    "hydrogen_peroxide": ("C2", "4A + 2B", "A B", "A B"),
    "carbon_dioxide": ("D∞h", "Πu + Σg+ + Σu+", "Πu Σu+", "Σg+"),
    "acetylene": ("D∞h", "Πg + Πu + 2Σg+ + Σu+", "Πu Σu+", "Πg Σg+"),
    "ethylene": ("D2h", "3Ag + Au + 2B1u + B2g + 2B2u + 2B3g + B3u", "B1u B2u B3u", "Ag B2g B3g"),
    "benzene": (
        "D6h",
        "2A1g + A2g + A2u + 2B1u + 2B2g + 2B2u + E1g + 3E1u + 4E2g + 2E2u",
        "A2u E1u",
        "A1g E1g E2g",
    ),
}
"""Point group, vibrations, infrared- and Raman-active irreps: G. Herzberg, Infrared and Raman Spectra (1945)."""
NAMES = list(MOLECULES)


def equilibrium(name):
    found = shipped_configurations(name)[0]
    return found, DipoleDerivatives(found.dipole_derivatives, found.polarizability_derivatives, "PySCF")


def vibrations_of(configuration):
    return molecular_vibrations(
        configuration.numbers, configuration.positions, configuration.hessian, configuration.masses
    )


@pytest.mark.parametrize("name", molecule_names())
def test_frequencies_are_those_of_pyscf(name):
    configuration, _ = equilibrium(name)
    found = vibrations_of(configuration)
    expected = reference(name)["frequencies"]
    assert found.normal_modes.frequencies == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_point_groups_and_vibrations_are_the_published_ones(name):
    found = vibrations_of(equilibrium(name)[0])
    assert (found.group.symbol, found.representation) == MOLECULES[name][:2]


@pytest.mark.parametrize("name", NAMES)
def test_only_modes_that_symmetry_allows_have_intensity(name):
    """The raw derivatives of PySCF, not yet averaged: what is forbidden is small by itself, what is allowed is not."""
    configuration, derivatives = equilibrium(name)
    found = vibrations_of(configuration)
    infrared = infrared_intensities(found, derivatives.dipole)
    raman = raman_activities(found, derivatives.polarizability).activity
    for values, active, irreps in (
        (infrared, [mode.irrep.infrared for mode in found.modes], MOLECULES[name][2]),
        (raman, [mode.irrep.raman for mode in found.modes], MOLECULES[name][3]),
    ):
        assert " ".join(sorted({m.irrep.symbol for m, flag in zip(found.modes, active) if flag})) == irreps
        assert values[~np.array(active)].max(initial=0.0) < 1e-6 * values.max()
        assert values[active].min() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_average_over_the_point_group_changes_next_to_nothing_and_makes_silence_exact(name):
    configuration, derivatives = equilibrium(name)
    found = vibrations_of(configuration)
    averaged, changes = symmetric_derivatives(derivatives, found.group)
    assert max(changes.values()) < 1e-4
    for active, before, after in (
        (
            [mode.irrep.infrared for mode in found.modes],
            infrared_intensities(found, derivatives.dipole),
            infrared_intensities(found, averaged.dipole),
        ),
        (
            [mode.irrep.raman for mode in found.modes],
            raman_activities(found, derivatives.polarizability).activity,
            raman_activities(found, averaged.polarizability).activity,
        ),
    ):
        assert after == pytest.approx(before, rel=1e-4, abs=1e-5 * before.max())
        assert after[~np.array(active)].max(initial=0.0) < 1e-20 * after.max()


def test_depolarisation_ratios_follow_from_symmetry():
    """Totally symmetric modes of a cubic group scatter polarised light only; others have three quarters."""
    configuration, derivatives = equilibrium("methane")
    found = vibrations_of(configuration)
    ratios = raman_activities(found, derivatives.polarizability).depolarization_ratio
    for mode, ratio in zip(found.modes, ratios, strict=True):
        assert ratio == pytest.approx(0.0 if mode.irrep.symbol == "A1" else 0.75, abs=1e-6)


def test_water_has_the_intensities_of_published_hartree_fock_calculations():
    """HF/6-31G*, as in J. B. Foresman and A. Frisch, Exploring Chemistry (1996): 107.3, 18.2 and 58.1 km/mol.

    Those are with six d functions, the shipped data with five, which is good for three per cent.
    """
    configuration, derivatives = equilibrium("water")
    found = infrared_intensities(vibrations_of(configuration), derivatives.dipole)
    assert found == pytest.approx([107.27, 18.22, 58.11], rel=0.03)


def test_a_diatomic_molecule_has_the_closed_formula():
    """A = 42.256 km/mol (∂μ/∂r)²/m_red in (D/Å)²/amu; ∂α/∂r of a bond gives a² and γ² directly."""
    atoms = molecule("HCl")
    slope, along, across = 0.92 / CHARGE_TO_DEBYE_PER_ANGSTROM, 1.3, 0.4
    axis = (atoms.positions[1] - atoms.positions[0]) / np.linalg.norm(atoms.positions[1] - atoms.positions[0])
    dipole = slope * np.einsum("i,k->ik", axis, axis)
    polarizability = along * np.einsum("i,j,k->ijk", axis, axis, axis)
    polarizability += across * np.einsum("ij,k->ijk", np.eye(3) - np.outer(axis, axis), axis)
    found = molecular_vibrations(atoms.numbers, atoms.positions, springs(atoms, 0.0), atoms.get_masses())
    reduced = 1 / np.sum(1 / atoms.get_masses())
    assert infrared_intensities(found, np.array([-dipole, dipole]))[0] == pytest.approx(
        42.256 * 0.92**2 / reduced, rel=1e-4
    )
    raman = raman_activities(found, np.array([-polarizability, polarizability]))
    assert raman.isotropic[0] == pytest.approx(((along + 2 * across) / 3) ** 2 / reduced)
    assert raman.anisotropic[0] == pytest.approx((along - across) ** 2 / reduced)


@pytest.mark.parametrize("name", NAMES)
def test_intensities_do_not_depend_on_the_orientation_and_the_order_of_atoms(name):
    configuration, derivatives = equilibrium(name)
    generator = np.random.default_rng(3)
    turn = Rotation.from_rotvec(generator.normal(size=3)).as_matrix()
    order, n = generator.permutation(configuration.n_atoms), configuration.n_atoms
    blocks = configuration.hessian.reshape(n, 3, n, 3)
    hessian = np.einsum("ab,ibjd,cd->iajc", turn, blocks, turn, optimize=True)[order][:, :, order]
    found = molecular_vibrations(
        configuration.numbers[order],
        (configuration.positions @ turn.T + [1, 2, 3])[order],
        hessian.reshape(3 * n, 3 * n),
        configuration.masses[order],
    )
    dipole = np.einsum("ia,kc,nac->nik", turn, turn, derivatives.dipole)[order]
    tensors = np.einsum("ia,jb,kc,nabc->nijk", turn, turn, turn, derivatives.polarizability, optimize=True)[order]
    reference_vibrations = vibrations_of(configuration)
    assert [mode.irrep.symbol for mode in found.modes] == [mode.irrep.symbol for mode in reference_vibrations.modes]
    assert infrared_intensities(found, dipole) == pytest.approx(
        infrared_intensities(reference_vibrations, derivatives.dipole), rel=1e-5, abs=1e-5
    )
    assert raman_activities(found, tensors).activity == pytest.approx(
        raman_activities(reference_vibrations, derivatives.polarizability).activity, rel=1e-5, abs=1e-5
    )


@pytest.mark.parametrize("shape", ["lorentzian", "gaussian", "voigt", "oscillator"])
def test_spectra_have_the_area_of_their_lines(shape):
    configuration, derivatives = equilibrium("methane")
    found = vibrations_of(configuration)
    settings = SpectraSettings(lines=shape, wavenumbers=(0.0, 40000.0, 1.0))
    spectra = gas_spectra(found, derivatives, settings)
    area = np.trapezoid(spectra.infrared.absorption, spectra.infrared.wavenumbers)
    assert area == pytest.approx(100 * spectra.infrared.intensities.sum(), rel=2e-3)
    expected = [spectra.raman.invariants.crossed.argmax(), spectra.raman.invariants.parallel.argmax()]
    strongest = [found.modes[index].frequency_cm1 for index in expected]
    peaks = [spectra.raman.crossed.argmax(), spectra.raman.parallel.argmax()]
    assert [found.modes[index].irrep.symbol for index in expected] == ["T2", "A1"]
    assert spectra.raman.wavenumbers[peaks] == pytest.approx(strongest, abs=2)


def test_what_is_not_known_is_absent_with_a_reason():
    configuration, _ = equilibrium("methane")
    spectra = gas_spectra(vibrations_of(configuration), DipoleDerivatives(), SpectraSettings())
    assert (spectra.infrared, spectra.raman) == (None, None)
    assert "dipole_derivatives" in spectra.absent["infrared"]
    assert "polarizability_derivatives" in spectra.absent["raman"]
    nitrogen = molecule("N2")
    alone = molecular_vibrations(nitrogen.numbers, nitrogen.positions, springs(nitrogen))
    silent = gas_spectra(alone, DipoleDerivatives(dipole=np.zeros((2, 3, 3))), SpectraSettings())
    assert "no vibration is infrared-active" in silent.absent["infrared"]


def test_derivatives_of_another_molecule_are_refused():
    configuration, _ = equilibrium("water")
    _, derivatives = equilibrium("methane")
    with pytest.raises(UserError, match="of 5 atoms, but the molecule has 3"):
        symmetric_derivatives(derivatives, vibrations_of(configuration).group)
