"""A shell model of any inorganic crystal without a fit.

Oxidation-state charges (scaled), the transferable short range of `mlrim.rim.transfer` acting on shells, and one shell
on every anion. A shell carries 1.45 of its ion's charge; its spring makes the polarisability of the ion in the
crystal, e² Y²/(4πε₀ K) with K all that holds the shell, the tabulated one: J. R. Tessman, A. H. Kahn and W. Shockley,
Phys. Rev. 92, 890 (1953) for O, halogens and chalcogens; others are estimates from covalent radii (R³ · 2.5). Two
smooth limits keep clear of the polarisation catastrophe: α below a quarter of the cube of the distance to the next
anion, and 4πΣα/3V below 0.6 (ε∞ below about 5.5). Shells are centred: forces on them in the given structure are left
out, as the rigid-ion rule leaves out forces on atoms.
"""

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.rim.charges import formal_charges
from mlrim.rim.core_shell import Shell, ShellModel
from mlrim.rim.transfer import CUTOFF, transferable_short_range
from mlrim.units import COULOMB_EV_ANGSTROM

CHARGE_SCALE = 0.85
"""Ionic charge over oxidation state: between the formal charge and the partial charge of a rigid ion."""
SOFTEST_RHO = 0.42
"""Å"""
SHELL_CHARGE = 1.45
"""Charge of a shell over that of its ion (2.87/2 for oxygen in GULP's MgO)."""
POLARISABILITY = {7: 2.2, 8: 1.65, 9: 0.65, 16: 5.5, 17: 2.97, 34: 7.0, 35: 4.17, 52: 9.0, 53: 6.44}
"""Å³ by atomic number."""
CLOSEST_ANION, DENSEST = 0.25, 0.6
"""Limits of α/d³ and of 4πΣα/3V."""
SOFTEST_DIRECTION = 0.7
"""Smallest principal stiffness of a shell over the one its polarisability asks for."""


def default_shell_model(crystal: Crystal) -> ShellModel:
    """The transferable shell model; compounds without ionic charges have no shells and are held by springs alone."""
    charges = formal_charges(crystal).charges * CHARGE_SCALE
    short_range, bonds = transferable_short_range(crystal, charges, SOFTEST_RHO)
    polarisability = _polarisabilities(crystal, charges)
    for _ in range(8):
        wanted = [
            Shell(SHELL_CHARGE * charge, COULOMB_EV_ANGSTROM * (SHELL_CHARGE * charge) ** 2 / alpha)
            if charge < 0
            else None
            for charge, alpha in zip(charges, polarisability, strict=True)
        ]
        bare = ShellModel.centred(crystal, charges, wanted, short_range, bonds)
        model = ShellModel.centred(crystal, charges, _with_springs(bare, wanted), short_range, bonds)
        if model.is_stable():
            return model
        polarisability = polarisability / 2
    return ShellModel.centred(crystal, charges, [None] * crystal.n_atoms, short_range, bonds)


def _with_springs(model: ShellModel, wanted: list[Shell | None]) -> list[Shell | None]:
    """Springs that, with what the crystal adds to them, hold each shell with the wanted stiffness on average."""
    held = model.shell_stiffness()
    adjusted: list[Shell | None] = list(wanted)
    polarisable = [index for index, shell in enumerate(wanted) if shell is not None]
    for index, stiffness in zip(polarisable, held, strict=True):
        shell = wanted[index]
        assert shell is not None
        environment = stiffness - shell.spring * np.eye(3)
        mean = float(np.trace(environment)) / 3
        weakest = float(np.linalg.eigvalsh(environment).min())
        spring = max(shell.spring - mean, SOFTEST_DIRECTION * shell.spring - weakest)
        adjusted[index] = Shell(shell.charge, spring)
    return adjusted


def _polarisabilities(crystal: Crystal, charges: Float[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    """α of every atom (Å³) within the two limits; cations count as rigid."""
    table = np.array([POLARISABILITY.get(int(n), 2.5 * covalent_radii[n] ** 3) for n in crystal.numbers])
    alpha = np.where(charges < 0, table, 0.0)
    alpha = _limited(alpha, CLOSEST_ANION * _nearest_anion(crystal, charges) ** 3)
    density = 4 * np.pi / 3 * alpha.sum(keepdims=True) / crystal.volume
    return alpha / (1 + (density / DENSEST) ** 4) ** 0.25


def _nearest_anion(crystal: Crystal, charges: Float[ndarray, "atoms"]) -> Float[ndarray, "atoms"]:
    pairs = neighbour_pairs(crystal, CUTOFF)
    distance = np.linalg.norm(pair_vectors(crystal, pairs), axis=1)
    anions = (charges[pairs.i] < 0) & (charges[pairs.j] < 0)
    nearest = np.full(crystal.n_atoms, CUTOFF)
    np.minimum.at(nearest, pairs.i[anions], distance[anions])
    return nearest


def _limited(values: Float[ndarray, "*atoms"], limit: Float[ndarray, "*atoms"]) -> Float[ndarray, "*atoms"]:
    """A smooth minimum of values and limit."""
    return values / (1 + (values / limit) ** 4) ** 0.25
