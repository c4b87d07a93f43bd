"""Everything predicted for one molecule, as one immutable value that tables, figures and pages read."""

from dataclasses import dataclass, field

from ase.data import chemical_symbols
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.molecules.relaxation import MolecularRelaxation
from mlrim.spectra.molecules import GasInfrared, GasRaman
from mlrim.vibrations.ideal_gas import IdealGas
from mlrim.vibrations.molecular_spectra import DipoleDerivatives
from mlrim.vibrations.molecules import MolecularVibrations

IMAGINARY = -1.0
"""Modes below this (cm⁻¹) are imaginary; between it and zero lies rounding."""


@dataclass(frozen=True, eq=False)
class MoleculePrediction:
    """The vibrations of one molecule and how they came about.

    Attributes:
        name: name of the molecule and of its folder.
        source: where the geometry came from.
        model: what predicted the energy, in words.
        numbers: atomic numbers.
        positions: of the atoms, Å, in the orientation of the source.
        energy: of the model at this geometry, eV.
        residual: largest force on an atom there, eV/Å.
        relaxation: how the geometry was found; none where the source's was kept.
        vibrations: modes, irreps and point group.
        derivatives: of dipole and polarisability, averaged over the point group.
        gas: thermochemistry.
        infrared, raman: spectra; none where the derivatives are not known.
        checks: what symmetry demanded, by name with unit.
        absent: why a quantity is missing, by the name of its attribute.
        notes: what was done to the geometry.
        warnings: what a reader has to know before using the numbers.
    """

    name: str
    source: str
    model: str
    numbers: Int[ndarray, "atoms"]
    positions: Float[ndarray, "atoms 3"]
    energy: float
    residual: float
    relaxation: MolecularRelaxation | None
    vibrations: MolecularVibrations
    derivatives: DipoleDerivatives
    gas: IdealGas
    infrared: GasInfrared | None = None
    raman: GasRaman | None = None
    checks: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def symbols(self) -> list[str]:
        """Element symbols."""
        return [chemical_symbols[number] for number in self.numbers]

    @property
    def formula(self) -> str:
        """Composition in the order of Hill, for example `C2H6O`."""
        return hill_formula(self.symbols)

    @property
    def highest_cm1(self) -> float:
        """The highest frequency, cm⁻¹."""
        return max((mode.frequency_cm1 for mode in self.vibrations.modes), default=0.0)

    @property
    def n_imaginary(self) -> int:
        """Number of imaginary modes, degenerate ones each."""
        return sum(mode.degeneracy for mode in self.vibrations.modes if mode.frequency_cm1 < IMAGINARY)


def hill_formula(symbols: list[str]) -> str:
    """Carbon, hydrogen, then the others by name; without carbon all by name.

    >>> hill_formula(["O", "H", "C", "H", "H", "H"]), hill_formula(["N", "H", "H", "H"])
    ('CH4O', 'H3N')
    """
    counts = {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}
    first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
    order = [*first, *(symbol for symbol in counts if symbol not in first)]
    return "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in order)
