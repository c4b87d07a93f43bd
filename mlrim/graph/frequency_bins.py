"""Bins of frequency that densities of states and spectra are learned in, and what is put into them.

Bins are equally wide in s with ω = ω₁ sinh(s): of constant width below ω₁ and of a width proportional to ω above, so
that one grid holds heavy ions and O–H stretches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr

from mlrim.errors import UserError


class FrequencyBins(NamedTuple):
    """Which bins; the first one begins at zero."""

    size: int
    """Number of bins."""
    highest: float
    """Upper edge of the last bin, cm⁻¹."""
    bend: float
    """ω₁, above which bins widen, cm⁻¹."""

    @property
    def edges(self) -> Float[ndarray, "edges"]:
        """cm⁻¹, one more than bins.

        >>> FrequencyBins(4, 400.0, 1e6).edges.round(3).tolist()
        [0.0, 100.0, 200.0, 300.0, 400.0]
        """
        return self.bend * np.sinh(np.linspace(0, 1, self.size + 1) * np.arcsinh(self.highest / self.bend))


def bins_from(values: Sequence[int | float]) -> FrequencyBins:
    """The bins that a configuration or checkpoint describes by three numbers.

    Raises:
        UserError: there are not three, or they describe no bins.
    """
    given = list(values)
    if len(given) != 3 or given[0] != int(given[0]) or given[0] < 8 or min(given[1:]) <= 0:
        raise UserError(
            f"bins of frequency are their number (at least 8), the upper edge of the last one and the frequency above "
            f"which they widen (both above zero, cm⁻¹), for example [128, 4000, 500]; not {given}"
        )
    return FrequencyBins(int(given[0]), float(given[1]), float(given[2]))


DENSITY_BINS = FrequencyBins(128, 4000.0, 500.0)
SPECTRUM_BINS = FrequencyBins(192, 4000.0, 500.0)
"""What is used unless a configuration says otherwise."""


def gaussian_shares(
    positions: Float[ndarray, "lines"], sigma: float, edges: Float[ndarray, "edges"]
) -> Float[ndarray, "lines bins"]:
    """The part of a Gaussian around each position (cm⁻¹) that falls into each bin; rows sum to one.

    What lies below zero is reflected, what lies above the last bin belongs to it.

    >>> gaussian_shares(np.array([0.0, 15.0]), 1e-3, np.array([0.0, 10.0, 20.0])).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    below = ndtr((edges - positions[:, None]) / sigma) - ndtr((-edges - positions[:, None]) / sigma)
    below[:, -1] = 1.0
    return np.diff(below, axis=1)


def lorentzian_shares(
    positions: Float[ndarray, "lines"], width: float, edges: Float[ndarray, "edges"]
) -> Float[ndarray, "lines bins"]:
    """The same for Lorentzians of a width (FWHM, cm⁻¹).

    >>> lorentzian_shares(np.array([15.0]), 2.0, np.array([0.0, 14.0, 16.0, 1e9])).round(4).tolist()
    [[0.239, 0.5007, 0.2603]]
    """
    upper, lower = (np.arctan(2 * (edge - positions[:, None]) / width) / np.pi for edge in (edges, -edges))
    below = upper - lower
    below[:, -1] = 1.0
    return np.diff(below, axis=1)
