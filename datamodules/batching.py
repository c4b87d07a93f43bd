"""Batches of nearly equal work: which samples go together, and joining them into one graph."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from mlrim.graph.crystal_graph import CrystalGraph, batch
from mlrim.graph.labels import ForceConstantLabels, batch_labels


class LabelledGraph(NamedTuple):
    """A graph, or a batch of them, with its labels."""

    graph: CrystalGraph
    labels: ForceConstantLabels


def join(samples: Sequence[LabelledGraph]) -> LabelledGraph:
    """One batch of several samples."""
    return LabelledGraph(batch([sample.graph for sample in samples]), batch_labels([s.labels for s in samples]))


class BalancedBatches(Sampler[list[int]]):
    """A fixed number of batches an epoch, with as equal a sum of costs as can be.

    Samples are taken from the costliest down, and each goes to the batch with the least work so far that is not full;
    equal-sized samples are shuffled by multiplying every cost with a random number. Every process of a distributed
    run makes the same plan and takes its share.

    Args:
        costs: work of every sample.
        batch_size: samples per batch, on average.
        shuffle: a new plan for every epoch.
        seed: of the plans.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        costs: Sequence[int],
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.costs = np.asarray(costs, dtype=float)
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        n_batches = -(-len(costs) // batch_size)
        self.n_batches = -(-n_batches // world_size) * world_size
        self.epoch = 0
        self.sampler = self  # Lightning looks here for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """Choose the plan."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_batches // self.world_size

    def __iter__(self) -> Iterator[list[int]]:
        yield from self.plan()[self.rank :: self.world_size]

    def plan(self) -> list[list[int]]:
        """The batches of this epoch for all processes; one that would be empty repeats a sample."""
        generator = np.random.default_rng([self.seed, self.epoch if self.shuffle else 0])
        jitter = generator.uniform(0.5, 1.5, len(self.costs)) if self.shuffle else np.ones(len(self.costs))
        batches: list[list[int]] = [[] for _ in range(self.n_batches)]
        work = np.zeros(self.n_batches)
        for sample in np.argsort(-self.costs * jitter, kind="stable"):
            lightest = int(work.argmin())
            batches[lightest].append(int(sample))
            work[lightest] += self.costs[sample]
        for index, members in enumerate(batches):
            if not members:
                members.append(index % len(self.costs))
        if self.shuffle:
            batches = [batches[index] for index in generator.permutation(len(batches))]
        return batches
