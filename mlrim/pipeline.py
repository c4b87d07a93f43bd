"""From a structure to its vibrations: the story that predict.py tells.

structure → response to electric fields → short-range force constants of a model → symmetry imposed → long-range part
added → modes, bands, density of states, thermal properties, spectra → a folder of files. Each structure has its own
folder, which appears complete or not at all; one structure that fails does not stop the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.directions import parse_directions
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.qpath import mesh_shape
from mlrim.lattice.supercell import Supercell, suggest_supercell_matrix
from mlrim.lattice.symmetry import SpaceGroup, space_group
from mlrim.potentials.settings import RelaxationSettings
from mlrim.predictors import CalibratedDelta, EnergyPredictor, Known, Predictor, require_energy
from mlrim.quality import assess
from mlrim.report.prediction import Prediction
from mlrim.responses import Response, ResponsePredictor, complete_response, informed
from mlrim.spectra.calculation import Basis, calculate_spectra
from mlrim.spectra.settings import SpectraSettings
from mlrim.structures import InputStructure
from mlrim.symmetrization import impose_symmetry
from mlrim.vibrations.density_of_states import density_of_states, mesh_modes
from mlrim.vibrations.dispersion import dispersion
from mlrim.vibrations.gamma import GammaModes, directional_modes, gamma_modes
from mlrim.vibrations.normal_modes import transverse_modes
from mlrim.vibrations.thermal import thermal_properties

MOST_TRANSITIONS = 5
"""Imaginary modes that are followed one after the other."""

Stage = Callable[[str], object]
"""Is told in words what is being calculated."""


def silently(stage: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Settings:
    """What is calculated, and how finely.

    Attributes:
        mesh: wave vectors along each reciprocal vector; chosen by `mesh_spacing` when not given.
        mesh_spacing: distance of wave vectors on the mesh, 1/Å without 2π.
        path_spacing: distance of wave vectors along the bands, 1/Å without 2π.
        temperatures: first, last and step, K.
        supercell: multiples of the primitive vectors for the phonopy files; chosen by `min_length` when not
            given.
        min_length: least thickness of that supercell, Å.
        max_atoms: most atoms of that supercell.
        relaxation: what is done to the structure, and about imaginary modes.
        spectra: settings of the spectra.
    """

    mesh: tuple[int, int, int] | None = None
    mesh_spacing: float = 0.02
    path_spacing: float = 0.005
    temperatures: tuple[float, float, float] = (0.0, 1000.0, 10.0)
    supercell: tuple[int, int, int] | None = None
    min_length: float = 10.0
    max_atoms: int = 400
    relaxation: RelaxationSettings = field(default_factory=RelaxationSettings)
    spectra: SpectraSettings = field(default_factory=SpectraSettings)


def predict_structure(
    structure: InputStructure,
    predictor: Predictor,
    settings: Settings,
    known: Known | None = None,
    response: ResponsePredictor | None = None,
    stage: Stage = silently,
) -> Prediction:
    """Predict everything about one structure.

    Args:
        stage: is told what is being calculated.
        known: Born charges, ε∞, Raman tensors and force constants from elsewhere; better than any prediction.
        response: model of Born charges, ε∞ and Raman tensors, for those that are not known.

    Raises:
        UserError: a relaxation or a policy for imaginary modes that the model does not support or that refuses.
    """
    structure = prepared(structure, predictor, settings.relaxation, stage)
    harmonic = harmonic_model(structure, predictor, known or Known(), response, stage)
    if settings.relaxation.imaginary != "warn":
        harmonic = stable_phase(harmonic, predictor, settings.relaxation, response, stage)
    structure = harmonic.structure
    prediction = observe(
        structure,
        harmonic.dynamics,
        harmonic.group,
        settings,
        harmonic.response,
        model=predictor.description,
        residuals=harmonic.residuals,
        warnings=[*structure.warnings, *harmonic.warnings],
        stage=stage,
    )
    return with_errors(prediction, harmonic, predictor, stage)


def with_errors(
    prediction: Prediction, harmonic: "HarmonicModel", predictor: Predictor, stage: Stage = silently
) -> Prediction:
    """The prediction with its errors, where the model's were measured."""
    if not isinstance(predictor, CalibratedDelta) or harmonic.latent is None:
        return prediction
    from mlrim.uncertainty.force_constants import prediction_errors
    from mlrim.uncertainty.training_domain import domain_warnings

    stage("errors")
    found = prediction_errors(
        predictor.uncertainty, harmonic.latent, harmonic.members, prediction.gamma, prediction.density_of_states
    )
    return replace(prediction, errors=found, warnings=[*prediction.warnings, *domain_warnings(found.domain)])


