import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal as space_group_crystal

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.rim.charges import (
    born_scalar_charges,
    born_tensor_charges,
    formal_charges,
    given_charges,
    read_charges,
    scaled_charges,
)
from tests.rim.crystals import corundum, fluorite, rocksalt, rutile


def magnetite() -> Crystal:
    atoms = space_group_crystal(
        ["Fe", "Fe", "O"],
        [(1 / 8, 1 / 8, 1 / 8), (1 / 2, 1 / 2, 1 / 2), (0.2549, 0.2549, 0.2549)],
        spacegroup=227,
        setting=2,
        cellpar=[8.394, 8.394, 8.394, 90, 90, 90],
        primitive_cell=True,
    )
    return Crystal.from_ase(atoms)


@pytest.mark.parametrize(
    ("crystal", "states"),
    [
        (rocksalt("MgO", 4.21), {"Mg": 2, "O": -2}),
        (rocksalt("NaCl", 5.64), {"Na": 1, "Cl": -1}),
        (fluorite(), {"Ca": 2, "F": -1}),
        (rutile(), {"Ti": 4, "O": -2}),
        (corundum(), {"Al": 3, "O": -2}),
    ],
)
def test_oxidation_states_of_simple_compounds(crystal, states):
    formal = formal_charges(crystal)
    np.testing.assert_allclose(formal.charges, [states[symbol] for symbol in crystal.symbols])
    assert formal.method == "bond valence"
    assert formal.warning == ""


def test_mixed_valence_is_neutral_and_equal_on_equivalent_sites():
    crystal = magnetite()
    formal = formal_charges(crystal)
    charges = dict(zip(crystal.symbols, formal.charges, strict=True))
    assert abs(formal.charges.sum()) < 1e-10
    assert charges["O"] == pytest.approx(-2.0)
    iron = formal.charges[crystal.numbers == 26]
    assert 2.0 <= iron.min() <= iron.max() <= 3.0
    assert iron.sum() == pytest.approx(16.0)


def test_elements_and_metals_are_neutral_and_say_so():
    for crystal, method in (
        (Crystal.from_ase(bulk("Si")), "element"),
        (Crystal.from_ase(bulk("NiTi", "cesiumchloride", a=3.0)), "metal"),
    ):
        formal = formal_charges(crystal)
        assert formal.method == method
        assert np.all(formal.charges == 0)
        assert "no Coulomb part" in formal.warning


def test_compound_without_neutral_states_falls_back_and_says_so():
    atoms = space_group_crystal(
        ["Er", "Pt", "Sb"],
        [(0, 0, 0), (0.25, 0.25, 0.25), (0.5, 0.5, 0.5)],
        spacegroup=216,
        cellpar=[6.46, 6.46, 6.46, 90, 90, 90],
        primitive_cell=True,
    )
    formal = formal_charges(Crystal.from_ase(atoms))
    assert formal.method == "electronegativity"
    assert "equalisation" in formal.warning
    assert abs(formal.charges.sum()) < 1e-10
    assert formal.charges[0] > 0 > formal.charges[1]


def test_states_do_not_depend_on_cell_order_or_orientation():
    crystal = corundum()
    expected = {8: -2.0, 13: 3.0}
    big = Supercell(crystal, np.diag([2, 1, 1])).to_crystal()
    order = np.random.default_rng(0).permutation(big.n_atoms)
    shuffled = Crystal(big.lattice[[1, 2, 0]], big.positions[order], big.numbers[order])
    np.testing.assert_allclose(formal_charges(shuffled).charges, [expected[n] for n in shuffled.numbers])


def test_given_charges_win():
    formal = formal_charges(rocksalt("MgO", 4.21), {"Mg": 1.7, "O": -1.7})
    np.testing.assert_allclose(formal.charges, [1.7, -1.7])
    assert formal.method == "given"


@pytest.mark.parametrize(
    ("charges", "message"),
    [
        ({"Mg": 2}, "no charge for"),
        ({"Mg": 2, "O": -2, "Xx": 1}, "unknown elements"),
        ({"Mg": 2, "O": -1}, "must sum to zero"),
        ({"Mg": float("nan"), "O": -2}, "finite"),
        ({"Mg": True, "O": -2}, "finite"),
    ],
)
def test_bad_given_charges_are_explained(charges, message):
    with pytest.raises(UserError, match=message):
        given_charges(rocksalt("MgO", 4.21), charges)


def test_charges_are_read_from_a_file(tmp_path):
    path = tmp_path / "charges.yaml"
    path.write_text("Mg: 1.2\nO: -1.2\n")
    assert read_charges(path) == {"Mg": 1.2, "O": -1.2}


@pytest.mark.parametrize("content", ["- 1\n- 2\n", "Mg: two\n", "Mg: [1\n", None])
def test_unusable_charge_files_are_explained(tmp_path, content):
    path = tmp_path / "charges.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match="charges file"):
        read_charges(path)


def test_scaled_charges_have_the_pedone_values():
    np.testing.assert_allclose(scaled_charges(formal_charges(rocksalt("MgO", 4.21))), [1.2, -1.2])


def test_born_charges_are_screened_and_neutral():
    born = np.array([np.diag([2.0, 2.0, 2.3]), np.diag([-2.0, -2.0, -2.2])])
    dielectric = np.diag([3.0, 3.0, 3.3])
    scalar = born_scalar_charges(born, dielectric)
    assert scalar.sum() == pytest.approx(0.0)
    assert scalar[0] == pytest.approx((6.3 / 3 + 6.2 / 3) / 2 / np.sqrt(3.1))
    tensor = born_tensor_charges(born, dielectric)
    np.testing.assert_allclose(tensor.sum(axis=0), 0.0, atol=1e-12)
    assert tensor[0, 0, 0] == pytest.approx(2.0 / np.sqrt(3.0))
