"""Evaluating predictors on records of a data set, in parallel, one row for every compound and predictor."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlrim.direct.predictor import DirectPredictor
from mlrim.errors import UserError
from mlrim.evaluation.commensurate import CommensurateDynamics, CommensurateFrequencies
from mlrim.evaluation.metrics import compare
from mlrim.graph.crystal_graph import ResponseFeatures
from mlrim.lattice.dipole import DipoleInteraction, neutralize_born_charges
from mlrim.lattice.force_constants import fold
from mlrim.lattice.symmetry import space_group, symmetrize_site_tensors, symmetrize_tensor
from mlrim.potentials.settings import PotentialSettings
from mlrim.predictors import Known, LongRange, Predictor, load_any_predictor
from mlrim.record_jobs import known_from_record
from mlrim.responses import ResponsePredictor, load_response
from mlrim.symmetrization import impose_symmetry
from mlrim.units import THZ_TO_CM1

if TYPE_CHECKING:
    from datamodules.records import Record
    from datamodules.store import RecordStore

OWN, LEARNED, PERTURBED = ":own", ":learned", ":perturbed"
"""Suffixes of a model that does not use the reference's Z* and ε∞: its own charges, those of a response model, those
of the reference with random errors."""

OWN_SUPERCELL = PotentialSettings(method="supercell", min_length=0.0)
"""Potentials are asked for force constants in the supercell of the reference, where they are exact."""

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


def model_and_suffix(model: str) -> tuple[str, str]:
    """What `load_predictor` understands, and which long-range part is used with it.

    >>> model_and_suffix("rim:own"), model_and_suffix("best.ckpt")
    (('rim', ':own'), ('best.ckpt', ''))
    """
    suffix = next((suffix for suffix in (OWN, LEARNED, PERTURBED) if model.endswith(suffix)), "")
    return model.removesuffix(suffix), suffix


def evaluate_records(
    data: str,
    names: Sequence[str],
    models: Sequence[str],
    level: str = "dft",
    workers: int = 0,
    response: str | Sequence[str] | None = None,
) -> Iterator[Outcome]:
    """Compare models with the reference, record by record, in the order of the names.

    Args:
        models: names or paths that `load_predictor` understands, each with a suffix (`:own`, `:learned`, `:perturbed`)
            if it shall not use the reference's Z* and ε∞.
        level: level of theory of the reference.
        workers: processes; 0 works in this one.
        response: response model of `:learned`, see `load_response`.

    Raises:
        UserError: a model cannot be used.
    """
    if workers == 0:
        evaluate = Evaluator.open(data, models, level, response).evaluate
        yield from map(evaluate, names)
        return
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    arguments = (data, list(models), level, response)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=arguments
    ) as pool:
        yield from pool.map(_evaluate_in_worker, names, chunksize=4)


class Evaluator(NamedTuple):
    """Everything that a process needs to evaluate records."""

    store: "RecordStore"
    predictors: dict[str, Predictor | DirectPredictor]
    level: str
    response: ResponsePredictor | None = None

    @classmethod
    def open(
        cls, data: str, models: Sequence[str], level: str, response: str | Sequence[str] | None = None
    ) -> "Evaluator":
        """Open the data set and load every model once.

        Raises:
            UserError: a model cannot be used, or `:learned` is asked for without a response model.
        """
        from datamodules.store import RecordStore

        parts = {model: model_and_suffix(model) for model in models}
        loaded = {
            name: load_any_predictor(name, OWN_SUPERCELL) for name in dict.fromkeys(name for name, _ in parts.values())
        }
        predictors = {model: loaded[name] for model, (name, _) in parts.items()}
        return cls(RecordStore(data), predictors, level, response_model(models, response))

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
                _, suffix = model_and_suffix(model)
                if isinstance(predictor, DirectPredictor):
                    found = direct_frequencies(predictor, record, reference)
                    rows.append({"model": model, **description(record), **compare(found, reference)})
                    continue
                assumed = known._replace(long_range=assumed_long_range(suffix, record, known, self.response))
                predicted = predicted_dynamics(predictor, record, assumed, reference, exact=not suffix)
                rows.append({"model": model, **description(record), **compare(predicted, reference)})
            except (UserError, ValueError, np.linalg.LinAlgError, RuntimeError) as error:
                failures.append(Failure(model, name, f"{type(error).__name__}: {error}"))
        return Outcome(rows, failures)


def response_model(models: Sequence[str], response: str | Sequence[str] | None) -> ResponsePredictor | None:
    """The response model, if some model needs one.

    Raises:
        UserError: there is none.
    """
    learned = [model for model in models if model.endswith(LEARNED)]
    if not learned:
        return None
    loaded = load_response(response)
    if loaded is None:
        raise UserError(f"{learned[0]} takes Z* and ε∞ from a response model; name its checkpoint with response=…")
    return loaded


def reference_dynamics(record: "Record", level: str) -> CommensurateDynamics:
    """The reference force constants of a record with its Born charges and ε∞."""
    known = known_from_record(record)
    return CommensurateDynamics(record.compact(level), record.supercell, _dipole(record, known.long_range))


def assumed_long_range(
    suffix: str, record: "Record", known: Known, response: ResponsePredictor | None
) -> LongRange | None:
    """Born charges and ε∞ that a model is given: the reference's, learned ones, perturbed ones, or none."""
    if suffix == LEARNED and response is not None:
        learned, group = response(record.crystal), space_group(record.crystal)
        born = neutralize_born_charges(symmetrize_site_tensors(learned.born_charges, group))
        return LongRange(born, symmetrize_tensor(learned.dielectric, group), response.description)
    if suffix == PERTURBED and known.long_range is not None:
        from datamodules.perturbation import ResponseErrors, perturbed_response

        exact = ResponseFeatures(known.long_range.born_charges, known.long_range.dielectric)
        wrong = perturbed_response(exact, record.crystal.numbers, ResponseErrors(), record.id, draw=0)
        return LongRange(wrong.born_charges, wrong.dielectric, "reference with random errors")
    return None if suffix else known.long_range


