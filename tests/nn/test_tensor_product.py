"""Convolutions against e3nn and against sums that are written out."""

import math

import numpy as np
import pytest
import torch
from e3nn.o3 import Irreps, spherical_harmonics, wigner_3j

from mlrim.nn.tensor_product import (
    SPARE,
    SPARE_PLACES,
    Convolution,
    coupling_paths,
    harmonics_of,
    layer_irreps,
    neighbour_table,
    spherical_irreps,
)
from tests.graph.crystals import random_orthogonal

CHANNELS, RADIAL = 3, 2
CASES = {
    "scalars to all": ("0e", "0e+1o+2e"),
    "all to all": ("0e+1o+2e", "0e+1o+2e"),
    "all to scalars": ("0e+1o+2e", "0e"),
    "both parities": ("0e+1o+1e+2o", "0e+0o+1e+2e"),
}


def directions(count, seed=0):
    vectors = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=1, keepdim=True)


def edges_of(seed=0):
    """Seven atoms with 0 to 9 neighbours."""
    generator = np.random.default_rng(seed)
    counts = [4, 0, 9, 9, 1, 0, 5]
    receiver = torch.tensor(np.repeat(np.arange(7), counts))
    return receiver, torch.tensor(generator.integers(0, 7, len(receiver)))


def convolve(convolution, features, vectors, radial, receiver, sender):
    table = neighbour_table(receiver, sender, len(features))
    functions = harmonics_of(vectors.T, 2)[:, None] * radial
    padded = torch.cat([functions, functions.new_zeros(*functions.shape[:2], 1)], 2)
    return convolution(features, padded[:, :, table.edge], table)


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    before, after = (Irreps(text) for text in CASES[request.param])
    convolution = Convolution(before, after, 2, CHANNELS, RADIAL, [4] * len(after)).double()
    receiver, sender = edges_of()
    features = torch.randn(7, before.dim, CHANNELS, dtype=torch.float64)
    radial = torch.randn(3, RADIAL, len(sender), dtype=torch.float64)[[0, 1, 1, 1, 2, 2, 2, 2, 2]]
    return convolution, before, after, features, radial, receiver, sender


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_harmonics_are_those_of_e3nn(degree):
    vectors = directions(20)
    expected = spherical_harmonics(spherical_irreps(degree), vectors, normalize=False, normalization="component")
    torch.testing.assert_close(harmonics_of(vectors.T, degree).T, expected, rtol=0, atol=1e-12)


def test_convolution_is_the_sum_over_neighbours_paths_and_components(case):
    convolution, before, after, features, radial, receiver, sender = case
    vectors = directions(len(sender))
    found = convolve(convolution, features, vectors, radial, receiver, sender)
    harmonics = harmonics_of(vectors.T, 2).T
    for index, (_, result) in enumerate(after):
        paths = coupling_paths(convolution.before, convolution.after, 2)[index]
        assert paths
        weights = convolution.weights[index].view(len(paths), RADIAL, CHANNELS, 4)
        expected = torch.zeros(7, result.dim, 4, dtype=torch.float64)
        for number, (which, order) in enumerate(paths):
            feature, part = before[which].ir, slice(order**2, (order + 1) ** 2)
            symbols = wigner_3j(order, feature.l, result.l, dtype=torch.float64) * math.sqrt(result.dim)
            of_sender = features[sender][:, before.slices()[which]]
            products = torch.einsum(
                "ea,he,ebu,abk,huv->ekv", harmonics[:, part], radial[order**2], of_sender, symbols, weights[number]
            )
            expected.index_add_(0, receiver, products)
        torch.testing.assert_close(found[index], expected, rtol=1e-10, atol=1e-10)
        assert not found[index][1].any()


def turn_of(irrep, matrix):
    """What a rotation or reflection does to an irrep, from what it does to spherical harmonics."""
    sample, part = directions(60, seed=5), slice(irrep.l**2, (irrep.l + 1) ** 2)
    start, turned = (harmonics_of(some.T, irrep.l)[part].T for some in (sample, sample @ matrix.T))
    sign = (irrep.p * (-1) ** irrep.l) ** int(torch.linalg.det(matrix) < 0)
    return sign * torch.linalg.lstsq(start, turned).solution.T


@pytest.mark.parametrize("determinant", [1, -1])
def test_convolution_turns_with_its_features(case, determinant):
    convolution, before, after, features, radial, receiver, sender = case
    vectors = directions(len(sender))
    matrix = torch.from_numpy(random_orthogonal(np.random.default_rng(0), determinant))
    turns = torch.block_diag(*(turn_of(irrep, matrix) for _, irrep in before))
    turned = torch.einsum("ab,nbu->nau", turns, features)
    plain = convolve(convolution, features, vectors, radial, receiver, sender)
    found = convolve(convolution, turned, vectors @ matrix.T, radial, receiver, sender)
    for (_, irrep), one, other in zip(after, plain, found, strict=True):
        expected = torch.einsum("ab,nbv->nav", turn_of(irrep, matrix), one)
        torch.testing.assert_close(other, expected, rtol=1e-9, atol=1e-9)


def test_every_edge_has_one_place_and_few_places_are_empty():
    generator = np.random.default_rng(1)
    counts = np.concatenate([generator.integers(30, 80, 300), np.zeros(50, dtype=int), generator.integers(5, 9, 40)])
    receiver = torch.tensor(np.repeat(np.arange(390), counts))
    sender = torch.tensor(generator.integers(0, 390, len(receiver)))
    table = neighbour_table(receiver, sender, 390)
    filled = table.edge < len(receiver)
    assert torch.equal(table.edge[filled].sort().values, torch.arange(len(receiver)))
    assert torch.equal(table.receiver[filled], receiver[table.edge[filled]])
    assert torch.equal(table.sender[filled], sender[table.edge[filled]])
    assert sum(rows * columns for rows, columns in table.shapes) == len(table.edge)
    assert len(table.edge) - len(receiver) <= SPARE * len(table.edge) + SPARE_PLACES * len(table.shapes)
    rows = torch.cat([torch.full((n,), width) for n, width in table.shapes])
    assert torch.equal(table.atoms.repeat_interleave(rows), table.receiver)


def test_no_edges_make_an_empty_table():
    nothing = torch.zeros(0, dtype=torch.int64)
    table = neighbour_table(nothing, nothing, 3)
    assert table.shapes == []
    assert not len(table.edge)


def test_pseudotensors_are_made_and_used_from_four_layers_on():
    assert layer_irreps(3, 2, pseudo=True) == layer_irreps(3, 2, pseudo=False)
    assert Irreps("1e")[0].ir in layer_irreps(4, 2, pseudo=True)[2]
    assert all(str(irreps[0].ir) == "0e" for irreps in layer_irreps(5, 3, pseudo=True))
