"""LO–TO splitting from a potential trained on Hessians: LiF, NaCl and MgO in supercells from 2×2×2 to 6×6×6.

    python -m benchmarks.lo_to [data=data/phonondb] [steps=600] [crystals=[mp-1138,mp-22862,mp-1265]]

Two potentials of one size are trained for one number of steps on the Hessians of these crystals (phonondb, PBEsol): one
on what is left without the dipole interaction, one on everything. The first gives dispersions with the dipole
interaction added at every wave vector; the second goes through the recipes of M. Kwen et al. that count it twice, with
an Ewald parameter fitted to the answer. Reference: the force constants of DFT with its dipole interaction along Γ–X and
Γ–L, without any fit. See docs/lo_to.md.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from benchmarks.lo_to_figures import write_figure
from benchmarks.lo_to_recipes import (
    BRANCHES,
    ENDS,
    Line,
    branches,
    branches_of,
    commensurate_fractions,
    line,
    nothing_added,
    reciprocal_added,
    subtracted,
    subtracted_afterwards,
    whole_added,
)
from benchmarks.small_potentials import Part, Training, quiet, train
from datamodules.energy_samples import EnergySettings, Reading, make_energy_samples
from datamodules.options import run_command
from datamodules.records import Record
from datamodules.store import RecordStore
from mlrim.configuration import AtLeast
from mlrim.derivatives.bloch import dynamical_matrices, supercell_force_constants, unroll
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import no_force_constants
from mlrim.lattice.supercell import Supercell
from mlrim.models.cartesian_potential import CartesianPotentialModel

WIDTHS = (0.15, 0.2, 0.25, 0.28, 0.31, 0.34, 0.37, 0.4, 0.45, 0.5, 0.6, 0.8, 1.0)
"""Ewald parameters (1/Å) that the recipe with the reciprocal half may choose from."""
NEAR, FAR = 0.15, 0.85
"""Fractions of a line below which a wave vector is small, and above which it is at the zone boundary."""
LARGE = 4
"""Cells along each axis of supercells whose dispersions should be the same everywhere; smaller ones interpolate between
fewer wave vectors than the potential can tell apart."""
KNEE = 0.02
"""Of the losses, see `Training`."""
FRACTIONS = np.round(np.linspace(0, 1, 21), 6)
RECIPES = ("subtracted", "subtracted afterwards", "nothing added", "whole added", "reciprocal added")

Branches = Mapping[str, Float[ndarray, "qpoints branches"]]
"""By line, cm⁻¹."""


@dataclass
class Options:
    """What is trained on what, and where it is used."""

    data: str = "data/phonondb"
    crystals: list[str] = field(default_factory=lambda: ["mp-1138", "mp-22862", "mp-1265"])
    sizes: list[int] = field(default_factory=lambda: [2, 3, 4, 5, 6])
    per_batch: Annotated[int, AtLeast(1)] = 6
    channels: Annotated[int, AtLeast(1)] = 16
    layers: Annotated[int, AtLeast(1)] = 2
    cutoff: float = 5.0
    steps: Annotated[int, AtLeast(1)] = 600
    learning_rate: float = 5e-3
    seed: int = 0
    exact: bool = True
    """Whether the supercells are compared with the extended graph, which takes a minute for each crystal."""
    out: Path = Path("outputs/lo_to")

    @property
    def training(self) -> Training:
        """The network and its training."""
        return Training(self.channels, self.layers, self.cutoff, self.steps, self.learning_rate, knee=KNEE)


class Potentials(NamedTuple):
    """Two networks that differ in what they were trained on."""

    remainder: CartesianPotentialModel
    """Everything but the dipole interaction."""
    whole: CartesianPotentialModel


class Dispersion(NamedTuple):
    """Branches of one crystal by one recipe in one supercell."""

    recipe: str
    size: int
    branches: Branches
    width: float | None = None
    """The Ewald parameter that was chosen, 1/Å."""


def run(options: Options) -> None:
    """Train, compare and write what came out."""
    quiet()
    store = RecordStore(options.data)
    records = [store[name] for name in options.crystals]
    check(records)
    potentials = Potentials(*(potential(options, records, background) for background in (("dipole",), ())))
    found = []
    for record in records:
        found.append(compare(record, potentials, options))
        print(table(found[-1]), flush=True)
        write_figure(options.out / f"{found[-1]['formula']}.png", found[-1])
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {"crystals": options.crystals, **asdict(options.training)}
    document = {"settings": settings, "crystals": found}
    (options.out / "lo_to.json").write_text(json.dumps(document, indent=1, ensure_ascii=False))


def check(records: Sequence[Record]) -> None:
    """Raise UserError for crystals that have no Γ–X and Γ–L, or no dipole interaction."""
    for record in records:
        if record.space_group != 225 or record.crystal.n_atoms != 2 or record.born_charges is None:
            raise UserError(f"{record.id} ({record.formula}) is no rock-salt crystal with Born charges")


def potential(options: Options, records: Sequence[Record], background: tuple[str, ...]) -> CartesianPotentialModel:
    """A trained network, from the run before where it was the same."""
    path = options.out / f"{'remainder' if background else 'whole'}.pt"
    settings = {"crystals": options.crystals, "per_batch": options.per_batch, "seed": options.seed}
    settings |= asdict(options.training)
    if path.is_file():
        stored = torch.load(path, weights_only=True)
        if stored["settings"] == settings:
            model = options.training.network(options.seed)
            model.load_state_dict(stored["weights"])
            return model.double().eval()
    model, seconds = train(options.training, [Part(samples(records, background, options.cutoff), options.per_batch)], 0)
    print(f"{path.stem}: {options.steps} steps in {seconds:.0f} s", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"settings": settings, "weights": model.state_dict()}, path)
    return model.double().eval()


def samples(records: Sequence[Record], background: tuple[str, ...], cutoff: float) -> list[LabelledGraph]:
    """The Hessians of all small cells that fit the supercells of the records."""
    settings = EnergySettings(background=background, wave_cells=100, max_cells=4)
    return [sample for record in records for sample in make_energy_samples(record, settings, Reading(cutoff))]


def compare(record: Record, potentials: Potentials, options: Options) -> dict[str, Any]:
    """Everything about one crystal."""
    reference = record.lattice_dynamics()
    lines = [line(record.crystal, name, FRACTIONS) for name in ENDS]
    expected = {along.name: branches_of(reference, along) for along in lines}
    dispersions = [
        dispersion
        for size in options.sizes
        for dispersion in in_supercell(reference, potentials, size, lines, expected)
    ]
    rows = [{**_described(dispersion), **errors(dispersion.branches, expected)} for dispersion in dispersions]
    return {
        "id": record.id,
        "formula": record.crystal.reduced_formula,
        "fractions": FRACTIONS.tolist(),
        "reference": {name: values.round(3).tolist() for name, values in expected.items()},
        "rows": rows,
        "supercells_disagree": disagreement(dispersions),
        "differs_from_extended": differs_from_extended(reference, potentials, options) if options.exact else None,
    }


def in_supercell(
    reference: LatticeDynamics,
    potentials: Potentials,
    size: int,
    lines: Sequence[Line],
    expected: Branches,
) -> list[Dispersion]:
    """All recipes in size³ primitive cells."""
    supercell, dipole = Supercell(reference.crystal, size * np.eye(3, dtype=int)), reference.dipole
    assert dipole is not None
    remainder, whole = (supercell_force_constants(model, supercell, model.cutoff) for model in potentials)
    recipes: dict[str, Callable[[Line], Float[ndarray, "qpoints branches"]]] = {
        "subtracted": lambda along: subtracted(remainder, supercell, dipole, along),
        "subtracted afterwards": lambda along: subtracted_afterwards(whole, supercell, dipole, along),
        "nothing added": lambda along: nothing_added(whole, supercell, along),
        "whole added": lambda along: whole_added(whole, supercell, dipole, along),
    }
    fixed = [Dispersion(name, size, {along.name: recipe(along) for along in lines}) for name, recipe in recipes.items()]
    tried = [
        Dispersion(
            "reciprocal added",
            size,
            {along.name: reciprocal_added(whole, supercell, dipole, along, width) for along in lines},
            width,
        )
        for width in WIDTHS
    ]
    return [*fixed, min(tried, key=lambda dispersion: errors(dispersion.branches, expected)["all"])]


def errors(found: Branches, expected: Branches) -> dict[str, float]:
    """Mean absolute errors over both lines, cm⁻¹: of each branch, and of LO at small and at large wave vectors."""
    error = np.abs(np.concatenate([found[name] - expected[name] for name in expected]))
    fractions = np.tile(FRACTIONS, len(expected))
    longitudinal = error[:, BRANCHES.index("LO")]
    values = {name: error[:, index].mean() for index, name in enumerate(BRANCHES)}
    values["all"] = np.average(error.mean(axis=0), weights=[2, 1, 2, 1])
    values["LO small"] = longitudinal[fractions < NEAR].mean()
    values["LO boundary"] = longitudinal[fractions > FAR].mean()
    return {name: float(value) for name, value in values.items()}


def disagreement(dispersions: Sequence[Dispersion]) -> dict[str, float]:
    """For each recipe, the largest difference (cm⁻¹) between supercells of at least `LARGE` cells along each axis."""
    found = {}
    for recipe in RECIPES:
        stacked = [
            np.concatenate(list(dispersion.branches.values()))
            for dispersion in dispersions
            if dispersion.recipe == recipe and dispersion.size >= LARGE
        ]
        if stacked:
            found[recipe] = float(np.ptp(np.stack(stacked), axis=0).max())
    return found


def differs_from_extended(reference: LatticeDynamics, potentials: Potentials, options: Options) -> float:
    """Largest difference (cm⁻¹) between supercells and the extended graph at the supercells' own wave vectors.

    One wave vector of each line and supercell is compared, the one nearest to the boundary of the zone.
    """
    model, crystal = potentials.remainder, reference.crystal
    extended = unroll(model, crystal, model.cutoff)
    dipole = LatticeDynamics(crystal, no_force_constants(crystal.n_atoms), reference.dipole)
    shifts = []
    for size in options.sizes:
        supercell = Supercell(crystal, size * np.eye(3, dtype=int))
        compact = supercell_force_constants(model, supercell, model.cutoff)
        for along in (line(crystal, name, commensurate_fractions(size)[-1:]) for name in ENDS):
            added = dipole.dynamical_matrices(along.qpoints)
            folded = LatticeDynamics.from_supercell(compact, supercell).dynamical_matrices(along.qpoints)
            exact = dynamical_matrices(model, extended, along.qpoints)
            shifts.append(branches(folded + added, along.direction) - branches(exact + added, along.direction))
    return float(np.abs(shifts).max())


def _described(dispersion: Dispersion) -> dict[str, Any]:
    return {
        "recipe": dispersion.recipe,
        "size": dispersion.size,
        "width": dispersion.width,
        "branches": {name: values.round(3).tolist() for name, values in dispersion.branches.items()},
    }


def table(crystal: Mapping[str, Any]) -> str:
    """Errors of one crystal as Markdown."""
    header = ["recipe", "supercell", "Λ (1/Å)", "all", "TA", "LA", "TO", "LO", "LO, small q", "LO, boundary"]
    lines = [f"{crystal['formula']}, mean absolute errors (cm⁻¹)", "", _row(header), _row(["---"] * len(header))]
    for row in sorted(crystal["rows"], key=lambda row: RECIPES.index(row["recipe"])):
        values = [row[name] for name in ("all", *BRANCHES, "LO small", "LO boundary")]
        width = "" if row["width"] is None else f"{row['width']:g}"
        size = f"{row['size']}×{row['size']}×{row['size']}"
        lines.append(_row([row["recipe"], size, width, *(f"{value:.1f}" for value in values)]))
    spread = ", ".join(f"{recipe} {value:.2g}" for recipe, value in crystal["supercells_disagree"].items())
    lines += ["", f"largest difference between supercells from {LARGE}×{LARGE}×{LARGE} on: {spread} cm⁻¹"]
    if crystal["differs_from_extended"] is not None:
        lines.append(f"largest difference from the extended graph: {crystal['differs_from_extended']:.1e} cm⁻¹")
    return "\n".join([*lines, ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    run_command("benchmarks.lo_to", Options, run)
