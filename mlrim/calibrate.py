"""Learn how far a model's predictions may be off, on crystals that it was not trained on.

    python -m mlrim.calibrate ckpt=best.ckpt data=data/phonondb out=models/direct
    python -m mlrim.calibrate ckpt=[a.ckpt,b.ckpt,c.ckpt] data=data/phonondb out=models/direct

Several checkpoints of one kind are an ensemble; of one, networks are drawn from the Laplace posterior of its last
layers. The folder is a model like any other for predict.py, whose results then come with errors and a warning where a
crystal is unlike those that the model was trained on. Kinds: direct, delta and response models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch

from datamodules.options import run_command
from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError

if TYPE_CHECKING:
    from datamodules.store import RecordStore
    from mlrim.checkpoint import LoadedModel
    from mlrim.uncertainty.calibrated import Uncertainty
    from mlrim.uncertainty.kinds import Kind
    from mlrim.uncertainty.residuals import CrystalResiduals

CURVATURE_CRYSTALS = 300
"""Training crystals that the curvature of the last layers is taken from."""
LEAST_CRYSTALS = 10
SCALE_CRYSTALS = 24
"""Calibration crystals that the size of the posterior is taken from."""
SCALE_STEPS = 5
SHARE_OF_ERROR = 0.5
"""Median spread of the drawn networks over the median error."""


@dataclass(frozen=True)
class CalibrateOptions:
    """What to calibrate, and on what.

    Attributes:
        ckpt: checkpoint or exported folder, or several of one kind.
        data: data set that they were trained on.
        out: folder to make.
        method: ensemble of several checkpoints, or laplace posterior of one; auto takes the one that fits.
        members: networks drawn from a posterior.
        split_file: split that they were trained with; made from `split_seed` when not given.
        split_seed: seed of the split.
        max_atoms: largest primitive cell.
        limit: at most so many validation crystals to calibrate on.
        train_limit: at most so many training crystals that describe the domain.
        half: weights in half precision.
        quiet: no progress bar.
    """

    ckpt: str | list[str]
    data: Path
    out: Path
    method: Literal["auto", "ensemble", "laplace"] = "auto"
    members: Annotated[int, AtLeast(2)] = 8
    split_file: Path | None = None
    split_seed: Annotated[int, AtLeast(0)] = 0
    max_atoms: Annotated[int, AtLeast(1)] | None = None
    limit: Annotated[int, AtLeast(10)] = 1000
    train_limit: Annotated[int, AtLeast(10)] = 3000
    half: bool = False
    quiet: bool = False


def main() -> None:
    """The command."""
    run_command("mlrim.calibrate", CalibrateOptions, calibrate)


def calibrate(options: CalibrateOptions) -> None:
    """Draw or take the members, measure their errors on the validation part, and write the folder.

    Raises:
        UserError: checkpoints of several kinds or of one that cannot be calibrated, too few crystals, or a folder in
            the way.
    """
    from rich.console import Console

    from datamodules.store import RecordStore
    from mlrim.uncertainty.calibrated import save_calibrated
    from mlrim.uncertainty.kinds import KINDS

    if options.out.exists():
        raise UserError(f"{options.out} exists already. Choose a new folder for the calibrated model.")
    console = Console(quiet=options.quiet)
    loaded, method = checkpoints(options)
    kind = KINDS[loaded[0].kind](loaded[0])
    store = RecordStore(options.data)
    parts = chosen_parts(store, options, loaded[0].metadata)
    posterior = None
    members = loaded
    if method == "laplace":
        posterior = draw_posterior(kind, loaded[0], store, parts, options)
        members = [loaded[0], *posterior]
    uncertainty, crystals = calibrated(kind, members, method, store, parts, options)
    drawn = None if posterior is None else [member.model for member in posterior]
    save_calibrated(options.out, loaded, uncertainty, drawn, options.half)
    console.print(table(uncertainty, crystals))
    console.print(f"calibrated model: {options.out}", highlight=False)


def checkpoints(options: CalibrateOptions) -> "tuple[list[LoadedModel], Literal['ensemble', 'laplace']]":
    """The checkpoints and the method that fits them.

    Raises:
        UserError: they are of several kinds, or of one that cannot be calibrated, or too few for an ensemble.
    """
    from mlrim.checkpoint import load_model
    from mlrim.uncertainty.kinds import KINDS

    paths = options.ckpt.split(",") if isinstance(options.ckpt, str) else list(options.ckpt)
    loaded = [load_model(path, kind=tuple(KINDS)) for path in paths if path]
    kinds = sorted({one.kind for one in loaded})
    if len(kinds) != 1:
        raise UserError(f"ckpt= must name models of one kind, not {', '.join(kinds) or 'none'}")
    if options.method == "ensemble" and len(loaded) < 2:
        raise UserError("method=ensemble needs several checkpoints, trained with different seeds: ckpt=[a.ckpt,b.ckpt]")
    if options.method == "laplace" and len(loaded) > 1:
        raise UserError("method=laplace takes one checkpoint; several are an ensemble (method=ensemble)")
    return loaded, "laplace" if len(loaded) == 1 else "ensemble"


@dataclass(frozen=True)
class Parts:
    """Ids of the records that are used.

    Attributes:
        train: that the models were trained on, as far as the quality filter lets them pass.
        validation: that they were not trained on.
        regular: those that pass the quality filter.
    """

    train: list[str]
    validation: list[str]
    regular: frozenset[str]


def chosen_parts(store: "RecordStore", options: CalibrateOptions, metadata: Mapping[str, Any]) -> Parts:
    """Training and validation records, at most so many of each, chosen at random; of elements that were trained on.

    Args:
        metadata: recorded with the model: `label`, `elements`.

    Raises:
        UserError: fewer than `LEAST_CRYSTALS` are left of one part.
    """
    from ase.data import chemical_symbols

    from datamodules.filters import RecordFilter
    from datamodules.quality import QualityLimits
    from datamodules.splits import load_split, make_split

    conditions: dict[str, Any] = {"max_atoms": options.max_atoms, "level": str(metadata.get("label", "dft"))}
    regular = frozenset(RecordFilter(quality=QualityLimits(), **conditions).select(store.index).ids)
    usable = set(RecordFilter(quality=None, **conditions).select(store.index).ids)
    trained = {chemical_symbols[int(number)] for number in metadata.get("elements") or range(1, 119)}
    usable &= {entry.id for entry in store.index if trained >= set(entry.elements)}
    split = (
        make_split(store.index, options.split_seed)
        if options.split_file is None
        else load_split(options.split_file, store.index)
    )
    train = some([name for name in split.train if name in regular & usable], options.train_limit)
    validation = some([name for name in split.validation if name in usable], options.limit)
    for name, part in (("training", train), ("validation", [one for one in validation if one in regular])):
        if len(part) < LEAST_CRYSTALS:
            raise UserError(
                f"{len(part)} {name} crystals of {options.data} are too few to calibrate on; at least {LEAST_CRYSTALS} "
                "are needed. Use a larger data set, or a larger max_atoms"
            )
    return Parts(train, validation, regular)


def some(names: list[str], most: int) -> list[str]:
    """At most so many of the names, chosen at random, in their order."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(names))[:most])
    return [names[index] for index in chosen]


