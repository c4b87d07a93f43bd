"""Pairs within a cut-off against a search through all lattice translations."""

import subprocess
import sys

import numpy as np
import pytest

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors, reverse_index
from tests.graph.crystals import random_crystal


def skewed_crystal(seed: int) -> Crystal:
    """A crystal with a skewed cell, some of whose atoms lie outside of it."""
    generator = np.random.default_rng(seed)
    crystal = random_crystal(generator)
    shear = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 2.0, 1.0]])
    moved = crystal.positions + generator.integers(-3, 4, crystal.positions.shape) @ crystal.lattice
    return Crystal(shear @ crystal.lattice, moved, crystal.numbers)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cutoff", [2.5, 7.0])
def test_pairs_are_those_of_a_search_through_all_translations(seed: int, cutoff: float) -> None:
    crystal = skewed_crystal(seed)
    spread = np.abs(crystal.fractional[:, None] - crystal.fractional[None]).max()
    reach = int(np.ceil(cutoff * np.linalg.norm(crystal.reciprocal, axis=1).max() + spread)) + 1
    shifts = np.stack(np.meshgrid(*3 * [np.arange(-reach, reach + 1)], indexing="ij"), axis=-1).reshape(-1, 3)
    expected = []
    for i in range(crystal.n_atoms):
        for j in range(crystal.n_atoms):
            lengths = np.linalg.norm(crystal.positions[j] - crystal.positions[i] + shifts @ crystal.lattice, axis=1)
            expected += [(i, j, *shift) for shift in shifts[(lengths < cutoff) & (lengths > 1e-6)]]
    pairs = neighbour_pairs(crystal, cutoff)
    found = np.column_stack([pairs.i, pairs.j, pairs.shifts])
    np.testing.assert_array_equal(found, np.array(sorted(expected), dtype=np.int64).reshape(-1, 5))
    assert np.all(np.linalg.norm(pair_vectors(crystal, pairs), axis=1) < cutoff)
    reverse = reverse_index(pairs)
    np.testing.assert_array_equal(reverse[reverse], np.arange(len(pairs.i)))


def test_classical_force_constants_need_no_torch() -> None:
    code = (
        "import sys; import numpy as np; from mlrim.lattice.crystal import Crystal; "
        "from mlrim.predictors import Known, load_predictor; import mlrim.pipeline; "
        "cell = 2.1 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]); "
        "crystal = Crystal.from_fractional(cell, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([12, 8])); "
        "load_predictor('rim')(crystal, Known()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
