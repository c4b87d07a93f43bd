"""D(q) by Bloch products, the extended graph and folded supercells."""

import numpy as np
import pytest
import torch

from mlrim.derivatives.bloch import (
    bloch_products,
    dynamical_matrices,
    extended_force_constants,
    supercell_force_constants,
    unroll,
)
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import periodic_graph
from mlrim.graph.extended_graph import extended_graph
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.lattice.force_constants import fold
from mlrim.lattice.supercell import Supercell
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.units import SQRT_EIGENVALUE_TO_THZ, THZ_TO_CM1
from tests.derivatives.energies import CUTOFF, ENERGIES, GENERAL, network, silicon

ANY_Q = np.array([[0.137, -0.291, 0.413], [0.0, 0.0, 0.01], [0.5, 0.2, -0.35]])


@pytest.fixture(params=ENERGIES)
def energy(request):
    return ENERGIES[request.param]()


def largest_error_cm1(found, expected):
    """Largest change of a frequency that a change of D(q) makes, (Uᵀ ΔD U)_mn/(ω_m + ω_n), but for zero modes."""
    worst = 0.0
    for matrix, reference in zip(found, expected, strict=True):
        eigenvalues, modes = np.linalg.eigh(reference)
        omega = np.sqrt(np.abs(eigenvalues)) * SQRT_EIGENVALUE_TO_THZ * THZ_TO_CM1
        change = np.abs(modes.conj().T @ (matrix - reference) @ modes) * (SQRT_EIGENVALUE_TO_THZ * THZ_TO_CM1) ** 2
        real = omega > 1
        assert real.sum() >= len(omega) - 3
        worst = max(worst, (change / (omega[:, None] + omega[None, :] + 1e-12))[np.ix_(real, real)].max())
    return worst


@pytest.mark.parametrize("crystal", [silicon(), GENERAL], ids=["silicon", "triclinic"])
@pytest.mark.parametrize(
    "matrix", [np.diag([2, 2, 2]), np.array([[2, 1, 0], [0, 2, 0], [1, 0, 1]])], ids=["2x2x2", "skew"]
)
def test_three_ways_agree_at_commensurate_wave_vectors(energy, crystal, matrix):
    supercell = Supercell(crystal, matrix)
    qpoints = supercell.commensurate_qpoints
    extended = unroll(energy, crystal, CUTOFF)
    products = dynamical_matrices(energy, extended, qpoints)
    pairs = LatticeDynamics(crystal, extended_force_constants(energy, extended)).dynamical_matrices(qpoints)
    compact = supercell_force_constants(energy, supercell, CUTOFF)
    folded = LatticeDynamics.from_supercell(compact, supercell).dynamical_matrices(qpoints)
    assert largest_error_cm1(products, folded) < 1e-6
    assert largest_error_cm1(pairs, folded) < 1e-6


def test_two_ways_agree_at_any_wave_vector(energy):
    extended = unroll(energy, GENERAL, CUTOFF)
    pairs = LatticeDynamics(GENERAL, extended_force_constants(energy, extended)).dynamical_matrices(ANY_Q)
    assert largest_error_cm1(dynamical_matrices(energy, extended, ANY_Q), pairs) < 1e-6


def test_a_bloch_product_is_the_matrix_times_the_amplitudes(energy):
    extended = unroll(energy, GENERAL, CUTOFF)
    amplitudes = torch.randn(4, 3, 3, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    derivatives = differentiate(energy, extended.graph)
    found = bloch_products(derivatives, extended, ANY_Q[0], amplitudes).reshape(4, 9).numpy()
    root_mass = np.sqrt(np.repeat(GENERAL.masses, 3))
    matrix = dynamical_matrices(energy, extended, ANY_Q[:1])[0] * root_mass[:, None] * root_mass[None, :]
    np.testing.assert_allclose(found, amplitudes.reshape(4, 9).numpy() @ matrix.T, rtol=0, atol=1e-10)


def test_extended_force_constants_fold_into_the_supercell(energy):
    supercell = Supercell(GENERAL, np.diag([1, 2, 1]))
    folded = fold(extended_force_constants(energy, unroll(energy, GENERAL, CUTOFF)), supercell)
    expected = supercell_force_constants(energy, supercell, CUTOFF)
    np.testing.assert_allclose(folded, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_extended_graph_has_the_energy_and_forces_of_the_crystal(energy):
    extended = unroll(energy, GENERAL, CUTOFF)
    alone, periodic = (differentiate(energy, graph) for graph in (extended.graph, periodic_graph(GENERAL, CUTOFF)))
    torch.testing.assert_close(alone.energy, periodic.energy, rtol=1e-12, atol=0)
    forces = torch.zeros(3, 3, dtype=torch.float64).index_add(0, extended.origin, alone.forces)
    torch.testing.assert_close(forces, periodic.forces, rtol=0, atol=1e-10)


def test_single_precision_agrees_with_double(energy):
    extended = unroll(energy, GENERAL, CUTOFF)
    double = dynamical_matrices(energy, extended, ANY_Q)
    single = dynamical_matrices(energy.float(), extended.to(torch.float32), ANY_Q)
    assert 0 < np.linalg.norm(single - double) < 1e-4 * np.linalg.norm(double)


def test_one_hop_too_few_is_seen_and_one_too_many_changes_nothing():
    energy = network(layers=2)
    right = dynamical_matrices(energy, extended_graph(GENERAL, CUTOFF, hops=2), ANY_Q)
    more = dynamical_matrices(energy, extended_graph(GENERAL, CUTOFF, hops=3), ANY_Q)
    less = dynamical_matrices(energy, extended_graph(GENERAL, CUTOFF, hops=1), ANY_Q)
    assert largest_error_cm1(more, right) < 1e-6
    assert np.abs(less - right).max() > 1e-6 * np.abs(right).max()


def test_silicon_has_the_frequencies_of_the_literature():
    """Γ and X of the Stillinger–Weber crystal at its own lattice constant, 5.431 Å."""
    energy, crystal = StillingerWeber(), silicon(noise=0)
    matrices = dynamical_matrices(
        energy, unroll(energy, crystal, energy.cutoff), np.array([[0.0, 0, 0], [0.5, 0.5, 0]])
    )
    gamma, boundary = frequencies_from_eigenvalues(np.linalg.eigvalsh(matrices))
    np.testing.assert_allclose(gamma[3:], 17.83, atol=0.01)
    assert np.abs(gamma[:3]).max() < 1e-5
    np.testing.assert_allclose(boundary[:2], boundary[0], rtol=1e-9)
