"""From the disagreement of members to the error that has to be expected, learned on crystals that were not trained on.

The scale of an error is a product of powers, σ = c₀ · (s + s₀)^c₁ · d^c₂ · (|v| + v₀)^c₃, of the spread s of the
members, the distance d of the crystal from the training set and the size v of the value; c₁ and c₂ are not negative.
The powers maximise the likelihood of double exponential errors, in which every crystal counts once. Errors divided by
σ are then counted: the share of them within k·σ on the calibration crystals is what k·σ stands for, whatever their
distribution is (split conformal prediction; Vovk, Gammerman, Shafer 2005).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize

STANDARD_LEVEL = 0.682689
"""Share of errors that a standard error covers: that of a Gaussian within one standard deviation."""
LEVELS = np.concatenate([np.arange(0.02, 0.99, 0.02), [0.99, 0.995]])
"""Shares at which the distribution of errors is kept."""


class Residuals(NamedTuple):
    """Predictions of one quantity beside the truth, one row each; several rows may belong to one crystal."""

    value: Float[ndarray, "rows"]
    error: Float[ndarray, "rows"]
    """Prediction minus truth."""
    spread: Float[ndarray, "rows"]
    """Standard deviation of the members."""
    distance: Float[ndarray, "rows"]
    """Of the crystal from the training set."""
    weight: Float[ndarray, "rows"]
    """One over the number of rows of the crystal."""


class ErrorModel(NamedTuple):
    """How large errors of one quantity are."""

    powers: tuple[float, float, float, float]
    """ln c₀, c₁, c₂, c₃."""
    spread_floor: float
    """s₀"""
    value_floor: float
    """v₀"""
    quantiles: tuple[float, ...]
    """|error|/σ that `LEVELS` of all errors do not exceed."""

    def scale(
        self, value: Float[ndarray, "*shape"], spread: Float[ndarray, "*shape"], distance: float | ndarray
    ) -> Float[ndarray, "*shape"]:
        """σ, in the unit of the value."""
        features = _features(value, spread, distance, self.spread_floor, self.value_floor)
        return np.asarray(np.exp(features @ np.array(self.powers)))

    def half_width(
        self,
        value: Float[ndarray, "*shape"],
        spread: Float[ndarray, "*shape"],
        distance: float | ndarray,
        level: float = STANDARD_LEVEL,
    ) -> Float[ndarray, "*shape"]:
        """Half the interval around the value that holds the truth with this probability."""
        factor = np.interp(level, np.append(0.0, LEVELS), np.append(0.0, self.quantiles))
        return np.asarray(factor * self.scale(value, spread, distance))

    def as_plain(self) -> dict[str, Any]:
        """As plain data."""
        return {key: list(part) if isinstance(part, tuple) else part for key, part in self._asdict().items()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "ErrorModel":
        """From plain data."""
        return cls(tuple(plain["powers"]), plain["spread_floor"], plain["value_floor"], tuple(plain["quantiles"]))


def fit_error_model(residuals: Residuals) -> ErrorModel:
    """The error model of a quantity; without any spread its power is zero.

    Raises:
        ValueError: there are fewer than ten rows.
    """
    if len(residuals.value) < 10:
        raise ValueError(f"{len(residuals.value)} errors are too few to learn how large they are")
    size = float(np.median(np.abs(residuals.error)))
    typical = float(np.median(residuals.spread))
    floors = max(0.1 * typical, 1e-3 * size, 1e-12), max(0.1 * float(np.median(np.abs(residuals.value))), 1e-12)
    features = _features(residuals.value, residuals.spread, residuals.distance, *floors)
    if typical <= 0:
        features[:, 1] = 0.0
    powers = _most_likely(features, np.abs(residuals.error), residuals.weight)
    ratios = np.abs(residuals.error) / np.exp(features @ powers)
    return ErrorModel(tuple(powers.tolist()), *floors, tuple(weighted_quantiles(ratios, residuals.weight)))


def coverage(model: ErrorModel, residuals: Residuals) -> Float[ndarray, "levels"]:
    """Share of errors within the intervals of each of `LEVELS`: the reliability diagram; equal to them if perfect."""
    inside = [
        np.abs(residuals.error) <= model.half_width(residuals.value, residuals.spread, residuals.distance, level)
        for level in LEVELS
    ]
    return np.average(np.array(inside), axis=1, weights=residuals.weight)


def miscalibration_area(covered: Float[ndarray, "levels"]) -> float:
    """∫ |observed − expected share| over the expected share: 0 if perfect, 0.5 at worst.

    Source: Chung et al., Uncertainty Toolbox, arXiv 2109.10254.

    >>> round(miscalibration_area(LEVELS), 6)
    0.0
    """
    grid = np.concatenate([[0.0], LEVELS, [1.0]])
    return float(np.trapezoid(np.abs(np.concatenate([[0.0], covered, [1.0]]) - grid), grid))


def weighted_quantiles(values: Float[ndarray, "rows"], weights: Float[ndarray, "rows"]) -> list[float]:
    """The values that `LEVELS` of the weight do not exceed.

    >>> weighted_quantiles(np.arange(1.0, 101.0), np.ones(100))[24]
    50.0
    """
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    places = np.minimum(np.searchsorted(shares, LEVELS - 1e-12), len(values) - 1)
    return values[order][places].tolist()


def _features(
    value: ndarray, spread: ndarray, distance: float | ndarray, spread_floor: float, value_floor: float
) -> Float[ndarray, "*shape four"]:
    value, spread, distance = np.broadcast_arrays(value, spread, distance)
    logarithms = [
        np.log(spread + spread_floor), np.log(np.maximum(distance, 1e-3)), np.log(np.abs(value) + value_floor),
    ]  # fmt: skip
    return np.stack([np.ones_like(logarithms[0]), *logarithms], axis=-1)


def _most_likely(
    features: Float[ndarray, "rows four"], errors: Float[ndarray, "rows"], weights: Float[ndarray, "rows"]
) -> Float[ndarray, "four"]:
    shares = weights / weights.sum()

    def cost(powers: ndarray) -> tuple[float, ndarray]:
        logarithm = features @ powers
        relative = errors * np.exp(-np.clip(logarithm, -50, 50))
        return float(shares @ (logarithm + relative)), features.T @ (shares * (1 - relative))

    start = np.array([np.log(max(float(shares @ errors), 1e-12)), 0.0, 0.0, 0.0])
    limits = [(None, None), (0.0, 2.0), (0.0, 2.0), (-1.0, 1.5)]
    return minimize(cost, start, jac=True, bounds=limits, method="L-BFGS-B").x
