"""Reading a BORN file: ε∞ and the Born charges of the symmetry-inequivalent atoms, as phonopy defines it."""

from pathlib import Path

import numpy as np

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.predictors import LongRange

LARGEST_CHARGE = 30.0
"""|Z*| above this (e) is taken for a mistake in the file."""


def read_born(path: str | Path, crystal: Crystal) -> LongRange:
    """Born charges and ε∞ for the atoms of a primitive crystal.

    The tensors are in the Cartesian axes of the structure file, and the inequivalent atoms in its order.

    Raises:
        UserError: the file is missing, does not fit the crystal, or holds values that cannot be.
    """
    from phonopy.file_IO import parse_BORN

    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"BORN file '{path}' {what}; give the path of a file, or leave born= out")
    try:
        content = parse_BORN(crystal.to_phonopy(), filename=path)
        born = np.array(content["born"], dtype=float)
        dielectric = np.array(content["dielectric"], dtype=float)
    except (ValueError, IndexError, RuntimeError, KeyError, TypeError, OSError) as error:
        raise UserError(
            f"cannot use BORN file '{path}' for {crystal.formula} ({' '.join(str(error).split())}); expected: a unit "
            "factor or comment, one line of nine numbers for ε∞, then one such line of Z* for every "
            "symmetry-inequivalent atom in the order of the structure file"
        ) from error
    _check(born, dielectric, path, crystal)
    return LongRange(born, dielectric, f"BORN file {path.name}")


def _check(born: np.ndarray, dielectric: np.ndarray, path: Path, crystal: Crystal) -> None:
    if not (np.isfinite(born).all() and np.isfinite(dielectric).all()):
        raise UserError(f"BORN file '{path}' holds values that are not finite numbers")
    if born.shape != (crystal.n_atoms, 3, 3):
        raise UserError(f"BORN file '{path}' does not fit the {crystal.n_atoms} atoms of {crystal.formula}")
    if np.linalg.eigvalsh((dielectric + dielectric.T) / 2).min() < 1 - 1e-6:
        raise UserError(f"BORN file '{path}': ε∞ has an eigenvalue below one: {dielectric.tolist()}")
    if np.abs(born).max() > LARGEST_CHARGE:
        raise UserError(f"BORN file '{path}': a Born charge of {np.abs(born).max():.1f} e cannot be right")
