"""How far predicted vibrations of one compound are from the reference: pure functions, defined in docs/protocol.md."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import wasserstein_distance

from mlrim.evaluation.commensurate import CommensurateDynamics, CommensurateFrequencies
from mlrim.units import KELVIN_PER_THZ, THZ_TO_CM1
from mlrim.vibrations.thermal import thermal_properties

TEMPERATURE = 300.0
"""K, for entropy, free energy and heat capacity."""
IMAGINARY = -0.05
"""THz; a crystal with a frequency below this is unstable."""

UNITS = {
    "gamma_optical_mae": "cm⁻¹",
    "mesh_mae": "cm⁻¹",
    "omega_max_error": "K",
    "omega_avg_error": "K",
    "entropy_error": "J/K/mol",
    "free_energy_error": "kJ/mol",
    "heat_capacity_error": "J/K/mol",
    "dos_wasserstein": "cm⁻¹",
    "matrix_norm": "1",
    "loto_error": "cm⁻¹",
}
"""Unit of every metric; mol means mole of primitive cells."""

FLAGS = ("reference_imaginary", "predicted_imaginary")


Frequencies = CommensurateDynamics | CommensurateFrequencies


def compare(predicted: Frequencies, reference: CommensurateDynamics) -> dict[str, float]:
    """Every metric of one compound; those that do not apply (no optical modes, no Born charges) are absent.

    Of a model that has frequencies alone, those of force constants are absent.
    """
    whole = predicted if isinstance(predicted, CommensurateDynamics) else None
    thermal = thermal_differences(predicted, reference)
    values = {
        "gamma_optical_mae": gamma_optical_mae(predicted, reference),
        "mesh_mae": mesh_mae(predicted, reference),
        "omega_max_error": abs(predicted.frequencies.max() - reference.frequencies.max()) * KELVIN_PER_THZ,
        "omega_avg_error": abs(mean_frequency(predicted) - mean_frequency(reference)) * KELVIN_PER_THZ,
        "entropy_error": thermal[0],
        "free_energy_error": thermal[1],
        "heat_capacity_error": thermal[2],
        "dos_wasserstein": dos_distance(predicted, reference),
        "matrix_norm": None if whole is None else matrix_norm(whole, reference),
        "loto_error": None if whole is None else loto_error(whole, reference),
        "reference_imaginary": float(reference.frequencies.min() < IMAGINARY),
        "predicted_imaginary": float(predicted.frequencies.min() < IMAGINARY),
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def gamma_optical_mae(predicted: Frequencies, reference: CommensurateDynamics) -> float | None:
    """Mean absolute difference of the sorted, signed optical frequencies at Γ, without the macroscopic field, cm⁻¹."""
    if len(reference.optical_frequencies) == 0:
        return None
    difference = predicted.optical_frequencies - reference.optical_frequencies
    return float(np.abs(difference).mean()) * THZ_TO_CM1


def mesh_mae(predicted: Frequencies, reference: CommensurateDynamics) -> float:
    """Mean absolute difference of the sorted, signed frequencies over all commensurate wave vectors, cm⁻¹."""
    difference = np.abs(predicted.frequencies - reference.frequencies).mean(axis=1)
    return float(reference.weights @ difference) * THZ_TO_CM1


def mean_frequency(dynamics: Frequencies) -> float:
    """Mean of all signed frequencies over the commensurate wave vectors, THz."""
    return float(dynamics.weights @ dynamics.frequencies.mean(axis=1))


def thermal_differences(predicted: Frequencies, reference: CommensurateDynamics) -> tuple[float, float, float]:
    """|ΔS| (J/K/mol), |ΔF| (kJ/mol) and |ΔC_v| (J/K/mol) at 300 K per mole of primitive cells."""
    first, second = (
        thermal_properties(one.frequencies, one.weights, np.array([TEMPERATURE])) for one in (predicted, reference)
    )
    return (
        abs(float(first.entropy[0] - second.entropy[0])),
        abs(float(first.free_energy[0] - second.free_energy[0])),
        abs(float(first.heat_capacity[0] - second.heat_capacity[0])),
    )


def dos_distance(predicted: Frequencies, reference: CommensurateDynamics) -> float:
    """Wasserstein (earth mover's) distance of the two normalised densities of states, cm⁻¹."""
    weights = np.repeat(reference.weights, reference.frequencies.shape[1])
    distance = wasserstein_distance(predicted.frequencies.ravel(), reference.frequencies.ravel(), weights, weights)
    return float(distance) * THZ_TO_CM1


def matrix_norm(predicted: CommensurateDynamics, reference: CommensurateDynamics) -> float:
    """‖D − D_ref‖ / ‖D_ref‖ over all commensurate wave vectors (Frobenius norm)."""
    difference = reference.weights @ np.sum(np.abs(predicted.matrices - reference.matrices) ** 2, axis=(1, 2))
    total = reference.weights @ np.sum(np.abs(reference.matrices) ** 2, axis=(1, 2))
    return float(np.sqrt(difference / total))


def loto_error(predicted: CommensurateDynamics, reference: CommensurateDynamics) -> float | None:
    """Error of the total LO–TO splitting, averaged over the Cartesian axes, cm⁻¹."""
    first, second = splittings(predicted), splittings(reference)
    if first is None or second is None:
        return None
    return float(np.abs(first - second).mean()) * THZ_TO_CM1


def splittings(dynamics: CommensurateDynamics) -> Float[ndarray, "directions"] | None:
    """Σ_m [ω_m(q → 0 along x, y, z) − ω_m(Γ)] over sorted modes, THz: ω_LO − ω_TO summed over all polar modes."""
    if dynamics.directional_frequencies is None:
        return None
    return np.sum(dynamics.directional_frequencies - dynamics.frequencies[0], axis=1)
