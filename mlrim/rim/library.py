"""Published short-range parameter sets with their sources: eV, Å, e; V = A exp(−r/ρ) − C/r⁶ unless said otherwise.

Sets marked `verify` were typed from secondary sources that could not be compared with the original paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.rim.core_shell import Shell, ShellModel
from mlrim.rim.pair_potentials import Buckingham, Morse, RadialPotential, SpeciesInteraction, fumi_tosi
from mlrim.rim.rigid_ion import RigidIonModel

PairTable = Mapping[tuple[str, str], RadialPotential]


@dataclass(frozen=True)
class PotentialSet:
    """One published model.

    Attributes:
        charges: total charge of every element it knows, e.
        pairs: potentials between the elements (between shells where an element has one).
        shells: shell charge (e) and spring constant (eV/Å²) of polarisable elements.
        source: where it was published.
        verify: true where the numbers still have to be compared with the original paper.
        cutoff: range of the pair potentials, Å.
    """

    charges: Mapping[str, float]
    pairs: PairTable
    source: str
    shells: Mapping[str, Shell] = field(default_factory=dict)
    verify: bool = False
    cutoff: float = 12.0

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements that the set can describe."""
        return tuple(self.charges)


_CATLOW_OXYGEN = {("O", "O"): Buckingham(22764.3, 0.1490, 27.88)}

_LEWIS_CATLOW_CATIONS = {
    "Mg": (2, 821.6, 0.3242),
    "Ca": (2, 1228.9, 0.3372),
    "Sr": (2, 1400.0, 0.3500),
    "Ba": (2, 931.7, 0.3949),
    "Zn": (2, 499.6, 0.3595),
    "Ni": (2, 683.5, 0.3332),
    "Al": (3, 1114.9, 0.3118),
    "Ti": (4, 754.2, 0.3879),
    "Ce": (4, 1013.6, 0.3949),
    "Sn": (4, 938.7, 0.3813),
}

_PEDONE_CATIONS = {
    "Na": (1, 0.023363, 1.763867, 3.006315, 5.0),
    "Mg": (2, 0.038908, 2.281000, 2.586153, 5.0),
    "Ca": (2, 0.030211, 2.241334, 2.923245, 5.0),
    "Ba": (2, 0.065011, 1.547596, 3.393410, 5.0),
    "Zn": (2, 0.001221, 3.150679, 2.851850, 1.0),
    "Al": (3, 0.361581, 1.900442, 2.164818, 0.9),
    "Ti": (4, 0.024235, 2.254703, 2.708943, 1.0),
}

