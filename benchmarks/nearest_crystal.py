"""The nearest training crystal by composition and structure, for comparison: its vibrations are the prediction.

A crystal is a fingerprint: mean and deviation of its elements' properties, volume per atom, and how many neighbours its
atoms have at which reduced distance. Frequencies are taken over by their quantiles, so that the number of atoms may
differ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mlrim.graph.elements import element_properties
from mlrim.graph.structure_graph import StructureGraph

DISTANCES = np.linspace(0.7, 2.3, 17)
"""Edges of the histogram of reduced distances."""


def fingerprint(graph: StructureGraph) -> Float[ndarray, "features"]:
    """Composition and structure of one crystal."""
    properties = element_properties()[graph.element.numpy()]
    radii = graph.radii.numpy()
    bonds = radii[graph.receiver.numpy()] + radii[graph.sender.numpy()]
    reduced = graph.vector.norm(dim=-1).numpy() / bonds
    shells = np.histogram(reduced, DISTANCES)[0] / len(graph.masses)
    volume = np.log(float(graph.volume) / len(graph.masses))
    return np.concatenate([properties.mean(0), properties.std(0), [4 * volume], np.log1p(shells)])


class NearestCrystal:
    """Finds the nearest of some crystals.

    Args:
        samples: labelled structures of one crystal each.
    """

    def __init__(self, samples: Sequence[Any]) -> None:
        self.samples = list(samples)
        points = np.array([fingerprint(sample.graph) for sample in self.samples])
        self.deviation = np.maximum(points.std(axis=0), 1e-6)
        self.points = points / self.deviation

    def __call__(self, graph: StructureGraph) -> Any:
        """The nearest sample."""
        point = fingerprint(graph) / self.deviation
        return self.samples[int(((self.points - point) ** 2).sum(axis=1).argmin())]


def by_quantiles(optical: torch.Tensor, count: int) -> Float[ndarray, "modes"]:
    """So many frequencies that are distributed like the given ones.

    >>> by_quantiles(torch.tensor([100.0, 200.0, 300.0, 400.0]), 2).tolist()
    [150.0, 350.0]
    """
    values = np.sort(optical.double().numpy())
    if len(values) == 0:
        return np.zeros(count)
    return np.interp((np.arange(count) + 0.5) / count, (np.arange(len(values)) + 0.5) / len(values), values)
