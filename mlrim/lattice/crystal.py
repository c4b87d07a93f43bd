"""A crystal: lattice, atoms and masses as one immutable value."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_masses_iupac2016, chemical_symbols
from ase.formula import Formula
from jaxtyping import Float, Int
from numpy import ndarray

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy.structure.atoms import PhonopyAtoms


@dataclass(frozen=True, eq=False, init=False)
class Crystal:
    """A periodic arrangement of atoms; by convention in this project a primitive cell.

    Attributes:
        lattice: lattice vectors as rows, Å, shape (3, 3).
        positions: Cartesian positions, Å, shape (atoms, 3).
        numbers: atomic numbers, shape (atoms,).
        masses: atomic masses, amu, shape (atoms,); standard weights when not given.
    """

    lattice: Float[ndarray, "3 3"]
    positions: Float[ndarray, "atoms 3"]
    numbers: Int[ndarray, "atoms"]
    masses: Float[ndarray, "atoms"]

    def __init__(
        self,
        lattice: Float[ndarray, "3 3"],
        positions: Float[ndarray, "atoms 3"],
        numbers: Int[ndarray, "atoms"],
        masses: Float[ndarray, "atoms"] | None = None,
    ) -> None:
        values = {
            "lattice": np.array(lattice, dtype=float).reshape(3, 3),
            "positions": np.array(positions, dtype=float).reshape(-1, 3),
            "numbers": np.array(numbers, dtype=np.int64),
            "masses": standard_masses(numbers) if masses is None else np.array(masses, dtype=float),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if not len(self.positions) == len(self.numbers) == len(self.masses):
            raise ValueError(
                f"a crystal needs one position, number and mass per atom, not "
                f"{len(self.positions)}, {len(self.numbers)} and {len(self.masses)}"
            )

    @classmethod
    def from_fractional(
        cls,
        lattice: Float[ndarray, "3 3"],
        fractional: Float[ndarray, "atoms 3"],
        numbers: Int[ndarray, "atoms"],
        masses: Float[ndarray, "atoms"] | None = None,
    ) -> "Crystal":
        """The crystal with atoms at fractional coordinates."""
        lattice = np.array(lattice, dtype=float)
        return cls(lattice, np.asarray(fractional, dtype=float) @ lattice, numbers, masses)

    @classmethod
    def from_ase(cls, atoms: "Atoms") -> "Crystal":
        """The crystal in an ASE `Atoms`, keeping its cell, order and masses."""
        return cls(atoms.cell.array, atoms.positions, atoms.numbers, atoms.get_masses())

    def to_ase(self) -> "Atoms":
        """As an ASE `Atoms`, periodic in three directions."""
        from ase import Atoms

        return Atoms(numbers=self.numbers, positions=self.positions, cell=self.lattice, masses=self.masses, pbc=True)

    def to_phonopy(self) -> "PhonopyAtoms":
        """As a `PhonopyAtoms`."""
        from phonopy.structure.atoms import PhonopyAtoms

        return PhonopyAtoms(cell=self.lattice, positions=self.positions, numbers=self.numbers, masses=self.masses)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the cell."""
        return len(self.numbers)

    @cached_property
    def volume(self) -> float:
        """Cell volume, Å³."""
        return abs(float(np.linalg.det(self.lattice)))

    @cached_property
    def reciprocal(self) -> Float[ndarray, "3 3"]:
        """Reciprocal lattice vectors as rows, without 2π, 1/Å."""
        return np.linalg.inv(self.lattice).T

    @cached_property
    def fractional(self) -> Float[ndarray, "atoms 3"]:
        """Fractional coordinates (not wrapped)."""
        return self.positions @ self.reciprocal.T

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols in the order of the atoms."""
        return [chemical_symbols[number] for number in self.numbers]

    @cached_property
    def composition(self) -> dict[str, int]:
        """Number of atoms of each element in the cell, in order of first appearance."""
        symbols = self.symbols
        return {symbol: symbols.count(symbol) for symbol in dict.fromkeys(symbols)}

    @property
    def formula(self) -> str:
        """Composition of the cell, for example `Ti2O4`."""
        return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in self.composition.items())

    @property
    def reduced_formula(self) -> str:
        """Composition with the greatest common divisor taken out, metals first, for example `TiO2`."""
        return Formula.from_dict(self.composition).reduce()[0].format("metal")


def standard_masses(numbers: Int[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """Standard atomic weights (IUPAC 2016), amu."""
    return atomic_masses_iupac2016[np.asarray(numbers)]
