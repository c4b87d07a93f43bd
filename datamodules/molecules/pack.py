"""Pack calculated molecules into the small files that come with mlrim.

    python -m datamodules.molecules.pack folder=outputs/molecules out=datamodules/molecules/data

Energies, positions and everything at equilibrium keep their precision; labels of displaced geometries are rounded to
float32, which is a part in 10⁷. PySCF's own harmonic analysis of every equilibrium goes into reference.json.
"""

import json
import lzma
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from datamodules.configurations import Configuration, decode_configuration, encode_configuration
from datamodules.molecules.generate import EQUILIBRIUM, PLANS
from datamodules.molecules.quantum_chemistry import harmonic_reference
from datamodules.molecules.shipped import REFERENCE, SUFFIX
from datamodules.options import run_command
from mlrim.errors import UserError

ROUNDED = (
    "forces", "hessian", "dipole", "dipole_derivatives", "polarizability", "polarizability_derivatives",
)  # fmt: skip
DIGITS = 6
"""Decimals in reference.json."""


@dataclass(frozen=True)
class PackOptions:
    """What to pack.

    Attributes:
        folder: finished configurations, as `datamodules.molecules.generate` leaves them.
        out: folder of the packed files.
    """

    folder: Path
    out: Path


def main() -> None:
    """The command."""
    run_command("datamodules.molecules.pack", PackOptions, pack)


def pack(options: PackOptions) -> None:
    """Write one packed file per molecule, and reference.json.

    Raises:
        UserError: there are no finished configurations in the folder, or PySCF is missing.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    analyses: dict[str, dict[str, Any]] = {}
    for name in PLANS:
        configurations = finished(options.folder / name, name)
        if configurations:
            write_packed(options.out / f"{name}{SUFFIX}", configurations)
            analyses[name] = harmonic_analysis(configurations[0])
            print(f"{name}: {len(configurations)} configurations")
    if not analyses:
        raise UserError(f"there are no finished configurations in {options.folder}")
    text = json.dumps(analyses, indent=1)
    (options.out / REFERENCE).write_text(text + "\n", encoding="utf-8")


def finished(folder: Path, name: str) -> list[Configuration]:
    """The configurations of a molecule, the one at equilibrium first; none where that is missing."""
    first = folder / f"{name}-{EQUILIBRIUM}.msgpack"
    if not first.is_file():
        return []
    files = [first, *sorted(file for file in folder.glob("*.msgpack") if file != first)]
    return [decode_configuration(file.read_bytes()) for file in files]


def write_packed(path: Path, configurations: list[Configuration]) -> None:
    """Configurations as one packed file; those after the first are rounded."""
    encoded = [encode_configuration(configurations[0]), *(encode_configuration(rounded(c)) for c in configurations[1:])]
    path.write_bytes(lzma.compress(msgpack.packb(encoded, use_bin_type=True), preset=9 | lzma.PRESET_EXTREME))


def rounded(configuration: Configuration) -> Configuration:
    """The same configuration with labels in float32."""
    changes: dict[str, Any] = {
        name: np.asarray(value, dtype=np.float32)
        for name in ROUNDED
        if (value := getattr(configuration, name)) is not None
    }
    return replace(configuration, **changes)


def harmonic_analysis(configuration: Configuration) -> dict[str, Any]:
    """PySCF's harmonic analysis of a molecule at equilibrium as plain data, in the units of `shipped.reference`."""
    assert configuration.hessian is not None
    analysis = harmonic_reference(configuration.numbers, configuration.positions, configuration.hessian)
    values = {name: np.round(value, DIGITS).tolist() for name, value in analysis._asdict().items()}
    return {**values, "theory": configuration.theory, "program": configuration.details["program"]}


if __name__ == "__main__":
    main()
