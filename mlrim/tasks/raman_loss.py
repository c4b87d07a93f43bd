"""Errors of Raman tensors in the space of modes, and of the powder spectra that they make."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlrim.units import KELVIN_PER_THZ, THZ_TO_CM1

FWHM = 10.0
"""cm⁻¹, of the lines that spectra are compared with."""
LASER = 1e7 / 532.0
"""cm⁻¹"""
TEMPERATURE = 300.0
"""K"""
KELVIN_PER_CM1 = KELVIN_PER_THZ / THZ_TO_CM1


class RamanLosses(NamedTuple):
    """One number for every crystal where it is known."""

    tensors: Float[Tensor, "_"]
    """‖Δa‖ / ‖a‖ over all mode tensors, each weighted with the root of the intensity that a unit tensor would have."""
    spectra: Float[Tensor, "_"]
    """One minus the cosine of the powder spectra's angle."""


def raman_losses(tensors: Float[Tensor, "atoms 3 3 3"], n_atoms: Int[Tensor, "graphs"], labels: Any) -> RamanLosses:
    """Losses of a batch.

    Args:
        tensors: predicted ∂α/∂u, Å².
        labels: `datamodules.response_samples.ResponseLabels`.
    """
    relative, angles = [], []
    sizes = n_atoms.tolist()
    parts = zip(
        tensors.split(sizes), labels.raman_tensors.split(sizes), labels.raman_known.tolist(),
        labels.frequencies, labels.displacements, labels.powder, strict=True,
    )  # fmt: skip
    for predicted, exact, known, frequencies, displacements, powder in parts:
        if len(frequencies) == 0:
            continue
        found = mode_tensors(predicted, displacements)
        if known:
            wanted = mode_tensors(exact, displacements)
            relative.append(relative_error(frequencies, found, wanted))
            reference = powder_strengths(frequencies, wanted)
        else:
            reference = powder
        if reference.isfinite().all() and reference.max() > 0:
            angles.append(1 - similarity(frequencies, powder_strengths(frequencies, found), reference))
    return RamanLosses(*(torch.stack(part) if part else tensors.new_zeros(0) for part in (relative, angles)))


def relative_error(
    frequencies: Float[Tensor, "modes"], found: Float[Tensor, "modes 3 3"], wanted: Float[Tensor, "modes 3 3"]
) -> Float[Tensor, ""]:
    """‖found − wanted‖ / ‖wanted‖ with the weights of a spectrum."""
    weights = line_factors(frequencies)
    error, norm = ((weights @ part.square().sum((1, 2))) for part in (found - wanted, wanted))
    return ((error + 1e-12) / (norm + 1e-12)).sqrt()


def mode_tensors(
    tensors: Float[Tensor, "atoms 3 3 3"], displacements: Float[Tensor, "modes atoms 3"]
) -> Float[Tensor, "modes 3 3"]:
    """Mode Raman tensors, Å²/√amu."""
    return torch.einsum("nijk,mnk->mij", tensors, displacements)


def powder_strengths(
    frequencies: Float[Tensor, "modes"], tensors: Float[Tensor, "modes 3 3"]
) -> Float[Tensor, "modes"]:
    """Relative Stokes intensities of a powder: (ν_L − ν)⁴ (n + 1)/ν · (45 a² + 7 γ²)."""
    xx, yy, zz = tensors[:, 0, 0], tensors[:, 1, 1], tensors[:, 2, 2]
    off = tensors[:, 0, 1].square() + tensors[:, 0, 2].square() + tensors[:, 1, 2].square()
    isotropic = ((xx + yy + zz) / 3).square()
    anisotropic = ((xx - yy).square() + (yy - zz).square() + (zz - xx).square()) / 2 + 3 * off
    return line_factors(frequencies) * (45 * isotropic + 7 * anisotropic)


def line_factors(frequencies: Float[Tensor, "modes"]) -> Float[Tensor, "modes"]:
    """(ν_L − ν)⁴ (n + 1)/ν in units of ν_L⁴ and 1/cm⁻¹."""
    occupied = 1 / (1 - torch.exp(-KELVIN_PER_CM1 * frequencies / TEMPERATURE))
    return (1 - frequencies / LASER) ** 4 * occupied / frequencies


def similarity(
    frequencies: Float[Tensor, "modes"], first: Float[Tensor, "modes"], second: Float[Tensor, "modes"]
) -> Float[Tensor, ""]:
    """Cosine between two spectra of Lorentzian lines at the same places: overlaps of Lorentzians have closed forms."""
    distance = frequencies[:, None] - frequencies
    overlap = FWHM**2 / (FWHM**2 + distance**2)
    product = first @ overlap @ second
    norms = (first @ overlap @ first) * (second @ overlap @ second)
    return product / norms.clamp(min=1e-30).sqrt()