@dataclass(frozen=True, eq=False)
class HarmonicModel:
    """A structure and its lattice dynamics: all that observables are calculated from.

    Attributes:
        structure: with notes on how the dynamics were made.
        residuals: how far the raw force constants were from their symmetries, eV/Å².
        warnings: of the models.
        members: the dynamics of each of several networks, whose disagreement says how sure they are.
        latent: where the crystal is among those that the networks were trained on.
    """

    structure: InputStructure
    group: SpaceGroup
    dynamics: LatticeDynamics
    response: Response
    residuals: dict[str, float]
    warnings: list[str]
    members: list[LatticeDynamics] = field(default_factory=list)
    latent: Float[ndarray, "channels"] | None = None


def harmonic_model(
    structure: InputStructure,
    predictor: Predictor,
    known: Known,
    response: ResponsePredictor | None = None,
    stage: Stage = silently,
) -> HarmonicModel:
    """Force constants, Born charges and ε∞ of a structure, with its symmetry imposed."""
    crystal, group = structure.crystal, space_group(structure.crystal)
    stage("Born charges, ε∞ and Raman tensors")
    learned = None if response is None else response(crystal)
    known = informed(known, learned, response.description if response else "")
    stage("force constants")
    predicted = predictor(crystal, known)
    short_range, residuals = impose_symmetry(predicted.short_range, crystal, group)
    answer = complete_response(crystal, group, known, predicted.long_range, learned)
    dipole = dipole_interaction(crystal, answer)
    dynamics = LatticeDynamics(crystal, short_range, dipole)
    members = [LatticeDynamics(crystal, impose_symmetry(one, crystal, group)[0], dipole) for one in predicted.members]
    noted = structure._replace(notes=[*structure.notes, *predicted.notes])
    warnings = [*predicted.warnings, *answer.warnings]
    return HarmonicModel(noted, group, dynamics, answer, residuals, warnings, members, predicted.latent)


def prepared(
    structure: InputStructure, predictor: Predictor, settings: RelaxationSettings, stage: Stage = silently
) -> InputStructure:
    """The structure at rest, as far as that is asked for and the model has an energy.

    Raises:
        UserError: a relaxation or `imaginary: follow` is asked of a model without energy.
    """
    if settings.imaginary == "follow":
        require_energy(predictor, "imaginary=follow")
    if settings.relax not in (None, "none"):
        require_energy(predictor, f"relax={settings.relax}")
    if not isinstance(predictor, EnergyPredictor):
        return structure
    from mlrim.potentials.relaxation import at_rest

    stage("forces")
    return at_rest(structure, predictor, settings)


def stable_phase(
    harmonic: HarmonicModel,
    predictor: Predictor,
    settings: RelaxationSettings,
    response: ResponsePredictor | None,
    stage: Stage = silently,
) -> HarmonicModel:
    """The same if it is stable; else the phase that imaginary modes lead to, one after the other, if that is asked for.

    What was known of the structure belongs to it alone and is not used for the phases that follow.

    Raises:
        UserError: the structure is unstable and `imaginary: error`, or too many imaginary modes follow on each other.
    """
    from mlrim.potentials.instabilities import follow_structure, most_unstable, refuse_imaginary

    if settings.imaginary == "error":
        refuse_imaginary(harmonic.dynamics)
    for _ in range(MOST_TRANSITIONS):
        instability = most_unstable(harmonic.dynamics)
        if instability is None:
            return harmonic
        stage(f"following {instability.description}")
        structure = follow_structure(harmonic.structure, predictor, harmonic.dynamics, instability, settings)
        harmonic = harmonic_model(structure, predictor, Known(), response, stage)
    refuse_imaginary(harmonic.dynamics)
    return harmonic


