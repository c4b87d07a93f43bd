"""Extended XYZ files of a molecule: its geometry, and its modes as one frame each (Jmol, OVITO and ASE read them)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.report.molecule.prediction import MoleculePrediction


def write_geometry(prediction: MoleculePrediction, path: Path) -> None:
    """Write the geometry that the modes belong to."""
    comment = f'Properties=species:S:1:pos:R:3:masses:R:1 energy={prediction.energy:.10g} pbc="F F F"'
    masses = prediction.vibrations.masses[:, None]
    path.write_text(frame(prediction.symbols, np.hstack([prediction.positions, masses]), comment), encoding="utf-8")


def write_modes(prediction: MoleculePrediction, path: Path) -> None:
    """Write every mode, degenerate ones each, as a frame with displacements e/√m whose longest is 1 Å."""
    frames = []
    for number, mode in enumerate(prediction.vibrations.modes, start=1):
        for partner, vector in enumerate(mode.eigenvectors.T, start=1):
            displacement = vector.reshape(-1, 3) / np.sqrt(prediction.vibrations.masses)[:, None]
            displacement = displacement / np.linalg.norm(displacement, axis=1).max()
            comment = (
                f"Properties=species:S:1:pos:R:3:displacement:R:3 frequency_cm1={mode.frequency_cm1:.6f} "
                f'irrep="{mode.irrep.symbol}" activity="{mode.activity}" mode={number} partner={partner} pbc="F F F"'
            )
            frames.append(frame(prediction.symbols, np.hstack([prediction.positions, displacement]), comment))
    path.write_text("".join(frames), encoding="utf-8")


def frame(symbols: list[str], columns: Float[ndarray, "atoms columns"], comment: str) -> str:
    """One frame of an XYZ file."""
    rows = [
        f"{symbol:<2} " + " ".join(f"{value:15.9f}" for value in row)
        for symbol, row in zip(symbols, columns, strict=True)
    ]
    return "\n".join([str(len(symbols)), comment, *rows]) + "\n"
