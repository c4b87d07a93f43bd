"""The molecules that come with mlrim: packed configurations, and what PySCF itself says of their vibrations.

A packed file is an xz-compressed msgpack list of encoded configurations, the one at equilibrium first.
"""

import json
import lzma
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgpack

from datamodules.configurations import Configuration, decode_configuration
from mlrim.errors import UserError

FOLDER = Path(__file__).parent / "data"
SUFFIX = ".msgpack.xz"
REFERENCE = "reference.json"


def molecule_names() -> tuple[str, ...]:
    """Names of the molecules, in alphabetical order."""
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in FOLDER.glob(f"*{SUFFIX}")))


def shipped_configurations(name: str) -> list[Configuration]:
    """The configurations of a molecule, the one at equilibrium first.

    Raises:
        UserError: there is no such molecule.
    """
    return [decode_configuration(data) for data in packed(name)]


def reference(name: str) -> dict[str, Any]:
    """What PySCF's harmonic analysis gives for a molecule at equilibrium.

    `frequencies` (cm⁻¹, ascending) of these `masses` (amu), `zero_point_energy` (eV), `vibrational_entropy` and
    `vibrational_heat_capacity` at 298.15 K (J/K/mol), `theory`, `program`.

    Raises:
        UserError: there is no such molecule.
    """
    _require(name)
    return json.loads((FOLDER / REFERENCE).read_text(encoding="utf-8"))[name]


@lru_cache(maxsize=4)
def packed(name: str) -> tuple[bytes, ...]:
    """The encoded configurations of a molecule; raises UserError when there is no such molecule."""
    _require(name)
    return tuple(msgpack.unpackb(lzma.decompress((FOLDER / f"{name}{SUFFIX}").read_bytes())))


def _require(name: str) -> None:
    if name not in molecule_names():
        raise UserError(f"there is no molecule '{name}'; there are {', '.join(molecule_names())}")
