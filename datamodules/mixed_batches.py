"""Batches of epochs that show a choice of samples of several kinds, each kind dealt out evenly."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from datamodules.batching import BalancedBatches


@runtime_checkable
class DrawnSamples(Protocol):
    """Samples of which each epoch shows some."""

    @property
    def costs(self) -> Sequence[int]:
        """Work of every sample."""
        ...

    def draw(self, generator: np.random.Generator) -> list[list[int]]:
        """The samples of an epoch, a list for each kind; their numbers are the same in every epoch."""
        ...


class MixedBatches(BalancedBatches):
    """A fixed number of batches an epoch, each with nearly the same work of every kind of samples.

    Kind by kind, each drawn sample goes to the batch with the least work of its kind and, among several, with the
    least work altogether. Every process of a distributed run makes the same plan and takes its share.

    Args:
        samples: what is drawn from.
        batch_size: samples per batch, on average.
        seed: of the choice and of the plans.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self, samples: DrawnSamples, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.samples = samples
        size = sum(len(kind) for kind in samples.draw(np.random.default_rng(seed)))
        super().__init__([1] * size, batch_size, True, seed, rank, world_size)
        self.costs = np.asarray(samples.costs, dtype=float)

    def plan(self) -> list[list[int]]:
        """The batches of this epoch for all processes; one that would be empty repeats a sample."""
        generator = np.random.default_rng([self.seed, self.epoch])
        batches: list[list[int]] = [[] for _ in range(self.n_batches)]
        work = np.zeros(self.n_batches)
        drawn = self.samples.draw(generator)
        for kind in drawn:
            of_kind = np.zeros(self.n_batches)
            jitter = generator.uniform(0.5, 1.5, len(kind))
            for place in np.argsort(-self.costs[kind] * jitter, kind="stable"):
                lightest = np.lexsort((work, of_kind))[0]
                batches[lightest].append(kind[place])
                of_kind[lightest] += self.costs[kind[place]]
                work[lightest] += self.costs[kind[place]]
        first = next(kind for kind in drawn if kind)
        for index, members in enumerate(batches):
            if not members:
                members.append(first[index % len(first)])
        return [batches[index] for index in generator.permutation(len(batches))]
