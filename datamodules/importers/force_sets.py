"""FORCE_SETS: displacements and forces as phonopy writes them."""

from typing import Any

import numpy as np
from phonopy.file_IO import parse_FORCE_SETS_from_strings

from datamodules.importers.registry import RejectedInput

DataSet = Any
"""Phonopy's dictionary of displacements and forces, of type 1 (`first_atoms`) or 2."""


def parse_force_sets(text: str, n_atoms: int) -> DataSet:
    """Phonopy's data set from the text of a FORCE_SETS file.

    Args:
        n_atoms: atoms of the supercell.

    Raises:
        RejectedInput: another atom count, a missing or extra line, or something that is no number.
    """
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    if len(first_line.split()) == 6:
        return parse_FORCE_SETS_from_strings(text, natom=n_atoms)
    try:
        numbers = np.array(text.split(), dtype=float)
    except ValueError as error:
        raise RejectedInput(f"FORCE_SETS holds something that is no number ({error})") from error
    if len(numbers) < 2 or not np.isfinite(numbers[:2]).all():
        raise RejectedInput("FORCE_SETS is empty")
    counted, n_displaced = int(numbers[0]), int(numbers[1])
    if counted != n_atoms:
        raise RejectedInput(f"FORCE_SETS is for {counted} atoms, the supercell has {n_atoms}")
    expected = 2 + n_displaced * (4 + 3 * n_atoms)
    if n_displaced < 1 or len(numbers) != expected:
        raise RejectedInput(
            f"FORCE_SETS announces {n_displaced} displacements of {n_atoms} atoms, {expected} numbers, "
            f"and holds {len(numbers)}"
        )
    steps = numbers[2:].reshape(n_displaced, 4 + 3 * n_atoms)
    if not np.isfinite(steps).all():
        raise RejectedInput("FORCE_SETS: a force or displacement is not finite (NaN or infinity)")
    atoms = steps[:, 0].astype(int) - 1
    if atoms.min() < 0 or atoms.max() >= n_atoms:
        raise RejectedInput(f"FORCE_SETS displaces an atom that is not among the {n_atoms}")
    return {
        "natom": n_atoms,
        "first_atoms": [
            {"number": int(atom), "displacement": step[1:4], "forces": step[4:].reshape(n_atoms, 3)}
            for atom, step in zip(atoms, steps, strict=True)
        ],
    }
