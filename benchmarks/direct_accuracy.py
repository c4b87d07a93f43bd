"""Accuracy of a direct model on the test split, beside the delta model and two baselines trained in the same run.

    python -m benchmarks.direct_accuracy ckpt=direct data=data/phonondb

Baselines: a plain invariant network (`benchmarks.invariant_network`), trained here on the same crystals for `minutes`,
and the nearest training crystal (`benchmarks.nearest_crystal`). The delta model gets the reference's Z* and ε∞. Labels
are those of training (docs/direct.md): frequencies at Γ without macroscopic field, densities of states and thermal
functions on a mesh of wave vectors with the dipole interaction.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torchmetrics.functional.classification import binary_auroc

from benchmarks.invariant_network import InvariantNetwork
from benchmarks.nearest_crystal import NearestCrystal, by_quantiles
from datamodules.direct_datamodule import DirectDataModule, DirectDataset
from datamodules.filters import RecordFilter
from datamodules.options import run_command
from datamodules.quality import QualityLimits
from mlrim.checkpoint import LoadedModel
from mlrim.configuration import AtLeast
from mlrim.direct.answers import answer_of
from mlrim.evaluation.statistics import statistics
from mlrim.evaluation.tables import write_rows
from mlrim.graph.crystal_scalars import SCALARS
from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.output_folder import require_output_folder
from mlrim.predictors import CLASSICAL, load_predictor, shipped_direct
from mlrim.tasks.direct_metrics import frequencies, optical
from mlrim.tasks.distribution_losses import spectral_information_similarity
from mlrim.tasks.schedule import WarmUpCosine
from mlrim.tasks.spectrum_losses import sorted_loss
from mlrim.uncertainty.kinds import DeltaKind, optical_part

UNITS = {
    "gamma": "cm⁻¹",
    "dos": "cm⁻¹",
    "mean_frequency": "cm⁻¹",
    "highest_frequency": "cm⁻¹",
    "entropy_atom": "J/K per mole of atoms",
    "entropy_cell": "J/K per mole of cells",
    "free_energy_atom": "kJ per mole of atoms",
    "free_energy_cell": "kJ per mole of cells",
    "heat_capacity_atom": "J/K per mole of atoms",
    "heat_capacity_cell": "J/K per mole of cells",
    "infrared_similarity": "1",
    "raman_similarity": "1",
}
"""Mean absolute errors of crystals; `dos` is the Wasserstein distance; similarities are of spectral information."""


@dataclass
class Options:
    """What is compared with what."""

    data: str
    ckpt: str = "direct"
    also: str | None = None
    delta: str = "mlrim"
    minutes: Annotated[float, AtLeast(0)] = 10.0
    max_atoms: Annotated[int, AtLeast(1)] | None = None
    limit: Annotated[int, AtLeast(1)] | None = None
    out: str = "evaluation/direct"
    threads: Annotated[int, AtLeast(1)] = 1
    quiet: bool = False


@dataclass(frozen=True)
class Found:
    """What a model says of one crystal; none of what it does not say.

    Attributes:
        gamma: optical frequencies at Γ, cm⁻¹, ascending.
        shares: density of states, shares of one in every bin.
        scalars: see `mlrim.graph.crystal_scalars`.
    """

    gamma: Float[ndarray, "modes"] | None = None
    shares: Float[ndarray, "bins"] | None = None
    scalars: Float[ndarray, "scalars"] | None = None


def main() -> None:
    """The command."""
    run_command("benchmarks.direct_accuracy", Options, compare_models)


def compare_models(options: Options) -> None:
    """Evaluate every model, write and show the tables."""
    torch.set_num_threads(options.threads)
    out = require_output_folder(options.out)
    console = Console(quiet=options.quiet)
    path = str(shipped_direct()) if options.ckpt == "direct" else options.ckpt
    from mlrim.checkpoint import load_model

    loaded = load_model(path, kind="direct")
    data = data_of(options, loaded)
    names = data.names("test")[: options.limit]
    tested = data.dataset("test")
    samples = {name: tested[index] for index, name in enumerate(tested.ids)}
    nearest = NearestCrystal([sample for sample in all_of(data.dataset("train")) if bool(sample.labels.regular)])
    rows, grid = [], FrequencyGrid(*loaded.config["density_bins"]).double()
    models: dict[str, Callable[[str], Found]] = {
        "direct": lambda name: direct_found(loaded, data.store[name].crystal),
        "nearest crystal": lambda name: nearest_found(nearest, samples[name]),
    }
    if options.minutes > 0:
        network = train_invariant(data, options)
        models["invariant network"] = lambda name: Found(gamma=invariant_gamma(network, samples[name]))
    if options.delta != "none":
        kind, member = delta_of(options.delta)
        models["delta"] = lambda name: delta_found(kind, member, data.store[name])
    for model, answer in models.items():
        for name in track(names, model, console=console, disable=options.quiet):
            rows.append({"model": model, "id": name, **errors_of(answer(name), samples[name], grid)})
    spectra = spectra_rows(loaded, [samples[name] for name in samples])
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "direct.csv", rows, ["model", "id", *(name for name in UNITS if "similarity" not in name)])
    console.print(table(rows, list(models), spectra))
    console.print(stability_line(loaded, data, samples))
    console.print(f"rows: {out / 'direct.csv'}", highlight=False)


def data_of(options: Options, loaded: LoadedModel) -> DirectDataModule:
    """The data with the split, filters and bins of training."""
    chosen = {"max_atoms": options.max_atoms}
    limits = QualityLimits(min_commensurate_thz=-5.0)
    return DirectDataModule(
        options.data,
        options.also,
        cutoff=float(loaded.config["cutoff"]),
        selection=RecordFilter(quality=limits, **chosen),
        stability_selection=RecordFilter(quality=None, **chosen),
        density_bins=loaded.config["density_bins"],
        spectrum_bins=loaded.config["spectrum_bins"],
        quiet=options.quiet,
    )


def all_of(dataset: DirectDataset) -> Iterator[Any]:
    """Every sample once."""
    return (dataset[index] for index in range(len(dataset)))


def direct_found(loaded: LoadedModel, crystal: Any) -> Found:
    """The answers of the direct network."""
    answer = answer_of(loaded.model, crystal)  # type: ignore[arg-type]
    return Found(
        None if answer.gamma is None else optical_part(answer.gamma),
        None if answer.states is None else answer.states.sum(axis=0) / answer.states.sum(),
        None if answer.scalars is None else np.array([answer.scalars[name] for name in SCALARS]),
    )


def nearest_found(nearest: NearestCrystal, sample: Any) -> Found:
    """The labels of the nearest training crystal."""
    found = nearest(sample.graph).labels
    states = found.states.double().numpy().sum(axis=0)
    count = len(sample.labels.gamma[0]) - 3
    return Found(
        by_quantiles(frequencies(optical(found.gamma[0])), count),
        states / states.sum(),
        found.scalars[0].double().numpy(),
    )


def delta_of(ckpt: str) -> tuple[DeltaKind, LoadedModel]:
    """The delta model, ready to be asked."""
    if ckpt in CLASSICAL:
        raise ValueError("delta= names a trained model")
    loaded: LoadedModel = load_predictor(ckpt).loaded  # type: ignore[attr-defined]
    return DeltaKind(loaded), loaded


def delta_found(kind: DeltaKind, member: LoadedModel, record: Any) -> Found:
    """What follows from the predicted force constants with the reference's long-range part."""
    found = kind.answer(member, record).quantities
    return Found(found["frequency"], found["density"], np.array([found[name][0] for name in SCALARS]))