LIBRARY: Mapping[str, PotentialSet] = {
    "lewis_catlow": PotentialSet(
        charges={"O": -2.0} | {symbol: float(row[0]) for symbol, row in _LEWIS_CATLOW_CATIONS.items()},
        pairs=_CATLOW_OXYGEN
        | {(symbol, "O"): Buckingham(row[1], row[2]) for symbol, row in _LEWIS_CATLOW_CATIONS.items()},
        source="G. V. Lewis and C. R. A. Catlow, J. Phys. C 18, 1149 (1985); rigid ions, formal charges",
    ),
    "lewis_catlow_iron_ii": PotentialSet(
        charges={"O": -2.0, "Fe": 2.0},
        pairs=_CATLOW_OXYGEN | {("Fe", "O"): Buckingham(694.1, 0.3399)},
        source="G. V. Lewis and C. R. A. Catlow, J. Phys. C 18, 1149 (1985)",
    ),
    "lewis_catlow_iron_iii": PotentialSet(
        charges={"O": -2.0, "Fe": 3.0},
        pairs=_CATLOW_OXYGEN | {("Fe", "O"): Buckingham(1102.4, 0.3299)},
        source="G. V. Lewis and C. R. A. Catlow, J. Phys. C 18, 1149 (1985)",
    ),
    "lewis_catlow_titanium_iii": PotentialSet(
        charges={"O": -2.0, "Ti": 3.0},
        pairs=_CATLOW_OXYGEN | {("Ti", "O"): Buckingham(1715.7, 0.3069)},
        source="G. V. Lewis and C. R. A. Catlow, J. Phys. C 18, 1149 (1985)",
    ),
    "ball_grimes": PotentialSet(
        charges={"Mg": 1.7, "O": -1.7},
        pairs={("Mg", "O"): Buckingham(929.69, 0.29909), ("O", "O"): Buckingham(4870.0, 0.2670, 77.0)},
        source="D. Ball and R. W. Grimes set as in B. P. Uberuaga et al., Phys. Rev. B 72, 115437 (2005)",
    ),
    "pedone": PotentialSet(
        charges={"O": -1.2} | {symbol: 0.6 * row[0] for symbol, row in _PEDONE_CATIONS.items()},
        pairs={("O", "O"): Morse(0.042395, 1.379316, 3.618701, 22.0)}
        | {(symbol, "O"): Morse(*row[1:]) for symbol, row in _PEDONE_CATIONS.items()},
        source="A. Pedone et al., J. Phys. Chem. B 110, 11780 (2006); Morse + C/r¹², charges 0.6 × formal",
        verify=True,
    ),
    "fumi_tosi": PotentialSet(
        charges={"Na": 1.0, "Cl": -1.0},
        pairs={
            ("Na", "Na"): fumi_tosi(0.2637, 2.340, 0.317, 1.0486, 0.4993),
            ("Na", "Cl"): fumi_tosi(0.2110, 2.755, 0.317, 6.9906, 8.6758),
            ("Cl", "Cl"): fumi_tosi(0.1582, 3.170, 0.317, 72.4022, 145.4285),
        },
        source="F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids 25, 31 (1964); Tosi–Fumi NaCl",
        verify=True,
    ),
    "matsui_akaogi": PotentialSet(
        charges={"Ti": 2.196, "O": -1.098},
        pairs={
            ("Ti", "Ti"): Buckingham(31120.1, 0.154, 5.25),
            ("Ti", "O"): Buckingham(16957.53, 0.194, 12.59),
            ("O", "O"): Buckingham(11782.76, 0.234, 30.22),
        },
        source="M. Matsui and M. Akaogi, Mol. Simul. 6, 239 (1991)",
    ),
    "catlow_fluorite": PotentialSet(
        charges={"Ca": 2.0, "F": -1.0},
        pairs={("Ca", "F"): Buckingham(1272.8, 0.2997), ("F", "F"): Buckingham(1127.7, 0.2753, 15.83)},
        source="C. R. A. Catlow, M. J. Norgett and T. A. Ross, J. Phys. C 10, 1627 (1977); rigid ions",
        verify=True,
    ),
    "catlow_fluorite_shell": PotentialSet(
        charges={"Ca": 2.0, "F": -1.0},
        pairs={("Ca", "F"): Buckingham(1272.8, 0.2997), ("F", "F"): Buckingham(1127.7, 0.2753, 15.83)},
        shells={"F": Shell(-2.38, 101.2)},
        source="C. R. A. Catlow, M. J. Norgett and T. A. Ross, J. Phys. C 10, 1627 (1977)",
        verify=True,
    ),
    "magnesia_shell": PotentialSet(
        charges={"Mg": 2.0, "O": -2.0},
        pairs={("Mg", "O"): Buckingham(1280.0, 0.3000), ("O", "O"): Buckingham(1280.0, 0.3000, 27.88)},
        shells={"O": Shell(-2.86902, 74.92)},
        source="GULP, example 21 (J. D. Gale and A. L. Rohl, Mol. Simul. 29, 291 (2003))",
    ),
    "bush_alumina": PotentialSet(
        charges={"Al": 3.0, "O": -2.0},
        pairs={("Al", "O"): Buckingham(2409.505, 0.2649), ("O", "O"): Buckingham(25.410, 0.6937, 32.32)},
        shells={"Al": Shell(2.957, 403.98), "O": Shell(-2.513, 20.53)},
        source="T. S. Bush, J. D. Gale, C. R. A. Catlow and P. D. Battle, J. Mater. Chem. 4, 831 (1994)",
    ),
    "bush_zirconia": PotentialSet(
        charges={"Zr": 4.0, "O": -2.0},
        pairs={("Zr", "O"): Buckingham(7290.347, 0.2610), ("O", "O"): Buckingham(25.410, 0.6937, 32.32)},
        shells={"O": Shell(-2.513, 20.53)},
        source="S. M. Woodley et al., Phys. Chem. Chem. Phys. 1, 2535 (1999)",
        verify=True,
    ),
    "bush_perovskite": PotentialSet(
        charges={"Ba": 2.0, "Ti": 4.0, "O": -2.0},
        pairs={
            ("Ti", "O"): Buckingham(2088.107, 0.2888),
            ("Ba", "O"): Buckingham(4818.416, 0.3067),
            ("O", "O"): Buckingham(25.410, 0.6937, 32.32),
        },
        shells={"O": Shell(-2.513, 20.53)},
        source="T. S. Bush, J. D. Gale, C. R. A. Catlow and P. D. Battle, J. Mater. Chem. 4, 831 (1994)",
        verify=True,
    ),
}
"""Published sets by name."""


