"""Named baselines: the short-range force constants that a learned correction is added to."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.force_constants import PairForceConstants, no_force_constants, unfold
from mlrim.lattice.supercell import Supercell
from mlrim.rim.fitting import fit_rigid_ion
from mlrim.rim.rigid_ion import rigid_ion_model
from mlrim.rim.shell import default_shell_model

BUILT_IN = ("rim", "shell", "fitted", "none")
"""Baselines that need no stored force constants, except that `fitted` is fitted to the record's own `dft` ones."""


def short_range_baseline(
    name: str,
    crystal: Crystal,
    *,
    force_constants: Mapping[str, Float[ndarray, "atoms images 3 3"]] | None = None,
    supercell: Supercell | None = None,
    born_charges: Float[ndarray, "atoms 3 3"] | None = None,
    dielectric: Float[ndarray, "3 3"] | None = None,
) -> PairForceConstants:
    """Short-range force constants of a baseline, eV/Å²; the dipole interaction is not in them.

    Args:
        name: "rim" (transferable rigid ion), "shell", "fitted" (rigid ion fitted to the `dft` force constants; where
            Z* and ε∞ are not given its Coulomb part is fitted too, and left out here), "none", or the name of
            stored force constants.
        force_constants: stored compact force constants by level of theory, total, eV/Å².
        supercell: the supercell they belong to.
        born_charges, dielectric: Z* (e) and ε∞ whose dipole interaction is taken out of stored force constants and
            out of the fit's target.

    Raises:
        UserError: the name is neither built in nor stored.
    """
    stored = force_constants or {}
    if name == "none":
        return no_force_constants(crystal.n_atoms)
    if name == "rim":
        return rigid_ion_model(crystal).short_range_force_constants()
    if name == "shell":
        return default_shell_model(crystal).short_range_force_constants()
    level = "dft" if name == "fitted" else name
    if level not in stored or supercell is None:
        raise UserError(_unavailable(name, level, crystal, stored))
    compact = np.asarray(stored[level], dtype=float)
    if name == "fitted":
        fit = fit_rigid_ion(crystal, compact, supercell, born_charges=born_charges, dielectric=dielectric)
        return fit.model.short_range_force_constants()
    if born_charges is not None and dielectric is not None:
        compact = compact - DipoleInteraction(crystal, born_charges, dielectric).folded(supercell)
    return unfold(compact, supercell)


def _unavailable(name: str, level: str, crystal: Crystal, stored: Mapping[str, object]) -> str:
    available = [choice for choice in BUILT_IN if choice != "fitted" or "dft" in stored] + sorted(stored)
    return (
        f"baseline={name!r} needs force constants named {level!r}, which {crystal.reduced_formula} has not; "
        f"available here: {', '.join(dict.fromkeys(available))}"
    )
