"""What one direct network says of one crystal, in float64 and the units of the outside world."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mlrim.graph.crystal_scalars import SCALARS
from mlrim.graph.structure_graph import SiteOccupancy, build_structure_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.lattice.force_constants import PairForceConstants, with_self_blocks
from mlrim.lattice.neighbours import Pairs
from mlrim.models.direct import DirectModel
from mlrim.nn.dynamical import dynamical_matrices, eigenvalues
from mlrim.nn.spectrum_head import Spectrum
from mlrim.units import THZ_TO_CM1


@dataclass(frozen=True, eq=False)
class BinnedSpectrum:
    """A powder spectrum in bins of frequency.

    Attributes:
        shares: part of the intensity in every bin; they sum to one.
        intensity: of all bins: infrared km per mole of atoms, Raman in no unit.
    """

    shares: Float[ndarray, "bins"]
    intensity: float


@dataclass(frozen=True, eq=False)
class DirectAnswer:
    """The heads' answers; none of heads that the network does not have.

    Attributes:
        gamma: frequencies at Γ, three of them zero, cm⁻¹, ascending; imaginary ones negative.
        dynamics: virtual force constants: their frequencies mean something, their eigenvectors do not.
        states: density of states of every atom, three states in all.
        infrared, raman: powder spectra.
        scalars: see `mlrim.graph.crystal_scalars`.
        stability_logit: logarithm of the odds that no mode is imaginary, before calibration.
        latent: where the crystal is among others.
    """

    gamma: Float[ndarray, "modes"] | None
    dynamics: LatticeDynamics | None
    states: Float[ndarray, "atoms bins"] | None
    infrared: BinnedSpectrum | None
    raman: BinnedSpectrum | None
    scalars: dict[str, float] | None
    stability_logit: float | None
    latent: Float[ndarray, "channels"]


def answer_of(model: DirectModel, crystal: Crystal, occupancy: SiteOccupancy | None = None) -> DirectAnswer:
    """The answer of a network in `eval` mode, computed in the precision of its weights.

    Args:
        occupancy: what is on the sites; the crystal's own elements when not given.

    Raises:
        UserError: an element is none that networks know.
    """
    parameter = next(model.parameters())
    graph = build_structure_graph(crystal, model.cutoff, occupancy, parameter.dtype).to(parameter.device)
    with torch.no_grad():
        found = model(graph)
        gamma = dynamics = None
        if found.blocks is not None:
            (squares,) = eigenvalues(dynamical_matrices(found.blocks, graph), graph.masses)
            gamma = THZ_TO_CM1 * frequencies_from_eigenvalues(_array(squares[0]))
            pairs = Pairs(*(part.cpu().numpy() for part in (graph.receiver, graph.sender, graph.shift)))
            dynamics = virtual_dynamics(crystal, pairs, _array(found.blocks))
    scalars = found.scalars
    return DirectAnswer(
        gamma=gamma,
        dynamics=dynamics,
        states=None if found.states is None else _array(found.states),
        infrared=_spectrum(found.infrared),
        raman=_spectrum(found.raman),
        scalars=None if scalars is None else dict(zip(SCALARS, _array(scalars.values[0]).tolist(), strict=True)),
        stability_logit=None if scalars is None else float(scalars.stability_logit[0]),
        latent=_array(found.latent[0]),
    )


def virtual_dynamics(crystal: Crystal, pairs: Pairs, blocks: Float[ndarray, "pairs 3 3"]) -> LatticeDynamics:
    """D(q) of symmetric blocks on both directions of every pair, with the on-site blocks of the sum rule."""
    symmetric: PairForceConstants = with_self_blocks(pairs, blocks, crystal.n_atoms)
    return LatticeDynamics(crystal, symmetric, None)


def _spectrum(found: Spectrum | None) -> BinnedSpectrum | None:
    return None if found is None else BinnedSpectrum(_array(found.shares[0]), float(found.intensity[0]))


def _array(tensor: torch.Tensor) -> ndarray:
    return np.asarray(tensor.detach().cpu().double().numpy())
