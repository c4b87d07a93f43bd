"""Predicting records of a data set: structure, Born charges and stored force constants come from the record."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from mlrim.batch import Job
from mlrim.configuration.problems import did_you_mean
from mlrim.errors import UserError
from mlrim.predictors import Known, LongRange
from mlrim.structures import InputStructure

if TYPE_CHECKING:
    from datamodules.records import Record


def record_jobs(data: str, pattern: str) -> list[Job]:
    """A job for every record of the data set whose id matches a pattern such as `mp-1265` or `mp-12*`.

    Raises:
        UserError: no record matches.
    """
    from datamodules.store import RecordStore

    store = RecordStore(data)
    matching = [name for name in store.ids if fnmatchcase(name, pattern)]
    if not matching:
        hint = did_you_mean(pattern, store.ids)
        raise UserError(
            f"no record of {data} ({len(store)} records) matches structure={pattern}.{hint} With data=… give the id of "
            f"a record such as {store.ids[0] if store.ids else 'mp-1265'}, or a pattern such as 'mp-12*'; leave data= "
            "out to read a structure file."
        )

    def reader(name: str) -> Callable[[], tuple[InputStructure, Known]]:
        return lambda: from_record(store[name], Path(data))

    return [Job(name, reader(name)) for name in matching]


def from_record(record: "Record", path: Path) -> tuple[InputStructure, Known]:
    """The crystal of a record and what the record knows about it."""
    structure = InputStructure(record.id, path / record.id, record.crystal, [], [])
    return structure, known_from_record(record)


def known_from_record(record: "Record") -> Known:
    """Born charges, ε∞, Raman tensors, the force constants of all levels and the descriptors that a record holds."""
    long_range, source = None, f"record {record.id}, {record.theory}"
    if record.born_charges is not None and record.dielectric is not None:
        long_range = LongRange(record.born_charges, record.dielectric, source)
    return Known(
        long_range,
        record.force_constants,
        record.supercell,
        record.features,
        record.raman_tensors,
        "" if record.raman_tensors is None else source,
    )
