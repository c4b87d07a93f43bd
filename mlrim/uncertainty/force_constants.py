"""Errors of what follows from force constants: frequencies at Γ, density of states, thermal functions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from datamodules.direct_labels import density_of_dynamics
from mlrim.direct.predictor import spread
from mlrim.graph.crystal_scalars import SCALAR_UNITS, SCALARS
from mlrim.graph.frequency_bins import DENSITY_BINS
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.uncertainty.calibrated import Errors, Uncertainty
from mlrim.uncertainty.estimate import Estimate
from mlrim.uncertainty.kinds import MESH_SPACING, optical_frequencies
from mlrim.uncertainty.training_domain import Domain
from mlrim.units import THZ_TO_CM1

if TYPE_CHECKING:
    from mlrim.vibrations.density_of_states import DensityOfStates
    from mlrim.vibrations.gamma import GammaModes


@dataclass(frozen=True, eq=False)
class PredictionErrors:
    """Standard errors (68 %) of a prediction from force constants.

    Attributes:
        frequencies: of every row of the Γ table, cm⁻¹; none for acoustic modes.
        density: of the total density of states on its grid, states per THz; none where it is not known.
        scalars: single numbers with their errors.
        domain: how far the crystal is from what was trained on.
        source: what the errors are, in words.
    """

    frequencies: list[float | None]
    density: Float[ndarray, "grid"] | None
    scalars: dict[str, Estimate]
    domain: Domain
    source: str


def prediction_errors(
    uncertainty: Uncertainty,
    latent: Float[ndarray, "channels"],
    members: list[LatticeDynamics],
    gamma: "GammaModes",
    density: "DensityOfStates",
) -> PredictionErrors:
    """The errors of a prediction.

    Args:
        latent: where the crystal is among others.
        members: lattice dynamics of every network, with the long-range part of the prediction.
        gamma: the predicted modes.
        density: the predicted density of states.
    """
    crystal = members[0].crystal
    errors = uncertainty.errors(latent, crystal.numbers)
    densities = [density_of_dynamics(member, DENSITY_BINS, MESH_SPACING) for member in members]
    scalars = np.array([one.scalars for one in densities])
    centre = scalars[0] if uncertainty.method == "laplace" else scalars.mean(axis=0)
    estimates = (
        {name: estimate(errors, name, float(centre[k]), scalars[:, k]) for k, name in enumerate(SCALARS)}
        if np.isfinite(scalars).all()
        else {}
    )
    shares = np.array([one.states.sum(axis=0) / (3 * crystal.n_atoms) for one in densities])
    return PredictionErrors(
        frequencies=level_errors(errors, gamma, np.array([optical_frequencies(member) for member in members])),
        density=density_errors(errors, shares, density, 3 * crystal.n_atoms),
        scalars=estimates,
        domain=errors.domain,
        source=uncertainty.description,
    )


def estimate(errors: Errors, name: str, value: float, members: Float[ndarray, "members"]) -> Estimate:
    """A single number with its error."""
    error = errors.of(name, np.array(value), spread(members))
    return Estimate(value, None if error is None else float(error), SCALAR_UNITS[name])


def level_errors(errors: Errors, gamma: "GammaModes", members: Float[ndarray, "members optical"]) -> list[float | None]:
    """Of every row of the Γ table; modes correspond in the order of their frequencies."""
    spreads, place = spread(members), 0
    found: list[float | None] = []
    for mode in gamma.modes:
        if mode.acoustic:
            found.append(None)
            continue
        rows = slice(place, place + mode.degeneracy)
        error = errors.of("frequency", np.array(mode.frequency_cm1), np.asarray(spreads[rows].mean()))
        found.append(None if error is None else float(error))
        place += mode.degeneracy
    return found


def density_errors(
    errors: Errors, shares: Float[ndarray, "members bins"], density: "DensityOfStates", states: int
) -> Float[ndarray, "grid"] | None:
    """On the grid of a density of states, from errors in bins."""
    if not np.isfinite(shares).all():
        return None
    found = errors.of("density", np.asarray(shares.mean(axis=0)), spread(shares))
    if found is None:
        return None
    edges = DENSITY_BINS.edges / THZ_TO_CM1
    return np.interp(density.frequencies, (edges[1:] + edges[:-1]) / 2, states * found / np.diff(edges))
