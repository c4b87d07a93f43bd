"""Figures of merit of predicted force constants that a person would quote."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlrim.graph.labels import ForceConstantLabels, ModeLabels
from mlrim.units import SQRT_EIGENVALUE_TO_CM1


def optical_frequencies(
    errors: Float[Tensor, "graphs modes modes"], modes: ModeLabels
) -> list[tuple[Float[Tensor, "_"], Float[Tensor, "_"]]]:
    """Labelled and predicted optical frequencies at Γ of every crystal, cm⁻¹, ascending, imaginary ones negative.

    Args:
        errors: `mlrim.tasks.losses.mode_errors` at Γ.
    """
    pairs = []
    for error, eigenvalues, known in zip(errors.double(), modes.eigenvalues.double(), modes.known, strict=True):
        count = int(known.sum())
        error, exact = error[:count, :count], eigenvalues[:count]
        predicted = torch.linalg.eigvalsh(torch.diag(exact) + (error + error.T) / 2)
        pairs.append((wavenumbers(exact.sort().values), wavenumbers(predicted)))
    return pairs


def component_error(
    error: Float[Tensor, "entries 3 3"], labels: ForceConstantLabels
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Σ|error| over all components of the compact force constants, and their number; eV/Å²."""
    total = error.abs().sum() + labels.unreached[:, 0].sum()
    return total, labels.unreached[:, 1].sum() + error.numel()


def wavenumbers(eigenvalues: Float[Tensor, "modes"]) -> Float[Tensor, "modes"]:
    """Frequencies of ω² in eV/Å²/amu, cm⁻¹, imaginary ones negative."""
    return eigenvalues.sign() * eigenvalues.abs().sqrt() * SQRT_EIGENVALUE_TO_CM1
