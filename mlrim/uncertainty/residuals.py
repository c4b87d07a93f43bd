"""Predictions of several networks beside the truth, over the records of a data set."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.checkpoint import LoadedModel
from mlrim.direct.predictor import spread
from mlrim.uncertainty.calibrated import Method
from mlrim.uncertainty.error_model import Residuals
from mlrim.uncertainty.kinds import Kind
from mlrim.uncertainty.training_domain import TrainingDomain

if TYPE_CHECKING:
    from datamodules.records import Record

PROBABILITY = "stability"
"""The quantity that is a probability, calibrated in its own way."""


class Row(NamedTuple):
    """One quantity of one crystal; values that are not known are left out."""

    value: Float[ndarray, "values"]
    truth: Float[ndarray, "values"]
    spread: Float[ndarray, "values"]


@dataclass(frozen=True, eq=False)
class CrystalResiduals:
    """Everything predicted and known of one crystal.

    Attributes:
        id: of the record.
        latent: where it is among others, by the first network.
        rows: by quantity.
        regular: whether it passes the quality filter; others count for stability alone.
    """

    id: str
    latent: Float[ndarray, "channels"]
    rows: dict[str, Row] = field(default_factory=dict)
    regular: bool = True


def compare_crystal(
    kind: Kind, members: list[LoadedModel], method: Method, record: "Record", regular: bool = True
) -> CrystalResiduals:
    """What networks say of a record beside what it holds."""
    answers = [kind.answer(member, record) for member in members]
    truths = kind.truths(record)
    rows = {}
    for name in answers[0].quantities:
        values = np.array([answer.quantities[name] for answer in answers])
        centre = values[0] if method == "laplace" else values.mean(axis=0)
        known = np.isfinite(truths[name]) & np.isfinite(values).all(axis=0)
        if known.any():
            rows[name] = Row(centre[known], truths[name][known], spread(values)[known])
    return CrystalResiduals(record.id, answers[0].latent, rows, regular)


def residuals_of(crystals: Iterable[CrystalResiduals], quantity: str, domain: TrainingDomain) -> Residuals:
    """The errors of a quantity over all crystals where it is known."""
    parts = [(one.rows[quantity], domain.distance(one.latent)) for one in crystals if quantity in one.rows]
    if not parts:
        return Residuals(*(np.zeros(0) for _ in Residuals._fields))
    columns = [
        (row.value, row.value - row.truth, row.spread, np.full(len(row.value), distance), _even(len(row.value)))
        for row, distance in parts
    ]
    return Residuals(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def crystal_errors(crystals: Iterable[CrystalResiduals], quantity: str) -> Float[ndarray, "crystals"]:
    """Mean absolute error of a quantity of every crystal where it is known."""
    rows = [one.rows[quantity] for one in crystals if quantity in one.rows]
    return np.array([np.abs(row.value - row.truth).mean() for row in rows])


def _even(count: int) -> Float[ndarray, "values"]:
    return np.full(count, 1 / count)
