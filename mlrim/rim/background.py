"""The parts of an energy that are not learned: quadratic in the displacements from a reference structure.

    E(x) = E_network(x) + ½ u·Φ·u,   u = x − x₀,   Φ = Φ_dipole (− Φ_near) (+ Φ_rigid ions)

Networks see a few Å; the dipole interaction reaches further, and rigid ions know some of the rest. Both are taken out
of what a network is trained on, in the cell of the label, and added to what it predicts. At short distance, where ions
are no points, the interaction of point dipoles is nothing that helps: Φ_near leaves that part to the network.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.commensurate_cells import dense_hessian, relative_images
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants, add, no_force_constants
from mlrim.lattice.supercell import Supercell
from mlrim.rim.charges import DEFAULT_SCALE, formal_charges
from mlrim.rim.rigid_ion import RigidIonModel
from mlrim.rim.transfer import transferable_short_range

BACKGROUNDS = ("dipole", "smeared", "rim")
"""dipole: the dipole interaction of Z* and ε∞; smeared: of Gaussian charges instead of points; rim: the short-ranged
part of the rigid-ion model."""

SMEARING = 0.5
"""1/Å: at 5 Å smeared dipoles interact as points do to 4·10⁻⁴, at 2 Å they have lost most of the pole."""


def background_of(
    names: Sequence[str],
    crystal: Crystal,
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
    charges: Float[ndarray, "atoms"] | None = None,
) -> LatticeDynamics:
    """The parts that are not learned of a crystal at its reference geometry.

    Where Born charges or ε∞ are not known, the dipole interaction is that of the rigid ions: their charges in vacuum.

    Args:
        names: some of BACKGROUNDS.
        born_charges: e; first index electric field, second index displacement.
        dielectric: ε∞.
        charges: formal charges, e; found from the structure when not given.

    Raises:
        UserError: a name is not among BACKGROUNDS.
    """
    check_names(names)
    dipole = None
    if "dipole" in names:
        if born_charges is None or dielectric is None:
            born_charges, dielectric = _ionic_charges(crystal, charges)[:, None, None] * np.eye(3), np.eye(3)
        dipole = DipoleInteraction(crystal, born_charges, dielectric)
    return LatticeDynamics(crystal, short_range_background(names, crystal, dipole, charges), dipole)


def short_range_background(
    names: Sequence[str],
    crystal: Crystal,
    dipole: DipoleInteraction | None,
    charges: Float[ndarray, "atoms"] | None = None,
) -> PairForceConstants:
    """What some backgrounds add to a dipole interaction; arguments as for `background_of`."""
    short_range = no_force_constants(crystal.n_atoms)
    if "rim" in names:
        ions = _ionic_charges(crystal, charges)
        model = RigidIonModel(crystal, ions, *transferable_short_range(crystal, ions))
        short_range = add(short_range, model.short_range_force_constants())
    if dipole is not None and "smeared" in names:
        pairs, blocks = dipole.near_field(SMEARING)
        short_range = add(short_range, PairForceConstants(pairs, -blocks))
    return short_range


def _ionic_charges(crystal: Crystal, charges: Float[ndarray, "atoms"] | None) -> Float[ndarray, "atoms"]:
    return DEFAULT_SCALE * (formal_charges(crystal).charges if charges is None else charges)


def check_names(names: Sequence[str]) -> None:
    """Raise UserError for a background that is not known or is named twice, or that needs another."""
    if "smeared" in names and "dipole" not in names:
        raise UserError("background: smeared is how the dipole interaction is taken; name dipole as well")
    unknown = [name for name in names if name not in BACKGROUNDS]
    if unknown or len(set(names)) < len(names):
        raise UserError(
            f"background={list(names)} must be a list of different ones of {', '.join(BACKGROUNDS)}; "
            "an empty list leaves everything to the network"
        )


def background_hessian(background: LatticeDynamics, cell: Supercell) -> Float[ndarray, "rows rows"]:
    """The full Hessian of the parts that are not learned in a cell; component 3·image + axis, eV/Å²."""
    return dense_hessian(background.folded(cell), cell)


def harmonic_forces(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, displacements: Float[ndarray, "images 3"]
) -> Float[ndarray, "images 3"]:
    """Forces −Φ·u in a displaced supercell, eV/Å.

    Args:
        compact: force constants in the supercell, eV/Å².
        displacements: of all its atoms, canonical order, Å; those that are zero cost nothing.
    """
    moved = np.flatnonzero(np.any(displacements != 0, axis=1))
    atoms, cells = np.divmod(moved, supercell.n_cells)
    blocks = compact[atoms[:, None], relative_images(supercell, cells)]
    return -np.einsum("msab,ma->sb", blocks, displacements[moved])
