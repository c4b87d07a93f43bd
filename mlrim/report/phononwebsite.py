"""phononwebsite.json: bands and modes for the viewer at henriquemiranda.github.io/phononwebsite.

The viewer multiplies vectors by the phase of the cell only and draws bands between `line_breaks`; it finds a wave
vector by its distance along the path, so distances must differ, also where a path continues at the same point in
another direction with another longitudinal mode.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.qpath import QPath
from mlrim.report.formula import chemical_formula
from mlrim.report.path_modes import path_modes
from mlrim.report.prediction import Prediction

MOST_NUMBERS = 600_000
"""Bound on the numbers in the file, about 7 bytes each; wave vectors are left out when a cell is large."""
SMALLEST_STEP = 1e-5
"""Distance between the end of a segment and the start of the next, as a share of the whole path."""


def write_phononwebsite(prediction: Prediction, path: Path, most_numbers: int = MOST_NUMBERS) -> None:
    """Write the bands and modes of a prediction for the phonon website."""
    text = json.dumps(phononwebsite(prediction, most_numbers), ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def phononwebsite(prediction: Prediction, most_numbers: int = MOST_NUMBERS) -> dict[str, Any]:
    """The fields that the phonon website reads: Å, cm⁻¹ (negative: imaginary), displacements e/√m with all phases
    of the home cell."""
    crystal, track = prediction.dynamics.crystal, prediction.dispersion.path
    modes = path_modes(prediction.dynamics, track, most_numbers)
    qpoints = track.qpoints[modes.indices]
    phases = np.exp(2j * np.pi * (qpoints @ crystal.fractional.T))
    vectors = modes.displacements * phases[:, None, :, None]
    return {
        "name": chemical_formula(crystal),
        "formula": crystal.formula,
        "natoms": crystal.n_atoms,
        "lattice": _rounded(crystal.lattice, 8),
        "atom_types": crystal.symbols,
        "atom_numbers": crystal.numbers.tolist(),
        "atomic_numbers": list(dict.fromkeys(crystal.numbers.tolist())),
        "atom_pos_car": _rounded(crystal.positions, 8),
        "atom_pos_red": _rounded(crystal.fractional, 8),
        "masses": _rounded(crystal.masses, 6),
        "repetitions": repetitions(crystal.lattice),
        "qpoints": _rounded(qpoints, 8),
        "distances": [float(f"{value:.9g}") for value in distinct_distances(track, modes.indices)],
        "line_breaks": line_breaks(track, modes.indices),
        "highsym_qpts": high_symmetry_points(track, modes.indices),
        "eigenvalues": _rounded(modes.frequencies, 4),
        "vectors": _rounded(np.stack([vectors.real, vectors.imag], axis=-1), 4),
    }


def line_breaks(path: QPath, indices: Int[ndarray, "kept"]) -> list[list[int]]:
    """Start and stop (not included) of every segment among the kept wave vectors."""
    breaks = [np.searchsorted(indices, [segment.start, segment.stop]).tolist() for segment in path.segments]
    return [[start, stop] for start, stop in breaks if stop > start]


def distinct_distances(path: QPath, indices: Int[ndarray, "kept"]) -> Float[ndarray, "kept"]:
    """Distances along the path, a little apart where one segment ends and the next one starts."""
    segment = np.concatenate([np.full(s.stop - s.start, k) for k, s in enumerate(path.segments)])
    return path.distances[indices] + segment[indices] * SMALLEST_STEP * path.distances[-1]


def high_symmetry_points(path: QPath, indices: Int[ndarray, "kept"]) -> list[list[int | str]]:
    """Index and label of the ends of segments; where two meet, one label with both names."""
    position = {int(index): place for place, index in enumerate(indices)}
    first, last = path.segments[0], len(path.segments) - 1
    points: list[list[int | str]] = [[position[first.start], path.labels[0][0]]] if first.start in position else []
    for number, segment in enumerate(path.segments):
        name = path.labels[number][1]
        following = path.labels[number + 1][0] if number < last else name
        if segment.stop - 1 in position:
            label = name if name == following else f"{name}|{following}"
            points.append([position[segment.stop - 1], label])
    return points


def repetitions(lattice: Float[ndarray, "3 3"], length: float = 10.0) -> list[int]:
    """How many cells are shown along each lattice vector: about `length` (Å), two at least, four at most."""
    return [int(np.clip(np.ceil(length / norm), 2, 4)) for norm in np.linalg.norm(lattice, axis=1)]


def _rounded(values: ndarray, digits: int) -> list:
    """Nested lists of rounded numbers without negative zeros."""
    return (np.round(values, digits) + 0.0).tolist()