def train_invariant(data: DirectDataModule, options: Options) -> InvariantNetwork:
    """An invariant network trained on the frequencies at Γ for some minutes."""
    torch.manual_seed(0)
    data.trainer = None
    network, loader = InvariantNetwork(cutoff=data.settings.cutoff), data.train_dataloader()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1.5e-3, weight_decay=0.03)
    schedule = WarmUpCosine(0.03, 10**9, 60 * options.minutes)
    start, step = time.monotonic(), 0
    while time.monotonic() - start < 60 * options.minutes:
        loader.batch_sampler.set_epoch(step)  # type: ignore[union-attr]
        for batch in loader:
            for group in optimizer.param_groups:
                group["lr"] = 1.5e-3 * schedule(step)
            labels = zip(batch.labels.gamma, batch.labels.regular.tolist(), network(batch.graph), strict=True)
            parts = [sorted_loss(found[None], exact[None], 40.0, 300.0) for exact, used, found in labels if used]
            optimizer.zero_grad()
            (torch.stack(parts).mean() / 100).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            if schedule.ended:
                break
    return network.eval()


def invariant_gamma(network: InvariantNetwork, sample: Any) -> Float[ndarray, "modes"]:
    """Frequencies of the network; without the sum rule the three nearest to zero are taken for acoustic ones."""
    with torch.no_grad():
        (squares,) = network(sample.graph)
    return frequencies(optical(squares)).double().numpy()