def potential_set(name: str, crystal: Crystal) -> PotentialSet:
    """A set of the library, checked to know all elements of the crystal.

    Raises:
        UserError: no such set, or it lacks an element.
    """
    if name not in LIBRARY:
        raise UserError(f"potential set {name!r} is not in the library; it has: {', '.join(sorted(LIBRARY))}")
    missing = sorted(set(crystal.symbols) - set(LIBRARY[name].elements))
    if missing:
        known = ", ".join(LIBRARY[name].elements)
        suitable = suitable_sets(crystal) or ("none",)
        raise UserError(
            f"potential set {name!r} has no parameters for {', '.join(missing)} (it knows {known}); "
            f"sets for {crystal.reduced_formula}: {', '.join(suitable)}"
        )
    return LIBRARY[name]


def suitable_sets(crystal: Crystal) -> tuple[str, ...]:
    """Names of the sets that know all elements of a crystal and keep it neutral."""
    return tuple(
        name
        for name, entry in LIBRARY.items()
        if set(crystal.symbols) <= set(entry.elements)
        and abs(sum(entry.charges[symbol] for symbol in crystal.symbols)) < 1e-9
    )


def published_rigid_ion_model(name: str, crystal: Crystal, switch_width: float = 0.0) -> RigidIonModel:
    """The rigid ions of a published set; its shells, where it has them, stay on their cores.

    Args:
        switch_width: range (Å) before the cut-off over which the pair potentials fade; 0 truncates, as published.
    """
    entry = potential_set(name, crystal)
    charges = np.array([entry.charges[symbol] for symbol in crystal.symbols])
    return RigidIonModel(crystal, charges, species_interaction(entry, crystal, switch_width))


def published_shell_model(name: str, crystal: Crystal, switch_width: float = 0.0) -> ShellModel:
    """The shell model of a published set; elements without a shell are rigid."""
    entry = potential_set(name, crystal)
    charges = np.array([entry.charges[symbol] for symbol in crystal.symbols])
    shells = tuple(entry.shells.get(symbol) for symbol in crystal.symbols)
    return ShellModel.relaxed(crystal, charges, shells, species_interaction(entry, crystal, switch_width))


def species_interaction(entry: PotentialSet, crystal: Crystal, switch_width: float) -> SpeciesInteraction:
    """The pair potentials of a set between the atoms of a crystal."""
    potentials = {}
    for (first, second), potential in entry.pairs.items():
        low, high = sorted((atomic_numbers[first], atomic_numbers[second]))
        potentials[low, high] = potential
    return SpeciesInteraction(crystal.numbers, potentials, entry.cutoff, switch_width)