def draw_posterior(
    kind: "Kind", first: "LoadedModel", store: "RecordStore", parts: Parts, options: CalibrateOptions
) -> "list[LoadedModel]":
    """Networks around a trained one, so different that they disagree about as much as they err."""
    from dataclasses import replace

    from mlrim.uncertainty.laplace import curvatures, draw

    shown = follow(some(parts.train, CURVATURE_CRYSTALS), "curvature", options.quiet)
    found = curvatures(first.model, kind.loss, kind.batches(store[name] for name in shown))
    quantities = {layer: kind.quantity_of(layer) for layer in found}
    scales = {layer: 0.0 if quantity is None else 0.1 for layer, quantity in quantities.items()}

    def drawn(count: int) -> "list[LoadedModel]":
        return [replace(first, model=model) for model in draw(first.model, found, count, scales)]

    records = [store[name] for name in some([n for n in parts.validation if n in parts.regular], SCALE_CRYSTALS)]
    for _ in range(SCALE_STEPS):
        spreads = relative_spreads(kind, [first, *drawn(4)], records)
        for layer, quantity in quantities.items():
            if quantity in spreads:
                scales[layer] *= min(10.0, max(0.1, SHARE_OF_ERROR / max(spreads[quantity], 1e-6)))
    return drawn(options.members)


