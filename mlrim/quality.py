"""How far a prediction can be trusted by its own measure: checks that need no reference."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.infrared import infrared_modes
from mlrim.vibrations.normal_modes import NormalModes, modes_along
from mlrim.vibrations.permittivity import lyddane_sachs_teller


@dataclass(frozen=True)
class Quality:
    """The line of figures that a reader should see before the results.

    Attributes:
        short_range_tail: largest |Φ_SR| (eV/Å²) between atoms further apart than half the supercell.
        tail_distance: that half, Å.
        born_correction: largest change (e) that neutrality and symmetry demanded of a Born charge; none without any.
        lst_deviation: largest relative deviation of ε0 from the modes' strengths from ε∞ Π(ω_LO/ω_TO)², over the
            directions that LO modes are calculated for; none without polar or with unstable modes.
        acoustic_residual: largest |frequency| of the acoustic modes at Γ, cm⁻¹.
        largest_force_constant: largest element of Φ_SR, eV/Å².
        residuals: how far the raw force constants were from their symmetries, eV/Å².
    """

    short_range_tail: float
    tail_distance: float
    born_correction: float | None
    lst_deviation: float | None
    acoustic_residual: float
    largest_force_constant: float
    residuals: dict[str, float] = field(default_factory=dict)

    @property
    def asymmetry(self) -> float:
        """Largest residual of the raw force constants as a share of the largest force constant."""
        return max(self.residuals.values(), default=0.0) / max(self.largest_force_constant, 1e-12)

    @property
    def line(self) -> str:
        """The figures in one line."""
        parts = [f"max |Φ_SR| beyond {self.tail_distance:.1f} Å {self.short_range_tail:.1e} eV/Å²"]
        if self.born_correction is not None:
            parts.append(f"neutrality correction of Z* {self.born_correction:.1e} e")
        if self.lst_deviation is not None:
            parts.append(f"LST check {self.lst_deviation:.0e}")
        parts.append(f"acoustic residual {self.acoustic_residual:.0e} cm⁻¹")
        parts.append(f"raw force constants off their symmetries by {100 * self.asymmetry:.1g} %")
        return "; ".join(parts)


def assess(
    dynamics: LatticeDynamics,
    supercell: Supercell,
    gamma: GammaModes,
    transverse: NormalModes,
    born_correction: float | None,
    residuals: dict[str, float],
) -> Quality:
    """All checks of a prediction."""
    half = half_thickness(supercell)
    acoustic = [abs(mode.frequency_cm1) for mode in gamma.modes if mode.acoustic]
    return Quality(
        tail(dynamics.short_range, dynamics, half),
        half,
        born_correction,
        lst_deviation(dynamics, list(gamma.directions.values()), transverse),
        max(acoustic, default=0.0),
        float(np.abs(dynamics.short_range.blocks).max(initial=0.0)),
        residuals,
    )


def half_thickness(supercell: Supercell) -> float:
    """Half the smallest distance (Å) of opposite faces of a supercell: atoms closer than that are told apart."""
    return float(1 / np.linalg.norm(np.linalg.inv(supercell.lattice).T, axis=1).max() / 2)


def tail(short_range: PairForceConstants, dynamics: LatticeDynamics, distance: float) -> float:
    """Largest short-range force constant between atoms further apart than a distance (Å), eV/Å²."""
    lengths = np.linalg.norm(pair_vectors(dynamics.crystal, short_range.pairs), axis=1)
    far = short_range.blocks[lengths > distance]
    return float(np.abs(far).max()) if len(far) else 0.0


def lst_deviation(
    dynamics: LatticeDynamics, directions: list[Float[ndarray, "3"]], transverse: NormalModes
) -> float | None:
    """Relative deviation of the generalised Lyddane–Sachs–Teller relation, largest over the directions.

    None without polar modes or with a mode that is unstable.
    """
    if dynamics.dipole is None or not directions or not len(transverse.frequencies):
        return None
    modes = infrared_modes(transverse, dynamics.dipole.born_charges)
    checks = [
        lyddane_sachs_teller(modes, dynamics.dipole.dielectric, modes_along(dynamics, direction), direction)
        for direction in directions
    ]
    return max(check.deviation for check in checks) if all(check.stable for check in checks) else None
