"""Short-range pair potentials: energies with analytic first and second derivatives.

A potential is a function of the distance alone; an *interaction* says which potential acts between which atoms of a
crystal. All quantities in eV and Å.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


class RadialDerivatives(NamedTuple):
    """A radial function and its derivatives at given distances."""

    value: Float[ndarray, "pairs"]
    """eV"""
    first: Float[ndarray, "pairs"]
    """eV/Å"""
    second: Float[ndarray, "pairs"]
    """eV/Å²"""


@runtime_checkable
class RadialPotential(Protocol):
    """Anything with an energy V(r) and its two first derivatives."""

    def derivatives(self, distance: Float[ndarray, "pairs"]) -> RadialDerivatives:
        """V, V′ and V″ at the distances (Å)."""
        ...


@runtime_checkable
class PairInteraction(Protocol):
    """Radial potentials between the atoms of one crystal."""

    @property
    def cutoff(self) -> float:
        """Distance (Å) beyond which nothing acts."""
        ...

    def derivatives(
        self, i: Int[ndarray, "pairs"], j: Int[ndarray, "pairs"], distance: Float[ndarray, "pairs"]
    ) -> RadialDerivatives:
        """V_ij, V_ij′ and V_ij″ for pairs of atom indices at their distances (Å)."""
        ...


@dataclass(frozen=True)
class Buckingham:
    """V = A exp(−r/ρ) − C/r⁶ − D/r⁸; Born–Mayer when C = D = 0.

    Attributes:
        amplitude: A, eV.
        rho: ρ, Å.
        dispersion6: C, eV Å⁶.
        dispersion8: D, eV Å⁸.
    """

    amplitude: float
    rho: float
    dispersion6: float = 0.0
    dispersion8: float = 0.0

    def derivatives(self, distance: Float[ndarray, "pairs"]) -> RadialDerivatives:
        """V, V′ and V″ at the distances (Å)."""
        return buckingham_derivatives(distance, self.amplitude, self.rho, self.dispersion6, self.dispersion8)


def fumi_tosi(amplitude: float, sigma: float, rho: float, dispersion6: float, dispersion8: float) -> Buckingham:
    """V = A exp((σ − r)/ρ) − C/r⁶ − D/r⁸ (F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids 25, 31 (1964))."""
    return Buckingham(amplitude * float(np.exp(sigma / rho)), rho, dispersion6, dispersion8)


def buckingham_derivatives(
    distance: Float[ndarray, "pairs"],
    amplitude: float | Float[ndarray, "pairs"],
    rho: float | Float[ndarray, "pairs"],
    dispersion6: float | Float[ndarray, "pairs"] = 0.0,
    dispersion8: float | Float[ndarray, "pairs"] = 0.0,
) -> RadialDerivatives:
    """V = A exp(−r/ρ) − C/r⁶ − D/r⁸ and its derivatives; parameters may differ from pair to pair."""
    repulsion = amplitude * np.exp(-distance / rho)
    inverse = 1 / distance
    sixth, eighth = dispersion6 * inverse**6, dispersion8 * inverse**8
    return RadialDerivatives(
        repulsion - sixth - eighth,
        -repulsion / rho + (6 * sixth + 8 * eighth) * inverse,
        repulsion / rho**2 - (42 * sixth + 72 * eighth) * inverse**2,
    )


@dataclass(frozen=True)
class Morse:
    """V = D [(1 − exp(−a (r − r₀)))² − 1] + B/r¹² (A. Pedone et al., J. Phys. Chem. B 110, 11780 (2006)).

    Attributes:
        depth: D, eV.
        steepness: a, 1/Å.
        minimum: r₀, Å.
        repulsion12: B, eV Å¹².
    """

    depth: float
    steepness: float
    minimum: float
    repulsion12: float = 0.0

    def derivatives(self, distance: Float[ndarray, "pairs"]) -> RadialDerivatives:
        """V, V′ and V″ at the distances (Å)."""
        decay = np.exp(-self.steepness * (distance - self.minimum))
        twelfth = self.repulsion12 / distance**12
        return RadialDerivatives(
            self.depth * (decay**2 - 2 * decay) + twelfth,
            2 * self.depth * self.steepness * (decay - decay**2) - 12 * twelfth / distance,
            2 * self.depth * self.steepness**2 * (2 * decay**2 - decay) + 156 * twelfth / distance**2,
        )


def switch_factor(distance: Float[ndarray, "pairs"], cutoff: float, width: float) -> RadialDerivatives:
    """A factor that goes smoothly from one to zero between `cutoff − width` and `cutoff` (Å), with derivatives.

    It is 1 − t⁴ (35 − 84 t + 70 t² − 20 t³) with t = (r − cutoff + width)/width: three derivatives vanish at both
    ends, so that force constants and their first derivatives are continuous.
    """
    t = np.clip((distance - cutoff + width) / width, 0.0, 1.0)
    return RadialDerivatives(
        1 - t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3),
        -140 * (t * (1 - t)) ** 3 / width,
        -420 * (t * (1 - t)) ** 2 * (1 - 2 * t) / width**2,
    )


@dataclass(frozen=True, eq=False)
class SpeciesInteraction:
    """Potentials by the atomic numbers of the two atoms; species pairs not listed do not interact.

    Attributes:
        numbers: atomic number of every atom, shape (atoms,).
        potentials: keyed by the two atomic numbers, smaller first.
        cutoff: Å.
        switch_width: distance (Å) over which the potentials go smoothly to zero; 0 truncates them.
    """

    numbers: Int[ndarray, "atoms"]
    potentials: Mapping[tuple[int, int], RadialPotential]
    cutoff: float = 10.0
    switch_width: float = 2.0

    def derivatives(
        self, i: Int[ndarray, "pairs"], j: Int[ndarray, "pairs"], distance: Float[ndarray, "pairs"]
    ) -> RadialDerivatives:
        """V_ij, V_ij′ and V_ij″ for pairs of atom indices at their distances (Å)."""
        result = RadialDerivatives(*(np.zeros(len(distance)) for _ in range(3)))
        low = np.minimum(self.numbers[i], self.numbers[j])
        high = np.maximum(self.numbers[i], self.numbers[j])
        for (first, second), potential in self.potentials.items():
            chosen = np.flatnonzero((low == first) & (high == second))
            for total, term in zip(result, potential.derivatives(distance[chosen]), strict=True):
                total[chosen] = term
        return switched(distance, result, self.cutoff, self.switch_width)


@dataclass(frozen=True, eq=False)
class AtomPairBuckingham:
    """Buckingham potentials with parameters for each pair of atoms of the cell.

    Attributes:
        amplitude, rho, dispersion6: symmetric matrices (eV, Å, eV Å⁶), shape (atoms, atoms).
        cutoff, switch_width: as for `SpeciesInteraction`.
    """

    amplitude: Float[ndarray, "atoms atoms"]
    rho: Float[ndarray, "atoms atoms"]
    dispersion6: Float[ndarray, "atoms atoms"]
    cutoff: float = 10.0
    switch_width: float = 2.0

    def derivatives(
        self, i: Int[ndarray, "pairs"], j: Int[ndarray, "pairs"], distance: Float[ndarray, "pairs"]
    ) -> RadialDerivatives:
        """V_ij, V_ij′ and V_ij″ for pairs of atom indices at their distances (Å)."""
        bare = buckingham_derivatives(distance, self.amplitude[i, j], self.rho[i, j], self.dispersion6[i, j])
        return switched(distance, bare, self.cutoff, self.switch_width)


def switched(
    distance: Float[ndarray, "pairs"], bare: RadialDerivatives, cutoff: float, width: float
) -> RadialDerivatives:
    """The derivatives of a potential that fades over `width` before `cutoff` (Å), or is truncated when width is 0."""
    if width <= 0:
        return RadialDerivatives(*(part * (distance < cutoff) for part in bare))
    factor, slope, curvature = switch_factor(distance, cutoff, width)
    value, first, second = bare
    return RadialDerivatives(
        factor * value,
        factor * first + slope * value,
        factor * second + 2 * slope * first + curvature * value,
    )
