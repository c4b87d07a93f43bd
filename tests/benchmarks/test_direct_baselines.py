"""The baselines and helpers of the direct benchmarks, on small cases."""

import numpy as np
import pytest
import torch

from benchmarks.invariant_network import InvariantNetwork
from benchmarks.nearest_crystal import NearestCrystal, by_quantiles, fingerprint
from benchmarks.solid_solution import decorated, interpolated, shell_pairs, wurtzite_modes
from datamodules.direct_samples import LabelledStructure
from mlrim.errors import UserError
from mlrim.graph.structure_graph import batch_structures, build_structure_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from tests.graph.crystals import random_crystal, random_orthogonal, rock_salt, rotated, rutile


def test_the_invariant_network_gives_three_frequencies_an_atom_whatever_the_orientation() -> None:
    torch.manual_seed(0)
    network = InvariantNetwork(16, 2, 8).double().eval()
    generator = np.random.default_rng(0)
    crystals = [random_crystal(generator), rock_salt()]
    turned = [rotated(crystal, random_orthogonal(generator, -1)) for crystal in crystals]
    found, again = (
        network(batch_structures([build_structure_graph(one, 5.0, dtype=torch.float64) for one in part]))
        for part in (crystals, turned)
    )
    assert [len(part) for part in found] == [15, 6]
    for one, other in zip(found, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_the_nearest_crystal_is_the_one_that_is_alike() -> None:
    crystals = [rock_salt(), rutile(), random_crystal(np.random.default_rng(1))]
    samples = [LabelledStructure(build_structure_graph(crystal, 5.0), None) for crystal in crystals]
    nearest = NearestCrystal(samples)
    strained = build_structure_graph(rock_salt(4.25), 5.0)
    assert nearest(strained) is samples[0]
    np.testing.assert_allclose(fingerprint(samples[1].graph), fingerprint(build_structure_graph(rutile(), 5.0)))


def test_frequencies_are_taken_over_by_their_quantiles() -> None:
    values = torch.tensor([100.0, 200.0, 300.0, 400.0])
    np.testing.assert_allclose(by_quantiles(values, 2), [150, 350])
    np.testing.assert_allclose(by_quantiles(values, 4), values.numpy())
    assert not by_quantiles(torch.zeros(0), 3).any()


def wurtzite(a: float, c: float, u: float, number: int, inverted: bool = False) -> Crystal:
    lattice = np.array([[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]])
    fractional = np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, u], [2 / 3, 1 / 3, 0.5 + u]])
    order = [2, 3, 0, 1]
    moved = (-fractional if inverted else fractional)[order] + (0.0, 0.0, 0.31 * inverted)
    return Crystal.from_fractional(lattice, moved, np.array([7, 7, number, number]))


def test_end_members_are_matched_through_inversion_and_origin() -> None:
    ends = [wurtzite(3.18, 5.18, 0.376, 31), wurtzite(3.11, 4.98, 0.382, 13, inverted=True)]
    middle = interpolated(ends, 0.5)
    np.testing.assert_allclose(middle.lattice, (ends[0].lattice + ends[1].lattice) / 2)
    heights = middle.fractional[0, 2] - middle.fractional[2, 2]
    assert heights - np.round(heights) == pytest.approx((0.376 + 0.382) / 2)
    with pytest.raises(UserError, match="same structure"):
        interpolated([ends[0], rutile()], 0.5)


def test_supercells_are_as_random_as_an_alloy() -> None:
    ends = [wurtzite(3.18, 5.18, 0.376, 31), wurtzite(3.11, 4.98, 0.382, 13)]
    supercell = Supercell(ends[0], 2 * np.eye(3, dtype=int))
    numbers = decorated(supercell, ends, 0.5)
    assert sorted(np.unique(numbers).tolist()) == [7, 13, 31]
    assert (numbers == 13).sum() == (numbers == 31).sum() == 8
    sites = np.flatnonzero(numbers != 7)
    spins = np.where(numbers[sites] == 31, 1.0, -1.0)
    correlations = [np.mean(spins[i] * spins[j]) for i, j in shell_pairs(supercell.to_crystal(), sites)]
    assert np.abs(correlations).max() < 0.2


def test_wurtzite_modes_are_told_by_degeneracy_and_order() -> None:
    gamma = np.array([0, 0, 0, 140.0, 140.0, 330.0, 530.0, 556.0, 556.0, 560.0, 560.0, 690.0])
    modes = wurtzite_modes(gamma)
    assert (modes.a1, modes.e2) == (530.0, 560.0)
    with pytest.raises(UserError, match="not those of wurtzite"):
        wurtzite_modes(gamma + np.linspace(0, 11, 12) * (gamma > 0))
