"""Errors of whole sets of eigenvalues: compared in order, or through symmetric functions of them.

Eigenvalues λ = ω² enter through a smooth, increasing f(λ) that is the frequency for |λ| ≫ ω₀² and linear in λ about
zero, negative for imaginary modes, so that no gradient is infinite where a mode turns soft.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mlrim.units import SQRT_EIGENVALUE_TO_CM1


def signed_root(squares: Float[Tensor, "*modes"], softening: float) -> Float[Tensor, "*modes"]:
    """f(λ) = λ / (λ² + ω₀⁴)^¼ in cm⁻¹, the signed frequency but for modes softer than ω₀.

    Args:
        squares: λ = ω², eV/Å²/amu.
        softening: ω₀, cm⁻¹.
    """
    floor = (softening / SQRT_EIGENVALUE_TO_CM1) ** 4
    return SQRT_EIGENVALUE_TO_CM1 * squares * (squares.square() + floor) ** -0.25


def sorted_loss(
    predicted: Float[Tensor, "qpoints modes"],
    exact: Float[Tensor, "qpoints modes"],
    softening: float,
    saturation: float,
) -> Float[Tensor, ""]:
    """Mean error of the frequencies in ascending order, cm⁻¹; both sets ascend.

    For two sets of equal size this is the Wasserstein distance between them, so that crossing and degenerate modes
    need no assignment.

    Args:
        saturation: s, cm⁻¹; an error x counts as x / √(1 + x²/s²), so that wild labels do not dominate.
    """
    error = signed_root(predicted, softening) - signed_root(exact, softening)
    square = error.square()
    return (square / (1 + square / saturation**2) + 1e-6).sqrt().mean()


def moment_loss(
    predicted: Float[Tensor, "qpoints modes"], exact: Float[Tensor, "qpoints modes"], softening: float, orders: int
) -> Float[Tensor, ""]:
    """Mean error of the first power means of the frequencies, cm⁻¹: functions of the spectrum that need no order.

    The k-th is the signed k-th root of the mean of f(λ)^k over the modes, compared for k = 1 … `orders`.
    """
    errors = []
    for order in range(1, orders + 1):
        means = [(signed_root(squares, softening) / 100).pow(order).mean(-1) for squares in (predicted, exact)]
        roots = [mean.sign() * mean.abs().add(1e-9).pow(1 / order) for mean in means]
        errors.append(100 * (roots[0] - roots[1]).abs().mean())
    return torch.stack(errors).mean()


def level_spacing_loss(
    predicted: Float[Tensor, "qpoints modes"], exact: Float[Tensor, "qpoints modes"], softening: float, width: float
) -> Float[Tensor, ""]:
    """Splitting, cm⁻¹, of neighbouring predicted modes whose labels are degenerate within `width` (cm⁻¹)."""
    found, label = signed_root(predicted, softening), signed_root(exact, softening)
    degenerate = (label.diff(dim=-1) < width) & (label[..., 1:].abs() > width)
    return (found.diff(dim=-1) * degenerate).sum() / degenerate.sum().clamp(min=1)
