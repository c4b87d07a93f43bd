"""Neutrons: scattering lengths, the neutron-weighted density of states, and Q(E) of spectrometers.

Weights: the incoherent approximation of one-phonon scattering sees Σ_k σ_k/m_k g_k(ω) (V. F. Turchin, Slow
Neutrons, 1965; Carpenter and Price, Phys. Rev. Lett. 54, 441 (1985)), with the partial density of states g_k.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.units import NEUTRON_MEV_ANGSTROM2, THZ_TO_CM1, THZ_TO_MEV
from mlrim.vibrations.density_of_states import DensityOfStates

DEUTERIUM_MASS = 1.5
"""Hydrogen heavier than this (amu) scatters as deuterium."""

CrossSection = Literal["total", "incoherent", "coherent"]
"""Which part of the bound cross-section weights the atoms."""


class NeutronScattering(NamedTuple):
    """How strongly each atom scatters neutrons."""

    lengths: Float[ndarray, "atoms"]
    """Bound coherent scattering length, fm."""
    coherent: Float[ndarray, "atoms"]
    """Coherent cross-section, barn."""
    incoherent: Float[ndarray, "atoms"]
    """Incoherent cross-section, barn."""

    def cross_section(self, which: CrossSection) -> Float[ndarray, "atoms"]:
        """Bound cross-section, barn."""
        return {
            "total": self.coherent + self.incoherent,
            "incoherent": self.incoherent,
            "coherent": self.coherent,
        }[which]


@dataclass(frozen=True, eq=False)
class NeutronWeightedDensity:
    """Density of states as neutrons weight it, per primitive cell.

    Attributes:
        frequencies: THz.
        total: Σ σ/m g(ν), barn/amu/THz.
        projected: the part of every element.
        normalized: the same with an integral of three per atom, as experiments are often shown, 1/THz.
    """

    frequencies: Float[ndarray, "grid"]
    total: Float[ndarray, "grid"]
    projected: dict[str, Float[ndarray, "grid"]]
    normalized: Float[ndarray, "grid"]


class IndirectGeometry(NamedTuple):
    """A spectrometer with a fixed final energy: each energy transfer has its own Q.

    The resolution is a Gaussian with the standard deviation a + b E + c E².
    """

    name: str
    final_energy: float
    """meV"""
    angle: float
    """Scattering angle, degrees."""
    resolution: tuple[float, float, float]
    """a (meV), b, c (1/meV)."""

    def fwhm(self, energies: Float[ndarray, "grid"]) -> Float[ndarray, "grid"]:
        """Full width at half maximum of the resolution at energy transfers in meV, meV."""
        constant, linear, square = self.resolution
        magnitude = np.abs(energies)
        return np.sqrt(8 * np.log(2)) * (constant + linear * magnitude + square * magnitude**2)


_CM1 = THZ_TO_MEV / THZ_TO_CM1

TOSCA_BACKWARD = IndirectGeometry("TOSCA, backscattering", 32 * _CM1, 135.0, (2.5 * _CM1, 0.005, 1e-7 / _CM1))
"""TOSCA at ISIS, with the parameters of Abins (Mantid); VISION's are close to them."""
TOSCA_FORWARD = TOSCA_BACKWARD._replace(name="TOSCA, forward scattering", angle=45.0)
"""The detectors in forward scattering, at smaller Q."""


def neutron_scattering(crystal: Crystal) -> NeutronScattering:
    """Tabulated scattering of the atoms, natural isotopes; hydrogen of more than 1.5 amu is deuterium.

    Raises:
        UserError: an element without tabulated values.
    """
    table = _table()
    heavy = (crystal.numbers == 1) & (crystal.masses > DEUTERIUM_MASS)
    symbols = ["D" if is_heavy else symbol for symbol, is_heavy in zip(crystal.symbols, heavy, strict=True)]
    missing = sorted(set(symbols) - set(table))
    if missing:
        raise UserError(f"no neutron scattering length is tabulated for {', '.join(missing)}; leave neutrons out")
    return NeutronScattering(*np.array([table[symbol] for symbol in symbols]).reshape(-1, 3).T)


def neutron_weighted_density(
    density: DensityOfStates,
    crystal: Crystal,
    scattering: NeutronScattering | None = None,
    cross_section: CrossSection = "total",
) -> NeutronWeightedDensity:
    """The density of states weighted by cross-section over mass.

    Args:
        scattering: by default tabulated values.
        cross_section: the total one holds where the incoherent approximation does (powders, large Q).
    """
    scattering = neutron_scattering(crystal) if scattering is None else scattering
    ratio = scattering.cross_section(cross_section) / crystal.masses
    symbols = np.array(crystal.symbols)
    projected = {symbol: ratio[symbols == symbol].mean() * part for symbol, part in density.projected.items()}
    total = np.sum(list(projected.values()), axis=0)
    area = float(np.trapezoid(total, density.frequencies))
    normalized = total * (3 * crystal.n_atoms / area) if area > 0 else np.zeros_like(total)
    return NeutronWeightedDensity(density.frequencies, total, projected, normalized)


def momentum_transfer(
    initial_energy: Float[ndarray, "grid"] | float, final_energy: Float[ndarray, "grid"] | float, angle: float
) -> Float[ndarray, "grid"]:
    """|Q| in 1/Å of neutrons with energies in meV, scattered by an angle in degrees: k² = E/(2.0721 meV Å²).

    >>> momentum_transfer(np.array([2.0721248]), 2.0721248, 180.0).round(6).tolist()
    [2.0]
    """
    initial, final = np.asarray(initial_energy, dtype=float), np.asarray(final_energy, dtype=float)
    cosine = np.cos(np.radians(angle))
    square = (initial + final - 2 * np.sqrt(initial * final) * cosine) / NEUTRON_MEV_ANGSTROM2
    return np.sqrt(np.maximum(square, 0.0))


def indirect_path(energies: Float[ndarray, "grid"], instrument: IndirectGeometry) -> Float[ndarray, "grid"]:
    """|Q| (1/Å) of an indirect-geometry spectrometer at energy transfers in meV (loss of the neutron positive).

    Raises:
        UserError: a gain larger than the final energy, which no neutron can have.
    """
    if np.min(energies) < -instrument.final_energy:
        raise UserError(
            f"{instrument.name} reaches energy gains up to {instrument.final_energy:.3g} meV, not "
            f"{-float(np.min(energies)):.3g} meV: start the energies higher"
        )
    return momentum_transfer(energies + instrument.final_energy, instrument.final_energy, instrument.angle)


def direct_path(energies: Float[ndarray, "grid"], incident_energy: float, angle: float) -> Float[ndarray, "grid"]:
    """|Q| (1/Å) of a direct-geometry spectrometer at energy transfers in meV (loss positive); angle in degrees.

    Raises:
        UserError: an energy loss above the incident energy.
    """
    if np.max(energies) > incident_energy:
        raise UserError(
            f"neutrons of {incident_energy:.4g} meV cannot lose {float(np.max(energies)):.4g} meV: raise the incident "
            "energy or end the energies lower"
        )
    return momentum_transfer(incident_energy, incident_energy - energies, angle)


@cache
def _table() -> dict[str, tuple[float, float, float]]:
    lines = (files("mlrim.vibrations") / "neutron_scattering.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")][1:]
    return {symbol: (float(length), float(coh), float(inc)) for symbol, length, coh, inc in rows}
