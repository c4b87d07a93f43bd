"""Debye temperatures: of the second moment of the spectrum, and equivalent ones at every temperature.

A crystal has no single Debye temperature. The one from the second moment describes the heat capacity at high
temperature; the equivalent one is that of the Debye solid with the same heat capacity at a given temperature, and
its low-temperature limit is the elastic one. (T. H. K. Barron et al., Proc. R. Soc. Lond. A 242, 478 (1957).)
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import quad
from scipy.optimize import brentq

from mlrim.units import KELVIN_PER_THZ
from mlrim.vibrations.thermal import SMALLEST_FREQUENCY, ThermalProperties

TRUSTED_SHARE = (1e-3, 0.995)
"""Share of 3Nk between which the heat capacity of a finite mesh tells the Debye temperature."""


def debye_temperature(frequencies: Float[ndarray, "qpoints modes"], weights: Float[ndarray, "qpoints"]) -> float:
    """θ = h/k √(5/3 ⟨ν²⟩), K: a Debye spectrum with this cut-off has the same second moment.

    Args:
        frequencies: THz; imaginary ones and the zero modes at Γ are left out.

    >>> edge = np.arange(0.5, 1000) / 1000  # a Debye spectrum that ends at 1 THz has ν = edge^(1/3)
    >>> round(debye_temperature(np.cbrt(edge)[:, None], np.ones(1000)), 2)
    47.99
    """
    counted = frequencies > SMALLEST_FREQUENCY
    share = np.broadcast_to(weights[:, None], frequencies.shape)[counted]
    return float(KELVIN_PER_THZ * np.sqrt(5 / 3 * (share @ frequencies[counted] ** 2) / share.sum()))


def equivalent_debye_temperatures(thermal: ThermalProperties) -> Float[ndarray, "temperatures"]:
    """Debye temperature with the same heat capacity at every temperature, K.

    NaN where the heat capacity is too small for a finite mesh of wave vectors, or too near its limit.
    """
    return np.array(
        [
            _equivalent(float(capacity) / thermal.heat_capacity_limit, float(temperature))
            for capacity, temperature in zip(thermal.heat_capacity, thermal.temperatures, strict=True)
        ]
    )


def debye_heat_capacity(reduced_temperature: float) -> float:
    """C_v/3Nk of a Debye solid at T/θ.

    >>> round(debye_heat_capacity(1.0), 4), round(debye_heat_capacity(0.01) / 0.01**3, 2)  # 4π⁴/5 T³/θ³
    (0.9517, 77.93)
    """
    upper = 1 / reduced_temperature
    integral = quad(_integrand, 0, min(upper, 200.0), epsabs=0, epsrel=1e-10, limit=200)[0]
    return 3 * integral / upper**3


def _integrand(x: float) -> float:
    """x⁴ eˣ/(eˣ − 1)²."""
    return x**2 if x < 1e-4 else (x**2 / (2 * np.sinh(x / 2))) ** 2


def _equivalent(share: float, temperature: float) -> float:
    low, high = TRUSTED_SHARE
    if not low < share < high or temperature <= 0:
        return float("nan")
    return temperature / brentq(lambda reduced: debye_heat_capacity(reduced) - share, 1e-3, 1e3, xtol=1e-12)
