import numpy as np
import pytest

from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.supercell import Supercell
from mlrim.rim.coulomb import point_charge_force_constants
from mlrim.rim.rigid_ion import rigid_ion_model
from tests.rim.crystals import fluorite, low_symmetry, rutile


@pytest.mark.parametrize(
    ("supercell", "charges"),
    [
        (Supercell(fluorite(), np.diag([2, 2, 2])), [2.0, -1.0, -1.0]),
        (Supercell(rutile(), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]])), [2.2, 2.2, -1.1, -1.1, -1.1, -1.1]),
        (Supercell(low_symmetry(), np.eye(3, dtype=int)), [1.2, 1.0, -0.9, -1.3]),
    ],
    ids=["CaF2", "TiO2", "triclinic"],
)
def test_supercell_sum_is_the_dipole_interaction_of_point_charges(supercell, charges):
    charges = np.array(charges)
    dipole = DipoleInteraction(supercell.crystal, charges[:, None, None] * np.eye(3), np.eye(3))
    expected = dipole.folded(supercell)
    found = point_charge_force_constants(supercell, charges)
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()


def test_fast_supercell_route_is_the_folded_lattice_dynamics():
    model = rigid_ion_model(low_symmetry())
    supercell = Supercell(model.crystal, np.diag([2, 1, 1]))
    expected = model.lattice_dynamics().folded(supercell)
    np.testing.assert_allclose(model.supercell_force_constants(supercell), expected, atol=1e-9)
