"""A trained response network applied to a crystal."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.graph.crystal_graph import CUTOFF, SYMPREC
from mlrim.graph.response_graph import THEORIES, ResponseGraph, build_response_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import (
    SpaceGroup,
    space_group,
    symmetrize_raman_tensors,
    symmetrize_site_tensors,
    symmetrize_tensor,
)
from mlrim.models.response import Response, ResponseModel, dielectric_tensor

if TYPE_CHECKING:
    from mlrim.checkpoint import LoadedModel

ALLOY_GAP = 0.1
"""Probability that a crystal of metallic elements only has a gap."""


@dataclass(frozen=True, eq=False)
class NetworkAnswer:
    """What a response network says of a crystal, float64.

    Attributes:
        born_charges: e; first index field, second displacement; neutral.
        dielectric: ε∞, symmetric with eigenvalues above one.
        raman_tensors: ∂α_ij/∂u_k as [atom, i, j, k], Å²; none where the network was not trained on them.
        insulator_probability: from 0 to 1.
        warnings: what to know.
    """

    born_charges: Float[ndarray, "atoms 3 3"]
    dielectric: Float[ndarray, "3 3"]
    raman_tensors: Float[ndarray, "atoms 3 3 3"] | None
    insulator_probability: float
    warnings: list[str] = field(default_factory=list)


def predict_response(loaded: "LoadedModel", crystal: Crystal, theory: str = "pbesol") -> NetworkAnswer:
    """Born charges, ε∞ and Raman tensors of a crystal.

    Args:
        loaded: a checkpoint of kind `response`.
        theory: level of theory that the network is asked for, one of those it was trained on.

    Raises:
        UserError: the level of theory is unknown to the network.
    """
    trained = [str(name) for name in loaded.metadata.get("theories", THEORIES)]
    if theory not in trained:
        raise UserError(f"the response model knows no '{theory}'; it was trained on {', '.join(trained)}")
    cutoff = float(loaded.metadata.get("cutoff", CUTOFF))
    return evaluate(loaded.model, crystal, theory, cutoff)  # type: ignore[arg-type]


def evaluate(
    model: ResponseModel,
    crystal: Crystal,
    theory: str,
    cutoff: float = CUTOFF,
    symprec: float | None = SYMPREC,
    dtype: torch.dtype = torch.float32,
) -> NetworkAnswer:
    """The answer of a network in `eval` mode; arguments as for `build_response_graph`."""
    graph, warnings = graph_of(crystal, theory, model.knows_raman, cutoff, symprec, dtype)
    device = next(model.parameters()).device
    with torch.no_grad():
        found = model(graph.to(device), raman=model.knows_raman)
    group = None if symprec is None else space_group(crystal, symprec)
    gap = ALLOY_GAP if all_metals(crystal.numbers) else 1.0
    return _answer(found, group, gap, warnings)


def graph_of(
    crystal: Crystal,
    theory: str,
    raman: bool,
    cutoff: float = CUTOFF,
    symprec: float | None = SYMPREC,
    dtype: torch.dtype = torch.float32,
) -> tuple[ResponseGraph, list[str]]:
    """A crystal as a response network reads it, and what to know about its charges.

    Args:
        raman: whether Raman tensors are wanted, which need a prior.
    """
    from mlrim.rim.bond_polarizability import bond_polarizability_tensors
    from mlrim.rim.charges import formal_charges, scaled_charges
    from mlrim.rim.rigid_ion import RigidIonModel
    from mlrim.rim.transfer import transferable_short_range

    formal = formal_charges(crystal)
    charges = scaled_charges(formal)
    prior = bond_polarizability_tensors(crystal) if raman else None
    short_range = transferable_short_range(crystal, charges)
    baseline = RigidIonModel(crystal, charges, *short_range).short_range_force_constants()
    graph = build_response_graph(
        crystal, baseline, charges, THEORIES.index(theory), prior, cutoff=cutoff, symprec=symprec, dtype=dtype
    )
    return graph, [formal.warning] if formal.warning else []


def response_latent(loaded: "LoadedModel", crystal: Crystal, theory: str) -> Float[ndarray, "channels"]:
    """Where a crystal is among others to a loaded response network."""
    graph, _ = graph_of(crystal, theory, False, float(loaded.metadata.get("cutoff", CUTOFF)))
    with torch.no_grad():
        return _array(loaded.model.latent(graph)[0])  # type: ignore[operator]


def all_metals(numbers: Int[ndarray, "atoms"]) -> bool:
    """Whether a crystal has metallic elements only, as elements and alloys have; databases of response lack them.

    >>> all_metals(np.array([13])), all_metals(np.array([12, 8]))
    (True, False)
    """
    from pymatgen.core import Element

    return all(Element.from_Z(int(number)).is_metal for number in np.unique(numbers))


def _answer(found: Response, group: SpaceGroup | None, gap: float, warnings: list[str]) -> NetworkAnswer:
    """The answer in float64, with the symmetry that single precision and symprec have blurred.

    Args:
        gap: probability of a gap before the network is asked.
    """
    born = _array(found.born_charges)
    dielectric = _array(dielectric_tensor(found.log_susceptibility.double()))[0]
    raman = None if found.raman_tensors is None else _array(found.raman_tensors)
    if group is not None:
        born, dielectric = symmetrize_site_tensors(born, group), symmetrize_tensor(dielectric, group)
        raman = None if raman is None else symmetrize_raman_tensors(raman, group)
    return NetworkAnswer(
        born - born.mean(axis=0),
        (dielectric + dielectric.T) / 2,
        None if raman is None else raman - raman.mean(axis=0),
        gap * float(torch.sigmoid(-found.metal_logit.double())[0]),
        warnings,
    )


def _array(tensor: torch.Tensor) -> ndarray:
    return tensor.cpu().double().numpy()
