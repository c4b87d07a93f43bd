"""Five-fold cross-validation of learned Raman tensors: how well are the spectra of unseen compounds predicted?

    python -m benchmarks.raman_cross_validation start=outputs/…/checkpoints/best.ckpt data=data/raman_pbe0

Compounds with the same reduced formula are in the same fold. For each fold the bond-polarisability model is fitted to
the others, the network (which has seen Born charges and ε∞ of another data set) is fine-tuned on the others, and both
predict the fold. Spectra are made with the modes of DFT, so that only the Raman tensors are judged.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from datamodules.batching import BalancedBatches
from datamodules.records import Record
from datamodules.response_samples import LabelledResponse, join_responses, make_response_sample, raman_modes
from datamodules.store import RecordStore
from mlrim.callbacks.progress import silence_small_talk
from mlrim.checkpoint import load_model
from mlrim.evaluation.spectra import compare_raman, spectral_displacements
from mlrim.graph.response_graph import with_raman_prior
from mlrim.models.response import ResponseModel
from mlrim.rim.bond_polarizability import bond_polarizability_tensors, fit_bond_polarizability
from mlrim.tasks.response import ResponseTask
from mlrim.vibrations.normal_modes import NormalModes


@dataclass(frozen=True)
class Options:
    """What the command line may say."""

    start: str
    data: str = "data/raman_pbe0"
    folds: int = 5
    only: int = -1
    epochs: int = 40
    learning_rate: float = 5e-4
    batch_size: int = 8
    members: int = 1
    out: str = "outputs/raman_cross_validation.json"


class FoldData(LightningDataModule):
    """Samples to train on."""

    def __init__(self, samples: Sequence[LabelledResponse], batch_size: int, seed: int) -> None:
        super().__init__()
        self.samples, self.batch_size, self.seed = list(samples), batch_size, seed

    def training_samples(self) -> list[LabelledResponse]:
        """All of them."""
        return self.samples

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches of equal work."""
        costs = [len(sample.graph.crystal.receiver) for sample in self.samples]
        batches = BalancedBatches(costs, self.batch_size, True, self.seed)
        return DataLoader(self.samples, batch_sampler=batches, collate_fn=join_responses)  # type: ignore[arg-type]


def folds_of(formulas: Sequence[str], count: int) -> list[int]:
    """The fold of each compound; equal formulas share one."""
    names = sorted(set(formulas))
    order = np.random.default_rng(0).permutation(len(names))
    fold = {names[index]: place % count for place, index in enumerate(order)}
    return [fold[name] for name in formulas]


def normal_modes_of(record: Record) -> NormalModes:
    """Optical modes of a record's force constants."""
    from mlrim.lattice.dynamics import LatticeDynamics
    from mlrim.lattice.force_constants import unfold
    from mlrim.vibrations.gamma import gamma_modes
    from mlrim.vibrations.normal_modes import transverse_modes

    dynamics = LatticeDynamics(record.crystal, unfold(record.compact(), record.supercell), None)
    return transverse_modes(dynamics, gamma_modes(dynamics))


def run(options: Options) -> list[dict[str, Any]]:
    """The metrics of every compound with known tensors, by both models."""
    store = RecordStore(options.data)
    records = [record for record in store if len(raman_modes(record).frequencies)]
    samples = [make_response_sample(record) for record in records]
    fold = folds_of([record.formula for record in records], options.folds)
    modes = [normal_modes_of(record) if record.raman_tensors is not None else None for record in records]
    rows: list[dict[str, Any]] = []
    for held_out in range(options.folds) if options.only < 0 else [options.only]:
        train = [index for index in range(len(records)) if fold[index] != held_out]
        test = [index for index in range(len(records)) if fold[index] == held_out and modes[index] is not None]
        fitted = [index for index in train if modes[index] is not None]
        classical = fit_bond_polarizability(
            [records[index].crystal for index in fitted],
            [records[index].raman_tensors for index in fitted],
            [spectral_displacements(modes[index]) for index in fitted],
        )
        priors = {i: bond_polarizability_tensors(records[i].crystal, classical) for i in [*train, *test]}
        graphs = {i: with_raman_prior(samples[i].graph, priors[i]) for i in priors}
        known = [LabelledResponse(graphs[index], samples[index].labels) for index in train]
        networks = [fine_tuned(options, known, seed) for seed in range(options.members)]
        for index in test:
            with torch.no_grad():
                tensors = [network(graphs[index]).raman_tensors.double().numpy() for network in networks]
            learned = np.mean(tensors, axis=0)
            answers = {"network": learned, "bond model": priors[index]}
            scores = {
                name: compare_raman(tensor, records[index].raman_tensors, modes[index])
                for name, tensor in answers.items()
            }
            rows.append({"id": records[index].id, "formula": records[index].formula, "fold": held_out, **scores})
        print(summary(rows), flush=True)
    return rows


def fine_tuned(options: Options, samples: Sequence[LabelledResponse], seed: int) -> ResponseModel:
    """The network after training on some samples."""
    torch.manual_seed(seed)
    loaded = load_model(options.start, kind="response")
    model = ResponseModel(**loaded.config)
    task = ResponseTask(model, options.start, options.learning_rate, raman_weight=1.0)
    trainer = Trainer(
        max_epochs=options.epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(task, datamodule=FoldData(samples, options.batch_size, seed))
    return model.eval()


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Medians and means over compounds."""
    lines = [f"{len(rows)} compounds".ljust(24) + "network".rjust(16) + "bond model".rjust(16) + "   mean / median"]
    for metric in ("spectrum_cosine", "strongest_line", "strongest_maximum", "depolarization_mae", "tensor_error"):
        cells = []
        for name in ("network", "bond model"):
            values = [row[name][metric] for row in rows if metric in row[name]]
            cells.append(f"{np.mean(values):.3f} / {np.median(values):.3f}".rjust(16))
        lines.append(metric.ljust(24) + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Read the options, run, write the metrics of every compound."""
    silence_small_talk()
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    kinds = Options.__dataclass_fields__
    unknown = set(given) - set(kinds)
    if unknown or "start" not in given:
        sys.exit(f"unknown options {sorted(unknown)}; allowed: {', '.join(kinds)}; start= is needed")
    options = Options(
        **{name: type(kinds[name].default)(value) if name != "start" else value for name, value in given.items()}
    )
    rows = run(options)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
