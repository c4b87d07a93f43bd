"""How many configurations a Hessian is worth: ethanol from PySCF, forces on configurations that were held out.

    python -m benchmarks.data_efficiency_ethanol [molecule=ethanol] [configurations=[2,4,8,16]] [repeats=2]

Networks of one size are trained for one number of steps on energies and forces of some configurations, and on their
Hessians as well. The shift factor is how many times more configurations are needed without Hessians for the same error
of the forces (Fang et al., arXiv:2403.11347, figure 3b: about 5). The data come with mlrim (`datamodules.molecules`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch

from benchmarks.experiment_runs import ExperimentRuns
from benchmarks.small_potentials import Part, Training, quiet, train
from datamodules.configuration_samples import labelled_configuration
from datamodules.configurations import Configuration, ConfigurationStore
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
KNEE = 0.02
"""Of the losses, see `Training`."""


@dataclass
class Options:
    """What is compared, and what with."""

    molecule: str = "ethanol"
    data: Path | None = None
    """A data set that `python -m datamodules.build source=molecules` made; the molecules of mlrim when not given."""
    configurations: list[int] = field(default_factory=lambda: [2, 4, 8, 16])
    """With Hessians."""
    force_configurations: list[int] = field(default_factory=lambda: [2, 4, 8, 16, 32, 64])
    """With energies and forces alone."""
    repeats: Annotated[int, AtLeast(1)] = 2
    held_out: Annotated[int, AtLeast(1)] = 40
    per_batch: Annotated[int, AtLeast(1)] = 4
    channels: Annotated[int, AtLeast(1)] = 12
    layers: Annotated[int, AtLeast(1)] = 2
    cutoff: float = 4.0
    steps: Annotated[int, AtLeast(1)] = 500
    learning_rate: float = 5e-3
    minutes: float | None = None
    """No training is started after so long; the next call goes on."""
    out: Path = Path("outputs/data_efficiency/ethanol")

    @property
    def training(self) -> Training:
        """The network and its training."""
        return Training(self.channels, self.layers, self.cutoff, self.steps, self.learning_rate, knee=KNEE)


class Division(NamedTuple):
    """Configurations that can be trained on, and those that errors are measured on."""

    with_hessian: list[Configuration]
    others: list[Configuration]
    held_out: list[Configuration]


def run(options: Options) -> None:
    """Measure what is missing, print tables and draw."""
    quiet()
    division = divided(displaced(options), options.held_out)
    counts = {"forces": options.force_configurations, "Hessians": options.configurations}
    check(counts, division, options)
    keys = [
        {"arm": arm, "configurations": count, "repeat": repeat}
        for repeat in range(options.repeats)
        for arm in ARMS
        for count in counts[arm]
    ]
    settings = {"molecule": options.molecule, "per_batch": options.per_batch, "held_out": options.held_out}
    runs = ExperimentRuns(options.out / "runs.json", settings | asdict(options.training))
    runs.run(keys, lambda **key: measure(division, options, **key), options.minutes)
    print(table(runs.rows))
    write_figure(options.out / f"{options.molecule}.svg", runs.rows)


def displaced(options: Options) -> list[Configuration]:
    """All displaced configurations of the molecule."""
    if options.data is None:
        return shipped_configurations(options.molecule)[1:]
    store = ConfigurationStore(str(options.data))
    names = [entry.id for entry in store.index if entry.group == options.molecule]
    return [store[name] for name in names if not name.endswith("equilibrium")]


def divided(known: Sequence[Configuration], held_out: int) -> Division:
    """Errors are measured on configurations without Hessians as far as there are enough of them."""
    with_hessian = [configuration for configuration in known if configuration.hessian is not None]
    without = [configuration for configuration in known if configuration.hessian is None]
    missing = max(0, held_out - len(without))
    kept = len(with_hessian) - missing
    return Division(with_hessian[:kept], without[held_out:], [*without[:held_out], *with_hessian[kept:]])


def check(counts: Mapping[str, Sequence[int]], division: Division, options: Options) -> None:
    """Raise UserError when there are fewer configurations than are asked for."""
    there = {"Hessians": len(division.with_hessian), "forces": len(division.with_hessian) + len(division.others)}
    for arm, wanted in counts.items():
        if max(wanted, default=0) > there[arm]:
            raise UserError(
                f"{options.molecule}: {max(wanted)} configurations with {ARMS[arm]} are asked for, and there are "
                f"{there[arm]} besides the {options.held_out} that are held out"
            )


def measure(division: Division, options: Options, arm: str, configurations: int, repeat: int) -> Mapping[str, Any]:
    """Train one network; repeats take other configurations and other initial weights.

    Both arms take the same configurations as long as there are Hessians of them.
    """
    random = np.random.default_rng(repeat)
    pool = [part[index] for part in division[:2] for index in random.permutation(len(part)).tolist()]
    chosen = [one if arm == "Hessians" else replace(one, hessian=None) for one in pool[:configurations]]
    samples = [labelled_configuration(one, options.cutoff) for one in chosen]
    model, seconds = train(options.training, [Part(samples, options.per_batch)], seed=repeat)
    unseen = [labelled_configuration(replace(one, hessian=None), options.cutoff) for one in division.held_out]
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
