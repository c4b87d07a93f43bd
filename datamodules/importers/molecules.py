"""Molecules calculated with PySCF: those that come with mlrim, or a folder of newly calculated ones."""

from pathlib import Path

from datamodules.configurations import Configuration, decode_configuration
from datamodules.importers.registry import Importer, ImportOptions, Input, relative_name
from datamodules.molecules.shipped import molecule_names, packed
from mlrim.errors import UserError

ENDING = ".msgpack"


def find_molecules(path: Path | None) -> list[Input]:
    """The configurations that come with mlrim, as `<molecule>/<number>`, or the calculated ones in a folder.

    Raises:
        UserError: there are none in the folder.
    """
    if path is None:
        return [Input(f"{name}/{row:04d}", None) for name in molecule_names() for row in range(len(packed(name)))]
    inputs = [Input(relative_name(file, path), file) for file in sorted(path.rglob(f"*{ENDING}"))]
    if not inputs:
        raise UserError(f"there are no configurations of python -m datamodules.molecules.generate in {path}")
    return inputs


def read_molecule(source: Input, options: ImportOptions) -> Configuration:
    """One configuration."""
    return decode_configuration(_encoded(source))


def _encoded(source: Input) -> bytes:
    if source.path is not None:
        return source.path.read_bytes()
    name, row = source.name.split("/")
    return packed(name)[int(row)]


MOLECULES = Importer(
    "molecules",
    "molecules calculated with PySCF, which come with mlrim; or a folder with newly calculated ones",
    False,
    find_molecules,
    read_molecule,
    content="configurations",
    takes_path=True,
    fingerprint=_encoded,
)
