"""Every family of molecular point groups, built from its generators: symbols, irreps, activities of the textbooks."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mlrim.vibrations.molecular_symmetry import molecular_point_group

X, Y, Z = np.eye(3)
INVERSION = -np.eye(3)
GOLDEN = (1 + np.sqrt(5)) / 2


def turn(axis, order):
    axis = np.asarray(axis) / np.linalg.norm(axis)
    return Rotation.from_rotvec(2 * np.pi / order * axis).as_matrix()


def mirror(normal):
    normal = np.asarray(normal) / np.linalg.norm(normal)
    return np.eye(3) - 2 * np.outer(normal, normal)


def rotoreflection(order):
    return turn(Z, order) @ mirror(Z)


# Generators, order, infrared and Raman irreps (F. A. Cotton, Chemical Applications of Group Theory, appendix IIA).
FAMILIES = {
    "Cs": ([mirror(Z)], 2, "A' A''", "A' A''"),
    "Ci": ([INVERSION], 2, "Au", "Ag"),
    "C2": ([turn(Z, 2)], 2, "A B", "A B"),
    "C3": ([turn(Z, 3)], 3, "A E", "A E"),
    "C5": ([turn(Z, 5)], 5, "A E1", "A E1 E2"),
    "C7": ([turn(Z, 7)], 7, "A E1", "A E1 E2"),
    "C8": ([turn(Z, 8)], 8, "A E1", "A E1 E2"),
    "C2v": ([turn(Z, 2), mirror(X)], 4, "A1 B1 B2", "A1 A2 B1 B2"),
    "C4v": ([turn(Z, 4), mirror(X)], 8, "A1 E", "A1 B1 B2 E"),
    "C5v": ([turn(Z, 5), mirror(X)], 10, "A1 E1", "A1 E1 E2"),
    "C6v": ([turn(Z, 6), mirror(X)], 12, "A1 E1", "A1 E1 E2"),
    "C3h": ([turn(Z, 3), mirror(Z)], 6, "A'' E'", "A' E' E''"),
    "C4h": ([turn(Z, 4), mirror(Z)], 8, "Au Eu", "Ag Bg Eg"),
    "C5h": ([turn(Z, 5), mirror(Z)], 10, "A'' E1'", "A' E1'' E2'"),
    "C6h": ([turn(Z, 6), mirror(Z)], 12, "Au E1u", "Ag E1g E2g"),
    "S4": ([rotoreflection(4)], 4, "B E", "A B E"),
    "S6": ([rotoreflection(6)], 6, "Au Eu", "Ag Eg"),
    "S8": ([rotoreflection(8)], 8, "B E1", "A E2 E3"),
    "S10": ([rotoreflection(10)], 10, "Au E1u", "Ag E1g E2g"),
    "D2": ([turn(Z, 2), turn(X, 2)], 4, "B1 B2 B3", "A B1 B2 B3"),
    "D3": ([turn(Z, 3), turn(X, 2)], 6, "A2 E", "A1 E"),
    "D4": ([turn(Z, 4), turn(X, 2)], 8, "A2 E", "A1 B1 B2 E"),
    "D5": ([turn(Z, 5), turn(X, 2)], 10, "A2 E1", "A1 E1 E2"),
    "D6": ([turn(Z, 6), turn(X, 2)], 12, "A2 E1", "A1 E1 E2"),
    "D2h": ([turn(Z, 2), turn(X, 2), mirror(Z)], 8, "B1u B2u B3u", "Ag B1g B2g B3g"),
    "D5h": ([turn(Z, 5), turn(X, 2), mirror(Z)], 20, "A2'' E1'", "A1' E1'' E2'"),
    "D6h": ([turn(Z, 6), turn(X, 2), mirror(Z)], 24, "A2u E1u", "A1g E1g E2g"),
    "D8h": ([turn(Z, 8), turn(X, 2), mirror(Z)], 32, "A2u E1u", "A1g E1g E2g"),
    "D2d": ([rotoreflection(4), turn(X, 2)], 8, "B2 E", "A1 B1 B2 E"),
    "D3d": ([rotoreflection(6), turn(X, 2)], 12, "A2u Eu", "A1g Eg"),
    "D4d": ([rotoreflection(8), turn(X, 2)], 16, "B2 E1", "A1 E2 E3"),
    "D5d": ([rotoreflection(10), turn(X, 2)], 20, "A2u E1u", "A1g E1g E2g"),
    "D6d": ([rotoreflection(12), turn(X, 2)], 24, "B2 E1", "A1 E2 E5"),
    "T": ([turn([1, 1, 1], 3), turn(Z, 2)], 12, "T", "A E T"),
    "Td": ([turn([1, 1, 1], 3), rotoreflection(4)], 24, "T2", "A1 E T2"),
    "Th": ([turn([1, 1, 1], 3), turn(Z, 2), INVERSION], 24, "Tu", "Ag Eg Tg"),
    "O": ([turn([1, 1, 1], 3), turn(Z, 4)], 24, "T1", "A1 E T2"),
    "Oh": ([turn([1, 1, 1], 3), turn(Z, 4), INVERSION], 48, "T1u", "A1g Eg T2g"),
    "I": ([turn([1, 1, 1], 3), turn([0, 1, GOLDEN], 5)], 60, "T1", "A H"),
    "Ih": ([turn([1, 1, 1], 3), turn([0, 1, GOLDEN], 5), INVERSION], 120, "T1u", "Ag Hg"),
}  # fmt: skip


def generated(generators):
    """All products of some matrices."""
    group = [np.eye(3)]
    for element in group:
        for generator in generators:
            product = generator @ element
            if not any(np.allclose(product, known, atol=1e-8) for known in group):
                group.append(product)
    return np.array(group)


def general_molecule(generators, seed=0):
    """Three kinds of atoms on general positions of a group, in a random orientation and order."""
    generator = np.random.default_rng(seed)
    group = generated(generators)
    while True:
        sites = generator.normal(size=(3, 3))
        sites *= (np.array([3.0, 4.0, 5.0]) * (1 + len(group) / 40) / np.linalg.norm(sites, axis=1))[:, None]
        positions = np.concatenate([group @ site for site in sites])
        distances = np.linalg.norm(positions[:, None] - positions[None], axis=2) + 10 * np.eye(len(positions))
        if distances.min() > 0.3:
            break
    numbers = np.repeat([6, 8, 16], len(group))
    order = generator.permutation(len(numbers))
    frame = Rotation.from_rotvec(generator.normal(size=3)).as_matrix()
    return numbers[order], positions[order] @ frame.T + generator.normal(size=3), len(group)


@pytest.mark.parametrize("symbol", FAMILIES)
def test_a_molecule_built_from_generators_has_their_group_and_its_textbook_activities(symbol):
    generators, order, infrared, raman = FAMILIES[symbol]
    numbers, positions, built = general_molecule(generators)
    group = molecular_point_group(numbers, positions, numbers * 2.0)
    assert (group.symbol, len(group.rotations), built) == (symbol, order, order)
    assert " ".join(irrep.symbol for irrep in group.irreps if irrep.infrared) == infrared
    assert " ".join(irrep.symbol for irrep in group.irreps if irrep.raman) == raman
    assert len({irrep.symbol for irrep in group.irreps}) == len(group.irreps)


@pytest.mark.parametrize("symbol", [symbol for symbol in FAMILIES if symbol != "Ih"])
def test_atoms_on_general_positions_carry_the_regular_representation(symbol):
    """Each of the three orbits holds every irrep of dimension d 3 d times; of a conjugate pair, as one E, 3 times."""
    numbers, positions, order = general_molecule(FAMILIES[symbol][0], seed=1)
    group = molecular_point_group(numbers, positions, numbers * 2.0)
    found = group.decomposition(group.displacement_characters)
    for irrep in group.irreps:
        pairs = round(float(irrep.characters @ irrep.characters)) / order
        assert found[irrep.symbol] == round(9 * irrep.dimension / pairs)
    assert sum(found[irrep.symbol] * irrep.dimension for irrep in group.irreps) == 9 * order


@pytest.mark.parametrize(("tolerance", "symbol"), [(0.1, "D6h"), (0.01, "C1")])
def test_the_tolerance_decides_on_the_symmetry_of_a_distorted_molecule(tolerance, symbol):
    numbers, positions, _ = general_molecule(FAMILIES["D6h"][0])
    positions = positions + np.random.default_rng(3).uniform(-0.03, 0.03, positions.shape)
    group = molecular_point_group(numbers, positions, numbers * 2.0, tolerance)
    assert group.symbol == symbol
    assert group.deviation < tolerance
    images = np.einsum("gab,nb->gna", group.rotations, group.positions)
    assert images == pytest.approx(group.positions[group.permutations], abs=1e-9)
