"""Errors of distributions over bins of frequency: densities of states and spectra."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from mlrim.nn.frequency_grid import FrequencyGrid

DensityLoss = Literal["wasserstein", "cumulative", "mse"]
FLOOR = 1e-5
"""Share of one that every bin of a spectrum has at least, so that logarithms are finite."""


def density_loss(
    predicted: Float[Tensor, "rows bins"], exact: Float[Tensor, "rows bins"], grid: FrequencyGrid, kind: DensityLoss
) -> Float[Tensor, "rows"]:
    """Error of normalised densities of states, about cm⁻¹.

    `wasserstein`: how far states have to be moved, ∫|ΔN| with the integrated densities N. `cumulative`: the root of
    the range of the grid times ∫ΔN² (Cramér distance), which punishes shifts of whole groups of modes more.
    `mse`: root mean square difference of the densities times the square of a width of 100 cm⁻¹.
    """
    if kind == "wasserstein":
        return grid.distance(predicted, exact)
    first, second = (part / part.sum(-1, keepdim=True) for part in (predicted, exact))
    widths = grid.widths.to(first.dtype)
    if kind == "cumulative":
        return (100 * ((first - second).cumsum(-1).square() * widths).sum(-1) + 1e-6).sqrt()
    return 100 * (100 * ((first - second).square() / widths).sum(-1) + 1e-8).sqrt()


def spectral_information_similarity(
    predicted: Float[Tensor, "rows bins"], exact: Float[Tensor, "rows bins"]
) -> Float[Tensor, "rows"]:
    """1 / (1 + Σ p ln(p/q) + q ln(q/p)) of spectra p and q that sum to one; one for the same shape.

    Source: McGill et al., J. Chem. Inf. Model. 61, 2594 (2021), eq. 2 and 3.

    >>> import torch
    >>> same = torch.tensor([[0.25, 0.75]])
    >>> spectral_information_similarity(same, same).tolist()
    [1.0]
    """
    first, second = (FLOOR + part / part.sum(-1, keepdim=True) for part in (predicted, exact))
    first, second = first / first.sum(-1, keepdim=True), second / second.sum(-1, keepdim=True)
    divergence = ((first - second) * (first.log() - second.log())).sum(-1)
    return 1 / (1 + divergence)


def spectrum_loss(
    predicted: Float[Tensor, "rows bins"], exact: Float[Tensor, "rows bins"], grid: FrequencyGrid
) -> Float[Tensor, "rows"]:
    """−ln of the spectral information similarity, plus the Wasserstein distance in 100 cm⁻¹, which sees how far."""
    return grid.distance(predicted, exact) / 100 - spectral_information_similarity(predicted, exact).log()
