"""The parts of an energy that are not learned: quadratic in the displacements from a reference structure.

    E(x) = E_network(x) + ½ u·Φ·u,   u = x − x₀,   Φ = Φ_dipole (+ Φ_rigid ions)

Networks see a few Å; the dipole interaction reaches further, and rigid ions know some of the rest. Both are taken out
of what a network is trained on, in the cell of the label, and added to what it predicts.
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
from mlrim.lattice.force_constants import no_force_constants
from mlrim.lattice.supercell import Supercell
from mlrim.rim.charges import DEFAULT_SCALE, formal_charges
from mlrim.rim.rigid_ion import RigidIonModel
from mlrim.rim.transfer import transferable_short_range

BACKGROUNDS = ("dipole", "rim")
"""dipole: the dipole interaction of Z* and ε∞; rim: the short-ranged part of the rigid-ion model."""


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
    ions = np.zeros(crystal.n_atoms)
    if "rim" in names or born_charges is None or dielectric is None:
        ions = DEFAULT_SCALE * (formal_charges(crystal).charges if charges is None else charges)
    if born_charges is None or dielectric is None:
        born_charges, dielectric = ions[:, None, None] * np.eye(3), np.eye(3)
    short_range, dipole = no_force_constants(crystal.n_atoms), None
    if "rim" in names:
        model = RigidIonModel(crystal, ions, *transferable_short_range(crystal, ions))
        short_range = model.short_range_force_constants()
    if "dipole" in names:
        dipole = DipoleInteraction(crystal, born_charges, dielectric)
    return LatticeDynamics(crystal, short_range, dipole)


def check_names(names: Sequence[str]) -> None:
    """Raise UserError for a background that is not known or is named twice."""
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
