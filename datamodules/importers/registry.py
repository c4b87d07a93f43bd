"""What an importer is: a way to list the inputs of a source, and a way to turn one of them into a record."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from datamodules.configurations import Configuration
from datamodules.records import Record
from mlrim.errors import UserError


class RejectedInput(Exception):
    """An input that cannot become a record; the message is the reason that rejects.csv gives."""


@dataclass(frozen=True)
class ImportOptions:
    """Settings of an import.

    Attributes:
        symprec: tolerance (Å) of every symmetry search.
        store_forces: keep the displacements and forces that the force constants were made from.
        prefix: what the names of labels in extended XYZ begin with; found out when not given.
    """

    symprec: float = 1e-5
    store_forces: bool = True
    prefix: str | None = None


class Input(NamedTuple):
    """One thing that may become a record."""

    name: str
    """Unique in its source, the same on every machine."""
    path: Path | None
    """File or folder; none for what the program generates."""


@dataclass(frozen=True)
class Importer:
    """A source of records.

    Attributes:
        name: what users write after `source=`.
        describes: one line for messages and documentation.
        needs_path: whether `path=` must be given.
        find: lists the inputs under a path.
        read: turns one input into a record or a configuration, or raises `RejectedInput`.
        content: what it makes, `crystals` (records) or `configurations`.
        takes_path: whether `path=` may be given where it need not be.
        fingerprint: the bytes that an input is made of, for files that hold many; the whole file when not given.
    """

    name: str
    describes: str
    needs_path: bool
    find: Callable[[Path | None], list[Input]]
    read: Callable[[Input, ImportOptions], Record | Configuration]
    content: str = "crystals"
    takes_path: bool = False
    fingerprint: Callable[[Input], bytes] | None = None


def folders_with(path: Path | None, holds: Callable[[Path], bool], content: str) -> list[Input]:
    """The folder itself, or all folders below it, that hold something.

    Args:
        content: what that is, in words.

    Raises:
        UserError: there are none.
    """
    assert path is not None
    folders = [path, *sorted(entry for entry in path.rglob("*") if entry.is_dir())] if path.is_dir() else []
    found = [folder for folder in folders if holds(folder)]
    if not found:
        raise UserError(f"there is no directory with {content} (or compressed) at {path}")
    return [Input(relative_name(folder, path), folder) for folder in found]


def relative_name(entry: Path, root: Path) -> str:
    """Name of an input relative to where the search began."""
    return entry.name if entry == root else entry.relative_to(root).as_posix()
