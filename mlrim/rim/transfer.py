"""Short-range forces for any inorganic crystal without a fit.

Two terms, both functions of the given structure and of element tables only:

* *Ionic*: a Born–Mayer repulsion between ions of opposite charge, V_ij = ½ (b_i + b_j) exp((R_i + R_j − r)/ρ_ij) with
  covalent radii R. The strengths b_i make the virial of every ion's own share vanish, b_i · ½ Σ_j (−V′r/b) =
  −½ q_i φ_i, so that the hydrostatic stress of the whole model is zero at the given cell. The hardness follows the
  Pauling ionicity ι = 1 − exp(−Δχ²/4) of the pair: ρ = 0.34 − 0.18 ι Å (0.22 Å for MgO and NaCl, 0.19 Å for CaF₂).
  Partial charges need a steeper wall than the textbook 0.30–0.33 Å, which belongs to formal charges.
* *Covalent*: harmonic springs that are at rest in the given structure, with stiffness
  0.4 exp(5.5 − 4.1 r + 2.6 (R_i + R_j)) exp(−1.5 Δχ²/4) eV/Å² along the bond and 0.15 of it across. Elements and
  intermetallics, which have no charges, are held by these alone.

The constants are rounded from a look at zone-centre frequencies of about 200 phonondb compounds (PBEsol); nothing is
adjusted per compound. Mean / median error of Γ frequencies there: 68 / 44 cm⁻¹ with the model's own charges; TO of
MgO 443 (PBEsol 391), NaCl 168 (169), CaF₂ 241 (252) cm⁻¹.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.rim.charges import pauling_electronegativity
from mlrim.rim.madelung import site_potentials
from mlrim.rim.pair_potentials import AtomPairBuckingham, switch_factor

CUTOFF = 6.0
"""Å"""
SWITCH_WIDTH = 2.0
"""Å: both terms go smoothly to zero between 4 and 6 Å."""
SOFTEST_RHO, RHO_PER_IONICITY = 0.34, 0.18
"""Å"""
FORMAL_SOFTEST_RHO = 0.44
"""Å: for formal charges, which gives the textbook's 0.32 Å for MgO"""
SPRING_LOG_STIFFNESS, SPRING_DECAY, SPRING_SIZE = float(np.log(0.4) + 5.54), 4.11, 2.57
"""ln(eV/Å²), 1/Å, 1/Å"""
SPRING_COVALENCY = 1.5
SPRING_TRANSVERSE = 0.15


class Springs(NamedTuple):
    """Stiffness of pairs that are at rest at their present distance, eV/Å²."""

    longitudinal: Float[ndarray, "pairs"]
    transverse: Float[ndarray, "pairs"]


@dataclass(frozen=True, eq=False)
class CovalentSprings:
    """Springs between all atoms closer than the cut-off, stiff where a bond is short and little polar.

    Attributes:
        radii: covalent radii, Å, shape (atoms,).
        electronegativity: Pauling, shape (atoms,).
    """

    radii: Float[ndarray, "atoms"]
    electronegativity: Float[ndarray, "atoms"]
    cutoff: float = CUTOFF

    def stiffness(
        self, i: Int[ndarray, "pairs"], j: Int[ndarray, "pairs"], distance: Float[ndarray, "pairs"]
    ) -> Springs:
        """Spring constants of pairs of atom indices at their distances (Å)."""
        size = self.radii[i] + self.radii[j]
        polarity = (self.electronegativity[i] - self.electronegativity[j]) ** 2 / 4
        exponent = SPRING_LOG_STIFFNESS - SPRING_DECAY * distance + SPRING_SIZE * size - SPRING_COVALENCY * polarity
        longitudinal = np.exp(exponent) * switch_factor(distance, CUTOFF, SWITCH_WIDTH).value
        return Springs(longitudinal, SPRING_TRANSVERSE * longitudinal)


def transferable_short_range(
    crystal: Crystal, charges: Float[ndarray, "atoms"], softest_rho: float = SOFTEST_RHO
) -> tuple[AtomPairBuckingham, CovalentSprings]:
    """The ionic and the covalent term for a crystal with these (partial) charges, e; see the module's docstring.

    Args:
        softest_rho: ρ (Å) of a pair without polarity; formal charges need a softer wall than partial ones.
    """
    radii = covalent_radii[crystal.numbers]
    electronegativity = pauling_electronegativity(crystal.numbers)
    springs = CovalentSprings(radii, electronegativity)
    ionicity = 1 - np.exp(-((electronegativity[:, None] - electronegativity[None, :]) ** 2) / 4)
    rho = softest_rho - RHO_PER_IONICITY * ionicity
    return _zero_stress_repulsion(crystal, np.asarray(charges, dtype=float), radii, rho), springs


def _zero_stress_repulsion(
    crystal: Crystal,
    charges: Float[ndarray, "atoms"],
    radii: Float[ndarray, "atoms"],
    rho: Float[ndarray, "atoms atoms"],
) -> AtomPairBuckingham:
    opposite = charges[:, None] * charges[None, :] < 0
    unit = np.where(opposite, np.exp((radii[:, None] + radii[None, :]) / rho), 0.0)
    bare = AtomPairBuckingham(unit, rho, np.zeros_like(rho), CUTOFF, SWITCH_WIDTH)
    strength = _balancing_strengths(crystal, charges, bare)
    amplitude = unit * (strength[:, None] + strength[None, :]) / 2
    return AtomPairBuckingham(amplitude, rho, np.zeros_like(rho), CUTOFF, SWITCH_WIDTH)


def _balancing_strengths(
    crystal: Crystal, charges: Float[ndarray, "atoms"], bare: AtomPairBuckingham
) -> Float[ndarray, "atoms"]:
    """b_i that balance every ion's share of the Coulomb virial; zero for ions that nothing holds together."""
    pairs = neighbour_pairs(crystal, bare.cutoff)
    distance = np.linalg.norm(pair_vectors(crystal, pairs), axis=1)
    slope = bare.derivatives(pairs.i, pairs.j, distance).first
    virial = np.bincount(pairs.i, -slope * distance / 2, minlength=crystal.n_atoms)
    binding = -charges * site_potentials(crystal, charges) / 2
    held = (binding > 0) & (virial > 1e-9 * binding)
    strength = np.where(held, binding, 0.0) / np.where(held, virial, 1.0)
    balanced = float((strength * virial).sum())
    return strength * max(float(binding.sum()), 0.0) / balanced if balanced > 0 else strength
