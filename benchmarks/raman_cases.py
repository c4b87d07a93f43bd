"""Compounds with Raman tensors from first principles, and the five-fold test that every model of them takes.

    from benchmarks.raman_cases import cross_validate, load_cases, report

    cases = load_cases(Path("data/raman_pbe0"))
    rows = cross_validate(cases, train)      # train(list of cases) returns a function from a case to tensors
    report("my model", rows)

Compounds with the same reduced formula are always in the same fold. Spectra have the modes of the reference, so that
only the Raman tensors are tested; the metrics are those of `mlrim.evaluation.spectra`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from datamodules.records import Record
from datamodules.store import RecordStore
from mlrim.evaluation.spectra import compare_raman
from mlrim.evaluation.statistics import statistics
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.vibrations.normal_modes import NormalModes, modes_along

FOLDS = 5
COLUMNS = (
    "spectrum_cosine",
    "strongest_maximum",
    "strongest_line",
    "depolarization_mae",
    "tensor_error",
    "activity_log_error",
)


class RamanCase(NamedTuple):
    """One compound of the test."""

    id: str
    formula: str
    crystal: Crystal
    modes: NormalModes
    raman_tensors: Float[ndarray, "atoms 3 3 3"]
    """Å²"""
    dielectric: Float[ndarray, "3 3"] | None
    """ε∞, where known."""


Predictor = Callable[[RamanCase], Float[ndarray, "atoms 3 3 3"]]
"""Raman tensors from the structure (and ε∞) of a case; what it may not look at are the tensors."""
Row = dict[str, Any]


def load_cases(folder: Path) -> list[RamanCase]:
    """Every record of a data set that has Raman tensors and a mode that scatters, by id."""
    records = RecordStore(folder)
    cases = [raman_case(record) for record in records if record.raman_tensors is not None]
    return [case for case in cases if compare_raman(case.raman_tensors, case.raman_tensors, case.modes)]


def raman_case(record: Record) -> RamanCase:
    """A record with the optical modes that its force constants have at Γ without the macroscopic field."""
    assert record.raman_tensors is not None
    dynamics = LatticeDynamics.from_supercell(record.compact(), record.supercell)
    modes = modes_along(dynamics, np.zeros(3))
    return RamanCase(record.id, record.formula, record.crystal, modes, record.raman_tensors, record.dielectric)


def formula_folds(cases: Sequence[RamanCase], seed: int = 0, folds: int = FOLDS) -> Int[ndarray, "cases"]:
    """Number of the fold in which a compound is held out."""
    formulas, group = np.unique([case.formula for case in cases], return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(formulas)) % folds)[group]


def cross_validate(
    cases: Sequence[RamanCase],
    train: Callable[[Sequence[RamanCase]], Predictor],
    seed: int = 0,
    folds: int = FOLDS,
) -> list[Row]:
    """Metrics of every compound, predicted by a model that was trained without its fold."""
    numbers, rows = formula_folds(cases, seed, folds), []
    for fold in range(folds):
        predict = train([case for case, number in zip(cases, numbers, strict=True) if number != fold])
        rows += [
            score(case, predict(case)) | {"fold": fold}
            for case, number in zip(cases, numbers, strict=True)
            if number == fold
        ]
    return rows


def score(case: RamanCase, predicted: Float[ndarray, "atoms 3 3 3"]) -> Row:
    """One row of a table: what the compound is, and its metrics."""
    return {"id": case.id, "formula": case.formula, **compare_raman(predicted, case.raman_tensors, case.modes)}


def report(name: str, rows: Sequence[Row]) -> None:
    """Print median, mean and 95 % intervals of every metric."""
    print(f"{name}, {len(rows)} compounds")
    for column in COLUMNS:
        found = statistics([row[column] for row in rows if column in row])
        print(
            f"  {column:20} median {found.median:.3f} [{found.median_low:.3f}, {found.median_high:.3f}]"
            f"   mean {found.mean:.3f} [{found.mean_low:.3f}, {found.mean_high:.3f}]"
        )
