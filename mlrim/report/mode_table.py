"""The Γ table: every frequency with its symmetry, its infrared and Raman intensities and the elements that move."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.report.prediction import Prediction
from mlrim.units import OSCILLATOR_STRENGTH_TO_KM_PER_MOL, THZ_TO_CM1, THZ_TO_MEV
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.raman import RamanInvariants, raman_invariants


def mode_columns(prediction: Prediction) -> dict[str, Sequence]:
    """One row for every frequency at Γ without macroscopic field; a degenerate one has the sum over its modes.

    Cells of quantities that a mode does not have (acoustic modes, silent modes) are none.
    """
    columns = modes_columns(prediction.gamma)
    if prediction.errors is not None:
        columns["frequency_error_cm1"] = prediction.errors.frequencies
    return columns | infrared_columns(prediction) | raman_columns(prediction) | participation_columns(prediction)


def modes_columns(gamma: GammaModes) -> dict[str, Sequence]:
    """Frequency and symmetry of every row."""
    modes = gamma.modes
    return {
        "mode": list(range(1, len(modes) + 1)),
        "frequency_thz": [mode.frequency_thz for mode in modes],
        "frequency_cm1": [mode.frequency_cm1 for mode in modes],
        "frequency_mev": [mode.frequency_cm1 / THZ_TO_CM1 * THZ_TO_MEV for mode in modes],
        "degeneracy": [mode.degeneracy for mode in modes],
        "irrep": [mode.irrep.symbol for mode in modes],
        "kind": [mode.kind for mode in modes],
        "polarization": polarizations(gamma),
        "activity": [mode.activity for mode in modes],
    }


def infrared_columns(prediction: Prediction) -> dict[str, Sequence]:
    """Infrared intensity, mode effective charge, oscillator strength and width of every row; nothing without ions."""
    if prediction.infrared is None:
        return {}
    squares = by_level(prediction, np.sum(prediction.infrared.modes.charges**2, axis=1))
    widths = by_level(prediction, prediction.infrared.widths)
    return {
        "ir_intensity_km_per_mol": optical_only(prediction, squares * OSCILLATOR_STRENGTH_TO_KM_PER_MOL),
        "mode_charge_e_per_sqrt_amu": optical_only(prediction, np.sqrt(squares)),
        "oscillator_strength_e2_per_amu": optical_only(prediction, squares),
        "ir_fwhm_cm1": optical_only(prediction, widths / degeneracies(prediction)),
    }


def raman_columns(prediction: Prediction) -> dict[str, Sequence]:
    """Raman activity, its parallel and crossed parts and the depolarisation ratio of every row."""
    if prediction.raman is None:
        return {}
    invariants = level_invariants(prediction)
    return {
        "raman_activity_a4_per_amu": optical_only(prediction, invariants.activity),
        "raman_parallel_a4_per_amu": optical_only(prediction, invariants.parallel),
        "raman_crossed_a4_per_amu": optical_only(prediction, invariants.crossed),
        "depolarization_ratio": [
            value if mode.irrep.raman and not mode.acoustic and np.isfinite(value) else None
            for mode, value in zip(prediction.gamma.modes, invariants.depolarization_ratio.tolist(), strict=True)
        ],
    }


def level_invariants(prediction: Prediction) -> RamanInvariants:
    """Rotational invariants of every row, summed over degenerate modes, Å⁴/amu."""
    assert prediction.raman is not None
    single = raman_invariants(prediction.raman.tensors)
    return RamanInvariants(*(by_level(prediction, values) for values in single))


def participation_columns(prediction: Prediction) -> dict[str, Sequence]:
    """Share of every element in every row; the shares of a row add up to one."""
    symbols = np.array(prediction.dynamics.crystal.symbols)
    columns: dict[str, Sequence] = {}
    for element in dict.fromkeys(symbols.tolist()):
        chosen = np.repeat(symbols == element, 3)
        columns[f"participation_{element}"] = [
            float(np.sum(mode.eigenvectors[chosen] ** 2) / mode.degeneracy) for mode in prediction.gamma.modes
        ]
    return columns


def by_level(prediction: Prediction, values: Float[ndarray, "modes"]) -> Float[ndarray, "rows"]:
    """Values of single optical modes, summed over the modes of every row; acoustic rows get zero."""
    return np.bincount(prediction.level, values, minlength=len(prediction.gamma.modes))


def degeneracies(prediction: Prediction) -> Float[ndarray, "rows"]:
    """Number of modes of every row."""
    return np.array([mode.degeneracy for mode in prediction.gamma.modes], dtype=float)


def optical_only(prediction: Prediction, values: Float[ndarray, "rows"]) -> list[float | None]:
    """The values of optical rows, none for acoustic ones."""
    return [None if mode.acoustic else float(value) for mode, value in zip(prediction.gamma.modes, values, strict=True)]


def directional_columns(gamma: GammaModes) -> dict[str, Sequence]:
    """One row for every polar optical mode along every direction of approach to Γ."""
    rows = [(label, mode) for label, modes in gamma.directional.items() for mode in modes]
    return {
        "direction": [label for label, _ in rows],
        "frequency_thz": [mode.frequency_thz for _, mode in rows],
        "frequency_cm1": [mode.frequency_cm1 for _, mode in rows],
        "polarization": [mode.polarization for _, mode in rows],
        "irrep": [mode.symbol for _, mode in rows],
        "irrep_share": [mode.share for _, mode in rows],
        "nearest_mode": [mode.partner + 1 for _, mode in rows],
        "nearest_mode_cm1": [gamma.modes[mode.partner].frequency_cm1 for _, mode in rows],
    }


def polarizations(gamma: GammaModes) -> list[str]:
    """`TO` for polar optical modes (they have no macroscopic field here), nothing for others."""
    polar = [mode.irrep.infrared and not mode.acoustic for mode in gamma.modes]
    return ["TO" if flag and gamma.directional else "" for flag in polar]
