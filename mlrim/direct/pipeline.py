"""From a structure to its vibrations without force constants: the story that predict.py tells with a direct model.

structure, ordered or not → answers of the network or networks → errors calibrated, domain checked → levels, bands,
density of states, thermal properties, spectra. What a direct model cannot know is absent, and said to be absent.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.direct.answers import BinnedSpectrum, DirectAnswer
from mlrim.direct.predictor import DirectPredictor, spread
from mlrim.errors import UserError
from mlrim.graph.crystal_scalars import SCALAR_UNITS
from mlrim.graph.structure_graph import SiteOccupancy
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.qpath import mesh_shape, regular_mesh, standard_path
from mlrim.lattice.symmetry import space_group
from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.potentials.settings import RelaxationSettings
from mlrim.report.direct.prediction import IMAGINARY, DirectPrediction, DirectSpectrum, levels_of
from mlrim.structures import InputStructure
from mlrim.uncertainty.estimate import Estimate
from mlrim.uncertainty.training_domain import domain_warnings
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.density_of_states import DensityOfStates, density_of_frequencies
from mlrim.vibrations.dispersion import Dispersion
from mlrim.vibrations.group_velocities import group_velocities
from mlrim.vibrations.thermal import ThermalProperties, thermal_properties

if TYPE_CHECKING:
    from mlrim.pipeline import Settings
    from mlrim.uncertainty.calibrated import Errors

LARGE = 60
"""Cells with more atoms have bands of the first network alone, with the members' spread at Γ, and no velocities."""
SUBDIVISIONS = 16
"""Points that a bin of a density is divided into for thermal functions."""

ABSENT = {
    "eigenvectors": "the model is trained on frequencies alone; patterns of motion would not be those of the crystal",
    "irreps": "they belong to eigenvectors, which the model does not have",
    "lo_to_splitting": "frequencies are those without macroscopic field; there are no Born charges",
    "mode_intensities": "they need eigenvectors and derivatives of dipole and polarisability",
    "force_constants": "the model has virtual ones, which have its frequencies and no other meaning",
}
"""What no direct model gives, and why."""
HEADS = {
    "modes": ("modes", "dispersion"),
    "density": ("density_of_states", "thermal"),
    "spectra": ("infrared", "raman"),
    "scalars": ("scalars", "stability"),
}
"""What is missing without a head."""


def predict_direct(
    structure: InputStructure,
    predictor: DirectPredictor,
    settings: "Settings",
    occupancy: SiteOccupancy | None = None,
    stage: Callable[[str], object] = lambda what: None,
) -> DirectPrediction:
    """Predict everything that a direct model can say of one structure.

    Args:
        occupancy: what is on the sites; one element each when not given.
        stage: is told what is being calculated.

    Raises:
        UserError: an element is none that networks know, or something is asked for that needs an energy, or imaginary
            modes are refused and there are some.
    """
    require_no_energy(predictor, settings.relaxation)
    crystal = structure.crystal
    stage("network")
    answers = predictor.answers(crystal, occupancy)
    numbers = crystal.numbers if occupancy is None else occupancy.numbers
    errors = None if predictor.uncertainty is None else predictor.uncertainty.errors(latent_of(answers), numbers)
    found = {
        **(modes_of(predictor, crystal, answers, settings, errors, stage) if "modes" in predictor.heads else {}),
        **(density_of(predictor, crystal, occupancy, answers, settings, errors)),
        **(spectra_of(predictor, crystal, answers) if "spectra" in predictor.heads else {}),
        **(scalars_of(predictor, answers, errors) if "scalars" in predictor.heads else {}),
    }
    refuse_imaginary(structure, found, settings.relaxation)
    domain = None if errors is None else errors.domain
    return DirectPrediction(
        name=structure.name,
        source=str(structure.path),
        model=predictor.description,
        crystal=crystal,
        occupancy=occupancy,
        space_group=space_group(crystal),
        domain=domain,
        error_source=None if predictor.uncertainty is None else predictor.uncertainty.description,
        absent=ABSENT | missing_heads(predictor, found.get("density_of_states") is not None),
        notes=list(structure.notes),
        warnings=[*structure.warnings, *domain_warnings(domain), *stability_warnings(found)],
        **found,
    )


def require_no_energy(predictor: DirectPredictor, settings: RelaxationSettings) -> None:
    """Raise UserError for options that need an energy."""
    asked = [f"relax={settings.relax}"] if settings.relax not in (None, "none") else []
    asked += ["imaginary=follow"] if settings.imaginary == "follow" else []
    if asked:
        raise UserError(
            f"{' and '.join(asked)} needs a model with an energy, and {predictor.description} has none. Leave the "
            "option out, or give the checkpoint of a potential"
        )


