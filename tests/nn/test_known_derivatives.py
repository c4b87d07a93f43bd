"""Functions with derivatives in closed form against automatic differentiation."""

import pytest
import torch
from torch import nn

from mlrim.derivatives.smoothness import derivatives_of, is_smooth
from mlrim.nn.known_derivatives import ORDERS, SiLU, apply_known, fade_derivatives, silu_derivatives

POINTS = torch.linspace(-8, 8, 321, dtype=torch.float64)


def test_silu_and_its_derivatives_are_those_of_torch():
    ours, theirs = (derivatives_of(activation, POINTS, ORDERS) for activation in (SiLU(), nn.SiLU()))
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_silu_counts_as_smooth():
    assert is_smooth(SiLU())


def test_no_derivative_beyond_the_last_is_made_up():
    with pytest.raises(NotImplementedError, match="beyond order 3"):
        derivatives_of(SiLU(), POINTS, ORDERS + 1)


def test_several_functions_of_a_point_add_up_their_slopes():
    def powers(order, x, exponents):
        factor = torch.ones_like(exponents)
        for k in range(order):
            factor = factor * (exponents - k)
        return factor[:, None] * x ** (exponents[:, None] - order)

    points = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    exponents = torch.tensor([2.0, 3.5, 5.0], dtype=torch.float64)
    ours = derivatives_of(lambda x: apply_known(powers, x, exponents), points, ORDERS)
    theirs = derivatives_of(lambda x: x ** exponents[:, None], points, ORDERS)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected)


def test_slopes_can_be_batched():
    points = POINTS.clone().requires_grad_()
    values = apply_known(silu_derivatives, points)
    seeds = torch.stack([torch.ones_like(POINTS), POINTS])
    (found,) = torch.autograd.grad(values, points, seeds, is_grads_batched=True)
    torch.testing.assert_close(found, seeds * silu_derivatives(1, POINTS))


@pytest.mark.parametrize(("order", "error"), [(0, 1e-4), (1, 1e-3), (2, 0.22)])
def test_the_fade_is_as_smooth_as_it_says(order, error):
    """The third derivative is continuous, with slopes that jump by 840."""
    x, step = torch.linspace(-0.2, 1.2, 1401, dtype=torch.float64), 1e-3
    values = fade_derivatives(x, 1.0, ORDERS)
    slope = (values[order][2:] - values[order][:-2]) / (2 * step)
    torch.testing.assert_close(slope, values[order + 1][1:-1], rtol=0, atol=error)
    assert values[0][0] == 1
    assert values[0][-1] == 0
