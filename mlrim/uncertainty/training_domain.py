"""Where the training set is: distances in the space of what a network has learned, and elements.

A crystal is as far as the mean distance to its nearest training crystals, each channel in units of its deviation over
the training set, relative to what is typical of crystals of the same kind that were not trained on.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

NEIGHBOURS = 5
INSIDE = 0.95
"""Share of the calibration crystals that are inside."""


@dataclass(frozen=True)
class Domain:
    """How far a crystal is from what the model was trained on.

    Attributes:
        distance: in the space of what the network learned, over the distance of typical crystals; about 1 inside.
        limit: a larger distance is outside.
        unseen: elements that were not trained on.
    """

    distance: float
    limit: float
    unseen: tuple[str, ...]

    @property
    def outside(self) -> bool:
        """Whether the answers are guesses."""
        return bool(self.unseen) or self.distance > self.limit


@dataclass(frozen=True, eq=False)
class TrainingDomain:
    """The training set as points.

    Attributes:
        points: of the training crystals, in units of `deviation`.
        deviation: of every channel.
        typical: median distance of calibration crystals.
        limit: relative distance that `INSIDE` of them do not exceed.
        elements: atomic numbers of the training set.
    """

    points: Float[ndarray, "crystals channels"]
    deviation: Float[ndarray, "channels"]
    typical: float
    limit: float
    elements: tuple[int, ...]

    def distance(self, latent: Float[ndarray, "channels"]) -> float:
        """Relative distance of a crystal; about one is typical."""
        return nearest_distance(latent / self.deviation, self.points) / self.typical

    def verdict(self, latent: Float[ndarray, "channels"], numbers: ndarray) -> Domain:
        """How far a crystal with these atomic numbers is, and which of its elements are unknown."""
        from ase.data import chemical_symbols

        unseen = sorted(set(np.asarray(numbers).tolist()) - set(self.elements))
        return Domain(self.distance(latent), self.limit, tuple(chemical_symbols[number] for number in unseen))


def fit_domain(
    trained: Float[ndarray, "crystals channels"],
    others: Float[ndarray, "calibration channels"],
    elements: tuple[int, ...],
) -> TrainingDomain:
    """The domain of training crystals, with its limit from crystals that were not trained on."""
    deviation = np.maximum(trained.std(axis=0), 1e-6)
    points = trained / deviation
    distances = np.array([nearest_distance(latent / deviation, points) for latent in others])
    typical = max(float(np.median(distances)), 1e-9)
    return TrainingDomain(points, deviation, typical, float(np.quantile(distances / typical, INSIDE)), elements)


def nearest_distance(point: Float[ndarray, "channels"], points: Float[ndarray, "crystals channels"]) -> float:
    """Mean distance to the nearest points.

    >>> nearest_distance(np.zeros(1), np.array([[1.0], [-1.0], [2.0], [-2.0], [4.0], [9.0]]))
    2.0
    """
    distances = np.sqrt(((points - point) ** 2).sum(axis=1))
    count = min(NEIGHBOURS, len(distances))
    return float(np.partition(distances, count - 1)[:count].mean())


def domain_warnings(domain: Domain | None) -> list[str]:
    """Says that a crystal is unlike what was trained on."""
    if domain is None or not domain.outside:
        return []
    if domain.unseen:
        return [
            f"the model was trained without {', '.join(domain.unseen)}: what it says about this crystal is a guess, "
            "and its errors may be larger than stated"
        ]
    return [
        f"the crystal is unlike those the model was trained on (distance {domain.distance:.2g}, inside up to "
        f"{domain.limit:.2g}): errors may be larger than stated"
    ]
