"""From a structure to its vibrations: the story that predict.py tells.

structure → short-range force constants of a model → symmetry imposed → long-range part added → modes, bands,
density of states, thermal properties → a folder of files. Each structure has its own folder, which appears
complete or not at all; one structure that fails does not stop the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction, neutralize_born_charges
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.qpath import mesh_shape
from mlrim.lattice.supercell import Supercell, suggest_supercell_matrix
from mlrim.lattice.symmetry import SpaceGroup, space_group, symmetrize_site_tensors, symmetrize_tensor
from mlrim.predictors import Known, LongRange, Predictor
from mlrim.report.prediction import Prediction
from mlrim.structures import InputStructure
from mlrim.symmetrization import impose_symmetry
from mlrim.vibrations.density_of_states import density_of_states, mesh_modes
from mlrim.vibrations.dispersion import dispersion
from mlrim.vibrations.gamma import gamma_modes
from mlrim.vibrations.thermal import thermal_properties


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
    """

    mesh: tuple[int, int, int] | None = None
    mesh_spacing: float = 0.02
    path_spacing: float = 0.005
    temperatures: tuple[float, float, float] = (0.0, 1000.0, 10.0)
    supercell: tuple[int, int, int] | None = None
    min_length: float = 10.0
    max_atoms: int = 400


def predict_structure(
    structure: InputStructure, predictor: Predictor, settings: Settings, known: Known | None = None
) -> Prediction:
    """Predict everything about one structure.

    Args:
        known: Born charges, ε∞ and force constants from elsewhere; better than the predictor's own.
    """
    crystal, group = structure.crystal, space_group(structure.crystal)
    supercell = choose_supercell(crystal, settings)
    known = known or Known()
    predicted = predictor(crystal, known)
    short_range, residuals = impose_symmetry(predicted.short_range, crystal, group)
    long_range = known.long_range or predicted.long_range
    dipole, long_range_notes = long_range_interaction(crystal, group, long_range)
    dynamics = LatticeDynamics(crystal, short_range, dipole)
    return observe(
        structure,
        dynamics,
        group,
        supercell,
        settings,
        model=predictor.description,
        long_range=long_range.source if long_range else "none: no ionic charges",
        residuals=residuals,
        warnings=[*structure.warnings, *predicted.warnings, *long_range_notes],
    )


def observe(
    structure: InputStructure,
    dynamics: LatticeDynamics,
    group: SpaceGroup,
    supercell: Supercell,
    settings: Settings,
    *,
    model: str,
    long_range: str,
    residuals: dict[str, float],
    warnings: Sequence[str] = (),
) -> Prediction:
    """All observables of known lattice dynamics."""
    gamma = gamma_modes(dynamics)
    modes = mesh_modes(dynamics, settings.mesh or mesh_shape(dynamics.crystal, settings.mesh_spacing))
    thermal = thermal_properties(modes.frequencies, modes.weights, temperature_grid(settings.temperatures))
    return Prediction(
        name=structure.name,
        source=str(structure.path),
        model=model,
        long_range=long_range,
        dynamics=dynamics,
        space_group=group,
        supercell=supercell,
        gamma=gamma,
        dispersion=dispersion(dynamics, settings.path_spacing),
        mesh=modes,
        density_of_states=density_of_states(modes),
        thermal=thermal,
        residuals=residuals,
        notes=list(structure.notes),
        warnings=[*warnings, *stability_warnings(thermal.imaginary_modes, thermal.imaginary_share)],
    )


def choose_supercell(crystal: Crystal, settings: Settings) -> Supercell:
    """The supercell that the phonopy files describe."""
    if settings.supercell is not None:
        return Supercell(crystal, np.diag(settings.supercell))
    return Supercell(crystal, suggest_supercell_matrix(crystal, settings.min_length, settings.max_atoms))


def long_range_interaction(
    crystal: Crystal, group: SpaceGroup, long_range: LongRange | None
) -> tuple[DipoleInteraction | None, list[str]]:
    """The dipole interaction of Born charges made neutral and symmetric, and what a reader should know of them."""
    if long_range is None:
        return None, []
    born = symmetrize_site_tensors(long_range.born_charges, group)
    excess = float(np.abs(born.sum(axis=0)).max())
    notes = []
    if excess > 0.1:
        notes.append(f"Born charges summed to {excess:.2f} e per cell before they were made neutral")
    dielectric = symmetrize_tensor(long_range.dielectric, group)
    if np.linalg.eigvalsh(dielectric).min() <= 0:
        raise UserError(f"ε∞ from {long_range.source} is not positive definite: {dielectric.tolist()}")
    return DipoleInteraction(crystal, neutralize_born_charges(born), dielectric), notes


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
