"""What a Hessian is worth: silicon whose labels come from LAMMPS, and the error of D(q) over the zone.

    python -m benchmarks.data_efficiency_silicon [configurations=[1,4,16]] [repeats=2] [steps=400]

Networks of one size are trained for one number of steps on energies and forces of displaced 1×1×1, 2×2×2 and 3×3×3
cells, and on those of 1×1×1 cells with Hessians: with the Hessian of each of these cells, and with that of the perfect
crystal in the smallest cells of the wave vectors of 3×3×3. The experiment is figure 1 of Fang et al.
(arXiv:2403.11347), with Stillinger–Weber as the teacher; `python -m benchmarks.silicon_labels` made the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from benchmarks.experiment_runs import ExperimentRuns
from benchmarks.silicon_labels import STORED, SiliconLabels, load_labels, repeated
from benchmarks.silicon_samples import ARMS, predicted, training_set, truth, zone, zone_error
from benchmarks.small_potentials import Part, Training, quiet, train
from datamodules.options import run_command
from mlrim.configuration import AtLeast
from mlrim.errors import UserError
from mlrim.lattice.qpath import QPath, standard_path
from mlrim.report.drawing import ELEMENT_COLOURS, new_figure
from mlrim.units import THZ_TO_CM1

BANDS_OF = ("1×1×1", "3×3×3", "1×1×1 + Hessian")
"""Arms whose dispersions are drawn."""


@dataclass
class Options:
    """What is compared, and what with."""

    arms: list[str] = field(default_factory=lambda: list(ARMS))
    configurations: list[int] = field(default_factory=lambda: [1, 4, 16])
    repeats: Annotated[int, AtLeast(1)] = 2
    per_batch: Annotated[int, AtLeast(1)] = 2
    """Displaced cells in a batch; all cells with Hessians are in every batch, where there are any."""
    channels: Annotated[int, AtLeast(1)] = 8
    layers: Annotated[int, AtLeast(1)] = 2
    cutoff: float = 4.4
    steps: Annotated[int, AtLeast(1)] = 400
    learning_rate: float = 5e-3
    probes: Annotated[int, AtLeast(1)] = 4
    """Products with each Hessian in a step."""
    labels: Path = STORED
    minutes: float | None = None
    """No training is started after so long; the next call goes on."""
    out: Path = Path("outputs/data_efficiency/silicon")

    @property
    def training(self) -> Training:
        """The network and its training."""
        return Training(self.channels, self.layers, self.cutoff, self.steps, self.learning_rate, self.probes)


def run(options: Options) -> None:
    """Measure what is missing, print a table and draw."""
    labels = load_labels(options.labels)
    check(options, labels)
    quiet()
    keys = [
        {"arm": arm, "configurations": count, "repeat": repeat}
        for repeat in range(options.repeats)
        for count in options.configurations
        for arm in options.arms
    ]
    settings = {"per_batch": options.per_batch, **asdict(options.training)}
    runs = ExperimentRuns(options.out / "runs.json", settings)
    runs.run(keys, lambda **key: measure(labels, options, **key), options.minutes)
    print(table(runs.rows))
    write_figure(options.out / "silicon.svg", labels, runs.rows)


def check(options: Options, labels: SiliconLabels) -> None:
    """Raise UserError for arms that are not known and for more configurations than there are."""
    unknown = [arm for arm in options.arms if arm not in ARMS]
    if unknown:
        raise UserError(f"arms={options.arms}: {unknown} are none of {', '.join(ARMS)}")
    there = min(len(part.energies) for part in labels.displaced.values())
    if options.repeats * max(options.configurations, default=1) > there:
        raise UserError(
            f"configurations={options.configurations} with repeats={options.repeats} need more than the {there} "
            "configurations of the labels; python -m benchmarks.silicon_labels makes others"
        )


def measure(labels: SiliconLabels, options: Options, arm: str, configurations: int, repeat: int) -> Mapping[str, Any]:
    """Train one network and compare it with LAMMPS; repeats take other configurations and other initial weights."""
    known = training_set(labels, arm, configurations, repeat * configurations, options.cutoff)
    parts = [Part(known.displaced, options.per_batch), Part(known.cells, len(known.cells))]
    model, seconds = train(options.training, parts, seed=repeat)
    dynamics, qpoints = predicted(model), zone().commensurate_qpoints
    error = zone_error(dynamics.dynamical_matrices(qpoints), truth(labels).dynamical_matrices(qpoints))
    bands = dynamics.frequencies(bands_path().qpoints) * THZ_TO_CM1
    return {"seconds": round(seconds, 1), **error._asdict(), "bands": np.round(bands, 1).tolist()}


def bands_path() -> QPath:
    """The standard path of the face-centred cubic cell."""
    return standard_path(repeated(1).crystal, 0.02)


def curves(rows: Sequence[Mapping[str, Any]], quantity: str) -> dict[str, dict[int, list[float]]]:
    """The values of all repeats, by arm and number of configurations."""
    found: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        found.setdefault(row["arm"], {}).setdefault(row["configurations"], []).append(row[quantity])
    return {arm: dict(sorted(found[arm].items())) for arm in ARMS if arm in found}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means of the repeats as Markdown: mean |Δω| (cm⁻¹) and, in brackets, ‖ΔD‖/‖D‖."""
    shifts, norms = curves(rows, "frequency"), curves(rows, "norm")
    counts = sorted({row["configurations"] for row in rows})
    lines = ["| trained on | " + " | ".join(f"{count}" for count in counts) + " |", "| --- |" + " ---: |" * len(counts)]
    for arm, by_count in shifts.items():
        cells = [
            f"{np.mean(by_count[count]):.2f} ({np.mean(norms[arm][count]):.3f})" if count in by_count else ""
            for count in counts
        ]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_figure(path: Path, labels: SiliconLabels, rows: Sequence[Mapping[str, Any]]) -> None:
    """Error against number of configurations, and dispersions of the largest of them beside LAMMPS."""
    figure, (left, right) = new_figure(2, size=(9.0, 3.4), width_ratios=(1.0, 1.3))
    for colour, (arm, by_count) in zip(ELEMENT_COLOURS, curves(rows, "frequency").items(), strict=False):
        left.loglog(
            list(by_count), [np.mean(values) for values in by_count.values()], "o-", ms=4, color=colour, label=arm
        )
        for count, values in by_count.items():
            left.plot([count] * len(values), values, ".", ms=3, color=colour)
    left.set(xlabel="configurations", ylabel="mean |Δω| over the zone (cm⁻¹)")
    left.legend(frameon=False, fontsize=7)
    way = bands_path()
    right.plot(way.distances, truth(labels).frequencies(way.qpoints) * THZ_TO_CM1, color="black", lw=1.6)
    for colour, arm in zip(ELEMENT_COLOURS, ARMS, strict=False):
        of_arm = [row for row in rows if row["arm"] == arm and row["repeat"] == 0]
        if arm in BANDS_OF and of_arm:
            last = max(of_arm, key=lambda row: row["configurations"])
            right.plot(way.distances, last["bands"], color=colour, lw=0.8, ls="--")
    ticks = [way.distances[part.start] for part in way.segments] + [way.distances[way.segments[-1].stop - 1]]
    right.set_xticks(ticks, [first for first, _ in way.labels] + [way.labels[-1][1]])
    right.set(ylabel="frequency (cm⁻¹)", xlim=(0, way.distances[-1]), title="LAMMPS (black) and networks")
    right.title.set_fontsize(9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    run_command("benchmarks.data_efficiency_silicon", Options, run)
