"""The molecules that come with mlrim: labels that are derivatives of each other, and how they were made."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.configurations import ConfigurationStore, decode_configuration
from datamodules.molecules.generate import EQUILIBRIUM, PLANS, TEMPERATURES
from datamodules.molecules.sampling import thermal_displacements
from datamodules.molecules.shipped import FOLDER, molecule_names, reference, shipped_configurations
from mlrim.errors import UserError
from mlrim.lattice.crystal import standard_masses
from mlrim.units import (
    AVOGADRO,
    BOLTZMANN,
    CHARGE_TO_DEBYE_PER_ANGSTROM,
    ELEMENTARY_CHARGE,
    HARTREE,
    THZ_TO_CM1,
    THZ_TO_MEV,
)
from mlrim.vibrations.molecules import molecular_vibrations

NAMES = molecule_names()
DISPLACED = [name for name in NAMES if len(shipped_configurations(name)) > 1]
WITH_TORSION = ("ethanol", "methanol", "ethane", "methylamine", "hydrogen_peroxide")


def test_the_molecules_of_the_plan_are_there() -> None:
    assert set(NAMES) <= set(PLANS)
    assert {"methane", "water", "benzene"} <= set(NAMES)
    assert {"methane", "water", "ammonia", "ethanol"} <= set(DISPLACED)
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 3e6


@pytest.mark.parametrize("name", NAMES)
def test_equilibrium_is_one_and_knows_everything(name: str) -> None:
    rest = shipped_configurations(name)[0]
    assert rest.id == f"{name}-{EQUILIBRIUM}"
    assert len(rest.labels) == 7
    assert np.abs(rest.forces).max() < 1e-6
    assert rest.theory.startswith("RHF/6-31G*")
    assert str(rest.details["program"]).startswith("PySCF 2")


@pytest.mark.parametrize("name", NAMES)
def test_frequencies_are_those_of_pyscf_and_real(name: str) -> None:
    rest, known = shipped_configurations(name)[0], reference(name)
    found = molecular_vibrations(rest.numbers, rest.positions, rest.hessian).normal_modes.frequencies
    np.testing.assert_allclose(np.sort(found), known["frequencies"], atol=0.1)
    np.testing.assert_array_equal(known["masses"], standard_masses(rest.numbers))
    assert known["frequencies"][0] > 100


@pytest.mark.parametrize("name", NAMES)
def test_thermal_properties_of_pyscf_have_the_stated_units(name: str) -> None:
    known = reference(name)
    quanta = np.array(known["frequencies"]) / THZ_TO_CM1 * THZ_TO_MEV / 1e3  # eV
    assert known["zero_point_energy"] == pytest.approx(quanta.sum() / 2, rel=1e-6)
    x = quanta * ELEMENTARY_CHARGE / (BOLTZMANN * 298.15)
    heat = BOLTZMANN * AVOGADRO * np.sum(x**2 * np.exp(-x) / (1 - np.exp(-x)) ** 2)
    assert known["vibrational_heat_capacity"] == pytest.approx(heat, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_sum_rules_of_neutral_molecules(name: str) -> None:
    """A translation changes neither energy, forces, dipole nor polarizability."""
    for one in shipped_configurations(name):
        np.testing.assert_allclose(one.forces.sum(0), 0, atol=1e-5)
        if one.hessian is not None:
            blocks = one.hessian.reshape(one.n_atoms, 3, one.n_atoms, 3)
            np.testing.assert_allclose(blocks.sum(0), 0, atol=2e-4)
            np.testing.assert_allclose(one.dipole_derivatives.sum(0), 0, atol=1e-5)
        if one.polarizability_derivatives is not None:
            np.testing.assert_allclose(one.polarizability_derivatives.sum(0), 0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_turning_the_molecule_turns_forces_dipole_and_polarizability(name: str) -> None:
    """Second derivatives at equilibrium: rotation costs nothing, and the derivatives are those of turned tensors."""
    rest = shipped_configurations(name)[0]
    generator = np.array([[0.0, -0.3, 0.5], [0.3, 0, -0.7], [-0.5, 0.7, 0]])
    turn = rest.positions @ generator.T
    np.testing.assert_allclose(rest.hessian @ turn.ravel(), 0, atol=1e-3)
    dipole = np.einsum("aij,aj->i", rest.dipole_derivatives, turn)
    np.testing.assert_allclose(dipole, generator @ rest.dipole, atol=1e-5)
    polarizability = np.einsum("aijk,ak->ij", rest.polarizability_derivatives, turn)
    turned = generator @ rest.polarizability + rest.polarizability @ generator.T
    np.testing.assert_allclose(polarizability, turned, atol=1e-4)


def neighbours(name: str) -> list[tuple]:
    """Pairs of a displaced geometry with Hessian and the equilibrium."""
    rest, *others = shipped_configurations(name)
    return [(rest, one) for one in others if one.hessian is not None and one.details["temperature"] == TEMPERATURES[0]]


@pytest.mark.parametrize("name", DISPLACED)
def test_energies_follow_from_forces_and_hessians_along_the_way(name: str) -> None:
    """∫F dx between two geometries by the trapezoidal rule, corrected by the slopes of F: of fifth order.

    Straight displacements along a torsion stretch bonds, so that the higher orders weigh more where there is one.
    """
    pairs = neighbours(name)
    assert pairs
    found, expected, plain = [], [], []
    for rest, one in pairs:
        way = (one.positions - rest.positions).ravel()
        work = (rest.forces + one.forces).ravel() @ way / 2
        plain.append(-work)
        found.append(-work + way @ (rest.hessian - one.hessian) @ way / 12)
        expected.append(one.energy - rest.energy)
    error, uncorrected = (np.abs(np.subtract(values, expected)).mean() for values in (found, plain))
    assert error < (0.02 if name in WITH_TORSION else 0.01) * np.mean(expected)
    assert error < uncorrected / 3


@pytest.mark.parametrize("name", DISPLACED)
def test_forces_and_dipoles_follow_from_their_derivatives(name: str) -> None:
    """The trapezoidal rule over the second derivatives at both ends is far better than those at one end."""
    errors = []
    for rest, one in neighbours(name):
        way = (one.positions - rest.positions).ravel()
        for ends, start, stop in (
            ((-rest.hessian, -one.hessian), rest.forces.ravel(), one.forces.ravel()),
            ([_rows(c.dipole_derivatives) for c in (rest, one)], rest.dipole, one.dipole),
        ):
            at_one, at_both = ends[0] @ way, (ends[0] + ends[1]) @ way / 2
            errors.append([np.abs(stop - start - change).mean() for change in (at_one, at_both)])
    forces, dipoles = np.mean(errors[::2], axis=0), np.mean(errors[1::2], axis=0)
    assert forces[1] < 0.35 * forces[0]
    assert dipoles[1] < 0.35 * dipoles[0] or dipoles[0] < 1e-4


def _rows(derivatives: np.ndarray) -> np.ndarray:
    """[atom, i, j] as a matrix with a row for every component i."""
    return derivatives.transpose(1, 0, 2).reshape(3, -1)


def test_methane_is_what_the_tables_say() -> None:
    """RHF/6-31G* of methane: energy, bond and frequencies as tabulated (NIST CCCBDB: −40.195 Eh, 1.0835 Å)."""
    rest, known = shipped_configurations("methane")[0], reference("methane")
    assert rest.energy / HARTREE == pytest.approx(-40.195, abs=1e-3)
    assert np.linalg.norm(rest.positions[1] - rest.positions[0]) == pytest.approx(1.084, abs=2e-3)
    levels = np.array(known["frequencies"])[[0, 3, 5, 6]]
    np.testing.assert_allclose(levels, [1488, 1703, 3197, 3302], atol=10)


def test_water_has_the_dipole_of_the_tables() -> None:
    """NIST CCCBDB: 2.20 D."""
    dipole = np.linalg.norm(shipped_configurations("water")[0].dipole) * CHARGE_TO_DEBYE_PER_ANGSTROM
    assert dipole == pytest.approx(2.20, abs=0.03)


def test_displacements_have_the_energy_of_their_temperature() -> None:
    """Half of k_B T in every mode, by the harmonic energy of many draws."""
    rest = shipped_configurations("methane")[0]
    generator = np.random.default_rng(3)
    energies = []
    for _ in range(2000):
        moves = thermal_displacements(rest.positions, rest.hessian, rest.masses, 400.0, generator)
        energies.append(moves.ravel() @ rest.hessian @ moves.ravel() / 2)
        np.testing.assert_allclose(rest.masses @ moves, 0, atol=1e-12)
    expected = 9 / 2 * BOLTZMANN / ELEMENTARY_CHARGE * 400.0
    assert np.mean(energies) == pytest.approx(expected, rel=0.05)


def test_shipped_molecules_become_a_data_set(tmp_path: Path) -> None:
    build(BuildOptions("molecules", tmp_path / "set", select="water/*", limit=3, workers=1, quiet=True))
    store = ConfigurationStore(tmp_path / "set")
    assert store.ids == ("water-0001", "water-0002", "water-equilibrium")
    np.testing.assert_array_equal(store["water-0001"].hessian, shipped_configurations("water")[1].hessian)
    assert store.index[0].group == "water"


def test_unknown_molecules_are_named() -> None:
    with pytest.raises(UserError, match="no molecule 'gold'; there are"):
        shipped_configurations("gold")


class TestCalculations:
    """With PySCF, where it is installed."""

    @pytest.fixture(autouse=True)
    def _pyscf(self) -> None:
        pytest.importorskip("pyscf")

    @pytest.mark.parametrize("index", [0, 30])
    def test_shipped_labels_are_calculated_again(self, index: int) -> None:
        from datamodules.molecules.quantum_chemistry import Calculation

        known = shipped_configurations("water")[index]
        again = Calculation(known.numbers, known.positions)
        hessian, charges = again.hessian()
        assert again.energy == pytest.approx(known.energy, abs=1e-7)
        np.testing.assert_allclose(again.forces(), known.forces, atol=1e-5)
        np.testing.assert_allclose(hessian, known.hessian, atol=1e-4)
        np.testing.assert_allclose(charges, known.dipole_derivatives, atol=1e-5)
        np.testing.assert_allclose(again.polarizability(), known.polarizability, atol=1e-5)

    def test_hessian_and_charges_are_derivatives_of_forces_and_dipole(self) -> None:
        from datamodules.molecules.quantum_chemistry import Calculation

        known = shipped_configurations("water")[5]
        for atom, axis in ((0, 2), (1, 1)):
            slopes = []
            for step in (0.002, 0.004):
                ends = []
                for sign in (1, -1):
                    positions = known.positions.copy()
                    positions[atom, axis] += sign * step
                    end = Calculation(known.numbers, positions)
                    ends.append(np.concatenate([-end.forces().ravel(), end.dipole]))
                slopes.append((ends[0] - ends[1]) / (2 * step))
            slope = (4 * slopes[0] - slopes[1]) / 3
            np.testing.assert_allclose(slope[:9], known.hessian[3 * atom + axis], atol=1e-4)
            np.testing.assert_allclose(slope[9:], known.dipole_derivatives[atom, :, axis], atol=1e-5)

    def test_polarizability_is_that_of_finite_fields(self) -> None:
        from pyscf import scf

        from datamodules.molecules.quantum_chemistry import Calculation
        from mlrim.units import BOHR

        known = shipped_configurations("water")[2]
        molecule = Calculation(known.numbers, known.positions).molecule
        core, position = scf.hf.get_hcore(molecule), molecule.intor("int1e_r", comp=3)

        def dipole(field: np.ndarray) -> np.ndarray:
            solver = scf.RHF(molecule)
            solver.get_hcore = lambda *_: core + np.einsum("x,xpq->pq", field, position)
            solver.conv_tol, solver.conv_tol_grad = 1e-13, 1e-9
            solver.kernel()
            return solver.dip_moment(unit="AU", verbose=0)

        steps = (1e-3, 2e-3)
        for axis in range(3):
            slopes = [(dipole(h * np.eye(3)[axis]) - dipole(-h * np.eye(3)[axis])) / (2 * h) for h in steps]
            slope = (4 * slopes[0] - slopes[1]) / 3 * BOHR**3
            np.testing.assert_allclose(slope, known.polarizability[axis], atol=1e-5)

    @pytest.mark.slow
    def test_generation_goes_on_where_it_stopped_and_packs(self, tmp_path: Path) -> None:
        from datamodules.molecules.generate import GenerateOptions, generate
        from datamodules.molecules.pack import PackOptions, pack

        generate(GenerateOptions(tmp_path / "out", "water", limit=1, quiet=True))
        done = tmp_path / "out/water/water-0001.msgpack"
        before = done.stat().st_mtime_ns
        generate(GenerateOptions(tmp_path / "out", "water", first=60, limit=1, quiet=True))
        assert done.stat().st_mtime_ns == before
        for number in (1, 60):
            generate(GenerateOptions(tmp_path / "more", "water", first=number, limit=1, quiet=True))
        first, again = (tmp_path / folder / "water/water-0060.msgpack" for folder in ("out", "more"))
        assert first.read_bytes() == again.read_bytes()
        assert decode_configuration(first.read_bytes()).details["temperature"] == 600.0
        pack(PackOptions(tmp_path / "out", tmp_path / "packed"))
        assert (tmp_path / "packed/reference.json").is_file()
        with pytest.raises(UserError, match="no finished configurations"):
            pack(PackOptions(tmp_path, tmp_path / "nothing"))
        with pytest.raises(UserError, match="molecules=gold is not known"):
            generate(GenerateOptions(tmp_path, "gold"))
