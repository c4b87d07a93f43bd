"""Molecules of every kind of point group: published vibrations, zero modes, closed formulas, any orientation."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from pymatgen.core import Molecule
from pymatgen.symmetry.analyzer import PointGroupAnalyzer
from scipy.spatial.transform import Rotation

from mlrim.errors import UserError
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from mlrim.vibrations.molecules import external_modes, molecular_vibrations

OCTAHEDRON = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]


def ring(radius, n, height=0.0, turn=0.0):
    angles = 2 * np.pi * np.arange(n) / n + turn
    return [(radius * np.cos(angle), radius * np.sin(angle), height) for angle in angles]


def alternating(radius, height, turn):
    return [(x, y, height * (-1) ** index) for index, (x, y, _) in enumerate(ring(radius, 4, 0, turn))]


def icosahedron(radius):
    golden = (1 + np.sqrt(5)) / 2
    corners = [(0, a, b * golden) for a in (1, -1) for b in (1, -1)]
    corners += [(c, a, b) for a, b, c in corners] + [(b, c, a) for a, b, c in corners]
    return [tuple(radius / np.sqrt(1 + golden**2) * np.array(corner)) for corner in corners]


BUILT = {
    "SF6": Atoms("SF6", [(0, 0, 0), *(1.56 * np.array(OCTAHEDRON))]),
    "XeF4": Atoms("XeF4", [(0, 0, 0), *ring(1.95, 4)]),
    "PF5": Atoms("PF5", [(0, 0, 0), *ring(1.53, 3), (0, 0, 1.58), (0, 0, -1.58)]),
    "S8": Atoms("S8", ring(2.3, 4, 0.5) + ring(2.3, 4, -0.5, np.pi / 4)),
    "IF7": Atoms("IF7", [(0, 0, 0), *ring(1.86, 5), (0, 0, 1.79), (0, 0, -1.79)]),
    "BrF5": Atoms("BrF5", [(0, 0, -0.2), *ring(1.77, 4), (0, 0, 1.5)]),
    "B12H12": Atoms("B12H12", icosahedron(1.69) + icosahedron(2.88)),
    "ferrocene carbons": Atoms("FeC10", [(0, 0, 0), *ring(1.22, 5, 1.65), *ring(1.22, 5, -1.65, np.pi / 5)]),
    "boric acid": Atoms("BO3H3", [(0, 0, 0), *ring(1.36, 3), *ring(1.95, 3, 0, 0.45)]),
    "CHFClBr": Atoms("CHFClBr", [(0, 0, 0), (0, 0, 1.1), (1.3, 0, -0.4), (-0.8, 1.5, -0.5), (-0.9, -1.6, -0.6)]),
    "HDO": Atoms("OHH", molecule("H2O").positions, masses=[15.999, 1.008, 2.014]),
    "S4 ring": Atoms("B4F4H4", ring(1.3, 4) + alternating(2.2, 0.6, 0.2) + alternating(1.9, -0.9, 0.5)),
    "twisted propeller": Atoms("C2H6", [(0, 0, 0.77), (0, 0, -0.77), *ring(1, 3, 1.2, 0.2), *ring(1, 3, -1.2, -0.2)]),
}  # fmt: skip

# Vibrations as published: G. Herzberg, Infrared and Raman Spectra (1945), K. Nakamoto, Infrared and Raman Spectra of
# Inorganic and Coordination Compounds (2009), E. B. Wilson, J. C. Decius and P. C. Cross, Molecular Vibrations (1955)
# (benzene with C2' through atoms), D. E. Weeks and W. G. Harter, J. Chem. Phys. 90, 4744 (1989) (C60), E. L.
# Muetterties et al., Inorg. Chem. 1, 734 (1962) (B12H12).
PUBLISHED = {
    "H2O": ("C2v", "2A1 + B2", "A1 B2", "A1 B2"),
    "NH3": ("C3v", "2A1 + 2E", "A1 E", "A1 E"),
    "CH4": ("Td", "A1 + E + 2T2", "T2", "A1 E T2"),
    "CO2": ("D∞h", "Πu + Σg+ + Σu+", "Πu Σu+", "Σg+"),
    "C2H2": ("D∞h", "Πg + Πu + 2Σg+ + Σu+", "Πu Σu+", "Πg Σg+"),
    "HCN": ("C∞v", "Π + 2Σ+", "Π Σ+", "Π Σ+"),
    "N2": ("D∞h", "Σg+", "", "Σg+"),
    "C6H6": (
        "D6h",
        "2A1g + A2g + A2u + 2B1u + 2B2g + 2B2u + E1g + 3E1u + 4E2g + 2E2u",
        "A2u E1u",
        "A1g E1g E2g",
    ),
    "C2H4": ("D2h", "3Ag + Au + 2B1u + B2g + 2B2u + 2B3g + B3u", "B1u B2u B3u", "Ag B2g B3g"),
    "C2H6": ("D3d", "3A1g + A1u + 2A2u + 3Eg + 3Eu", "A2u Eu", "A1g Eg"),
    "C3H4_D2d": ("D2d", "3A1 + B1 + 3B2 + 4E", "B2 E", "A1 B1 B2 E"),
    "BF3": ("D3h", "A1' + A2'' + 2E'", "A2'' E'", "A1' E'"),
    "H2O2": ("C2", "4A + 2B", "A B", "A B"),
    "SF6": ("Oh", "A1g + Eg + 2T1u + T2g + T2u", "T1u", "A1g Eg T2g"),
    "XeF4": ("D4h", "A1g + A2u + B1g + B2g + B2u + 2Eu", "A2u Eu", "A1g B1g B2g"),
    "PF5": ("D3h", "2A1' + 2A2'' + 3E' + E''", "A2'' E'", "A1' E' E''"),
    "S8": ("D4d", "2A1 + B1 + B2 + 2E1 + 3E2 + 2E3", "B2 E1", "A1 E2 E3"),
    "IF7": ("D5h", "2A1' + 2A2'' + 3E1' + E1'' + 2E2' + E2''", "A2'' E1'", "A1' E1'' E2'"),
    "BrF5": ("C4v", "3A1 + 2B1 + B2 + 3E", "A1 E", "A1 B1 B2 E"),
    "C60": (
        "Ih",
        "2Ag + Au + 6Gg + 6Gu + 8Hg + 7Hu + 3T1g + 4T1u + 4T2g + 5T2u",
        "T1u",
        "Ag Hg",
    ),
    "B12H12": ("Ih", "2Ag + 2Gg + 2Gu + 4Hg + 2Hu + T1g + 3T1u + 2T2u", "T1u", "Ag Hg"),
    "HDO": ("Cs", "3A'", "A'", "A'"),
    "CHFClBr": ("C1", "9A", "A", "A"),
}  # fmt: skip

OTHER_GROUPS = {
    "ferrocene carbons": "D5d", "boric acid": "C3h", "S4 ring": "S4", "twisted propeller": "D3",
    "trans-butane": "C2h", "CH3OH": "Cs", "CH2SCH2": "C2v", "cyclobutane": "D2d", "C3H6_D3h": "D3h", "C2Cl4": "D2h",
}  # fmt: skip


def atoms_of(name):
    if name in BUILT:
        return BUILT[name].copy()
    return molecule(name)


def springs(atoms, across=0.2):
    """Springs between all pairs, with a share that also resists turning (so that rotations are no zero modes)."""
    numbers, positions = atoms.numbers, atoms.positions
    hessian = np.zeros((len(atoms), 3, len(atoms), 3))
    for i in range(len(atoms)):
        for j in range(len(atoms)):
            if i != j:
                vector = positions[j] - positions[i]
                length = np.linalg.norm(vector)
                along = np.outer(vector, vector) / length**2
                block = (20 + numbers[i] * numbers[j] % 7) * np.exp(-length) * (along + across * (np.eye(3) - along))
                hessian[i, :, j] -= block
                hessian[i, :, i] += block
    return hessian.reshape(3 * len(atoms), 3 * len(atoms))


def vibrations(atoms, hessian=None):
    hessian = springs(atoms) if hessian is None else hessian
    return molecular_vibrations(atoms.numbers, atoms.positions, hessian, atoms.get_masses(), tolerance=0.02)


@pytest.mark.parametrize("name", PUBLISHED)
def test_vibrations_are_the_published_ones(name):
    atoms = atoms_of(name)
    found = vibrations(atoms)
    symbol, representation, infrared, raman = PUBLISHED[name]
    assert (found.group.symbol, found.representation) == (symbol, representation)
    irreps = {mode.irrep.symbol: mode.irrep for mode in found.modes}
    assert " ".join(sorted(name for name, irrep in irreps.items() if irrep.infrared)) == infrared
    assert " ".join(sorted(name for name, irrep in irreps.items() if irrep.raman)) == raman


@pytest.mark.parametrize("name", OTHER_GROUPS)
def test_point_groups_of_other_molecules(name):
    assert vibrations(atoms_of(name)).group.symbol == OTHER_GROUPS[name]


@pytest.mark.parametrize("name", [name for name in [*PUBLISHED, *OTHER_GROUPS] if name not in ("HDO", "C60")])
def test_point_groups_are_those_of_pymatgen(name):
    """An implementation that starts from the inertia tensor. (It does not know isotopes.)"""
    atoms = atoms_of(name)
    theirs = PointGroupAnalyzer(Molecule(atoms.numbers, atoms.positions), tolerance=0.05)
    ours = vibrations(atoms).group
    assert ours.symbol.replace("∞", "*") == str(theirs.sch_symbol)
    if "∞" not in ours.symbol and ours.symbol != "S4":  # their S4 lacks the rotoreflections
        assert len(ours.rotations) == len(theirs.get_pointgroup())


@pytest.mark.parametrize("name", ["H2O", "CO2", "C2H2", "N2", "C6H6", "C60", "CHFClBr"])
def test_translations_and_rotations_are_projected_out(name):
    """Six zero modes, of a linear molecule five; every vibration conserves momentum and angular momentum."""
    atoms = atoms_of(name)
    found = vibrations(atoms)
    modes = found.normal_modes
    external = 5 if name in ("CO2", "C2H2", "N2") else 6
    assert len(modes.frequencies) == 3 * len(atoms) - external == len(found.external_cm1) * -1 + 3 * len(atoms)
    assert modes.eigenvectors.T @ modes.eigenvectors == pytest.approx(np.eye(len(modes.frequencies)), abs=1e-9)
    momentum = np.einsum("n,mna->ma", modes.masses, modes.displacements)
    angular = np.einsum("n,mna->ma", modes.masses, np.cross(found.group.positions[None], modes.displacements))
    assert np.abs(momentum).max() < 1e-9
    assert np.abs(angular).max() < 1e-9
    assert np.abs(found.external_cm1).max() > 100  # the springs do resist rotation: the projection was needed


@pytest.mark.parametrize("name", ["H2O", "CH4", "C2H2", "C6H6", "S8", "B12H12"])
def test_results_do_not_depend_on_the_orientation_and_the_order_of_atoms(name):
    atoms = atoms_of(name)
    reference = vibrations(atoms)
    generator = np.random.default_rng(5)
    turn = Rotation.from_rotvec(generator.normal(size=3)).as_matrix()
    order = generator.permutation(len(atoms))
    turned = Atoms(atoms.numbers[order], (atoms.positions @ turn.T + [1.0, -2, 3])[order])
    blocks = springs(atoms).reshape(len(atoms), 3, len(atoms), 3)
    hessian = np.einsum("ab,ibjd,cd->iajc", turn, blocks, turn, optimize=True)[order][:, :, order]
    found = vibrations(turned, hessian.reshape(3 * len(atoms), -1))
    assert [mode.irrep.symbol for mode in found.modes] == [mode.irrep.symbol for mode in reference.modes]
    assert [mode.frequency_cm1 for mode in found.modes] == pytest.approx(
        [mode.frequency_cm1 for mode in reference.modes], abs=1e-3
    )


@pytest.mark.parametrize("name", ["H2O", "NH3", "CH4", "B12H12"])
def test_frequencies_of_central_springs_are_those_of_the_plain_eigenvalue_problem(name):
    """Springs along the lines between atoms do not resist rotation: nothing has to be projected out."""
    atoms = atoms_of(name)
    hessian = springs(atoms, across=0.0)
    found = vibrations(atoms, hessian)
    root = np.sqrt(np.repeat(atoms.get_masses(), 3))
    plain = np.linalg.eigvalsh(hessian / np.outer(root, root))
    assert np.sqrt(np.abs(plain[:6])).max() * SQRT_EIGENVALUE_TO_CM1 < 0.1
    assert np.abs(found.external_cm1).max() < 1e-3
    expected = np.sqrt(plain[6:]) * SQRT_EIGENVALUE_TO_CM1
    assert found.normal_modes.frequencies == pytest.approx(expected, rel=1e-5)


def test_stretching_of_carbon_dioxide_has_the_closed_formulas():
    """ω_s² = k/m_O, ω_a² = k (1/m_O + 2/m_C) with springs between neighbours alone."""
    atoms = molecule("CO2")
    (carbon,) = np.flatnonzero(atoms.numbers == 6)
    stiffness, hessian = 90.0, np.zeros((3, 3, 3, 3))
    for oxygen in np.flatnonzero(atoms.numbers == 8):
        vector = atoms.positions[oxygen] - atoms.positions[carbon]
        block = stiffness * np.outer(vector, vector) / (vector @ vector)
        for i, j, sign in ((carbon, carbon, 1), (oxygen, oxygen, 1), (carbon, oxygen, -1), (oxygen, carbon, -1)):
            hessian[i, :, j] += sign * block
    found = {mode.irrep.symbol: mode.frequency_cm1 for mode in vibrations(atoms, hessian.reshape(9, 9)).modes}
    masses = dict(zip(atoms.numbers, atoms.get_masses(), strict=True))
    symmetric = np.sqrt(stiffness / masses[8]) * 521.470898
    antisymmetric = np.sqrt(stiffness * (1 / masses[8] + 2 / masses[6])) * 521.470898
    assert found["Σg+"] == pytest.approx(symmetric, rel=1e-8)
    assert found["Σu+"] == pytest.approx(antisymmetric, rel=1e-8)
    assert found["Πu"] == pytest.approx(0, abs=1e-3)


def test_imaginary_vibrations_stay_and_are_negative():
    """Only translations and rotations leave, also when vibrations lie below them."""
    atoms = molecule("NH3")
    found = vibrations(atoms, -springs(atoms))
    assert len(found.normal_modes.frequencies) == 6
    assert found.normal_modes.frequencies.max() < -100


def test_rotations_are_taken_about_the_centre_of_mass():
    atoms = molecule("CH3OH")
    shifted = external_modes(atoms.positions + [3.0, 1, -7], atoms.get_masses())
    assert shifted.T @ shifted == pytest.approx(np.eye(6), abs=1e-12)
    assert np.abs(shifted) == pytest.approx(np.abs(external_modes(atoms.positions, atoms.get_masses())), abs=1e-9)


def test_a_slightly_distorted_molecule_has_its_symmetry_back():
    atoms = molecule("C6H6")
    generator = np.random.default_rng(1)
    atoms.positions += generator.uniform(-0.003, 0.003, atoms.positions.shape)
    found = vibrations(atoms)
    assert found.group.symbol == "D6h"
    assert 1e-4 < found.group.deviation < 0.006
    assert found.representation == PUBLISHED["C6H6"][1]


def test_mistakes_are_named():
    atoms = molecule("H2O")
    with pytest.raises(UserError, match="9 × 9"):
        molecular_vibrations(atoms.numbers, atoms.positions, np.eye(6))
    with pytest.raises(UserError, match="two atoms"):
        molecular_vibrations(np.array([8]), np.zeros((1, 3)), np.eye(3))
