import numpy as np
import pytest

from mlrim.errors import UserError
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import fold
from mlrim.lattice.supercell import Supercell
from mlrim.rim.baselines import short_range_baseline
from mlrim.rim.library import published_rigid_ion_model, suitable_sets
from mlrim.rim.rigid_ion import rigid_ion_model
from tests.rim.crystals import fluorite, rocksalt

BORN = np.array([2.3, -1.15, -1.15])[:, None, None] * np.eye(3)
DIELECTRIC = 2.2 * np.eye(3)


def label() -> tuple[Supercell, np.ndarray]:
    crystal = fluorite()
    supercell = Supercell(crystal, np.diag([2, 2, 2]))
    dynamics = published_rigid_ion_model("catlow_fluorite", crystal).lattice_dynamics(BORN, DIELECTRIC)
    return supercell, dynamics.folded(supercell)


def test_rigid_ion_baseline_is_the_short_range_part_of_the_default_model():
    crystal = rocksalt("MgO", 4.21)
    expected = rigid_ion_model(crystal).short_range_force_constants()
    np.testing.assert_array_equal(short_range_baseline("rim", crystal).blocks, expected.blocks)


def test_no_baseline_is_zero():
    assert not short_range_baseline("none", fluorite()).blocks.any()


def test_stored_force_constants_come_back_without_their_dipole_part():
    supercell, compact = label()
    baseline = short_range_baseline(
        "pbe",
        supercell.crystal,
        force_constants={"pbe": compact},
        supercell=supercell,
        born_charges=BORN,
        dielectric=DIELECTRIC,
    )
    expected = LatticeDynamics.from_supercell(compact, supercell, BORN, DIELECTRIC).short_range
    np.testing.assert_allclose(fold(baseline, supercell), fold(expected, supercell), atol=1e-12)


def test_fitted_baseline_is_closer_to_the_label_than_the_transferable_one():
    supercell, compact = label()
    stored = {"force_constants": {"dft": compact}, "supercell": supercell}
    response = {"born_charges": BORN, "dielectric": DIELECTRIC}
    target = fold(short_range_baseline("dft", supercell.crystal, **stored, **response), supercell)
    errors = [
        np.linalg.norm(fold(short_range_baseline(name, supercell.crystal, **stored, **response), supercell) - target)
        for name in ("fitted", "rim")
    ]
    assert errors[0] < 0.2 * errors[1]


def test_shell_baseline_has_no_net_force_on_translation():
    baseline = short_range_baseline("shell", fluorite())
    total = np.zeros((3, 3, 3))
    np.add.at(total, baseline.pairs.i, baseline.blocks)
    np.testing.assert_allclose(total, 0.0, atol=1e-9)


@pytest.mark.parametrize("name", ["pbesol", "fitted"])
def test_missing_force_constants_are_explained(name):
    with pytest.raises(UserError, match="available here: rim, shell, none"):
        short_range_baseline(name, fluorite())


def test_library_names_the_sets_that_suit_a_crystal():
    assert set(suitable_sets(fluorite())) == {"catlow_fluorite", "catlow_fluorite_shell"}
    with pytest.raises(UserError, match="ball_grimes"):
        published_rigid_ion_model("fumi_tosi", rocksalt("MgO", 4.2))
    with pytest.raises(UserError, match="not in the library"):
        published_rigid_ion_model("lewis-catlow", rocksalt("MgO", 4.2))
