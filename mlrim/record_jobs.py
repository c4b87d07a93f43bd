"""Predicting entries of a data set: the structure, and what is known of it, come from the record or configuration."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from mlrim.batch import Job
from mlrim.configuration.problems import did_you_mean
from mlrim.errors import UserError
from mlrim.molecules.structures import InputMolecule
from mlrim.predictors import Known, LongRange
from mlrim.structures import InputStructure, primitive_crystal
from mlrim.vibrations.molecular_spectra import DipoleDerivatives

if TYPE_CHECKING:
    from datamodules.configurations import Configuration
    from datamodules.records import Record


def record_jobs(data: str, pattern: str) -> list[Job]:
    """A job for every record of the data set whose id matches a pattern such as `mp-1265` or `mp-12*`.

    Raises:
        UserError: no record matches.
    """
    from datamodules.configurations import ConfigurationStore
    from datamodules.store import RecordStore, content_of

    folder = Path(data)
    molecules = (folder / "manifest.json").is_file() and content_of(folder) == "configurations"
    store: RecordStore | ConfigurationStore = ConfigurationStore(data) if molecules else RecordStore(data)
    matching = [name for name in store.ids if fnmatchcase(name, pattern)]
    if not matching:
        hint = did_you_mean(pattern, store.ids)
        raise UserError(
            f"no record of {data} ({len(store)} records) matches structure={pattern}.{hint} With data=… give the id of "
            f"a record such as {store.ids[0] if store.ids else 'mp-1265'}, or a pattern such as 'mp-12*'; leave data= "
            "out to read a structure file."
        )

    def reader(name: str) -> Callable[[], tuple[InputStructure, Known] | InputMolecule]:
        return lambda: from_entry(store[name], Path(data))

    return [Job(name, reader(name)) for name in matching]


def from_entry(entry: "Record | Configuration", path: Path) -> tuple[InputStructure, Known] | InputMolecule:
    """The crystal or molecule of a record or configuration and what is known about it."""
    from datamodules.records import Record

    if isinstance(entry, Record):
        return from_record(entry, path)
    return from_configuration(entry, path)


def from_configuration(configuration: "Configuration", path: Path) -> tuple[InputStructure, Known] | InputMolecule:
    """The molecule of a configuration with the derivatives that it holds, or its periodic cell made primitive."""
    name, source = configuration.id, path / configuration.id
    if configuration.periodic:
        crystal, notes = primitive_crystal(configuration.crystal)
        return InputStructure(name, source, crystal, notes, []), Known()
    dipole, polarizability = configuration.dipole_derivatives, configuration.polarizability_derivatives
    known = dipole is not None or polarizability is not None
    label = f"record {name}, {configuration.theory}" if known else ""
    derivatives = DipoleDerivatives(dipole, polarizability, label)
    return InputMolecule(
        name, str(source), configuration.numbers, configuration.positions, configuration.masses, [], [], derivatives
    )


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
