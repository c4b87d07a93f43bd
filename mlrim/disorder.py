"""Crystals whose sites several elements share, as virtual crystals: averaged masses, radii and embeddings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase.data import atomic_masses_iupac2016, atomic_numbers
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.graph.structure_graph import SiteOccupancy
from mlrim.lattice.crystal import Crystal
from mlrim.structures import (
    POSITION_TOLERANCE,
    InputStructure,
    average_structure,
    disordered,
)

if TYPE_CHECKING:
    from ase import Atoms

MASS_DIGITS = 6
"""Sites are told apart by their element and their mass, rounded to so many digits."""


class MixedStructure(NamedTuple):
    """A crystal with shared sites."""

    structure: InputStructure
    """Its atoms are of the element with the largest share and have averaged masses."""
    occupancy: SiteOccupancy

    @property
    def name(self) -> str:
        """Name for the output folder."""
        return self.structure.name

    @property
    def shared(self) -> list[str]:
        """The sites that several elements share, in words."""
        from ase.data import chemical_symbols

        sites: dict[int, dict[str, float]] = {}
        for number, share, site in zip(*self.occupancy.parts, strict=True):
            sites.setdefault(int(site), {})[chemical_symbols[number]] = float(share)
        return sorted({in_words(site) for site in sites.values() if len(site) > 1})

    def renamed(self, name: str) -> "MixedStructure":
        """The same under another name."""
        return self._replace(structure=self.structure._replace(name=name))


def mixed_structure(atoms: "Atoms", path: Path, symprec: float = POSITION_TOLERANCE) -> MixedStructure:
    """The primitive virtual crystal of atoms with occupancies that were read from a file.

    Args:
        symprec: tolerance (Å) within which the space group is looked for.

    Raises:
        UserError: a site is partly empty, or the average crystal is none (see `read_structure`).
    """
    atoms = atoms.copy()
    sites = [site_shares(atoms, atom, path) for atom in range(len(atoms))]
    numbers = [max(site, key=lambda symbol: (site[symbol], symbol)) for site in sites]
    atoms.numbers = np.array([atomic_numbers[symbol] for symbol in numbers])
    masses = [
        sum(share * atomic_masses_iupac2016[atomic_numbers[one]] for one, share in site.items()) for site in sites
    ]
    atoms.set_masses(masses)
    kinds = {
        (int(number), round(mass, MASS_DIGITS)): site
        for number, mass, site in zip(atoms.numbers, masses, sites, strict=True)
    }
    structure = average_structure(atoms, path, symprec)
    crystal = structure.crystal
    found = [
        kinds[int(number), round(float(mass), MASS_DIGITS)]
        for number, mass in zip(crystal.numbers, crystal.masses, strict=True)
    ]
    mixed = MixedStructure(structure, occupancy_of(found))
    note = f"virtual crystal: sites shared by {'; '.join(mixed.shared)}"
    return mixed._replace(structure=structure._replace(notes=[*structure.notes, note]))


def require_ordered(read: Any) -> Any:
    """What was read, unless its sites are shared.

    Raises:
        UserError: they are.
    """
    if isinstance(read, MixedStructure):
        raise UserError(disordered(read.structure.path, read.shared))
    return read


def site_shares(atoms: "Atoms", atom: int, path: Path) -> dict[str, float]:
    """The elements on the site of an atom with their shares, which sum to one.

    Raises:
        UserError: the site is partly empty.
    """
    occupancies, kinds = atoms.info.get("occupancy") or {}, atoms.arrays.get("spacegroup_kinds")
    if kinds is None:
        return {atoms.symbols[atom]: 1.0}
    site = {symbol: float(share) for symbol, share in occupancies[str(int(kinds[atom]))].items() if float(share) > 0}
    total = sum(site.values())
    if abs(total - 1) > 5e-3:
        raise UserError(
            f"'{path}' is disordered: the occupancies of a site add up to {total:.3g} ({in_words(site)}), not to one. "
            "Direct models take shared sites as virtual crystals, but no vacancies: complete the site with what is on "
            "it, or model the vacancies by a supercell"
        )
    return {symbol: share / total for symbol, share in site.items()}


def in_words(site: Mapping[str, float]) -> str:
    """Elements and shares.

    >>> in_words({"Ga": 0.7, "Al": 0.3})
    'Al 0.3, Ga 0.7'
    """
    return ", ".join(f"{symbol} {share:.4g}" for symbol, share in sorted(site.items()))


def occupancy_of(sites: list[dict[str, float]]) -> SiteOccupancy:
    """What is on the sites, as the graph wants it."""
    constituents = [(atom, symbol, share) for atom, site in enumerate(sites) for symbol, share in sorted(site.items())]
    return SiteOccupancy(
        numbers=np.array([atomic_numbers[symbol] for _, symbol, _ in constituents]),
        shares=np.array([share for *_, share in constituents]),
        sites=np.array([atom for atom, *_ in constituents]),
    )


def virtual_crystal(crystal: Crystal, mixed: Mapping[int, Mapping[str, float]]) -> tuple[Crystal, SiteOccupancy]:
    """A crystal with other elements on some of its sites, in its own order and geometry.

    Args:
        mixed: elements and shares of an atom by its index.
    """
    sites = [
        {symbol: float(share) for symbol, share in mixed[atom].items() if share > 0} if atom in mixed else {symbol: 1.0}
        for atom, symbol in enumerate(crystal.symbols)
    ]
    occupancy = occupancy_of(sites)
    return Crystal(crystal.lattice, crystal.positions, main_elements(occupancy), mean_masses(occupancy)), occupancy


def main_elements(occupancy: SiteOccupancy) -> Int[ndarray, "atoms"]:
    """The element with the largest share of every site."""
    order = np.lexsort((occupancy.shares, occupancy.sites))
    last = np.append(np.diff(occupancy.sites[order]) > 0, True)
    return occupancy.numbers[order][last]


def mean_masses(occupancy: SiteOccupancy) -> Float[ndarray, "atoms"]:
    """Averaged masses of the sites, amu."""
    return np.bincount(occupancy.sites, occupancy.shares * atomic_masses_iupac2016[occupancy.numbers])