def errors_of(found: Found, sample: Any, grid: FrequencyGrid) -> dict[str, float]:
    """Errors of one crystal; those that do not apply are absent."""
    labels, n_atoms = sample.labels, len(sample.graph.masses)
    exact = frequencies(optical(labels.gamma[0])).double().numpy()
    values: dict[str, float] = {}
    if found.gamma is not None and len(exact):
        values["gamma"] = float(np.abs(found.gamma - exact).mean())
    states = labels.states.double().numpy().sum(axis=0)
    if found.shares is not None and np.isfinite(states).all() and np.isfinite(found.shares).all():
        pair = [torch.tensor(part)[None] for part in (found.shares, states / states.sum())]
        values["dos"] = float(grid.distance(*pair))
        values["mean_frequency"] = float((grid.mean_frequency(pair[0]) - grid.mean_frequency(pair[1])).abs())
    scalars = labels.scalars[0].double().numpy()
    if found.scalars is not None and np.isfinite(scalars).all() and np.isfinite(found.scalars).all():
        errors = dict(zip(SCALARS, np.abs(found.scalars - scalars).tolist(), strict=True))
        values["highest_frequency"] = errors.pop("highest_frequency")
        for name, error in errors.items():
            values |= {f"{name}_atom": error, f"{name}_cell": error * n_atoms}
    return values


def spectra_rows(loaded: LoadedModel, samples: Sequence[Any]) -> dict[str, list[float]]:
    """Spectral information similarity of the infrared and Raman spectra of all crystals that have labels."""
    rows: dict[str, list[float]] = {"infrared_similarity": [], "raman_similarity": []}
    if "spectra" not in loaded.config["heads"]:
        return rows
    for sample in samples:
        with torch.no_grad():
            found = loaded.model(sample.graph)
        pairs = {"infrared": (found.infrared, sample.labels.infrared), "raman": (found.raman, sample.labels.raman)}
        for name, (predicted, exact) in pairs.items():
            if bool(exact.isfinite().all()):
                rows[f"{name}_similarity"].append(float(spectral_information_similarity(predicted.shares, exact)))
    return rows


def stability_line(loaded: LoadedModel, data: DirectDataModule, samples: dict[str, Any]) -> str:
    """ROC-AUC of telling crystals without imaginary modes, over the test part with unstable crystals."""
    if "scalars" not in loaded.config["heads"]:
        return ""
    pairs = []
    for sample in samples.values():
        if bool(sample.labels.stable.isfinite()):
            with torch.no_grad():
                pairs.append((float(loaded.model(sample.graph).scalars.stability_logit), float(sample.labels.stable)))
    logits, stable = (torch.tensor(column) for column in zip(*pairs, strict=True))
    auc = float(binary_auroc(logits, stable.long()))
    return f"stability: ROC-AUC {auc:.3f} on {len(pairs)} crystals, {int((1 - stable).sum())} of them unstable"


def table(rows: Sequence[dict[str, Any]], models: Sequence[str], spectra: dict[str, list[float]]) -> Table:
    """Mean with its interval, and median, of every error and model."""
    made = Table(title="test split: mean [95 %] / median")
    for header in ("error", "unit", *models):
        made.add_column(header, justify="left" if header in ("error", "unit") else "right", no_wrap=True)
    for name, unit in UNITS.items():
        cells = []
        for model in models:
            values = [row[name] for row in rows if row["model"] == model and name in row]
            if model == "direct" and name in spectra:
                values = spectra[name]
            cells.append(cell(np.array(values)))
        made.add_row(name, unit, *cells)
    return made


def cell(values: Float[ndarray, "crystals"]) -> str:
    """Mean with its interval, median and number of crystals."""
    if len(values) == 0:
        return "–"
    found = statistics(values.tolist())
    return f"{found.mean:.3g} [{found.mean_low:.3g}, {found.mean_high:.3g}] / {found.median:.3g}"


if __name__ == "__main__":
    main()
