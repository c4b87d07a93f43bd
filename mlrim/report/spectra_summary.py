"""The sections of summary.json on response, spectra and thermal motion."""

from typing import Any

import numpy as np

from mlrim.report.prediction import Prediction
from mlrim.spectra.infrared import InfraredSpectra
from mlrim.spectra.raman import UNIT, RamanSpectra

SPECTRA_UNITS = {
    "raman_tensors": "Å² (∂α_ij/∂u_k; indices atom, i, j, k; α = V χ, Gaussian)",
    "quality": (
        "short_range_tail, largest_force_constant eV/Å²; tail_distance Å; born_correction e; lst_deviation, asymmetry "
        "relative; acoustic_residual_cm1 cm⁻¹"
    ),
    "ir_intensity_km_per_mol": "km per mole of primitive cells (napierian)",
    "mode_charge_e_per_sqrt_amu": "e/√amu",
    "oscillator_strength_e2_per_amu": "e²/amu",
    "raman_activity_a4_per_amu": "45a² + 7γ², Å⁴/amu",
    "static_dielectric": "dimensionless",
    "four_parameter_form": "TO and LO frequencies and widths (FWHM), cm⁻¹, along the axes",
    "reststrahlen_bands": "cm⁻¹, intervals of negative ε₁",
    "raman spectra": UNIT,
    "isotropic_displacements": "Å² (atoms in the order of the crystal)",
    "widths": "cm⁻¹, FWHM",
}


def spectra_sections(prediction: Prediction) -> dict[str, Any]:
    """The sections of what was calculated; grids are in the CSV files."""
    sections: dict[str, Any] = {"response": _response(prediction)}
    if prediction.infrared is not None:
        sections["infrared"] = _infrared(prediction.infrared)
    if prediction.raman is not None:
        sections["raman"] = _raman(prediction.raman)
    if prediction.neutrons is not None:
        neutrons = prediction.neutrons
        sections["neutrons"] = {
            "instrument": neutrons.instrument,
            "temperature": neutrons.temperature,
            "omitted_multiphonon_share": neutrons.inelastic.omitted,
            "spectrum": "neutrons.csv",
        }
    if prediction.displacements is not None:
        moved = prediction.displacements
        sections["displacements"] = {
            "temperatures": moved.temperatures,
            "isotropic_displacements": moved.isotropic,
            "omitted_share": moved.omitted_share,
            "imaginary_share": moved.imaginary_share,
        }
    return sections


def _response(prediction: Prediction) -> dict[str, Any]:
    response = prediction.response
    found = {
        "sources": response.sources,
        "born_charges": response.born_charges,
        "dielectric": response.dielectric,
        "raman_tensors": response.raman_tensors,
        "screened": response.screened,
        "largest_correction": response.correction,
        "insulator_probability": response.insulator_probability,
        "spread": response.spread or None,
        "errors": response.errors or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _infrared(infrared: InfraredSpectra) -> dict[str, Any]:
    return {
        "static_dielectric": infrared.static,
        "modes_left_out_cm1": infrared.oscillators.left_out,
        "axes": infrared.axes,
        "reststrahlen_bands": {axis: constants.reststrahlen_bands for axis, constants in infrared.constants.items()},
        "four_parameter_form": {
            axis: {
                "electronic": form.electronic,
                "to_cm1": form.transverse,
                "to_widths": form.transverse_widths,
                "lo_cm1": form.longitudinal,
                "lo_widths": form.longitudinal_widths,
            }
            for axis, form in infrared.factorised.items()
        },
        "widths": np.unique(infrared.widths),
        "pellet": infrared.pellet_label,
        "spectrum": "infrared.csv",
    }


def _raman(raman: RamanSpectra) -> dict[str, Any]:
    settings = raman.settings
    return {
        "laser_nm": settings.laser,
        "temperature": settings.temperature,
        "detector": settings.detector,
        "powder": settings.powder,
        "geometries": list(raman.geometries),
        "widths": np.unique(raman.widths),
        "spectrum": "raman.csv",
    }
