"""Forces, stress, products and Hessians against finite differences, and the symmetries that they must have."""

import numpy as np
import pytest
import torch

from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import batch_graphs, molecular_graph, periodic_graph, strained
from mlrim.lattice.crystal import Crystal
from tests.derivatives.energies import CUTOFF, ENERGIES, GENERAL, graphs, molecule, network, silicon
from tests.lattice.crystals import random_rotation

STEP = 2e-4
"""Å; rounding then leaves the five-point differences nine digits or so."""


def derivative_along(function, direction):
    """Five-point central difference of a function of a displacement along a direction."""
    near, far = (function(s * STEP * direction) - function(-s * STEP * direction) for s in (1, 2))
    return (8 * near - far) / (12 * STEP)


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.fixture(params=ENERGIES)
def energy(request):
    return ENERGIES[request.param]()


@pytest.fixture(params=["crystal", "molecule"])
def graph(request):
    return graphs()[request.param]


def moved(graph, displacement):
    return graph._replace(positions=graph.positions + displacement)


def directions(graph, count=3):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, *graph.positions.shape, generator=generator, dtype=torch.float64)


def test_forces_are_the_slope_of_the_energy(energy, graph):
    forces = differentiate(energy, graph).forces
    for direction in directions(graph):
        slope = derivative_along(lambda u: energy(moved(graph, u)).detach(), direction)
        torch.testing.assert_close(-(forces * direction).sum()[None], slope, rtol=1e-6, atol=1e-9)


def test_products_and_the_hessian_are_the_slope_of_the_forces(energy, graph):
    result = differentiate(energy, graph)
    (hessian,) = result.hessian()
    for direction in directions(graph):
        slope = derivative_along(lambda u: -differentiate(energy, moved(graph, u)).forces, direction)
        assert relative(result.product(direction), slope) < 1e-6
        assert relative(hessian @ direction.reshape(-1), slope.reshape(-1)) < 1e-6


def test_stress_is_the_slope_of_the_energy_under_strain(energy):
    graph = batch_graphs([periodic_graph(silicon(), CUTOFF), periodic_graph(GENERAL, CUTOFF)])
    volumes = torch.tensor([silicon().volume, GENERAL.volume])
    stress = differentiate(energy, graph, stress=True).stress
    for i in range(3):
        for j in range(3):
            direction = torch.zeros(2, 3, 3, dtype=torch.float64)
            direction[:, i, j] = 1
            slope = derivative_along(lambda e: energy(strained(graph, e)).detach(), direction)
            torch.testing.assert_close(stress[:, i, j], slope / volumes, rtol=1e-6, atol=1e-11)


def test_hessian_is_symmetric_and_obeys_the_sum_rule(energy, graph):
    (hessian,) = differentiate(energy, graph).hessian()
    assert hessian.abs().max() > 0.01
    assert (hessian - hessian.T).abs().max() < 1e-9 * hessian.abs().max()
    assert hessian.reshape(len(hessian), -1, 3).sum(1).abs().max() < 1e-9


