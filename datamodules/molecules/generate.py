"""Calculate the molecules of the reference data with PySCF.

    python -m datamodules.molecules.generate out=outputs/molecules
    python -m datamodules.molecules.generate out=outputs/molecules molecules=methane,ethanol limit=50
    python -m datamodules.molecules.pack folder=outputs/molecules out=datamodules/molecules/data

Every configuration is a file of its own as soon as it is done; the same command goes on where it stopped. Geometries
depend on the molecule and the number of the configuration alone, not on what was calculated before.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from ase.build import molecule as starting_geometry
from jaxtyping import Float, Int
from numpy import ndarray
from rich.console import Console

from datamodules.configurations import Configuration, composition, decode_configuration, encode_configuration
from datamodules.molecules.quantum_chemistry import (
    BASIS,
    THEORY,
    Calculation,
    equilibrium,
    polarizability_derivatives,
    program_version,
)
from datamodules.molecules.sampling import thermal_displacements
from datamodules.options import run_command
from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError
from mlrim.lattice.crystal import standard_masses

SOURCE = "calculated for mlrim"
LICENCE = "BSD-3-Clause"
TEMPERATURES = (300.0, 600.0)
"""K; of the displaced geometries, in turn."""
EQUILIBRIUM = "equilibrium"


@dataclass(frozen=True)
class Plan:
    """What is calculated of one molecule.

    Attributes:
        start: name of its approximate geometry in ASE's collection.
        displaced: number of displaced geometries, all with energy, forces, dipole and polarizability.
        hessians: how many of them, from the first on, with Hessian and dipole derivatives as well.
        raman: how many of them with polarizability derivatives as well.
    """

    start: str
    displaced: int
    hessians: int
    raman: int = 0


PLANS: dict[str, Plan] = {
    "methane": Plan("CH4", 200, 200, 20),
    "water": Plan("H2O", 100, 100, 20),
    "ethanol": Plan("CH3CH2OH", 300, 100),
    "ammonia": Plan("NH3", 40, 40, 10),
    "formaldehyde": Plan("H2CO", 10, 10),
    "ethylene": Plan("C2H4", 10, 10),
    "acetylene": Plan("C2H2", 10, 10),
    "methanol": Plan("CH3OH", 10, 10),
    "carbon_dioxide": Plan("CO2", 10, 10),
    "hydrogen_cyanide": Plan("HCN", 10, 10),
    "hydrogen_peroxide": Plan("H2O2", 10, 10),
    "methylamine": Plan("CH3NH2", 10, 10),
    "ethane": Plan("C2H6", 10, 10),
    "benzene": Plan("C6H6", 10, 2),
}


@dataclass(frozen=True)
class GenerateOptions:
    """What to calculate.

    Attributes:
        out: folder of the finished configurations, one file each.
        molecules: which molecules, with commas; all when not given.
        first: number of the first displaced geometry, from 1.
        limit: only so many displaced geometries of each, from the first on.
        quiet: no line per configuration.
    """

    out: Path
    molecules: str | None = None
    first: Annotated[int, AtLeast(1)] = 1
    limit: Annotated[int, AtLeast(0)] | None = None
    quiet: bool = False


def main() -> None:
    """The command."""
    run_command("datamodules.molecules.generate", GenerateOptions, generate)


def generate(options: GenerateOptions) -> None:
    """Calculate what is not there yet.

    Raises:
        UserError: an unknown molecule, PySCF is missing, or a calculation that does not converge.
    """
    names = list(PLANS) if options.molecules is None else options.molecules.split(",")
    unknown = sorted(set(names) - set(PLANS))
    if unknown:
        raise UserError(f"molecules={','.join(unknown)} is not known; there are {', '.join(PLANS)}")
    console = Console(quiet=options.quiet)
    for name in names:
        for configuration in calculated(name, options.out / name, options.first, options.limit):
            console.print(f"{configuration.id}: {', '.join(configuration.labels)}", highlight=False, soft_wrap=True)


def calculated(name: str, folder: Path, first: int = 1, limit: int | None = None) -> Iterator[Configuration]:
    """The configurations of a molecule that are not in its folder yet, each written before it is returned.

    Raises:
        UserError: after all others, those whose equations did not converge.
    """
    plan = PLANS[name]
    folder.mkdir(parents=True, exist_ok=True)
    rest_file = configuration_file(folder, f"{name}-{EQUILIBRIUM}")
    if not rest_file.is_file():
        yield _written(at_equilibrium(name), rest_file)
    rest = decode_configuration(rest_file.read_bytes())
    failures = []
    for index in range(first, plan.displaced + 1)[:limit]:
        file = configuration_file(folder, f"{name}-{index:04d}")
        if file.is_file():
            continue
        try:
            yield _written(displaced(name, index, rest), file)
        except UserError as error:
            failures.append(f"{name}-{index:04d} ({error})")
    if failures:
        raise UserError(f"not calculated: {', '.join(failures)}")


def configuration_file(folder: Path, name: str) -> Path:
    """Where a finished configuration is."""
    return folder / f"{name}.msgpack"


def at_equilibrium(name: str) -> Configuration:
    """A molecule at its equilibrium with all labels."""
    start = starting_geometry(PLANS[name].start)
    numbers = start.numbers.astype(np.int64)
    positions = equilibrium(numbers, start.positions)
    return _configuration(name, EQUILIBRIUM, numbers, positions, hessian=True, raman=True, temperature=0.0)


def displaced(name: str, index: int, rest: Configuration) -> Configuration:
    """The displaced geometry of a number, from 1, with the labels that the plan has for it."""
    plan = PLANS[name]
    temperature = TEMPERATURES[(index - 1) % len(TEMPERATURES)]
    generator = np.random.default_rng([zlib.crc32(name.encode()), index])
    assert rest.hessian is not None
    moves = thermal_displacements(rest.positions, rest.hessian, rest.masses, temperature, generator)
    return _configuration(
        name,
        f"{index:04d}",
        rest.numbers,
        rest.positions + moves,
        hessian=index <= plan.hessians,
        raman=index <= plan.raman,
        temperature=temperature,
    )


def _configuration(
    name: str,
    suffix: str,
    numbers: Int[ndarray, "atoms"],
    positions: Float[ndarray, "atoms 3"],
    hessian: bool,
    raman: bool,
    temperature: float,
) -> Configuration:
    calculation = Calculation(numbers, positions)
    second, charges = calculation.hessian() if hessian else (None, None)
    return Configuration(
        id=f"{name}-{suffix}",
        group=name,
        formula=composition(numbers),
        source=SOURCE,
        theory=THEORY,
        licence=LICENCE,
        numbers=numbers,
        positions=positions,
        masses=standard_masses(numbers),
        energy=calculation.energy,
        forces=calculation.forces(),
        hessian=second,
        dipole=calculation.dipole,
        dipole_derivatives=charges,
        polarizability=calculation.polarizability(),
        polarizability_derivatives=polarizability_derivatives(numbers, positions) if raman else None,
        details={
            "program": program_version(),
            "basis": BASIS,
            "geometry": EQUILIBRIUM if suffix == EQUILIBRIUM else "displaced",
            "temperature": temperature,
        },
    )


def _written(configuration: Configuration, file: Path) -> Configuration:
    temporary = file.with_suffix(".new")
    temporary.write_bytes(encode_configuration(configuration))
    temporary.rename(file)
    return configuration


if __name__ == "__main__":
    main()
