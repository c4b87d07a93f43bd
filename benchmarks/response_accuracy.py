"""Accuracy of a response model on a data set: Born charges, ε∞, LO–TO splittings with the reference's force constants.

    python -m benchmarks.response_accuracy ckpt=outputs/response/checkpoints/best.ckpt data=data/phonondb

`ckpt` is a checkpoint or exported folder, or several as [first,second], whose mean is taken. The compounds are those of
the test split of training (seed 0). Tables: all compounds, and insulators with ε∞ < 15.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from datamodules.filters import RecordFilter
from datamodules.options import run_command
from datamodules.records import Record
from datamodules.splits import make_split
from datamodules.store import RecordStore
from mlrim.configuration import AtLeast
from mlrim.errors import UserError
from mlrim.evaluation.compare import anion_of
from mlrim.evaluation.response import UNITS, compare_born, compare_dielectric, compare_splittings, gamma_matrix
from mlrim.evaluation.statistics import Row, statistics
from mlrim.evaluation.tables import write_rows
from mlrim.lattice.symmetry import space_group, symmetrize_site_tensors, symmetrize_tensor
from mlrim.output_folder import require_output_folder
from mlrim.responses import ResponsePredictor, load_response
from mlrim.vibrations.gamma import main_directions
from mlrim.vibrations.irreps import point_group_action

INSULATING = 15.0
"""Largest mean ε∞ of a compound that counts as an insulator."""
DESCRIPTION = (
    "id",
    "formula",
    "space_group",
    "crystal_system",
    "anion",
    "n_atoms",
    "dielectric",
    "insulator_probability",
)


@dataclass
class Options:
    """What is compared with what."""

    ckpt: str | list[str]
    data: str
    theory: str = "pbesol"
    split: Literal["train", "validation", "test", "all"] = "test"
    split_seed: int = 0
    level: str = "dft"
    limit: Annotated[int, AtLeast(1)] | None = None
    out: str = "evaluation/response"
    quiet: bool = False


def main() -> None:
    """Read the options and run."""
    run_command("benchmarks.response_accuracy", Options, run)


def run(options: Options) -> None:
    """Compare record by record, write compounds.csv, show the tables."""
    from rich.console import Console
    from rich.progress import track

    out = require_output_folder(options.out)
    console = Console(quiet=options.quiet)
    predictor = load_response(options.ckpt, options.theory)
    if predictor is None:
        raise UserError("ckpt= names no response model")
    store = RecordStore(options.data)
    names = chosen(store, options)
    rows = list(
        track(
            compared(store, names, predictor, options.level), total=len(names), console=console, disable=options.quiet
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "compounds.csv", rows, [*DESCRIPTION, *UNITS])
    insulators = [row for row in rows if row["dielectric"] < INSULATING]
    console.print(table(f"{predictor.description}: all {len(rows)} compounds", rows))
    console.print(table(f"insulators, ε∞ < {INSULATING:g}: {len(insulators)} compounds", insulators))
    console.print(f"compounds: {out / 'compounds.csv'}", highlight=False)


def chosen(store: RecordStore, options: Options) -> list[str]:
    """Ids of the records with Born charges in the split that pass the quality filter."""
    found = set(RecordFilter(need_born=True, level=options.level).select(store.index).ids)
    if options.split != "all":
        found &= set(getattr(make_split(store.index, options.split_seed), options.split))
    names = sorted(found)[: options.limit]
    if not names:
        raise UserError(f"no record of {options.data} with Born charges is in split={options.split}")
    return names


def compared(
    store: RecordStore, names: Sequence[str], predictor: ResponsePredictor, level: str
) -> Iterator[dict[str, Any]]:
    """One row for every record."""
    for name in names:
        yield compare_record(store[name], predictor, level)


def compare_record(record: Record, predictor: ResponsePredictor, level: str = "dft") -> dict[str, Any]:
    """All metrics of a record; predicted quantities are used as predict.py uses them, symmetrised."""
    crystal, group = record.crystal, space_group(record.crystal)
    assert record.born_charges is not None
    assert record.dielectric is not None
    answer = predictor(crystal)
    born = symmetrize_site_tensors(answer.born_charges, group)
    dielectric = symmetrize_tensor(answer.dielectric, group)
    reference = (record.born_charges, (record.dielectric + record.dielectric.T) / 2)
    residual = max(np.abs(born - answer.born_charges).max(), np.abs(dielectric - answer.dielectric).max())
    directions = list(main_directions(point_group_action(crystal)).values())
    matrix = gamma_matrix(np.asarray(record.compact(level), dtype=float), crystal)
    return {
        "id": record.id,
        "formula": crystal.reduced_formula,
        "space_group": record.space_group,
        "crystal_system": record.crystal_system,
        "anion": anion_of(crystal.symbols),
        "n_atoms": crystal.n_atoms,
        "dielectric": float(np.trace(reference[1]) / 3),
        "insulator_probability": answer.insulator_probability,
        "symmetry_residual": float(residual),
        **compare_born(born, reference[0]),
        **compare_dielectric(dielectric, reference[1]),
        **compare_splittings(matrix, crystal, (born, dielectric), reference, directions),
    }


def table(title: str, rows: Sequence[Row]) -> Any:
    """Mean, median and largest value of every metric."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for header in ("metric", "n", "mean [95 %]", "median", "largest"):
        made.add_column(header, justify="left" if header == "metric" else "right", no_wrap=True)
    for metric, unit in UNITS.items():
        values = [row[metric] for row in rows if metric in row]
        found = statistics(values)
        if found.compounds:
            made.add_row(
                metric if unit == "1" else f"{metric} ({unit})",
                str(found.compounds),
                f"{found.mean:.3g} [{found.mean_low:.2g}, {found.mean_high:.2g}]",
                f"{found.median:.3g}",
                f"{max(values):.3g}",
            )
    return made


if __name__ == "__main__":
    main()
