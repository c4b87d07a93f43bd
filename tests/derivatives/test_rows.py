"""Force constants of a crystal from rows of its Hessian, four ways."""

import numpy as np
import pytest

from mlrim.derivatives.bloch import dynamical_matrices, extended_force_constants, unroll
from mlrim.derivatives.rows import (
    bloch_constants,
    displacement_constants,
    extended_row_constants,
    one_of_each_pair,
    supercell_row_constants,
)
from mlrim.graph.extended_graph import atom_surroundings
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import space_group
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.potentials.calculators import PotentialCalculator
from mlrim.units import THZ_TO_CM1
from tests.derivatives.energies import CUTOFF, GENERAL, network, silicon
from tests.derivatives.test_bloch import ANY_Q, largest_error_cm1
from tests.lattice.crystals import rocksalt, rutile

CASES = {
    "silicon": (StillingerWeber, silicon(0), np.diag([3, 3, 3])),
    "displaced silicon": (StillingerWeber, silicon(), np.array([[2, 1, 0], [0, 2, 0], [1, 0, 1]])),
    "rocksalt": (network, rocksalt(4.2), np.diag([2, 2, 2])),
    "rocksalt, skew": (network, rocksalt(4.2), np.array([[2, 1, 0], [0, 2, 0], [1, 0, 1]])),
    "rutile": (network, rutile(), np.diag([1, 1, 2])),
    "triclinic": (network, GENERAL, np.diag([1, 2, 1])),
}


@pytest.fixture(params=CASES)
def case(request):
    make, crystal, matrix = CASES[request.param]
    return make(), crystal, space_group(crystal), Supercell(crystal, matrix)


def test_all_ways_agree_at_commensurate_wave_vectors(case):
    energy, crystal, group, supercell = case
    extended, qpoints = unroll(energy, crystal, CUTOFF), supercell.commensurate_qpoints
    expected = dynamical_matrices(energy, extended, qpoints)
    ways = (
        extended_row_constants(energy, crystal, group, CUTOFF),
        supercell_row_constants(energy, supercell, group, CUTOFF),
        bloch_constants(energy, extended, supercell),
    )
    for constants in ways:
        found = LatticeDynamics(crystal, constants).dynamical_matrices(qpoints)
        assert largest_error_cm1(found, expected) < 1e-6


def test_rows_of_surroundings_are_exact_at_any_wave_vector(case):
    energy, crystal, group, _ = case
    constants = extended_row_constants(energy, crystal, group, CUTOFF)
    expected = dynamical_matrices(energy, unroll(energy, crystal, CUTOFF), ANY_Q)
    assert largest_error_cm1(LatticeDynamics(crystal, constants).dynamical_matrices(ANY_Q), expected) < 1e-6


def test_rows_and_the_whole_hessian_of_the_extended_graph_are_the_same_pair_by_pair():
    energy = network()
    rows = extended_row_constants(energy, GENERAL, space_group(GENERAL), CUTOFF)
    whole = extended_force_constants(energy, unroll(energy, GENERAL, CUTOFF))
    from mlrim.symmetrization import largest_difference

    assert largest_difference(rows, whole) < 1e-10 * np.abs(whole.blocks).max()


def test_the_surroundings_of_an_atom_reach_twice_the_hops():
    energy, crystal = network(layers=2), rocksalt(4.2)
    surroundings = atom_surroundings(crystal, 1, CUTOFF, 2)
    distance = np.linalg.norm(surroundings.graph.positions.numpy() - crystal.positions[1], axis=1)
    assert int(surroundings.origin[0]) == 1
    assert distance[0] == 0
    counted = surroundings.graph.counted.numpy()
    assert distance[counted].max() <= 2 * CUTOFF < distance.max() <= 4 * CUTOFF
    right = extended_row_constants(energy, crystal, space_group(crystal), CUTOFF)
    far = np.linalg.norm(right.pairs.shifts @ crystal.lattice, axis=1) > 2 * CUTOFF
    assert np.abs(right.blocks[far]).max() > 0


def test_differences_of_forces_converge_to_the_derivatives_with_the_square_of_the_step():
    energy, crystal = StillingerWeber(), silicon(0)
    supercell, group = Supercell(crystal, np.diag([2, 2, 2])), space_group(crystal)
    qpoints = supercell.commensurate_qpoints
    exact = LatticeDynamics(crystal, supercell_row_constants(energy, supercell, group, CUTOFF)).dynamical_matrices(
        qpoints
    )
    errors = []
    for step in (0.02, 0.01):
        constants = displacement_constants(PotentialCalculator(energy), supercell, group, step)
        errors.append(np.abs(LatticeDynamics(crystal, constants).dynamical_matrices(qpoints) - exact).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


def test_silicon_has_the_phonons_that_phonopy_finds_with_finite_displacements():
    """phonopy displaces, phonopy solves; only the forces are those of the same potential."""
    from phonopy import Phonopy

    energy, crystal = StillingerWeber(), silicon(0)
    phonon = Phonopy(crystal.to_phonopy(), np.diag([3, 3, 3]), primitive_matrix=np.eye(3), log_level=0)
    phonon.generate_displacements(distance=0.005, is_plusminus=True)
    forces = []
    for displaced in phonon.supercells_with_displacements:
        from ase import Atoms

        atoms = Atoms(numbers=displaced.numbers, positions=displaced.positions, cell=displaced.cell, pbc=True)
        atoms.calc = PotentialCalculator(energy)
        forces.append(atoms.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    qpoints = np.array([[1 / 3, 0, 0], [1 / 3, 1 / 3, 0], [1 / 3, -1 / 3, 1 / 3]])
    phonon.run_qpoints(qpoints)
    expected = np.sort(phonon.get_qpoints_dict()["frequencies"], axis=1)
    constants = extended_row_constants(energy, crystal, space_group(crystal), energy.cutoff)
    found = LatticeDynamics(crystal, constants).frequencies(qpoints)
    assert np.abs(found - expected).max() * THZ_TO_CM1 < 0.02


def test_one_of_every_pair_of_wave_vectors_stands_for_both():
    qpoints = Supercell(rocksalt(4.2), np.diag([2, 3, 4])).commensurate_qpoints
    chosen, weights = one_of_each_pair(qpoints)
    assert weights.sum() == len(qpoints)
    assert len(chosen) == (len(qpoints) + 4) / 2