def observe(
    structure: InputStructure,
    dynamics: LatticeDynamics,
    group: SpaceGroup,
    settings: Settings,
    response: Response,
    *,
    model: str,
    residuals: dict[str, float],
    warnings: Sequence[str] = (),
    stage: Stage = silently,
) -> Prediction:
    """All observables of known lattice dynamics and response."""
    crystal = dynamics.crystal
    supercell = choose_supercell(crystal, settings)
    stage("Γ modes")
    gamma = along_directions(gamma_modes(dynamics), dynamics, settings.spectra.directions)
    transverse = transverse_modes(dynamics, gamma)
    stage("density of states")
    mesh = mesh_modes(dynamics, settings.mesh or mesh_shape(crystal, settings.mesh_spacing))
    density = density_of_states(mesh)
    thermal = thermal_properties(mesh.frequencies, mesh.weights, temperature_grid(settings.temperatures))
    correction = None if response.born_charges is None else response.correction
    stage("spectra")
    basis = Basis(dynamics, group, gamma, transverse, response, mesh, density, thermal.temperatures)
    spectra = calculate_spectra(basis, settings.spectra)
    stage("bands")
    return Prediction(
        name=structure.name,
        source=str(structure.path),
        model=model,
        response=response,
        dynamics=dynamics,
        space_group=group,
        supercell=supercell,
        gamma=gamma,
        transverse=transverse,
        level=levels(gamma),
        dispersion=dispersion(dynamics, settings.path_spacing),
        mesh=mesh,
        density_of_states=density,
        thermal=thermal,
        quality=assess(dynamics, supercell, gamma, transverse, correction, residuals),
        infrared=spectra.infrared,
        raman=spectra.raman,
        neutrons=spectra.neutrons,
        displacements=spectra.displacements,
        absent=spectra.absent,
        notes=list(structure.notes),
        warnings=list(
            dict.fromkeys(
                [
                    *warnings,
                    *stability_warnings(thermal.imaginary_modes, thermal.imaginary_share),
                    *spectra.warnings,
                ]
            )
        ),
    )


def choose_supercell(crystal: Crystal, settings: Settings) -> Supercell:
    """The supercell that the phonopy files describe."""
    if settings.supercell is not None:
        return Supercell(crystal, np.diag(settings.supercell))
    return Supercell(crystal, suggest_supercell_matrix(crystal, settings.min_length, settings.max_atoms))


def dipole_interaction(crystal: Crystal, response: Response) -> DipoleInteraction | None:
    """The dipole interaction of the Born charges; none without any."""
    if response.born_charges is None or response.dielectric is None:
        return None
    return DipoleInteraction(crystal, response.born_charges, response.dielectric)


def along_directions(gamma: GammaModes, dynamics: LatticeDynamics, directions: str | None) -> GammaModes:
    """The Γ modes with the polar modes of further directions."""
    if dynamics.dipole is None:
        return gamma
    units = parse_directions(directions, gamma.action.axes)
    further = {label: directional_modes(dynamics, unit, gamma.modes) for label, unit in units.items()}
    return replace(gamma, directions=gamma.directions | units, directional=gamma.directional | further)


def levels(gamma: GammaModes) -> Int[ndarray, "modes"]:
    """For every optical mode, degenerate ones each by itself, the number of its frequency in `gamma.modes`."""
    optical = [(index, mode.degeneracy) for index, mode in enumerate(gamma.modes) if not mode.acoustic]
    return np.array([index for index, degeneracy in optical for _ in range(degeneracy)], dtype=np.int64)


def temperature_grid(temperatures: tuple[float, float, float]) -> Float[ndarray, "temperatures"]:
    """Temperatures from first to last (included), K; 298.15 K is always among them."""
    first, last, step = temperatures
    return np.unique(np.append(np.arange(first, last + step / 2, step), 298.15))


def stability_warnings(count: int, share: float) -> list[str]:
    """Says that modes are imaginary, where they are."""
    if count == 0:
        return []
    return [
        f"{count} modes on the mesh ({100 * share:.2g} % of all) are imaginary: the structure is not stable in this "
        "model; they are left out of the thermal properties"
    ]
