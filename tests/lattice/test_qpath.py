"""Paths through the Brillouin zone."""

import numpy as np

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.qpath import standard_path
from mlrim.lattice.symmetry import space_group


def test_a_rhombohedral_crystal_with_right_angles_has_a_path_without_empty_lines():
    """Some lines of the rhombohedral zone have no length there."""
    fractional = np.array([[0.0, 0, 0], [0.55, 0.55, 0.55]])
    crystal = Crystal.from_fractional(4 * np.eye(3), fractional, np.array([55, 17]))
    assert space_group(crystal).symbol == "R3m"
    path = standard_path(crystal, 0.05)
    assert len(path.segments) == len(path.labels) > 3
    for segment in path.segments:
        assert np.linalg.norm(path.qpoints[segment][-1] - path.qpoints[segment][0]) > 0.1
    np.testing.assert_allclose(np.linalg.norm(path.directions, axis=1), 1)