def relative_spreads(kind: "Kind", members: "list[LoadedModel]", records: Sequence[Any]) -> dict[str, float]:
    """Median spread over median error of every quantity."""
    from mlrim.uncertainty.residuals import compare_crystal

    rows = [compare_crystal(kind, members, "laplace", record).rows for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    answer = {}
    for name in names:
        found = [row[name] for row in rows if name in row]
        spreads = np.median(np.concatenate([row.spread for row in found]))
        errors = np.median(np.concatenate([np.abs(row.value - row.truth) for row in found]))
        answer[name] = float(spreads) / max(float(errors), 1e-12)
    return answer


def calibrated(
    kind: "Kind",
    members: "list[LoadedModel]",
    method: Literal["ensemble", "laplace"],
    store: "RecordStore",
    parts: Parts,
    options: CalibrateOptions,
) -> "tuple[Uncertainty, list[CrystalResiduals]]":
    """The uncertainty of the members, and what it was learned from."""
    from mlrim.uncertainty.calibrated import Uncertainty
    from mlrim.uncertainty.error_model import fit_error_model
    from mlrim.uncertainty.residuals import PROBABILITY, compare_crystal, residuals_of
    from mlrim.uncertainty.stability import StabilityCalibration, fit_stability
    from mlrim.uncertainty.training_domain import fit_domain

    latents = [kind.latent(members[0], store[name]) for name in follow(parts.train, "domain", options.quiet)]
    crystals = [
        compare_crystal(kind, members, method, store[name], name in parts.regular)
        for name in follow(parts.validation, "errors", options.quiet)
    ]
    regular = [one for one in crystals if one.regular]
    elements = trained_elements(members[0], store, parts.train)
    domain = fit_domain(np.array(latents), np.array([one.latent for one in regular]), elements)
    names = [name for name in dict.fromkeys(name for one in regular for name in one.rows) if name != PROBABILITY]
    models = {name: fit_error_model(residuals_of(regular, name, domain)) for name in names}
    told = [one.rows[PROBABILITY] for one in crystals if PROBABILITY in one.rows]
    stability = StabilityCalibration()
    if told:
        stability = fit_stability(
            np.concatenate([row.value for row in told]), np.concatenate([row.truth for row in told])
        )
    facts = {"crystals": len(regular), "data_hash": store.manifest.content_hash, "split_seed": options.split_seed}
    return Uncertainty(method, models, domain, stability, facts), crystals


def trained_elements(first: "LoadedModel", store: "RecordStore", trained: Sequence[str]) -> tuple[int, ...]:
    """Atomic numbers that a model was trained on: those recorded with it, else those of the training part."""
    from ase.data import atomic_numbers

    recorded = first.metadata.get("elements")
    if recorded:
        return tuple(int(number) for number in recorded)
    used = set(trained)
    symbols = {symbol for entry in store.index if entry.id in used for symbol in entry.elements}
    return tuple(sorted(atomic_numbers[symbol] for symbol in symbols))


def follow(names: Sequence[str], what: str, quiet: bool) -> Any:
    """The names, with a progress bar."""
    from rich.progress import track

    return track(names, what, disable=quiet)


def table(uncertainty: "Uncertainty", crystals: "Sequence[CrystalResiduals]") -> Any:
    """Mean error of every quantity on the calibration crystals, and what the error depends on."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from mlrim.uncertainty.kinds import UNITS
    from mlrim.uncertainty.residuals import crystal_errors

    made = Table(title=uncertainty.description, box=SIMPLE_HEAD)
    for header in ("quantity", "mean error", "median", "unit", "power of spread", "of distance", "of size"):
        made.add_column(header, justify="left" if header in ("quantity", "unit") else "right", no_wrap=True)
    regular = [one for one in crystals if one.regular]
    for name, model in uncertainty.models.items():
        errors = crystal_errors(regular, name)
        powers = [f"{power:.2f}" for power in model.powers[1:]]
        made.add_row(name, f"{errors.mean():.3g}", f"{np.median(errors):.3g}", UNITS[name], *powers)
    return made


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