@pytest.mark.parametrize("seed", [0, 1])
def test_derivatives_turn_with_the_crystal(energy, seed):
    rotation = random_rotation(seed)
    turned = Crystal(GENERAL.lattice @ rotation.T, GENERAL.positions @ rotation.T, GENERAL.numbers)
    before, after = (
        differentiate(energy, periodic_graph(crystal, CUTOFF), stress=True) for crystal in (GENERAL, turned)
    )
    turn = torch.from_numpy(rotation)
    blocks = before.hessian()[0].reshape(3, 3, 3, 3)
    expected = torch.einsum("ab,ibjd,cd->iajc", turn, blocks, turn).reshape(9, 9)
    scale = float(expected.abs().max())
    torch.testing.assert_close(after.hessian()[0], expected, rtol=0, atol=1e-8 * scale)
    torch.testing.assert_close(after.forces, before.forces @ turn.T, rtol=0, atol=1e-8 * scale)
    torch.testing.assert_close(after.stress, turn @ before.stress @ turn.T, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_bonds_along_an_axis_have_the_derivatives_of_other_bonds(energy, axis, sign):
    numbers, general = np.array([14, 14]), np.array([1.0, 2.0, -2.0]) / 3 * 2.3
    along = sign * 2.3 * np.eye(3)[axis]
    on_axis, elsewhere = (
        differentiate(energy, molecular_graph(numbers, np.stack([np.zeros(3), bond]), CUTOFF)).hessian()[0]
        for bond in (along, general)
    )
    assert on_axis.isfinite().all()
    torch.testing.assert_close(torch.linalg.eigvalsh(on_axis), torch.linalg.eigvalsh(elsewhere), rtol=0, atol=1e-9)


def test_products_of_a_loss_have_finite_third_derivatives_where_bonds_are_along_axes(energy):
    result = differentiate(energy, molecular_graph(*molecule(), CUTOFF), training=True)
    loss = result.product(torch.ones_like(result.forces).cumsum(0)).pow(2).sum()
    gradients = torch.autograd.grad(loss, list(energy.parameters()), allow_unused=True)
    used = [gradient for gradient in gradients if gradient is not None]
    assert used
    assert all(gradient.isfinite().all() for gradient in used)


def test_rows_columns_and_blocks_are_parts_of_the_hessian(energy):
    parts = [*graphs().values(), periodic_graph(GENERAL, CUTOFF)]
    result = differentiate(energy, batch_graphs(parts))
    hessians = result.hessian()
    chosen = torch.tensor([0, 7, 17])
    rows, columns = result.rows(chosen), result.columns(chosen)
    start = 0
    for hessian in hessians:
        size = len(hessian)
        inside = chosen[chosen < size]
        part = slice(start // 3, (start + size) // 3)
        torch.testing.assert_close(rows[: len(inside), part].reshape(-1, size), hessian[inside])
        torch.testing.assert_close(columns[: len(inside), part].reshape(-1, size), hessian[:, inside].T)
        assert not rows[len(inside) :, part].any()
        start += size
    blocks = result.blocks(torch.tensor([0, 3, 9]), torch.tensor([1, 7, 9]))
    torch.testing.assert_close(blocks[0], hessians[0][:3, 3:])
    torch.testing.assert_close(blocks[1], hessians[1][3:6, 15:])
    torch.testing.assert_close(blocks[2], hessians[2][3:6, 3:6])
    with pytest.raises(ValueError, match="same graph"):
        result.blocks(torch.tensor([0]), torch.tensor([5]))


def test_results_of_a_graph_do_not_depend_on_its_batch(energy):
    parts = [*graphs().values(), periodic_graph(GENERAL, CUTOFF)]
    together = differentiate(energy, batch_graphs(parts), memory=1.0)
    alone = [differentiate(energy, part) for part in parts]
    options = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(together.energy, torch.cat([one.energy for one in alone]), **options)
    torch.testing.assert_close(together.forces, torch.cat([one.forces for one in alone]), **options)
    vectors = directions(batch_graphs(parts), 2)
    products = [one.products(v) for one, v in zip(alone, vectors.split([len(p.numbers) for p in parts], 1))]
    torch.testing.assert_close(together.products(vectors), torch.cat(products, 1), **options)
    for hessian, one in zip(together.hessian(), alone):
        torch.testing.assert_close(hessian, one.hessian()[0], **options)


def test_hessians_are_the_same_where_stress_is_asked_for(energy):
    graph = periodic_graph(GENERAL, CUTOFF)
    plain, with_stress = (differentiate(energy, graph, stress=stress) for stress in (False, True))
    torch.testing.assert_close(with_stress.hessian()[0], plain.hessian()[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(with_stress.forces, plain.forces, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="stress=True"):
        _ = plain.stress


def test_memory_changes_the_chunks_and_not_the_numbers(energy, graph):
    roomy, tight = (differentiate(energy, graph, memory=memory) for memory in (1.0, 1e-9))
    assert tight.chunk == 1
    some = differentiate(energy, graph, memory=5.5 / roomy.chunk)
    assert 4 <= some.chunk <= 6 < roomy.chunk
    for other in (tight, some):
        torch.testing.assert_close(other.hessian()[0], roomy.hessian()[0], rtol=0, atol=1e-12)


def test_one_product_after_the_other_gives_the_same(graph):
    from dataclasses import replace

    energy = network()
    vectorized = differentiate(energy, graph).hessian()[0]
    energy.capabilities = replace(energy.capabilities, vectorized=False)
    result = differentiate(energy, graph)
    assert result.chunk == 1
    torch.testing.assert_close(result.hessian()[0], vectorized, rtol=0, atol=1e-12)


def test_single_precision_agrees_with_double(graph):
    double = differentiate(network(), graph)
    single = differentiate(network().float(), graph.to(torch.float32))
    assert single.hessian()[0].dtype == single.forces.dtype == torch.float32
    assert relative(single.hessian()[0].double(), double.hessian()[0]) < 1e-4
    assert relative(single.forces.double(), double.forces) < 1e-4


def test_results_hold_no_autograd_graph_unless_they_train(energy, graph):
    for training in (False, True):
        result = differentiate(energy, graph, training=training)
        vector = torch.ones_like(graph.positions).cumsum(0)
        before = result.forces
        values = [result.energy, before, result.product(vector), *result.hessian(), result.rows(torch.arange(2))]
        assert all(value.requires_grad == training for value in values)


def test_gradient_of_a_hessian_loss_is_the_slope_of_the_loss(graph):
    energy = network()
    vectors = directions(graph, 2)
    weight = energy.radial.of_distance

    def loss():
        return differentiate(energy, graph, training=True).products(vectors).pow(2).sum()

    (gradient,) = torch.autograd.grad(loss(), weight)
    direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    start = weight.detach().clone()

    def shifted(change):
        with torch.no_grad():
            weight.copy_(start + change)
        return loss().detach()

    slope = derivative_along(shifted, direction)
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-6, atol=0)
