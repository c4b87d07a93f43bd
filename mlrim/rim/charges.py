"""Ionic charges: formal (oxidation states), scaled, from Born charges, or from a file."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from ase.data import atomic_numbers
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import symmetry_dataset

if TYPE_CHECKING:
    from pymatgen.core import Structure

DEFAULT_SCALE = 0.6
"""Partial charge over oxidation state, as in the Teter and Pedone potentials (oxygen −1.2 e)."""

BOND_VALENCE_PERMUTATIONS = 2000
"""Bound on the search of the bond-valence method, so that no compound takes longer than a fraction of a second."""

HARDNESS = 0.75
"""Pauling electronegativity units per e in the equalisation fallback; gives Cs₂Pt charges of +0.7 and −1.3."""

INERT_ELECTRONEGATIVITY = 2.5
"""For elements that Pauling's scale leaves out."""

SITE_SYMPREC = 1e-3
"""Å: sites that are equivalent to this tolerance share their charge."""

METALLIC_POLARITY = 1.2
"""Metals among themselves are neutral below this difference of electronegativity (CsAu, with 1.75, is a salt)."""

METHODS = ("given", "bond valence", "composition", "electronegativity", "element", "metal")


@dataclass(frozen=True, eq=False)
class FormalCharges:
    """Charges and where they came from.

    Attributes:
        charges: e, shape (atoms,); they sum to zero.
        method: one of `METHODS`.
        warning: what the user should know about these charges; empty when there is nothing.
    """

    charges: Float[ndarray, "atoms"]
    method: str
    warning: str = ""


def formal_charges(crystal: Crystal, given: Mapping[str, float] | None = None) -> FormalCharges:
    """Oxidation states: given by element, else from bond valences, else from the composition.

    Sites that symmetry makes equivalent share their mean (mixed valence). Where no set of oxidation states is
    neutral, charges from electronegativity equalisation are used, and elements are neutral; both say so in
    `warning`. The result does not depend on the order of atoms, their orientation or the choice of cell.

    Raises:
        UserError: the given charges miss an element or are not neutral.
    """
    if given is not None:
        return given_charges(crystal, given)
    if len(set(crystal.numbers.tolist())) == 1:
        return FormalCharges(
            np.zeros(crystal.n_atoms),
            "element",
            "an element has no ionic charges: the model has no Coulomb part",
        )
    cell = _primitive_sites(crystal)
    structure = _to_structure(cell.crystal)
    if _is_metal(structure):
        return FormalCharges(
            np.zeros(crystal.n_atoms), "metal", "a metal has no ionic charges: the model has no Coulomb part"
        )
    states = _bond_valence_states(structure)
    if states is not None:
        return FormalCharges(cell.spread(states), "bond valence")
    by_element = _composition_states(structure)
    if by_element is not None:
        states = np.array([by_element[symbol] for symbol in cell.crystal.symbols])
        return FormalCharges(
            cell.spread(states),
            "composition",
            "no bond-valence parameters fit: oxidation states are guessed from the composition",
        )
    return FormalCharges(
        electronegativity_charges(crystal.numbers),
        "electronegativity",
        "no neutral set of oxidation states: charges are from electronegativity equalisation",
    )


def ionic_charges(
    crystal: Crystal,
    choice: str | Path | Mapping[str, float] = "scaled",
    *,
    scale: float = DEFAULT_SCALE,
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
) -> FormalCharges:
    """The charges of a rigid-ion model by any of the ways there are.

    Args:
        choice: "scaled" (scale · oxidation state), "formal", "born" (tr Z*/3/√ε∞), a YAML file or a table with a
            charge (e) for each element.
        scale: partial charge over oxidation state.
        born_charges, dielectric: Z* (e) and ε∞ for "born".

    Raises:
        UserError: unknown choice, unusable file or table, or "born" without Z* and ε∞.
    """
    if isinstance(choice, Mapping):
        return given_charges(crystal, choice)
    if Path(choice).suffix in (".yaml", ".yml"):
        return given_charges(crystal, read_charges(Path(choice)))
    if choice == "born":
        if born_charges is None or dielectric is None:
            raise UserError(
                "charges='born' needs Born charges and the dielectric tensor: give a BORN file, or use 'scaled'"
            )
        return FormalCharges(born_scalar_charges(born_charges, dielectric), "given")
    if choice not in ("scaled", "formal"):
        raise UserError(
            f"charges={str(choice)!r} is unknown; use 'scaled', 'formal', 'born', a YAML file, "
            "or a table such as {Mg: 2, O: -2}"
        )
    formal = formal_charges(crystal)
    return replace(formal, charges=scaled_charges(formal, scale)) if choice == "scaled" else formal


def scaled_charges(formal: FormalCharges, scale: float = DEFAULT_SCALE) -> Float[ndarray, "atoms"]:
    """Partial charges scale · oxidation state, e."""
    return formal.charges * scale


def born_scalar_charges(
    born_charges: Float[ndarray, "atoms 3 3"], dielectric: Float[ndarray, "3 3"]
) -> Float[ndarray, "atoms"]:
    """Isotropic screened charges tr Z*/3 / √(tr ε∞/3), made neutral, e."""
    charges = np.trace(born_charges, axis1=1, axis2=2) / 3 / np.sqrt(np.trace(dielectric) / 3)
    return charges - charges.mean()


