"""The negative control: crystals of phonondb learned from displaced forces alone, and from Hessians, in the same time.

    python -m benchmarks.data_efficiency_control [data=data/phonondb] [minutes=4]

The same binary compounds of at most four atoms, the same network and the same processor time. One network sees what
the records' displaced supercells say (forces; their energies are not in the database) and that the crystals are at
rest; the other sees the Hessians of small cells. Both learn what is left without the dipole interaction. Figures: mean
absolute error of optical frequencies at Γ of compounds that were held out, and the relative norm of the error of the
dynamical matrix.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from benchmarks.experiment_runs import ExperimentRuns
from benchmarks.small_potentials import Training, fit, quiet
from datamodules.energy_datamodule import EnergyDataModule
from datamodules.energy_dataset import LabelChoice
from datamodules.filters import RecordFilter
from datamodules.options import run_command
from mlrim.configuration import Above, AtLeast
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_labels import LabelledGraph
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.tasks.hessian_metrics import graph_figures

ARMS = {
    "displaced forces": "forces of displaced supercells",
    "Hessians": "Hessians of small cells",
    "both": "Hessians of small cells, and forces of displaced supercells",
}
TRIAL_STEPS = 25
"""Steps from whose time the number of steps is found."""


@dataclass
class Options:
    """What is learned from what, for how long."""

    data: str = "data/phonondb"
    arms: list[str] = field(default_factory=lambda: list(ARMS))
    minutes: Annotated[float, Above(0)] = 4.0
    """Of processor time for each network."""
    max_atoms: Annotated[int, AtLeast(1)] = 4
    batch_size: Annotated[int, AtLeast(1)] = 8
    channels: Annotated[int, AtLeast(1)] = 16
    layers: Annotated[int, AtLeast(1)] = 2
    cutoff: float = 5.0
    learning_rate: float = 3e-3
    max_train: int | None = None
    seed: int = 0
    out: Path = Path("outputs/data_efficiency/control")

    def training(self, steps: int) -> Training:
        """The network and its training."""
        return Training(self.channels, self.layers, self.cutoff, steps, self.learning_rate)


def run(options: Options) -> None:
    """Measure what is missing and print a table."""
    quiet()
    common = {name: value for name, value in asdict(options).items() if name not in ("arms", "out")}
    runs = ExperimentRuns(options.out / "runs.json", common)
    runs.run([{"arm": arm} for arm in options.arms], lambda arm: measure(options, arm))
    print(table(runs.rows))


class Crystals(EnergyDataModule):
    """Crystals of which some labels are trained on; the scale of energies is that of all labels in every arm."""

    def training_samples(self) -> list[LabelledGraph]:
        """With everything that is known of them."""
        used, self.labels = self.labels, LabelChoice()
        try:
            return super().training_samples()
        finally:
            self.labels = used


def crystals(options: Options, arm: str) -> Crystals:
    """The compounds with the labels of one arm."""
    forces = arm != "Hessians"
    return Crystals(
        path=options.data,
        cutoff=options.cutoff,
        selection=RecordFilter(name="binary", max_atoms=options.max_atoms, need_born=True),
        displaced=2,
        displaced_share=1.0 if forces else 0.0,
        labels=LabelChoice(hessian=arm != "displaced forces"),
        batch_size=options.batch_size,
        max_train=options.max_train,
        sample_workers=1,
        seed=options.seed,
        quiet=True,
    )


def measure(options: Options, arm: str) -> Mapping[str, Any]:
    """Train one network and compare it with the compounds of the test split."""
    datamodule = crystals(options, arm)
    trial = options.training(TRIAL_STEPS)
    per_step = fit(trial.network(options.seed), crystals(options, arm), trial, options.seed) / TRIAL_STEPS
    training = options.training(max(1, math.floor(60 * options.minutes / per_step)))
    model = training.network(options.seed)
    seconds = fit(model, datamodule, training, options.seed)
    return {
        "steps": training.steps,
        "seconds": round(seconds, 1),
        "compounds": len(datamodule.names("train")),
        **errors(model, datamodule),
    }


def errors(model: CartesianPotentialModel, datamodule: EnergyDataModule) -> dict[str, float]:
    """Mean and median over held-out compounds of the error at Γ (cm⁻¹), and of the relative norm of its matrix."""
    found = []
    for sample in datamodule.evaluation("test", "gamma"):
        precise = sample.to(torch.float64)
        (figures,) = graph_figures(differentiate(model.double(), precise.graph), precise.labels)
        found.append([float(figures.values[name].detach()) for name in ("mae", "norm")])
    shifts, norms = np.array(found).T
    return {
        "held_out": len(found),
        "gamma_mae": float(shifts.mean()),
        "gamma_median": float(np.median(shifts)),
        "gamma_norm": float(norms.mean()),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Errors as Markdown."""
    lines = [
        "| trained on | steps | processor time (s) | Γ MAE, mean (cm⁻¹) | median | relative norm |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        figures = f"{row['gamma_mae']:.1f} | {row['gamma_median']:.1f} | {row['gamma_norm']:.3f}"
        lines.append(f"| {ARMS[row['arm']]} | {row['steps']} | {row['seconds']:.0f} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run_command("benchmarks.data_efficiency_control", Options, run)
