import numpy as np
import pytest

from mlrim.graph.descriptors import SOAP_ELEMENTS, coordination_numbers, element_weights, soap_descriptor
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from tests.graph.crystals import random_crystal, random_orthogonal, rock_salt, rotated, rutile


def test_soap_has_256_numbers_and_tells_elements_apart() -> None:
    soap = soap_descriptor(rock_salt())
    assert soap.shape == (2, 256)
    assert soap.dtype == np.float32
    assert np.abs(soap[0] - soap[1]).max() > 0.1 * np.abs(soap).max()


@pytest.mark.parametrize("crystal", [rock_salt(), rutile(), random_crystal(np.random.default_rng(3))])
def test_soap_is_what_the_library_computes(crystal: Crystal) -> None:
    from dscribe.descriptors import SOAP

    parts = []
    for n_max, l_max, weights in ((7, 6, element_weights("number")), (4, 5, element_weights("electronegativity"))):
        weighting = {int(number): float(weight) for number, weight in zip(SOAP_ELEMENTS, weights, strict=True)}
        soap = SOAP(
            r_cut=6.0,
            n_max=n_max,
            l_max=l_max,
            sigma=0.5,
            periodic=True,
            species=list(weighting),
            compression={"mode": "mu2", "species_weighting": weighting},
        )
        parts.append(np.asarray(soap.create(crystal.to_ase())))
    expected = np.concatenate(parts, axis=1).astype(np.float32)
    np.testing.assert_array_equal(soap_descriptor(crystal), expected)
    chosen = np.array([crystal.n_atoms - 1, 0])
    np.testing.assert_array_equal(soap_descriptor(crystal, chosen), expected[chosen])


def test_soap_is_the_same_for_equivalent_atoms_and_in_a_supercell() -> None:
    soap = soap_descriptor(rutile())
    np.testing.assert_allclose(soap[2:], np.tile(soap[2], (4, 1)), rtol=1e-4, atol=1e-4)
    larger = soap_descriptor(Supercell(rutile(), np.diag([1, 1, 2])).to_crystal())
    np.testing.assert_allclose(larger[::2], soap, rtol=1e-4, atol=1e-4)


def test_soap_does_not_change_under_rotation_and_reflection() -> None:
    generator = np.random.default_rng(5)
    crystal = random_crystal(generator)
    turned = rotated(crystal, random_orthogonal(generator, -1))
    np.testing.assert_allclose(soap_descriptor(turned), soap_descriptor(crystal), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("crystal", "expected"), [(rock_salt(), [6, 6]), (rutile(), [6, 6, 3, 3, 3, 3])])
def test_coordination_numbers_are_the_chemists(crystal, expected) -> None:
    np.testing.assert_allclose(coordination_numbers(crystal), expected, atol=0.1)


def test_coordination_is_smooth_where_a_neighbour_leaves() -> None:
    lengths = np.linspace(4.0, 9.0, 400)
    counts = np.array([coordination_numbers(rock_salt(length))[0] for length in lengths])
    assert np.abs(np.diff(counts)).max() < 0.05