def predicted_dynamics(
    predictor: Predictor, record: "Record", assumed: Known, reference: CommensurateDynamics, exact: bool = True
) -> CommensurateDynamics:
    """A prediction in the supercell of the reference.

    Args:
        assumed: what the predictor is given.
        exact: the long-range part is the reference's; else what the predictor is given, or its own.
    """
    predicted = predictor(record.crystal, assumed)
    short_range, _ = impose_symmetry(predicted.short_range, record.crystal, space_group(record.crystal))
    compact = fold(short_range, record.supercell)
    dipole = reference.dipole if exact else _dipole(record, assumed.long_range or predicted.long_range)
    if dipole is None:
        return CommensurateDynamics(compact, record.supercell)
    folded = reference.folded_dipole if exact else dipole.folded(record.supercell)
    return CommensurateDynamics(compact + folded, record.supercell, dipole)


def direct_frequencies(
    predictor: DirectPredictor, record: "Record", reference: CommensurateDynamics
) -> CommensurateFrequencies:
    """What a direct model says at the wave vectors of the reference.

    Raises:
        UserError: it has no head for modes.
    """
    if "modes" not in predictor.heads:
        raise UserError(f"{predictor.description} has no head for modes, which are compared here")
    answers = predictor.answers(record.crystal)
    frequencies = np.array([answer.dynamics.frequencies(reference.qpoints) for answer in answers])  # type: ignore[union-attr]
    gamma = predictor.centre(np.array([answer.gamma for answer in answers])) / THZ_TO_CM1
    kept = np.sort(np.argsort(np.abs(gamma), kind="stable")[3:])
    return CommensurateFrequencies(reference.weights, predictor.centre(frequencies), gamma[kept])


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


def _start_worker(data: str, models: Sequence[str], level: str, response: str | Sequence[str] | None) -> None:
    global _evaluator
    _single_thread()
    _evaluator = Evaluator.open(data, models, level, response)


def _evaluate_in_worker(name: str) -> Outcome:
    if _evaluator is None:
        raise RuntimeError("the worker was not started")
    return _evaluator.evaluate(name)


def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)
