"""Predicted force constants obey every rule exactly after symmetrisation, and are changed no more than needed."""

import numpy as np
import pytest

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants, acoustic_residual, symmetrize_permutation
from mlrim.lattice.neighbours import neighbour_pairs
from mlrim.lattice.symmetry import project_pairs, space_group
from mlrim.symmetrization import impose_symmetry, largest_difference, merge_pairs, off_site
from tests.lattice.crystals import random_crystal
from tests.vibrations.prototypes import prototype

CRYSTALS = ["rutile", "quartz", "wurtzite", "baddeleyite"]


def random_force_constants(crystal, seed=0) -> PairForceConstants:
    pairs = neighbour_pairs(crystal, 4.0)
    return PairForceConstants(pairs, np.random.default_rng(seed).normal(size=(len(pairs.i), 3, 3)))


@pytest.mark.parametrize("name", CRYSTALS)
def test_permutation_sum_rule_and_space_group_hold_together(name):
    crystal = prototype(name)
    group = space_group(crystal)
    symmetric, residuals = impose_symmetry(random_force_constants(crystal), crystal, group)
    assert acoustic_residual(symmetric, crystal.n_atoms) < 1e-12
    assert largest_difference(symmetrize_permutation(symmetric), symmetric) < 1e-12
    assert largest_difference(project_pairs(symmetric, crystal, group), symmetric) < 1e-12
    assert all(residuals[name] > 0.1 for name in ("acoustic_sum_rule", "permutation", "space_group"))


@pytest.mark.parametrize("seed", range(5))
def test_acoustic_modes_vanish_although_no_site_has_symmetry(seed):
    """In a triclinic crystal the sum rule alone leaves on-site blocks that are not symmetric."""
    crystal = random_crystal(seed)
    symmetric, residuals = impose_symmetry(random_force_constants(crystal, seed), crystal, space_group(crystal))
    assert residuals["on_site_asymmetry"] > 0.1
    squares = np.sort(LatticeDynamics(crystal, symmetric).frequencies(np.zeros((1, 3)))[0] ** 2)
    assert squares[:3] == pytest.approx(np.zeros(3), abs=1e-8)


@pytest.mark.parametrize("name", CRYSTALS)
def test_symmetric_force_constants_are_not_changed(name):
    crystal = prototype(name)
    group = space_group(crystal)
    once, _ = impose_symmetry(random_force_constants(crystal), crystal, group)
    twice, residuals = impose_symmetry(once, crystal, group)
    assert largest_difference(once, twice) < 1e-11
    assert max(residuals.values()) < 1e-11


def test_repeated_pairs_are_added():
    crystal = prototype("wurtzite")
    single = random_force_constants(crystal)
    doubled = PairForceConstants(
        type(single.pairs)(*(np.concatenate([part, part]) for part in single.pairs)),
        np.concatenate([single.blocks, single.blocks]),
    )
    merged = merge_pairs(doubled)
    assert len(merged.blocks) == len(single.blocks)
    assert largest_difference(merged, PairForceConstants(single.pairs, 2 * single.blocks)) < 1e-14


def test_off_site_pairs_leave_out_the_atom_itself_only():
    crystal = prototype("wurtzite")
    symmetric, _ = impose_symmetry(random_force_constants(crystal), crystal, space_group(crystal))
    assert len(symmetric.blocks) - len(off_site(symmetric).blocks) == crystal.n_atoms
