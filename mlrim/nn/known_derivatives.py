"""Functions of one number whose derivatives are given in closed form.

Losses of Hessians differentiate every function three times. Automatic differentiation of products and quotients grows
with each time; a closed form does not.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

ORDERS = 3
"""Highest derivative that the functions here give."""

Derivatives = Callable[..., Tensor]
"""From the order of a derivative, points and constants to its values at the points."""


def apply_known(
    derivatives: Derivatives, points: Float[Tensor, "*points"], *constants: Any
) -> Float[Tensor, "*functions_points"]:
    """`derivatives(0, points, *constants)`, whose derivatives are those of higher orders.

    Values may have one more dimension in front, for several functions of each point. Nothing is differentiated with
    respect to the constants.
    """
    return _Known.apply(derivatives, 0, points, *constants)


class _Known(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(derivatives: Derivatives, order: int, points: Tensor, *constants: Any) -> Tensor:
        if order > ORDERS:
            raise NotImplementedError(f"{derivatives.__name__} gives no derivatives beyond order {ORDERS}")
        return derivatives(order, points, *constants)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.derivatives, ctx.order, points, *constants = inputs
        ctx.is_tensor = [isinstance(constant, Tensor) for constant in constants]
        ctx.plain = [constant for constant in constants if not isinstance(constant, Tensor)]
        ctx.save_for_backward(points, *(constant for constant in constants if isinstance(constant, Tensor)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        points, *tensors = ctx.saved_tensors
        saved, plain = iter(tensors), iter(ctx.plain)
        constants = [next(saved) if is_tensor else next(plain) for is_tensor in ctx.is_tensor]
        slope = gradients[0] * _Known.apply(ctx.derivatives, ctx.order + 1, points, *constants)
        return None, None, slope if slope.ndim == points.ndim else slope.sum(0), *(None for _ in constants)


class SiLU(nn.Module):
    """x σ(x)."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Element by element."""
        return apply_known(silu_derivatives, x)


def silu_derivatives(order: int, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Derivative of x σ(x) with respect to x, up to the third."""
    s = torch.sigmoid(x)
    if order == 0:
        return x * s
    if order == 1:
        return s * (1 + x * (1 - s))
    slope = s * (1 - s)
    if order == 2:
        return slope * (2 + x * (1 - 2 * s))
    return slope * (3 - 6 * s + x * (1 - 6 * slope))


def fade_derivatives(x: Float[Tensor, "*shape"], slope: float, orders: int) -> list[Float[Tensor, "*shape"]]:
    """A function of x that is one below 0 and zero above 1, and its derivatives with respect to x / slope.

    1 − 35x⁴ + 84x⁵ − 70x⁶ + 20x⁷ between, so that three derivatives are continuous.
    """
    coefficients = [1, 0, 0, 0, -35, 84, -70, 20]
    x = x.clamp(0, 1)
    found = []
    for order in range(orders + 1):
        value = torch.full_like(x, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = value * x + coefficient if coefficient else value * x
        found.append(value * slope**order)
        coefficients = [k * coefficient for k, coefficient in enumerate(coefficients)][1:]
    return found


def product_derivative(
    first: list[Float[Tensor, "*functions_points"]], second: list[Float[Tensor, "points"]]
) -> Float[Tensor, "*functions_points"]:
    """The highest derivative of a product of two functions from all derivatives of both (Leibniz's rule)."""
    order = len(first) - 1
    value = first[0] * second[order]
    for k in range(1, order + 1):
        value = value + math.comb(order, k) * first[k] * second[order - k]
    return value
