"""What is not supported raises and says why."""

import pytest
import torch
from torch import nn

from mlrim.derivatives.bloch import dynamical_matrices, unroll
from mlrim.derivatives.capabilities import ALL, Capabilities, DeclaredEnergy, Derivative, capability_table, require
from mlrim.derivatives.engine import differentiate
from mlrim.derivatives.smoothness import is_smooth
from mlrim.errors import UserError
from mlrim.graph.energy_graph import edge_vectors, sum_over_atoms
from mlrim.nn.neighbour_sums import sum_over_neighbours
from tests.derivatives.energies import CUTOFF, GENERAL, graphs, network

CRYSTAL, MOLECULE = graphs().values()


def pairs_with(activation, derivatives=ALL, hops=1, vectorized=True):
    """An energy that is the activation of every distance."""

    def function(graph):
        edges = activation(edge_vectors(graph).norm(dim=1) - 3.0)
        return sum_over_atoms(sum_over_neighbours(edges, graph.receiver, len(graph.numbers)), graph)

    return DeclaredEnergy(function, Capabilities("pairs", frozenset(derivatives), hops, vectorized))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "hardtanh", "hardswish", "softshrink"])
def test_kinked_functions_are_refused_for_hessians_but_not_for_forces(name):
    result = differentiate(pairs_with(getattr(nn.functional, name)), MOLECULE)
    assert result.forces.isfinite().all()
    with pytest.raises(UserError, match="smooth activations.*" + name):
        result.hessian()


@pytest.mark.parametrize("kinked", [nn.ReLU, nn.ELU, nn.PReLU, nn.Hardswish, nn.Softsign])
def test_kinked_modules_are_refused_for_training_on_hessians(kinked):
    energy = network()
    energy.readout[1] = kinked().double()
    result = differentiate(energy, MOLECULE, training=True)
    with pytest.raises(UserError, match=kinked.__name__):
        result.product(torch.ones_like(MOLECULE.positions))


@pytest.mark.parametrize("smooth", [nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softplus])
def test_smooth_activations_pass(smooth):
    assert is_smooth(smooth())
    energy = network()
    energy.readout[1] = smooth()
    assert differentiate(energy, MOLECULE, training=True).product(MOLECULE.positions.sin()).isfinite().all()


def test_derivatives_that_are_not_declared_raise_and_name_those_that_are():
    energy = pairs_with(torch.tanh, [Derivative.FORCES])
    result = differentiate(energy, CRYSTAL)
    assert result.forces.isfinite().all()
    with pytest.raises(UserError, match="`pairs` does not support Hessian.*it supports: forces"):
        result.hessian()
    with pytest.raises(UserError, match="does not support stress"):
        differentiate(energy, CRYSTAL, stress=True)
    with pytest.raises(UserError, match="does not support training on forces"):
        _ = differentiate(energy, CRYSTAL, training=True).forces
    with pytest.raises(UserError, match="does not support any wave vector"):
        unroll(energy, GENERAL, CUTOFF)
    only_values = pairs_with(torch.tanh, [Derivative.HESSIAN])
    with pytest.raises(UserError, match="training on Hessians"):
        differentiate(only_values, CRYSTAL, training=True).product(CRYSTAL.positions)
    with pytest.raises(UserError, match="any wave vector"):
        dynamical_matrices(only_values, unroll(network(), GENERAL, CUTOFF), torch.zeros(1, 3).double().numpy())


def test_energies_that_are_not_local_have_no_extended_graph():
    with pytest.raises(UserError, match="number of hops"):
        unroll(pairs_with(torch.tanh, hops=None), GENERAL, CUTOFF)


def test_stress_of_a_molecule_raises():
    with pytest.raises(UserError, match="periodic cell"):
        differentiate(network(), MOLECULE, stress=True)


def test_energies_without_capabilities_and_compiled_ones_are_refused():
    with pytest.raises(UserError, match="capabilities"):
        differentiate(lambda graph: graph.positions.sum()[None], MOLECULE)
    energy = network()
    energy._orig_mod = network()
    with pytest.raises(UserError, match=r"torch\.compile"):
        differentiate(energy, MOLECULE)


def test_precisions_that_differ_are_refused():
    with pytest.raises(UserError, match=r"float32.*float64"):
        differentiate(network().float(), MOLECULE)


def test_values_that_are_no_energies_of_graphs_are_refused():
    def declared(function):
        return DeclaredEnergy(function, Capabilities("odd", ALL))

    with pytest.raises(UserError, match=r"one energy for each of 1 graphs.*\(6,\)"):
        differentiate(declared(lambda graph: graph.positions.sum(1)), MOLECULE)
    with pytest.raises(UserError, match="detaches them"):
        differentiate(declared(lambda graph: graph.positions.detach().sum()[None]), MOLECULE)


class Cube(torch.autograd.Function):
    """x³ by hand, without a rule for batches."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        return Square.apply(gradient, ctx.saved_tensors[0])


class Square(torch.autograd.Function):
    """3x² times a gradient; it looks at values, which a batched tensor does not allow."""

    @staticmethod
    def forward(ctx, gradient, x):
        ctx.save_for_backward(gradient, x)
        return gradient * 3 * x**2

    @staticmethod
    def backward(ctx, gradient):
        if float(gradient.sum()) == float("inf"):
            raise ValueError("overflow")
        saved, x = ctx.saved_tensors
        return gradient * 3 * x**2, gradient * saved * 6 * x


def test_operations_that_cannot_be_batched_raise_until_it_is_declared():
    with pytest.raises(UserError, match="vectorized=False"):
        differentiate(pairs_with(Cube.apply), MOLECULE).hessian()
    found = differentiate(pairs_with(Cube.apply, vectorized=False), MOLECULE).hessian()[0]
    expected = differentiate(pairs_with(lambda x: x**3), MOLECULE).hessian()[0]
    torch.testing.assert_close(found, expected)


def test_models_without_an_energy_are_in_the_table():
    from mlrim.models.stillinger_weber import StillingerWeber

    table = capability_table().splitlines()
    assert any(line.startswith("| `delta` | – ") for line in table)
    assert any(line.startswith("| `stillinger_weber` | yes ") and line.endswith("| 1 |") for line in table)
    require(StillingerWeber(), Derivative.HESSIAN_TRAINING)


def test_linear_energies_have_a_hessian_of_zero():
    energy = DeclaredEnergy(lambda graph: graph.positions.sum()[None], Capabilities("linear", ALL))
    result = differentiate(energy, MOLECULE)
    assert not result.hessian()[0].any()
    torch.testing.assert_close(result.forces, -torch.ones_like(result.forces))
