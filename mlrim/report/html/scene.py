"""What the viewer in the page animates: the crystal, the modes at Γ, and modes along the path of the dispersion."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.report.path_modes import path_modes, scaled_displacements
from mlrim.report.prediction import Prediction
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import DirectionalMode

MOST_NUMBERS = 400_000
"""Bound on the numbers of the modes along the path; they take 2.7 bytes each in the page."""
SMALLEST_SHARE = 0.02
"""An element moves as a whole in a mode when this much of the mode is its translation."""
INTEGER_SCALE = 32767
"""Displacements along the path are stored as 16-bit integers of this scale."""


def scene(prediction: Prediction, most_numbers: int = MOST_NUMBERS) -> dict[str, Any]:
    """The crystal and its modes; displacements are e/√m, scaled so that the longest of every mode is one."""
    return {
        "crystal": crystal_scene(prediction.dynamics.crystal, prediction.gamma.action.axes),
        "gamma": gamma_scene(prediction),
        "path": path_scene(prediction, most_numbers),
    }


def crystal_scene(crystal: Crystal, axes: Float[ndarray, "3 3"]) -> dict[str, Any]:
    """Atoms of the primitive cell, and the conventional cell that is drawn."""
    elements = {
        symbol: {"colour": hex_colour(jmol_colors[number]), "radius": float(covalent_radii[number])}
        for symbol, number in zip(crystal.symbols, crystal.numbers, strict=True)
    }
    return {
        "symbols": crystal.symbols,
        "masses": crystal.masses,
        "elements": elements,
        "lattice": crystal.lattice,
        "fractional": crystal.fractional,
        "axes": axes,
        "to_box": crystal.lattice @ np.linalg.inv(axes),
        "from_box": axes @ crystal.reciprocal.T,
    }


def gamma_scene(prediction: Prediction) -> list[dict[str, Any]]:
    """The modes of the Γ table in its order: those without field, then longitudinal ones for every direction."""
    gamma, crystal = prediction.gamma, prediction.dynamics.crystal
    masses, symbols = crystal.masses, crystal.symbols
    modes = [
        moving_mode(
            mode.frequency_cm1, mode.irrep.symbol, aligned(mode.eigenvectors, gamma.action.axes, symbols), masses
        )
        for mode in gamma.modes
    ]
    for label, direction in gamma.directions.items():
        chosen = [mode for mode in gamma.directional[label] if mode.polarization == "LO"]
        vectors = _longitudinal_vectors(prediction, direction, chosen)
        modes += [
            moving_mode(mode.frequency_cm1, mode.symbol, vector[:, None], masses)
            for mode, vector in zip(chosen, vectors, strict=True)
        ]
    return modes


def path_scene(prediction: Prediction, most_numbers: int) -> dict[str, Any]:
    """Modes along the path, at the wave vectors that the bound allows."""
    track = prediction.dispersion.path
    modes = path_modes(prediction.dynamics, track, most_numbers)
    return {
        "indices": modes.indices,
        "qpoints": track.qpoints[modes.indices],
        "shape": [*modes.displacements.shape, 2],
        "scale": INTEGER_SCALE,
        "vectors": packed(modes.displacements),
    }


def aligned(
    eigenvectors: Float[ndarray, "components partners"], axes: Float[ndarray, "3 3"], symbols: Sequence[str]
) -> Float[ndarray, "components partners"]:
    """Degenerate partners that move elements as a whole along the axes, or else single atoms; the span is the same.

    >>> block = np.eye(6)[:, :3] @ np.array([[0.8, 0.6, 0], [0.6, -0.8, 0], [0, 0, 1.0]])
    >>> bool(np.allclose(aligned(block, np.eye(3), ["Mg", "O"]), np.eye(6)[:, :3]))
    True
    """
    units = axes / np.linalg.norm(axes, axis=1)[:, None]
    members = np.array([[symbol == element for symbol in symbols] for element in dict.fromkeys(symbols)], dtype=float)
    whole = np.kron(members / np.linalg.norm(members, axis=1)[:, None], units)
    wishes = [(pattern @ eigenvectors).T for pattern in (whole, np.kron(np.eye(len(symbols)), units))]
    partners: list[ndarray] = []
    for _ in range(eigenvectors.shape[1]):
        lengths = [np.linalg.norm(wish, axis=0) for wish in wishes]
        kind = 0 if lengths[0].max() > SMALLEST_SHARE else 1
        first = int(np.flatnonzero(lengths[kind] > lengths[kind].max() - 1e-6)[0])
        partner = wishes[kind][:, first] / lengths[kind][first]
        partners.append(partner)
        wishes = [wish - np.outer(partner, partner @ wish) for wish in wishes]
    return eigenvectors @ np.stack(partners, axis=1)


def packed(displacements: Complex[ndarray, "kept modes atoms 3"]) -> str:
    """Real and imaginary parts as little-endian 16-bit integers in base64."""
    parts = np.stack([displacements.real, displacements.imag], axis=-1)
    return base64.b64encode(np.round(parts * INTEGER_SCALE).astype("<i2").tobytes()).decode()


def moving_mode(
    frequency: float,
    symbol: str,
    eigenvectors: Float[ndarray, "components partners"],
    masses: Float[ndarray, "atoms"],
) -> dict[str, Any]:
    """One frequency with the displacements of its modes, the longest of each scaled to one."""
    vectors = scaled_displacements(eigenvectors[None], masses)[0].real
    return {"frequency": frequency, "irrep": symbol, "vectors": np.round(vectors, 4) + 0.0}


def _longitudinal_vectors(
    prediction: Prediction, direction: Float[ndarray, "3"], chosen: list[DirectionalMode]
) -> list[Float[ndarray, "components"]]:
    """Eigenvectors of longitudinal modes; among modes of one frequency the combination with all of the dipole."""
    dynamics = prediction.dynamics
    assert dynamics.dipole is not None
    frequencies, eigenvectors = dynamics.modes(np.zeros((1, 3)), direction)
    vectors = eigenvectors[0].real
    charges = np.einsum("f,nfd->nd", direction, dynamics.dipole.born_charges)
    charges = (charges / np.sqrt(dynamics.crystal.masses)[:, None]).reshape(-1)
    found = []
    for mode in chosen:
        same = np.abs(frequencies[0] - mode.frequency_thz) * THZ_TO_CM1 < 0.01
        block = vectors[:, same]
        combination = block @ (charges @ block)
        found.append(combination / np.linalg.norm(combination))
    return found


def hex_colour(colour: Float[ndarray, "3"]) -> str:
    """A colour as pages write it."""
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in colour)
