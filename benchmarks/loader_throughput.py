"""Crystals per second that two workers load, against those that a training step consumes, in one run.

    python -m benchmarks.loader_throughput [experiment=delta_phonondb data.selection.max_atoms=20 …]

The words are those of train.py; without any, the phonondb data set with at most 20 atoms is used where it is there,
and the embedded one otherwise. Measured are: the data loader with two workers, from samples on disk to joined
batches; the training step (forward, backward, optimiser) on the same batches, one thread; and what is done once when a
data set is used for the first time, records in LMDB to joined batches, samples made on the way.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset

from datamodules.batching import LabelledGraph, join
from datamodules.crystal_datamodule import CrystalDataModule
from datamodules.samples import SampleSettings, labels_of, make_sample
from datamodules.store import RecordStore
from mlrim.configuration.entry_point import configuration_directory

WORKERS = 2
LOADED = 300
"""Batches that are loaded."""
TRAINED = 20
"""Batches that are trained on."""
MADE = 400
"""Records that samples are made of."""


class RecordDataset(Dataset[LabelledGraph]):
    """Samples made from their records every time."""

    def __init__(self, store: RecordStore, ids: list[str], settings: SampleSettings) -> None:
        self.store, self.ids, self.settings = store, ids, settings

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> LabelledGraph:
        sample = make_sample(self.store[self.ids[index]], self.settings)
        return LabelledGraph(sample.graph, labels_of(sample, 0))


def composed(words: list[str]) -> DictConfig:
    """The configuration of train.py for the words of a command line."""
    root = Path(__file__).resolve().parent.parent
    with initialize_config_dir(str(configuration_directory()), version_base="1.3"):
        return compose("train", overrides=[*words, f"data.workers={WORKERS}", f"paths.root={root}"])


def default_words() -> list[str]:
    """Phonondb where it is there."""
    if Path("data/phonondb/manifest.json").is_file():
        return ["experiment=delta_phonondb", "data.selection.max_atoms=20"]
    return ["experiment=delta_embedded"]


def crystals_per_second(batches: Iterator[LabelledGraph], step: Any = None) -> float:
    """How fast batches come (and are worked on); the first one, in which workers start, is not counted."""
    next(batches) if step is None else step(next(batches))
    start, count = time.perf_counter(), 0
    for batch in batches:
        if step is not None:
            step(batch)
        count += len(batch.graph.n_atoms)
    return count / (time.perf_counter() - start)


def endless(loader: DataLoader) -> Iterator[LabelledGraph]:
    """Epoch after epoch."""
    while True:
        yield from loader


def training(config: DictConfig, datamodule: CrystalDataModule) -> Any:
    """The training step: loss, gradients and one step of the optimiser."""
    from torch.optim import AdamW

    from mlrim.tasks.delta import delta_statistics

    task = instantiate(config.task, model=instantiate(config.model))
    task.model.set_statistics(delta_statistics(datamodule.training_samples()))
    optimizer = AdamW(task.parameters(), lr=1e-4, fused=True)

    def step(batch: LabelledGraph) -> None:
        optimizer.zero_grad()
        task.training_step(batch, 0).backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # fewer cores than workers
    warnings.filterwarnings("ignore", message="You are trying to `self.log")
    config = composed(sys.argv[1:] or default_words())
    datamodule = instantiate(config.data)
    loader = datamodule.train_dataloader()
    kept = list(islice(endless(loader), TRAINED + 1))
    trained = crystals_per_second(iter(kept), training(config, datamodule))
    loaded = crystals_per_second(islice(endless(loader), LOADED))
    trained_again = crystals_per_second(islice(cycle(kept), TRAINED + 1), training(config, datamodule))
    ids = datamodule.ids["train"][:MADE]
    records = DataLoader(
        RecordDataset(datamodule.store, ids, datamodule.settings),
        config.data.batch_size,
        collate_fn=join,
        num_workers=WORKERS,
        multiprocessing_context="forkserver",
    )
    made = crystals_per_second(iter(records))
    consumed = (trained + trained_again) / 2
    print(f"{datamodule.store.path.name}, {len(datamodule.ids['train'])} crystals to train on; crystals per second:")
    print(f"training step, one thread            {consumed:8.1f}   (before {trained:.1f}, after {trained_again:.1f})")
    print(
        f"samples on disk to batches, {WORKERS} workers {loaded:8.1f}   {loaded / consumed:.1f} times the training step"
    )
    print(f"records to batches, {WORKERS} workers         {made:8.1f}   {made / consumed:.2f} times, needed once")


if __name__ == "__main__":
    main()
