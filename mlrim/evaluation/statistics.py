"""Summaries of a metric over compounds: mean, median, trimmed mean, bootstrap intervals, imaginary-mode scores."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

TRIM = 0.1
"""Share of the compounds left out at each end of a trimmed mean."""
RESAMPLES = 2000
CONFIDENCE = 0.95

Row = Mapping[str, Any]
"""One compound and model: what it is, and its metrics."""


class Statistics(NamedTuple):
    """A metric over a set of compounds."""

    compounds: int
    mean: float
    mean_low: float
    """Lower end of the bootstrap interval of the mean."""
    mean_high: float
    median: float
    median_low: float
    median_high: float
    trimmed_mean: float


class StabilityScores(NamedTuple):
    """How well unstable compounds are told from stable ones."""

    compounds: int
    unstable: int
    """Compounds with imaginary modes in the reference."""
    precision: float
    recall: float
    f1: float


def statistics(values: Sequence[float], seed: int = 0) -> Statistics:
    """Summary of a metric; the bootstrap is reproducible."""
    array = np.asarray(values, dtype=float)
    if len(array) == 0:
        return Statistics(0, *[float("nan")] * 7)
    samples = array[np.random.default_rng(seed).integers(len(array), size=(RESAMPLES, len(array)))]
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    mean_low, mean_high = np.quantile(samples.mean(axis=1), ends)
    median_low, median_high = np.quantile(np.median(samples, axis=1), ends)
    return Statistics(
        len(array),
        float(array.mean()),
        float(mean_low),
        float(mean_high),
        float(np.median(array)),
        float(median_low),
        float(median_high),
        trimmed_mean(array),
    )


def trimmed_mean(values: Float[ndarray, "compounds"], share: float = TRIM) -> float:
    """Mean without the lowest and highest share of the values.

    >>> trimmed_mean(np.array([0.0, 1, 1, 1, 1, 1, 1, 1, 1, 100]))
    1.0
    """
    left_out = int(share * len(values))
    return float(np.sort(values)[left_out : len(values) - left_out].mean())


def stability_scores(reference: Sequence[float], predicted: Sequence[float]) -> StabilityScores:
    """Precision, recall and F1 of 'this compound has imaginary modes'; NaN where undefined."""
    truth, guess = np.asarray(reference) > 0.5, np.asarray(predicted) > 0.5
    hits = int(np.sum(truth & guess))
    precision = hits / guess.sum() if guess.any() else float("nan")
    recall = hits / truth.sum() if truth.any() else float("nan")
    f1 = 2 * hits / (truth.sum() + guess.sum()) if truth.any() or guess.any() else float("nan")
    return StabilityScores(len(truth), int(truth.sum()), float(precision), float(recall), float(f1))


def grouped(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    """Rows by the value of a column, largest group first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[key]), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
