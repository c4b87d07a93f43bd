"""What must hold for networks of energies whatever their weights: float64, untrained, random crystals, a molecule."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from mlrim.checkpoint import load_model, save_model
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import batch_graphs, molecular_graph, periodic_graph, strained
from mlrim.lattice.crystal import Crystal
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.models.potential import PotentialModel
from mlrim.nn.atomic_energies import EnergyStatistics
from tests.graph.crystals import random_crystal, random_orthogonal, rotated

CUTOFF, STEP = 4.0, 1e-3
"""Å; with this step five-point differences are good to about nine digits."""
TENSOR_PRODUCTS = {"channels": 4, "layers": 2, "radial": 2, "radial_hidden": 8, "cutoff": CUTOFF}
CARTESIAN = {"scalars": 8, "channels": 4, "messages": 4, "hidden": 16, "element_hidden": 16, "cutoff": CUTOFF}
NETWORKS = {
    "tensor products": (PotentialModel, TENSOR_PRODUCTS),
    "pseudotensors": (PotentialModel, TENSOR_PRODUCTS | {"layers": 4, "pseudo": True, "channels": 2}),
    "degree 3": (PotentialModel, TENSOR_PRODUCTS | {"layers": 3, "degree": 3, "channels": 2}),
    "degree 0": (PotentialModel, TENSOR_PRODUCTS | {"degree": 0}),
    "Cartesian tensors": (CartesianPotentialModel, CARTESIAN),
}
METHANETHIOL = np.array(
    [[0, 0, 0], [1.82, 0, 0.05], [-0.36, 1.02, 0.1], [-0.4, -0.5, 0.88], [-0.36, -0.53, -0.9], [2.1, 1.25, -0.3]]
)
STATISTICS = EnergyStatistics(np.linspace(0, -30, 119).tolist(), scale=2.5, neighbours=30.0)


def build(name):
    torch.manual_seed(7)
    kind, arguments = NETWORKS[name]
    network = kind(**arguments)
    network.set_statistics(STATISTICS)
    return network.double().eval()


def some_crystal(seed=0, n_atoms=5):
    return random_crystal(np.random.default_rng(seed), n_atoms)


def some_molecule(positions=METHANETHIOL):
    return molecular_graph(np.array([6, 16, 1, 1, 1, 1]), positions, CUTOFF)


def crystal_graph(seed=0):
    return periodic_graph(some_crystal(seed), CUTOFF)


@pytest.fixture(params=NETWORKS)
def network(request):
    return build(request.param)


@pytest.fixture(params=["tensor products", "Cartesian tensors"])
def either(request):
    return build(request.param)


@pytest.fixture(params=["crystal", "molecule"])
def graph(request):
    return crystal_graph() if request.param == "crystal" else some_molecule()


def five_point(function):
    """Derivative at zero of a function of a number."""
    near, far = (function(n * STEP) - function(-n * STEP) for n in (1, 2))
    return (8 * near - far) / (12 * STEP)


def moved(graph, component, amount):
    step = torch.zeros(graph.positions.numel(), dtype=torch.float64)
    step[component] = amount
    return graph._replace(positions=graph.positions + step.view(-1, 3))


def relative(found, expected):
    assert expected.norm() > 1e-3
    return float((found - expected).norm() / expected.norm())


def test_forces_are_the_slopes_of_the_energy(network, graph):
    slopes = [
        five_point(lambda amount, c=c: network(moved(graph, c, amount)).detach())
        for c in range(graph.positions.numel())
    ]
    assert relative(-differentiate(network, graph).forces.reshape(-1), torch.cat(slopes)) < 1e-6


def test_stress_is_the_slope_of_the_energy_under_strain(network):
    graph, volume = crystal_graph(), some_crystal().volume
    expected = torch.zeros(3, 3, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            direction = torch.zeros(1, 3, 3, dtype=torch.float64)
            direction[0, i, j] = 1
            slope = five_point(lambda amount, d=direction: network(strained(graph, amount * d)).detach())
            expected[i, j] = slope[0] / volume
    assert relative(differentiate(network, graph, stress=True).stress[0], expected) < 1e-6


def test_hessian_and_products_are_the_slopes_of_the_forces(network, graph):
    result = differentiate(network, graph)
    slopes = [
        five_point(lambda amount, c=c: -differentiate(network, moved(graph, c, amount)).forces.reshape(-1))
        for c in range(graph.positions.numel())
    ]
    expected = torch.stack(slopes)
    assert relative(result.hessian()[0], expected) < 1e-6
    vectors = torch.randn(3, *graph.positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert relative(result.products(vectors).flatten(1), vectors.flatten(1) @ expected) < 1e-6


def test_slopes_of_a_hessian_loss_are_its_gradients(network):
    graph = batch_graphs([crystal_graph(), some_molecule()])
    vectors = torch.randn(2, *graph.positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    parameters = list(network.parameters())

    def loss():
        result = differentiate(network, graph, training=True)
        return result.energy.sin().sum() + result.forces.square().sum() + result.products(vectors).square().sum()

    gradients = torch.autograd.grad(loss(), parameters)
    starts = [parameter.detach().clone() for parameter in parameters]
    directions = [
        torch.randn(p.shape, generator=torch.Generator().manual_seed(n)).double() for n, p in enumerate(starts)
    ]

    def along(amount):
        with torch.no_grad():
            for parameter, start, direction in zip(parameters, starts, directions, strict=True):
                parameter.copy_(start + 0.1 * amount * direction)
        return loss().detach()

    slope = five_point(along)
    expected = 0.1 * sum((one * other).sum() for one, other in zip(gradients, directions, strict=True))
    torch.testing.assert_close(expected, slope, rtol=1e-6, atol=0)


def test_hessian_is_symmetric_and_obeys_the_sum_rule(network, graph):
    (hessian,) = differentiate(network, graph).hessian()
    assert hessian.abs().max() > 0.1
    assert (hessian - hessian.T).abs().max() < 1e-9
    assert hessian.view(len(hessian), -1, 3).sum(1).abs().max() < 1e-9


def turned_blocks(hessian, turn):
    size = len(hessian) // 3
    return torch.einsum("ab,ibjd,cd->iajc", turn, hessian.view(size, 3, size, 3), turn).reshape_as(hessian)


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("seed", range(2))
def test_derivatives_turn_with_the_crystal(network, determinant, seed):
    crystal, matrix = some_crystal(seed), random_orthogonal(np.random.default_rng(seed), determinant)
    turn = torch.from_numpy(matrix)
    before, after = (
        differentiate(network, periodic_graph(one, CUTOFF), stress=True) for one in (crystal, rotated(crystal, matrix))
    )
    (hessian,), expected = after.hessian(), turned_blocks(before.hessian()[0], turn)
    scale = float(expected.abs().max())
    torch.testing.assert_close(hessian, expected, rtol=0, atol=1e-8 * scale)
    torch.testing.assert_close(after.forces, before.forces @ turn.T, rtol=0, atol=1e-8 * scale)
    torch.testing.assert_close(after.stress, turn @ before.stress @ turn.T, rtol=0, atol=1e-8 * scale)
    torch.testing.assert_close(after.energy, before.energy, rtol=1e-12, atol=0)


@pytest.mark.parametrize("determinant", [1, -1])
def test_derivatives_turn_with_the_molecule(network, determinant):
    matrix = random_orthogonal(np.random.default_rng(3), determinant)
    turn = torch.from_numpy(matrix)
    before, after = (differentiate(network, some_molecule(METHANETHIOL @ one.T)) for one in (np.eye(3), matrix))
    expected = turned_blocks(before.hessian()[0], turn)
    torch.testing.assert_close(after.hessian()[0], expected, rtol=0, atol=1e-8 * float(expected.abs().max()))


@pytest.mark.parametrize("axes", [[0, 1, 2], [1, 2, 0], [2, 0, 1]])
def test_bonds_along_all_axes_have_the_derivatives_of_others(either, axes):
    """A cross of seven atoms, bonds along ±x, ±y and ±z, against the same cross elsewhere."""
    lengths = np.array([1.7, 1.8, 1.9, 2.0, 2.1, 2.2])[:, None]
    cross = np.concatenate([np.zeros((1, 3)), lengths * np.concatenate([np.eye(3)[axes], -np.eye(3)[axes]])])
    matrix = random_orthogonal(np.random.default_rng(4), -1)
    turn, numbers = torch.from_numpy(matrix), np.array([16, 9, 8, 9, 1, 9, 17])
    probe = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    hessians, gradients = [], []
    for positions, vector in ((cross, probe), (cross @ matrix.T, probe @ turn.T)):
        result = differentiate(either, molecular_graph(numbers, positions, CUTOFF), training=True)
        hessians.append(result.hessian()[0].detach())
        loss = result.product(vector).square().sum()
        gradients.append(torch.autograd.grad(loss, list(either.parameters()), allow_unused=True))
    expected = turned_blocks(hessians[0], turn)
    scale = float(expected.abs().max())
    torch.testing.assert_close(hessians[1], expected, rtol=0, atol=1e-8 * scale)
    compared = [pair for pair in zip(*gradients, strict=True) if pair[0] is not None]
    assert len(compared) > 5
    for on_axes, elsewhere in compared:
        torch.testing.assert_close(on_axes, elsewhere, rtol=0, atol=1e-8 * float(elsewhere.abs().max() + 1e-12))


def test_the_order_of_atoms_does_not_matter(network):
    crystal, order = some_crystal(), np.array([3, 0, 4, 1, 2])
    shuffled = Crystal(crystal.lattice, crystal.positions[order], crystal.numbers[order])
    before, after = (differentiate(network, periodic_graph(one, CUTOFF), stress=True) for one in (crystal, shuffled))
    components = (3 * order[:, None] + np.arange(3)).reshape(-1)
    options = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(after.energy, before.energy, **options)
    torch.testing.assert_close(after.forces, before.forces[order], **options)
    torch.testing.assert_close(after.stress, before.stress, **options)
    torch.testing.assert_close(after.hessian()[0], before.hessian()[0][components][:, components], **options)


def test_any_image_of_an_atom_will_do(either):
    crystal = some_crystal()
    shifts = np.array([[0, 0, 0], [1, 0, -1], [0, 2, 0], [-1, -1, -1], [0, 0, 3]])
    elsewhere = Crystal(crystal.lattice, crystal.positions + shifts @ crystal.lattice, crystal.numbers)
    before, after = (differentiate(either, periodic_graph(one, CUTOFF), stress=True) for one in (crystal, elsewhere))
    torch.testing.assert_close(after.hessian()[0], before.hessian()[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(after.stress, before.stress, rtol=1e-10, atol=1e-10)


def isolated_atom(number=8):
    return molecular_graph(np.array([number]), np.array([[0.3, 0.2, 0.1]]), CUTOFF)


def test_results_of_a_graph_do_not_depend_on_its_batch(network):
    parts = [crystal_graph(0), isolated_atom(), some_molecule(), crystal_graph(1), crystal_graph(2)]
    together, alone = differentiate(network, batch_graphs(parts)), [differentiate(network, part) for part in parts]
    options = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(together.energy, torch.cat([one.energy for one in alone]), **options)
    torch.testing.assert_close(together.forces, torch.cat([one.forces for one in alone]), **options)
    for hessian, one in zip(together.hessian(), alone, strict=True):
        torch.testing.assert_close(hessian, one.hessian()[0], **options)


def test_atoms_without_neighbours_have_an_energy_and_no_forces(network):
    single = differentiate(network, isolated_atom())
    far = differentiate(network, molecular_graph(np.array([8, 8]), np.diag([0, 9.0, 0])[:2], CUTOFF))
    assert single.energy.isfinite().all()
    torch.testing.assert_close(far.energy, 2 * single.energy, rtol=1e-12, atol=0)
    for result in (single, far):
        assert not result.forces.any()
        assert not result.hessian()[0].any()


def approaching(distance):
    """Three atoms, the last of which comes within reach of the first; and the same without this pair."""
    positions = np.array([[0, 0, 0], [1.9, 0.4, 0], [distance, 0, 0]])
    listed, unlisted = (molecular_graph(np.array([22, 8, 17]), positions, reach) for reach in (CUTOFF + 1, 2.5))
    assert len(listed.sender) == len(unlisted.sender) + 2
    return listed, unlisted


def test_energies_forces_and_hessians_are_continuous_at_the_cutoff(network):
    def jumps(inside):
        with_pair, without = (differentiate(network, one) for one in approaching(CUTOFF * (1 - inside)))
        return [
            float((getattr(with_pair, name) - getattr(without, name)).abs().max()) for name in ("energy", "forces")
        ] + [float((with_pair.hessian()[0] - without.hessian()[0]).abs().max())]

    differences = np.array([jumps(inside) for inside in (0.004, 0.002, 0.001)])
    assert (differences > 1e-13).all(), "a pair inside the cut-off must matter"
    for order, values in zip((4, 3, 2), differences.T, strict=True):
        for before, after in pairwise(values):
            assert after < before / 2 ** (order - 0.5), "so many derivatives are continuous"
    assert jumps(0.0)[2] < 1e-10
    assert jumps(-0.05)[2] < 1e-12


def test_pairs_beyond_the_cutoff_do_not_matter(network):
    crystal = some_crystal()
    near, more = (differentiate(network, periodic_graph(crystal, reach), stress=True) for reach in (CUTOFF, CUTOFF + 1))
    torch.testing.assert_close(more.energy, near.energy, rtol=1e-13, atol=0)
    torch.testing.assert_close(more.stress, near.stress, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(more.hessian()[0], near.hessian()[0], rtol=1e-10, atol=1e-11)


def test_single_precision_agrees_with_double(network, graph):
    double = differentiate(network, graph)
    expected = [double.energy, double.forces, double.hessian()[0]]
    single = differentiate(network.float(), graph.to(torch.float32))
    for found, right in zip([single.energy, single.forces, single.hessian()[0]], expected, strict=True):
        assert found.dtype == torch.float32
        assert relative(found.double(), right) < 3e-4


def test_every_parameter_learns_from_energies_forces_and_products(network):
    result = differentiate(network, batch_graphs([crystal_graph(), some_molecule()]), training=True)
    loss = result.energy.sum() + result.forces.square().sum() + result.product(result.graph.positions).square().sum()
    loss.backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@pytest.mark.parametrize(
    ("name", "kind"), [("tensor products", "potential"), ("Cartesian tensors", "cartesian_potential")]
)
def test_a_checkpoint_gives_the_same_energies(name, kind, tmp_path):
    network, graph = build(name).float(), crystal_graph().to(torch.float32)
    path = save_model(tmp_path / "potential.ckpt", network, kind, NETWORKS[name][1], {"background": ["dipole"]})
    loaded = load_model(path, kind=kind)
    assert loaded.metadata == {"background": ["dipole"]}
    before, after = differentiate(network, graph), differentiate(loaded.model, graph)
    assert torch.equal(after.energy, before.energy)
    assert torch.equal(after.hessian()[0], before.hessian()[0])
