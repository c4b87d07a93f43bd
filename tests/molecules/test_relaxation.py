"""Relaxing molecules, and laying the result on the start."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.molecules.relaxation import best_turn, energy_and_forces, relax_molecule, superposed
from tests.molecules.energies import BOND, CentralSprings, methane


def test_superposing_finds_the_turn_and_never_a_reflection():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(6, 3))
    turn = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()
    target = points @ turn.T + [1, 2, 3]
    assert best_turn(points, target) == pytest.approx(turn, abs=1e-12)
    assert superposed(points, target) == pytest.approx(target, abs=1e-12)
    mirrored = points * [1, 1, -1]
    assert np.linalg.det(best_turn(points, mirrored)) == pytest.approx(1)
    assert np.abs(superposed(points, mirrored) - mirrored).max() > 0.1


def test_the_minimum_is_found_to_the_asked_precision():
    atoms = methane()
    atoms.positions += np.random.default_rng(1).uniform(-0.1, 0.1, (5, 3))
    for fmax in (1e-2, 1e-4, 1e-7):
        found = relax_molecule(CentralSprings(), atoms.numbers, atoms.positions, 5.0, fmax)
        assert found.converged
        assert found.residual <= fmax
    assert found.energy == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(found.positions[1:] - found.positions[0], axis=1) == pytest.approx(BOND, abs=1e-6)


def test_a_search_that_is_cut_short_says_so():
    atoms = methane(1.4)
    found = relax_molecule(CentralSprings(), atoms.numbers, atoms.positions, 5.0, 1e-6, max_steps=1)
    assert not found.converged
    assert found.residual > 1e-6


def test_a_network_keeps_the_symmetry_of_the_start_and_lowers_its_energy():
    torch.manual_seed(0)
    sizes = {"scalars": 8, "channels": 4, "messages": 4, "hidden": 16, "element_hidden": 16}
    network = CartesianPotentialModel(**sizes).double().eval()
    atoms = methane()
    before, _ = energy_and_forces(network, atoms.numbers, atoms.positions, network.cutoff)
    found = relax_molecule(network, atoms.numbers, atoms.positions, network.cutoff)
    lengths = np.linalg.norm(found.positions[1:] - found.positions[0], axis=1)
    assert lengths == pytest.approx(lengths.mean(), abs=1e-9)
    assert found.converged
    assert found.energy < before


def test_forces_are_those_of_finite_differences():
    atoms = methane()
    atoms.positions += np.random.default_rng(3).uniform(-0.1, 0.1, (5, 3))
    energy, step = CentralSprings(), 1e-5
    _, forces = energy_and_forces(energy, atoms.numbers, atoms.positions, 5.0)
    shift = np.zeros((5, 3))
    shift[2, 1] = step
    ahead, behind = (energy_and_forces(energy, atoms.numbers, atoms.positions + s * shift, 5.0)[0] for s in (1, -1))
    assert forces[2, 1] == pytest.approx(-(ahead - behind) / (2 * step), rel=1e-7)