def refuse_imaginary(structure: InputStructure, found: dict, settings: RelaxationSettings) -> None:
    """Raise UserError for imaginary modes where they are not wanted."""
    lowest = min((level.frequency_cm1 for level in found.get("levels") or []), default=0.0)
    if settings.imaginary == "error" and lowest < IMAGINARY:
        raise UserError(
            f"'{structure.name}' has imaginary modes at Γ, the lowest {lowest:.1f} cm⁻¹, and imaginary=error refuses "
            "them; imaginary=warn predicts it all the same"
        )


def modes_of(
    predictor: DirectPredictor,
    crystal: Crystal,
    answers: list[DirectAnswer],
    settings: "Settings",
    errors: "Errors | None",
    stage: Callable[[str], object],
) -> dict:
    """Levels at Γ and bands along the standard path."""
    gamma = np.array([answer.gamma for answer in answers])
    centre = predictor.centre(gamma)
    of_gamma = None if errors is None else errors.of("frequency", centre, spread(gamma))
    stage("bands")
    path = standard_path(crystal, settings.path_spacing)
    small = crystal.n_atoms <= LARGE
    used = answers if small else answers[:1]
    bands = np.array([answer.dynamics.frequencies(path.qpoints) for answer in used])  # type: ignore[union-attr]
    centre_bands, of_bands = predictor.centre(bands), None
    if errors is not None:
        spreads = THZ_TO_CM1 * spread(bands) if small else np.broadcast_to(spread(gamma), centre_bands.shape)
        of_bands = errors.of("frequency", THZ_TO_CM1 * centre_bands, spreads)
    return {
        "levels": levels_of(centre, of_gamma),
        "dispersion": Dispersion(path, centre_bands),
        "dispersion_error": None if of_bands is None else of_bands / THZ_TO_CM1,
        "velocities": group_velocities(answers[0].dynamics, path.qpoints) if small else None,  # type: ignore[arg-type]
    }


def density_of(
    predictor: DirectPredictor,
    crystal: Crystal,
    occupancy: SiteOccupancy | None,
    answers: list[DirectAnswer],
    settings: "Settings",
    errors: "Errors | None",
) -> dict:
    """Density of states and thermal functions, of the head for densities, else of the modes on a mesh."""
    from mlrim.pipeline import temperature_grid

    temperatures = temperature_grid(settings.temperatures)
    if "density" in predictor.heads:
        states = np.array([answer.states for answer in answers])
        grid, centre = predictor.density_grid, predictor.centre(states)
        shares = states.sum(axis=1) / (3 * crystal.n_atoms)
        error = None if errors is None else errors.of("density", predictor.centre(shares), spread(shares))
        return {
            "density_of_states": binned_density(centre, grid, crystal, occupancy),
            "density_error": None if error is None else 3 * crystal.n_atoms * error / _widths_thz(grid),
            "density_source": "learned density of states",
            "thermal": thermal_of_bins(centre.sum(axis=0), grid, temperatures),
        }
    if "modes" in predictor.heads:
        frequencies, weights = mesh_frequencies(predictor, crystal, answers, settings)
        return {
            "density_of_states": density_of_frequencies(frequencies, weights, {}),
            "density_source": "frequencies on a mesh of wave vectors",
            "thermal": thermal_properties(frequencies, weights, temperatures),
        }
    return {}


def mesh_frequencies(
    predictor: DirectPredictor, crystal: Crystal, answers: list[DirectAnswer], settings: "Settings"
) -> tuple[Float[ndarray, "qpoints modes"], Float[ndarray, "qpoints"]]:
    """Frequencies (THz) on a regular mesh and its weights; elements have no part in modes without eigenvectors."""
    qpoints, weights, *_ = regular_mesh(crystal, settings.mesh or mesh_shape(crystal, settings.mesh_spacing))
    frequencies = np.array([answer.dynamics.frequencies(qpoints) for answer in answers])  # type: ignore[union-attr]
    return predictor.centre(frequencies), weights


