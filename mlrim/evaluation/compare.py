"""Evaluating predictors on records of a data set, in parallel, one row for every compound and predictor."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlrim.errors import UserError
from mlrim.evaluation.commensurate import CommensurateDynamics
from mlrim.evaluation.metrics import compare
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.force_constants import fold
from mlrim.lattice.symmetry import space_group
from mlrim.predictors import Known, LongRange, Predictor, load_predictor
from mlrim.record_jobs import known_from_record
from mlrim.symmetrization import impose_symmetry

if TYPE_CHECKING:
    from datamodules.records import Record
    from datamodules.store import RecordStore

OWN = ":own"
"""Suffix of a model that uses its own charges as the long-range part instead of the reference's Z* and ε∞."""

ANIONS = {
    "F": "fluoride", "O": "oxide", "Cl": "chloride", "N": "nitride", "Br": "bromide", "I": "iodide", "S": "sulfide",
    "Se": "selenide", "C": "carbide", "H": "hydride", "P": "phosphide", "Te": "telluride", "As": "arsenide",
}  # fmt: skip
"""Name of a compound by its most electronegative element."""


class Failure(NamedTuple):
    """A compound that a model could not predict."""

    model: str
    id: str
    reason: str


class Outcome(NamedTuple):
    """Rows and failures of one record."""

    rows: list[dict[str, Any]]
    failures: list[Failure]


def evaluate_records(
    data: str, names: Sequence[str], models: Sequence[str], level: str = "dft", workers: int = 0
) -> Iterator[Outcome]:
    """Compare models with the reference, record by record, in the order of the names.

    Args:
        models: names or paths that `load_predictor` understands, each with `:own` appended if it shall use its own
            charges.
        level: level of theory of the reference.
        workers: processes; 0 works in this one.
    """
    if workers == 0:
        evaluate = Evaluator.open(data, models, level).evaluate
        yield from map(evaluate, names)
        return
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(data, list(models), level)
    ) as pool:
        yield from pool.map(_evaluate_in_worker, names, chunksize=4)


class Evaluator(NamedTuple):
    """Everything that a process needs to evaluate records."""

    store: "RecordStore"
    predictors: dict[str, Predictor]
    level: str

    @classmethod
    def open(cls, data: str, models: Sequence[str], level: str) -> "Evaluator":
        """Open the data set and load every model once."""
        from datamodules.store import RecordStore

        loaded = {model.removesuffix(OWN): load_predictor(model.removesuffix(OWN)) for model in models}
        predictors = {model: loaded[model.removesuffix(OWN)] for model in models}
        return cls(RecordStore(data), predictors, level)

    def evaluate(self, name: str) -> Outcome:
        """All models on one record."""
        record = self.store[name]
        reference = reference_dynamics(record, self.level)
        known = known_from_record(record)._replace(
            force_constants={level: record.compact(level) for level in record.force_constants}
        )
        rows, failures = [], []
        for model, predictor in self.predictors.items():
            try:
                predicted = predicted_dynamics(predictor, record, known, reference, own=model.endswith(OWN))
                rows.append({"model": model, **description(record), **compare(predicted, reference)})
            except (UserError, ValueError, np.linalg.LinAlgError, RuntimeError) as error:
                failures.append(Failure(model, name, f"{type(error).__name__}: {error}"))
        return Outcome(rows, failures)


def reference_dynamics(record: "Record", level: str) -> CommensurateDynamics:
    """The reference force constants of a record with its Born charges and ε∞."""
    known = known_from_record(record)
    return CommensurateDynamics(record.compact(level), record.supercell, _dipole(record, known.long_range))


def predicted_dynamics(
    predictor: Predictor, record: "Record", known: Known, reference: CommensurateDynamics, own: bool = False
) -> CommensurateDynamics:
    """A prediction in the supercell of the reference, with the reference's Z* and ε∞ unless its `own` are asked for."""
    predicted = predictor(record.crystal, known._replace(long_range=None) if own else known)
    short_range, _ = impose_symmetry(predicted.short_range, record.crystal, space_group(record.crystal))
    compact = fold(short_range, record.supercell)
    dipole = _dipole(record, predicted.long_range) if own else reference.dipole
    if dipole is None:
        return CommensurateDynamics(compact, record.supercell)
    folded = dipole.folded(record.supercell) if own else reference.folded_dipole
    return CommensurateDynamics(compact + folded, record.supercell, dipole)


def description(record: "Record") -> dict[str, Any]:
    """What identifies a compound in the tables."""
    return {
        "id": record.id,
        "formula": record.crystal.reduced_formula,
        "space_group": record.space_group,
        "crystal_system": record.crystal_system,
        "anion": anion_of(record.crystal.symbols),
        "n_atoms": record.crystal.n_atoms,
    }


def anion_of(symbols: Sequence[str]) -> str:
    """`oxide`, `fluoride` …, by the most electronegative element.

    >>> anion_of(["Mg", "O"]), anion_of(["Ga", "As"]), anion_of(["Cu", "Zn"])
    ('oxide', 'arsenide', 'other')
    """
    return next((name for element, name in ANIONS.items() if element in symbols), "other")


def _dipole(record: "Record", long_range: LongRange | None) -> DipoleInteraction | None:
    if long_range is None:
        return None
    return DipoleInteraction(record.crystal, long_range.born_charges, long_range.dielectric)


_evaluator: Evaluator | None = None


def _start_worker(data: str, models: Sequence[str], level: str) -> None:
    global _evaluator
    _single_thread()
    _evaluator = Evaluator.open(data, models, level)


def _evaluate_in_worker(name: str) -> Outcome:
    if _evaluator is None:
        raise RuntimeError("the worker was not started")
    return _evaluator.evaluate(name)


def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)
