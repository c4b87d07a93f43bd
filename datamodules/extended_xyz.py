"""Configurations as extended XYZ, which ASE and most other programs read.

    python -m datamodules.extended_xyz data=data/molecules out=molecules.xyz
    python -m datamodules.extended_xyz data=data/molecules out=ethanol.xyz group=ethanol

Names and units are those of ASE (energy in eV, forces in eV/Å, stress in eV/Å³, dipole in e Å); what ASE has no name
for is a column of every atom in row-major order: `hessian` (3 rows of the matrix, eV/Å²), `dipole_derivatives`
([i, j], e), `polarizability_derivatives` ([i, j, k], Å²); `polarizability_volume` (Å³) belongs to the configuration.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from datamodules.configurations import Configuration, ConfigurationStore
from datamodules.options import run_command
from mlrim.errors import UserError
from mlrim.lattice.crystal import standard_masses

TEXTS = ("id", "group", "source", "theory", "licence")
"""What a configuration says of itself in the comment line, beside its details."""
COLUMNS = ("hessian", "dipole_derivatives", "polarizability_derivatives")
"""Labels that ASE has no name for and that every atom has its part of."""
POLARIZABILITY = "polarizability_volume"


@dataclass(frozen=True)
class ExportOptions:
    """What to write.

    Attributes:
        data: a data set of configurations.
        out: the file to write.
        group: only configurations of this group, for example `ethanol`.
    """

    data: Path
    out: Path
    group: str | None = None


def main() -> None:
    """The command."""
    run_command("datamodules.extended_xyz", ExportOptions, export)


def export(options: ExportOptions) -> None:
    """Write the configurations of a data set as one file.

    Raises:
        UserError: no such data set, no configuration of that group, or a file that cannot be written.
    """
    store = ConfigurationStore(options.data)
    chosen = [entry.id for entry in store.index if options.group in (None, entry.group)]
    if not chosen:
        groups = sorted({entry.group for entry in store.index})
        raise UserError(f"group={options.group} has no configurations; there are {', '.join(groups)}")
    write_extended_xyz(options.out, (store[name] for name in chosen))
    print(f"{len(chosen)} configurations in {options.out}")


def write_extended_xyz(path: Path, configurations: Iterable[Configuration]) -> None:
    """Configurations as one extended XYZ file, with eight decimals; raises UserError when it cannot be written."""
    try:
        ase.io.write(path, [to_ase(configuration) for configuration in configurations], format="extxyz")
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); choose another out=") from error


def to_ase(configuration: Configuration) -> Atoms:
    """A configuration as ASE's `Atoms`, with the labels that ASE knows as results of its calculator."""
    atoms = Atoms(
        numbers=configuration.numbers,
        positions=configuration.positions,
        cell=configuration.lattice,
        pbc=configuration.periodic,
        info={**{name: getattr(configuration, name) for name in TEXTS}, **configuration.details},
    )
    if not np.array_equal(configuration.masses, standard_masses(configuration.numbers)):
        atoms.set_masses(configuration.masses)
    for name in COLUMNS:
        value = getattr(configuration, name)
        if value is not None:
            atoms.set_array(name, value.reshape(configuration.n_atoms, -1).astype(float))
    if configuration.polarizability is not None:
        atoms.info[POLARIZABILITY] = configuration.polarizability.astype(float)
    results = {
        name: value
        for name in ("energy", "forces", "stress", "dipole")
        if (value := getattr(configuration, name)) is not None
    }
    if configuration.energy is not None:
        results["energy"] = float(configuration.energy)
    atoms.calc = SinglePointCalculator(atoms, **results) if results else None
    return atoms


if __name__ == "__main__":
    main()
