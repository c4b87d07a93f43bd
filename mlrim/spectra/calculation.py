"""All spectra of a crystal whose modes and response are known; what cannot be calculated is left out with a reason."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.responses import Response
from mlrim.spectra.infrared import InfraredSpectra, infrared_spectra
from mlrim.spectra.neutrons import NeutronSpectra, displacement_temperatures, neutron_spectra
from mlrim.spectra.raman import RamanSpectra, raman_spectra
from mlrim.spectra.settings import SpectraSettings
from mlrim.vibrations.density_of_states import DensityOfStates, MeshModes, refined_at_gamma
from mlrim.vibrations.displacements import Displacements, mean_square_displacements
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.permittivity import SOFTEST

Result = TypeVar("Result")


class Basis(NamedTuple):
    """What spectra are calculated from."""

    dynamics: LatticeDynamics
    group: SpaceGroup
    gamma: GammaModes
    transverse: NormalModes
    response: Response
    mesh: MeshModes
    density: DensityOfStates
    temperatures: Float[ndarray, "temperatures"]


@dataclass(frozen=True, eq=False)
class Spectra:
    """The spectra of a crystal.

    Attributes:
        absent: why one of the others is missing, by name.
        warnings: what a reader has to know of them.
    """

    infrared: InfraredSpectra | None
    raman: RamanSpectra | None
    neutrons: NeutronSpectra | None
    displacements: Displacements | None
    absent: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def calculate_spectra(basis: Basis, settings: SpectraSettings) -> Spectra:
    """All spectra that the response and the modes allow.

    Raises:
        UserError: a setting does not fit the crystal.
    """
    absent: dict[str, str] = {}
    warnings: list[str] = []
    crystal, refined = basis.dynamics.crystal, refined_at_gamma(basis.dynamics, basis.mesh)
    chosen = displacement_temperatures(basis.temperatures)
    infrared = raman = None
    missing = missing_infrared(basis)
    if missing:
        absent["infrared"] = missing
    else:
        infrared = infrared_spectra(
            basis.dynamics, basis.gamma, basis.transverse, basis.response, basis.group.crystal_system, settings
        )
        warnings += infrared.warnings
    missing = missing_raman(basis)
    if missing:
        absent["raman"] = missing
    else:
        raman = raman_spectra(basis.dynamics, basis.gamma, basis.transverse, basis.response, settings)
        warnings += raman.warnings
    neutrons = unless_impossible(
        "neutrons",
        lambda: neutron_spectra(basis.dynamics, basis.group, basis.density, refined, settings.neutrons),
        absent,
    )
    displacements = mean_square_displacements(refined, crystal, basis.group, chosen)
    return Spectra(infrared, raman, neutrons, displacements, absent, warnings)


def missing_infrared(basis: Basis) -> str:
    """Why there is no infrared spectrum; nothing when there is one."""
    born = basis.response.born_charges
    if born is None:
        return "no Born charges are known: the atoms are not ions, and no response model was asked (response=…)"
    if np.abs(born).max() < 1e-6:
        return "symmetry forbids Born charges: no mode has a dipole"
    if not any(mode.irrep.infrared and not mode.acoustic for mode in basis.gamma.modes):
        return "no optical mode is infrared-active by symmetry"
    return missing_modes(basis.transverse)


def missing_raman(basis: Basis) -> str:
    """Why there is no Raman spectrum; nothing when there is one."""
    if basis.response.raman_tensors is None:
        return "no Raman tensors are known"
    if not any(mode.irrep.raman and not mode.acoustic for mode in basis.gamma.modes):
        return "no optical mode is Raman-active by symmetry"
    return missing_modes(basis.transverse)


def missing_modes(transverse: NormalModes) -> str:
    """Says that there is no mode to be seen, where there is none."""
    if np.any(transverse.frequencies > SOFTEST):
        return ""
    return "all optical modes are imaginary: the structure is not stable in this model"


def unless_impossible(name: str, calculate: Callable[[], Result], absent: dict[str, str]) -> Result | None:
    """A result, or none with the reason noted under its name."""
    try:
        return calculate()
    except UserError as error:
        absent[name] = str(error)
        return None