def born_tensor_charges(
    born_charges: Float[ndarray, "atoms 3 3"], dielectric: Float[ndarray, "3 3"]
) -> Float[ndarray, "atoms 3 3"]:
    """Screened charge tensors ε∞^(−1/2) Z*, made neutral, e: with unit dielectric they give Z*'s oscillator fields."""
    values, vectors = np.linalg.eigh(dielectric)
    screened = (vectors / np.sqrt(values)) @ vectors.T @ born_charges
    return screened - screened.mean(axis=0)


def given_charges(crystal: Crystal, charges: Mapping[str, float]) -> FormalCharges:
    """Charges by element, for example {"Mg": 2, "O": -2}.

    Raises:
        UserError: an element is missing or unknown, a charge is not a number, or the cell is not neutral.
    """
    unknown = sorted(str(symbol) for symbol in charges if symbol not in atomic_numbers)
    missing = sorted(set(crystal.symbols) - set(charges))
    if unknown or missing:
        problem = f"unknown elements {unknown}" if unknown else f"no charge for {missing}"
        raise UserError(
            f"charges: {problem}; give one number (in e) for each of {sorted(set(crystal.symbols))}, "
            "for example {Mg: 2, O: -2}"
        )
    bad = {symbol: charge for symbol, charge in charges.items() if not _is_number(charge)}
    if bad:
        raise UserError(f"charges: {bad} are not finite numbers; a charge is a number in e, for example 2 or -1.2")
    values = np.array([float(charges[symbol]) for symbol in crystal.symbols])
    if abs(values.sum()) > 1e-6 * max(1.0, np.abs(values).sum()):
        raise UserError(
            f"charges: {dict(charges)} make {crystal.formula} charged ({values.sum():+g} e); "
            "the charges of a cell must sum to zero"
        )
    return FormalCharges(values, "given")


def read_charges(path: Path) -> dict[str, float]:
    """Charges by element from a YAML file with lines such as `Mg: 2`.

    Raises:
        UserError: the file cannot be read or is not such a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"charges file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"charges file {path} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or not all(_is_number(value) for value in content.values()):
        raise UserError(f"charges file {path} must hold lines such as 'Mg: 2' (element: charge in e)")
    return {str(symbol): float(charge) for symbol, charge in content.items()}


def electronegativity_charges(numbers: Int[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """Charges that equalise χ + ηq over the composition (electronegativity equalisation, no geometry), e."""
    electronegativity = pauling_electronegativity(numbers)
    return (electronegativity.mean() - electronegativity) / HARDNESS


def pauling_electronegativity(numbers: Int[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """Pauling electronegativities; 2.5 for elements without one (light noble gases)."""
    return np.array([_electronegativity(int(number)) for number in numbers])


@cache
def _electronegativity(number: int) -> float:
    from pymatgen.core.periodic_table import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(Element.from_Z(number).X)
    return value if np.isfinite(value) else INERT_ELECTRONEGATIVITY


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


@dataclass(frozen=True, eq=False)
class _PrimitiveSites:
    """A primitive cell of the crystal and the orbit of symmetry-equivalent sites that every atom belongs to."""

    crystal: Crystal
    site_orbits: Int[ndarray, "sites"]
    atom_orbits: Int[ndarray, "atoms"]

    def spread(self, states: Float[ndarray, "sites"]) -> Float[ndarray, "atoms"]:
        """The mean state of every orbit, for every atom of the full cell."""
        count = np.bincount(self.site_orbits)
        total = np.bincount(self.site_orbits, weights=states)
        return (total / np.maximum(count, 1))[self.atom_orbits]


def _primitive_sites(crystal: Crystal) -> _PrimitiveSites:
    dataset = symmetry_dataset(crystal, SITE_SYMPREC)
    if dataset is None:
        atoms = np.arange(crystal.n_atoms)
        return _PrimitiveSites(crystal, atoms, atoms)
    _, representatives = np.unique(dataset.mapping_to_primitive, return_index=True)
    primitive = Crystal(dataset.primitive_lattice, crystal.positions[representatives], crystal.numbers[representatives])
    orbits = np.unique(dataset.equivalent_atoms, return_inverse=True)[1]
    return _PrimitiveSites(primitive, orbits[representatives], orbits)


def _to_structure(crystal: Crystal) -> "Structure":
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(crystal.lattice), crystal.symbols, crystal.fractional)


def _bond_valence_states(structure: "Structure") -> Float[ndarray, "sites"] | None:
    from pymatgen.analysis.bond_valence import BVAnalyzer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            states = BVAnalyzer(max_permutations=BOND_VALENCE_PERMUTATIONS).get_valences(structure)
        except ValueError:
            return None
    return np.array(states, dtype=float)


def _is_metal(structure: "Structure") -> bool:
    elements = structure.composition.elements
    polarity = np.ptp(pauling_electronegativity(np.array([element.Z for element in elements])))
    return all(element.is_metal for element in elements) and bool(polarity < METALLIC_POLARITY)


def _composition_states(structure: "Structure") -> dict[str, float] | None:
    composition = structure.composition.reduced_composition
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guesses = composition.oxi_state_guesses(max_sites=-1)
        if not guesses and len(composition) <= 4:
            guesses = composition.oxi_state_guesses(max_sites=-1, all_oxi_states=True)
    polar = [guess for guess in guesses if any(state != 0 for state in guess.values())]
    return {str(symbol): float(state) for symbol, state in polar[0].items()} if polar else None
