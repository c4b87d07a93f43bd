"""Phonon bands along a path through the Brillouin zone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.qpath import QPath, standard_path


@dataclass(frozen=True, eq=False)
class Dispersion:
    """Frequencies along a path; at Γ with the LO–TO splitting of the direction in which the path runs.

    Attributes:
        path: wave vectors, distances, labels and segments.
        frequencies: signed frequencies by ascending value, THz, shape (qpoints, 3 atoms).
    """

    path: QPath
    frequencies: Float[ndarray, "qpoints modes"]


def dispersion(
    dynamics: LatticeDynamics, spacing: float = 0.005, path: QPath | None = None, batch: int = 128
) -> Dispersion:
    """The bands along the standard path of the crystal (seekpath), or along a given one.

    Args:
        spacing: distance of neighbouring wave vectors on the path, 1/Å without 2π.
        batch: wave vectors treated together; bounds the memory.
    """
    path = standard_path(dynamics.crystal, spacing) if path is None else path
    parts = [
        dynamics.frequencies(path.qpoints[start : start + batch], path.directions[start : start + batch])
        for start in range(0, len(path.qpoints), batch)
    ]
    return Dispersion(path, np.concatenate(parts))
