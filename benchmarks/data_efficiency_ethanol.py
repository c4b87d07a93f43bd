"""How many configurations a Hessian is worth: ethanol from PySCF, forces on configurations that were held out.

    python -m benchmarks.data_efficiency_ethanol [molecule=ethanol] [configurations=[5,10,20]] [repeats=2]

Networks of one size are trained for one number of steps on energies and forces of some configurations, and on their
Hessians as well. The shift factor is how many times more configurations are needed without Hessians for the same error
of the forces (Fang et al., arXiv:2403.11347, figure 3b: about 5). The data come with mlrim (`datamodules.molecules`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from benchmarks.experiment_runs import ExperimentRuns
from benchmarks.small_potentials import Part, Training, quiet, train
from datamodules.configuration_samples import labelled_configuration
from datamodules.configurations import Configuration
from datamodules.molecules.shipped import shipped_configurations
from datamodules.options import run_command
from mlrim.configuration import AtLeast
from mlrim.derivatives.engine import differentiate
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph, join_labelled
from mlrim.nn.atomic_energies import AtomicEnergies
from mlrim.report.drawing import ELEMENT_COLOURS, new_figure

ARMS = {"forces": "energies and forces", "Hessians": "energies, forces and Hessians"}
EV_TO_MEV = 1e3


@dataclass
class Options:
    """What is compared, and what with."""

    molecule: str = "ethanol"
    configurations: list[int] = field(default_factory=lambda: [5, 10, 20])
    """With Hessians."""
    force_configurations: list[int] = field(default_factory=lambda: [5, 10, 20, 40, 80])
    """With energies and forces alone."""
    repeats: Annotated[int, AtLeast(1)] = 2
    held_out: Annotated[int, AtLeast(1)] = 24
    per_batch: Annotated[int, AtLeast(1)] = 5
    channels: Annotated[int, AtLeast(1)] = 16
    layers: Annotated[int, AtLeast(1)] = 2
    cutoff: float = 4.0
    steps: Annotated[int, AtLeast(1)] = 800
    learning_rate: float = 5e-3
    minutes: float | None = None
    """No training is started after so long; the next call goes on."""
    out: Path = Path("outputs/data_efficiency/ethanol")

    @property
    def training(self) -> Training:
        """The network and its training."""
        return Training(self.channels, self.layers, self.cutoff, self.steps, self.learning_rate)


def run(options: Options) -> None:
    """Measure what is missing, print tables and draw."""
    quiet()
    known = shipped_configurations(options.molecule)[1:]
    training, held_out = divided(known, options.held_out)
    counts = {"forces": options.force_configurations, "Hessians": options.configurations}
    if max(sum(counts.values(), [1])) > len(training):
        raise UserError(
            f"{options.molecule} has {len(known)} displaced configurations, of which {len(training)} have Hessians and "
            f"are not held out: too few for configurations={options.configurations} and "
            f"force_configurations={options.force_configurations}"
        )
    keys = [
        {"arm": arm, "configurations": count, "repeat": repeat}
        for repeat in range(options.repeats)
        for arm in ARMS
        for count in counts[arm]
    ]
    settings = {"molecule": options.molecule, "per_batch": options.per_batch, "held_out": len(held_out)}
    runs = ExperimentRuns(options.out / "runs.json", settings | asdict(options.training))
    runs.run(keys, lambda **key: measure(training, held_out, options, **key), options.minutes)
    print(table(runs.rows))
    write_figure(options.out / f"{options.molecule}.svg", runs.rows)


def divided(known: Sequence[Configuration], held_out: int) -> tuple[list[Configuration], list[Configuration]]:
    """Configurations to train on, all with Hessians, and others, evenly spread over those that there are."""
    with_hessian = [index for index, configuration in enumerate(known) if configuration.hessian is not None]
    without = [index for index in range(len(known)) if index not in with_hessian]
    missing = max(0, held_out - len(without))
    chosen = {*without[:held_out], *with_hessian[len(with_hessian) - missing :]}
    return (
        [known[index] for index in with_hessian if index not in chosen],
        [known[index] for index in sorted(chosen)],
    )


def measure(
    training: Sequence[Configuration],
    held_out: Sequence[Configuration],
    options: Options,
    arm: str,
    configurations: int,
    repeat: int,
) -> Mapping[str, Any]:
    """Train one network; repeats take other configurations and other initial weights."""
    order = np.random.default_rng(repeat).permutation(len(training))[:configurations]
    chosen = [
        training[index] if arm == "Hessians" else replace(training[index], hessian=None) for index in order.tolist()
    ]
    samples = [labelled_configuration(configuration, options.cutoff) for configuration in chosen]
    model, seconds = train(options.training, [Part(samples, options.per_batch)], seed=repeat)
    unseen = [labelled_configuration(replace(one, hessian=None), options.cutoff) for one in held_out]
    return {"seconds": round(seconds, 1), "force_mae": force_error(model, unseen)}


def force_error(model: AtomicEnergies, samples: Sequence[LabelledGraph]) -> float:
    """Mean absolute error of the components of forces, meV/Å."""
    batch = join_labelled(samples).to(torch.float64)
    forces = differentiate(model.double(), batch.graph).forces
    return float((forces - batch.labels.forces).abs().mean()) * EV_TO_MEV


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Geometric means of the repeats' errors, by arm and number of configurations."""
    found: dict[str, dict[int, list[float]]] = {arm: {} for arm in ARMS}
    for row in rows:
        found[row["arm"]].setdefault(row["configurations"], []).append(row["force_mae"])
    return {
        arm: {count: float(np.exp(np.mean(np.log(values)))) for count, values in sorted(by_count.items())}
        for arm, by_count in found.items()
    }