def binned_density(
    states: Float[ndarray, "atoms bins"], grid: FrequencyGrid, crystal: Crystal, occupancy: SiteOccupancy | None
) -> DensityOfStates:
    """States of atoms in bins as a density per THz; shared sites count for their elements by their shares."""
    from ase.data import chemical_symbols

    widths = _widths_thz(grid)
    projected: dict[str, ndarray] = {}
    parts = [(atom, number, 1.0) for atom, number in enumerate(crystal.numbers)]
    if occupancy is not None:
        parts = list(zip(occupancy.sites, occupancy.numbers, occupancy.shares, strict=True))
    for atom, number, share in parts:
        symbol = chemical_symbols[number]
        projected[symbol] = projected.get(symbol, np.zeros(len(widths))) + share * states[atom] / widths
    broadening = float(widths.min())
    return DensityOfStates(_array(grid.centres) / THZ_TO_CM1, states.sum(axis=0) / widths, projected, broadening)


def thermal_of_bins(
    states: Float[ndarray, "bins"], grid: FrequencyGrid, temperatures: Float[ndarray, "temperatures"]
) -> ThermalProperties:
    """Thermal properties of states in bins, spread evenly over each bin; over the first one as ω²."""
    edges, total = _array(grid.edges) / THZ_TO_CM1, float(states.sum())
    places = (np.arange(SUBDIVISIONS) + 0.5) / SUBDIVISIONS
    points = edges[:-1, None] + np.diff(edges)[:, None] * places
    weights = np.tile(states[:, None] / total / SUBDIVISIONS, (1, SUBDIVISIONS))
    weights[0] = states[0] / total * points[0] ** 2 / np.sum(points[0] ** 2)
    return thermal_properties(points.reshape(-1, 1), weights.ravel(), temperatures).per(1 / total)


def spectra_of(predictor: DirectPredictor, crystal: Crystal, answers: list[DirectAnswer]) -> dict:
    """Infrared and Raman powder spectra."""
    grid = predictor.spectrum_grid
    centres, widths = _array(grid.centres), _array(grid.widths)
    shares, intensity = averaged(predictor, [answer.infrared for answer in answers])
    total = intensity * crystal.n_atoms
    infrared = DirectSpectrum(centres, total * shares / widths, total, predictor.line_width)
    shares, _ = averaged(predictor, [answer.raman for answer in answers])
    density = shares / widths
    return {"infrared": infrared, "raman": DirectSpectrum(centres, density / density.max(), None, predictor.line_width)}


def averaged(predictor: DirectPredictor, spectra: list[BinnedSpectrum | None]) -> tuple[Float[ndarray, "bins"], float]:
    """Shares and intensity that are predicted."""
    shares = predictor.centre(np.array([spectrum.shares for spectrum in spectra]))  # type: ignore[union-attr]
    return shares, float(predictor.centre(np.array([spectrum.intensity for spectrum in spectra])))  # type: ignore[union-attr]


def scalars_of(predictor: DirectPredictor, answers: list[DirectAnswer], errors: "Errors | None") -> dict:
    """Single numbers with their errors, and the probability of stability."""
    estimates = {}
    for name, unit in SCALAR_UNITS.items():
        values = np.array([answer.scalars[name] for answer in answers])  # type: ignore[index]
        centre = predictor.centre(values)
        error = None if errors is None else errors.of(name, centre, spread(values))
        estimates[name] = Estimate(float(centre), None if error is None else float(error), unit)
    logit = float(predictor.centre(np.array([answer.stability_logit for answer in answers])))
    if predictor.uncertainty is not None:
        logit = predictor.uncertainty.stability.calibrated(logit)
    return {"scalars": estimates, "stability": float(1 / (1 + np.exp(-logit)))}


def latent_of(answers: list[DirectAnswer]) -> Float[ndarray, "channels"]:
    """Where a crystal is among others, by the first network."""
    return answers[0].latent


def missing_heads(predictor: DirectPredictor, has_density: bool) -> dict[str, str]:
    """What a model of fewer heads does not answer."""
    found = {
        name: f"the model has no head for {head}"
        for head, names in HEADS.items()
        if head not in predictor.heads
        for name in names
    }
    return {name: why for name, why in found.items() if not (has_density and name in HEADS["density"])}


def stability_warnings(found: dict) -> list[str]:
    """Says that a crystal may be unstable."""
    imaginary = sum(level.degeneracy for level in found.get("levels") or [] if level.frequency_cm1 < IMAGINARY)
    warnings = [f"{imaginary} modes at Γ are imaginary: the structure is not stable in this model"] if imaginary else []
    probability = found.get("stability")
    if probability is not None and probability < 0.5:
        warnings.append(
            f"the crystal is likely to have imaginary modes somewhere (probability of stability {probability:.2f})"
        )
    return warnings


def _widths_thz(grid: FrequencyGrid) -> Float[ndarray, "bins"]:
    return _array(grid.widths) / THZ_TO_CM1


def _array(tensor: object) -> ndarray:
    return np.asarray(tensor, dtype=float)
