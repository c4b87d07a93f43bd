"""Calibrated probabilities: a line through the network's log-odds.

Source: Platt, Advances in Large Margin Classifiers (1999): logistic regression on the classifier's own log-odds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize


class StabilityCalibration(NamedTuple):
    """slope · log-odds + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def calibrated(self, logit: float) -> float:
        """Log-odds whose probabilities are frequencies."""
        return self.slope * logit + self.offset


def fit_stability(logits: Float[ndarray, "crystals"], stable: Float[ndarray, "crystals"]) -> StabilityCalibration:
    """The line of largest likelihood; the log-odds as they are where all crystals are alike."""
    if len(stable) == 0 or stable.min() == stable.max():
        return StabilityCalibration()

    def cost(line: ndarray) -> float:
        return float(np.mean(np.logaddexp(0, -(2 * stable - 1) * (line[0] * logits + line[1]))))

    slope, offset = minimize(cost, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return StabilityCalibration(float(slope), float(offset))


def expected_calibration_error(
    probabilities: Float[ndarray, "crystals"], happened: Float[ndarray, "crystals"], bins: int = 10
) -> float:
    """Mean difference of probability and frequency over bins of equal width, weighted by their crystals.

    >>> expected_calibration_error(np.array([0.25, 0.25, 0.25, 0.25]), np.array([1.0, 0, 0, 0]))
    0.0
    """
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    difference = np.abs(np.bincount(place, probabilities - happened, minlength=bins))
    return float(difference[count > 0].sum() / len(probabilities))