def shift_factors(without: Mapping[int, float], hessians: Mapping[int, float]) -> dict[int, float]:
    """For each number of configurations with Hessians how many times more are needed without, for the same error.

    Between the numbers that were measured the error is interpolated as a power of the number of configurations; where
    it was not reached without Hessians the factor is infinite, which says that it is larger than what was measured.

    >>> shift_factors({10: 8.0, 20: 4.0, 40: 2.0}, {10: 4.0, 20: 1.0})
    {10: 2.0, 20: inf}
    """
    counts, values = np.log(list(without)), np.log(list(without.values()))
    found = {}
    for count, error in hessians.items():
        reached = np.flatnonzero(values <= np.log(error))
        if not len(reached):
            found[count] = float("inf")
            continue
        after = max(int(reached[0]), 1)
        slope = (counts[after] - counts[after - 1]) / (values[after] - values[after - 1])
        needed = counts[after] + slope * (np.log(error) - values[after])
        found[count] = float(np.round(np.exp(needed) / count, 6))
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Errors (meV/Å) and shift factors as Markdown."""
    found = curves(rows)
    factors = shift_factors(found["forces"], found["Hessians"]) if len(found["forces"]) > 1 else {}
    lines = [
        "| configurations | without Hessians (meV/Å) | with Hessians (meV/Å) | shift factor |",
        "| ---: " * 4 + "|",
    ]
    for count in sorted({row["configurations"] for row in rows}):
        errors = [f"{found[arm][count]:.1f}" if count in found[arm] else "" for arm in ARMS]
        factor = factors.get(count)
        shown = (
            ""
            if factor is None
            else f"more than {max(found['forces']) / count:g}"
            if np.isinf(factor)
            else f"{factor:.1f}"
        )
        lines.append(f"| {count} | {errors[0]} | {errors[1]} | {shown} |")
    return "\n".join(lines)


def write_figure(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Error against number of configurations, both in logarithms."""
    figure, axes = new_figure(1, size=(4.2, 3.2))
    for colour, (arm, by_count) in zip(ELEMENT_COLOURS, curves(rows).items(), strict=False):
        axes.loglog(list(by_count), list(by_count.values()), "o-", ms=4, color=colour, label=ARMS[arm])
        of_arm = [row for row in rows if row["arm"] == arm]
        axes.plot(
            [row["configurations"] for row in of_arm], [row["force_mae"] for row in of_arm], ".", ms=3, color=colour
        )
    axes.set(xlabel="configurations", ylabel="MAE of forces, held out (meV/Å)")
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    run_command("benchmarks.data_efficiency_ethanol", Options, run)
