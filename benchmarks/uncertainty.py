"""How good a calibrated model's errors are on the test split, and what its domain flag catches.

    python -m benchmarks.uncertainty ckpt=direct data=data/phonondb
    python -m benchmarks.uncertainty ckpt=models/without_bromine data=data/phonondb element=Br

Reliability diagram and miscalibration area, rank correlation of predicted and true mean errors of crystals, calibration
of the probability of stability; with `element` (one that the model was not trained on) the share of crystals with and
without it that are flagged, by the element alone and by the distance alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import spearmanr

from datamodules.filters import RecordFilter
from datamodules.options import run_command
from datamodules.quality import QualityLimits
from datamodules.splits import make_split
from datamodules.store import RecordStore
from mlrim.configuration import AtLeast
from mlrim.evaluation.tables import write_rows
from mlrim.output_folder import require_output_folder
from mlrim.predictors import shipped_direct
from mlrim.report.drawing import ELEMENT_COLOURS, new_figure, save_figures
from mlrim.uncertainty.calibrated import Uncertainty, load_calibrated
from mlrim.uncertainty.error_model import LEVELS, coverage, miscalibration_area
from mlrim.uncertainty.kinds import KINDS
from mlrim.uncertainty.residuals import PROBABILITY, CrystalResiduals, compare_crystal, residuals_of
from mlrim.uncertainty.stability import expected_calibration_error


@dataclass
class Options:
    """What is tested.

    Attributes:
        data: data set.
        ckpt: calibrated model; the shipped one when `direct`.
        element: symbol of an element that the model was not trained on.
        max_atoms: largest primitive cell.
        limit: at most so many test crystals.
        split_seed: seed of the split.
        out: folder of figures and tables.
    """

    data: str
    ckpt: str = "direct"
    element: str | None = None
    max_atoms: Annotated[int, AtLeast(1)] | None = None
    limit: Annotated[int, AtLeast(1)] | None = None
    split_seed: int = 0
    out: str = "evaluation/uncertainty"
    quiet: bool = False


def main() -> None:
    """The command."""
    torch.set_num_threads(1)
    run_command("benchmarks.uncertainty", Options, assess)


def assess(options: Options) -> None:
    """Tables and figures of one calibrated model."""
    out, console = require_output_folder(options.out), Console(quiet=options.quiet)
    members, uncertainty = load_calibrated(str(shipped_direct()) if options.ckpt == "direct" else options.ckpt)
    store = RecordStore(options.data)
    names, regular = tested(store, options)
    kind = KINDS[members[0].kind](members[0])
    if options.element is not None:
        console.print(flag_table(kind, members[0], uncertainty, store, names, options.element))
        return
    crystals = [
        compare_crystal(kind, members, uncertainty.method, store[name], name in regular)
        for name in track(names, "test crystals", console=console, disable=options.quiet)
    ]
    good = [one for one in crystals if one.regular]
    rows = [quality_of(name, uncertainty, good) for name in uncertainty.models]
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "uncertainty.csv", rows, list(rows[0]))
    save_figures({"reliability": reliability_figure(uncertainty, good)}, out, ["svg"])
    console.print(quality_table(rows))
    console.print(stability_line(uncertainty, crystals))
    outside = np.mean([uncertainty.domain.distance(one.latent) > uncertainty.domain.limit for one in good])
    console.print(f"{100 * outside:.1f} % of the test crystals are outside the domain by distance")
    console.print(f"figure and table: {out}", highlight=False)


def tested(store: RecordStore, options: Options) -> tuple[list[str], set[str]]:
    """Ids of the test part, and of those that pass the quality filter."""
    usable = set(RecordFilter(max_atoms=options.max_atoms, quality=None).select(store.index).ids)
    limits = QualityLimits(min_commensurate_thz=-5.0)
    regular = set(RecordFilter(max_atoms=options.max_atoms, quality=limits).select(store.index).ids)
    names = [name for name in make_split(store.index, options.split_seed).test if name in usable]
    chosen = np.sort(np.random.default_rng(0).permutation(len(names))[: options.limit])
    return [names[index] for index in chosen], regular


def quality_of(name: str, uncertainty: Uncertainty, crystals: Sequence[CrystalResiduals]) -> dict[str, Any]:
    """Figures of one quantity."""
    model, residuals = uncertainty.models[name], residuals_of(crystals, name, uncertainty.domain)
    predicted, true = mean_errors(name, uncertainty, crystals)
    covered = coverage(model, residuals)
    return {
        "quantity": name,
        "crystals": len(true),
        "mean_error": float(true.mean()),
        "miscalibration_area": miscalibration_area(covered),
        "covered_by_one_error": float(np.interp(0.6827, LEVELS, covered)),
        "spearman": float(spearmanr(predicted, true).statistic),
        "spearman_of_spread": float(spearmanr(mean_spreads(name, crystals), true).statistic),
    }


def mean_errors(
    name: str, uncertainty: Uncertainty, crystals: Sequence[CrystalResiduals]
) -> tuple[Float[ndarray, "crystals"], Float[ndarray, "crystals"]]:
    """Predicted and true mean absolute errors of every crystal."""
    predicted, true = [], []
    for one in crystals:
        if name in one.rows:
            row, distance = one.rows[name], uncertainty.domain.distance(one.latent)
            predicted.append(uncertainty.models[name].half_width(row.value, row.spread, distance).mean())
            true.append(np.abs(row.value - row.truth).mean())
    return np.array(predicted), np.array(true)


def mean_spreads(name: str, crystals: Sequence[CrystalResiduals]) -> Float[ndarray, "crystals"]:
    """Mean disagreement of the members on every crystal."""
    return np.array([one.rows[name].spread.mean() for one in crystals if name in one.rows])


def quality_table(rows: Sequence[dict[str, Any]]) -> Table:
    """One line for every quantity."""
    table = Table(*[name.replace("_", " ") for name in rows[0]])
    for row in rows:
        table.add_row(*[value if isinstance(value, str) else f"{value:.3g}" for value in row.values()])
    return table


def stability_line(uncertainty: Uncertainty, crystals: Sequence[CrystalResiduals]) -> str:
    """Calibration error of the probability of stability, before and after."""
    rows = [one.rows[PROBABILITY] for one in crystals if PROBABILITY in one.rows]
    if not rows:
        return ""
    logits, stable = np.concatenate([row.value for row in rows]), np.concatenate([row.truth for row in rows])
    line = uncertainty.stability
    before, after = (
        expected_calibration_error(1 / (1 + np.exp(-part)), stable)
        for part in (logits, line.slope * logits + line.offset)
    )
    return f"probability of stability: expected calibration error {before:.3f} before, {after:.3f} after calibration"


def reliability_figure(uncertainty: Uncertainty, crystals: Sequence[CrystalResiduals]) -> Any:
    """Share of errors within the stated intervals against their stated share."""
    figure, axes = new_figure(1, size=(4.6, 4.2))
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--")
    for index, (name, model) in enumerate(uncertainty.models.items()):
        covered = coverage(model, residuals_of(crystals, name, uncertainty.domain))
        axes.plot(LEVELS, covered, label=name.replace("_", " "), color=ELEMENT_COLOURS[index % len(ELEMENT_COLOURS)])
    axes.set(xlabel="stated share", ylabel="observed share", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(frameon=False, fontsize=8)
    return figure


def flag_table(
    kind: Any, first: Any, uncertainty: Uncertainty, store: RecordStore, names: Sequence[str], element: str
) -> Table:
    """Share of test crystals with and without an element that are flagged."""
    table = Table("test crystals", "number", "flagged", "by the element", "by the distance", "median distance")
    elements = {entry.id: entry.elements for entry in store.index}
    for label, chosen in (
        (f"with {element}", [name for name in names if element in elements[name]]),
        (f"without {element}", [name for name in names if element not in elements[name]]),
    ):
        verdicts = [
            uncertainty.domain.verdict(kind.latent(first, store[name]), store[name].crystal.numbers) for name in chosen
        ]
        shares = (
            np.mean([one.outside for one in verdicts]),
            np.mean([bool(one.unseen) for one in verdicts]),
            np.mean([one.distance > one.limit for one in verdicts]),
        )
        median = np.median([one.distance for one in verdicts])
        table.add_row(label, str(len(chosen)), *(f"{100 * share:.0f} %" for share in shares), f"{median:.2f}")
    return table


if __name__ == "__main__":
    main()
