"""A trained delta network applied to a crystal."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from mlrim.graph.crystal_graph import CUTOFF, SYMPREC, ResponseFeatures, build_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants, symmetrize_permutation, with_self_blocks
from mlrim.lattice.neighbours import Pairs

if TYPE_CHECKING:
    from mlrim.checkpoint import LoadedModel


def predict_delta(
    loaded: "LoadedModel",
    crystal: Crystal,
    baseline: PairForceConstants,
    response: ResponseFeatures | None = None,
    charges: Float[ndarray, "atoms"] | None = None,
) -> PairForceConstants:
    """The correction of a loaded checkpoint to a baseline's force constants, eV/Å²; see `predict_correction`."""
    cutoff = float(loaded.metadata.get("cutoff", CUTOFF))
    return predict_correction(loaded.model, crystal, baseline, response, charges, cutoff)


def delta_latent(
    loaded: "LoadedModel",
    crystal: Crystal,
    baseline: PairForceConstants,
    response: ResponseFeatures | None = None,
    charges: Float[ndarray, "atoms"] | None = None,
) -> Float[ndarray, "channels"]:
    """Where a crystal is among others to a loaded delta network; arguments as for `predict_correction`."""
    model, cutoff = loaded.model, float(loaded.metadata.get("cutoff", CUTOFF))
    chosen = _rigid_ion_charges(crystal) if charges is None else charges
    graph = build_graph(crystal, baseline, chosen, response, cutoff=cutoff, dtype=next(model.parameters()).dtype)
    with torch.no_grad():
        return np.asarray(model.pooled(graph)[0].cpu().double().numpy())  # type: ignore[operator]


def predict_correction(
    model: nn.Module,
    crystal: Crystal,
    baseline: PairForceConstants,
    response: ResponseFeatures | None = None,
    charges: Float[ndarray, "atoms"] | None = None,
    cutoff: float = CUTOFF,
    symprec: float | None = SYMPREC,
    dtype: torch.dtype = torch.float32,
) -> PairForceConstants:
    """ΔΦ on all pairs within the cut-off, on-site pairs included, eV/Å², float64.

    Permutation symmetry and the acoustic sum rule hold to float64 precision whatever the network computes in.

    Args:
        model: the network; in `eval` mode and of the given dtype.
        baseline: short-range force constants of the classical model.
        response: Born charges and ε∞ from first principles, where known (not those of the rigid ions).
        charges: rigid-ion charges, e; scaled formal charges when not given.
        cutoff: Å.
        symprec: tolerance (Å) of the symmetry that is imposed and saves work; none for no symmetry.
        dtype: the network's.
    """
    graph = build_graph(
        crystal,
        baseline,
        _rigid_ion_charges(crystal) if charges is None else charges,
        response,
        cutoff=cutoff,
        symprec=symprec,
        dtype=dtype,
    )
    device = next(model.parameters()).device
    with torch.no_grad():
        blocks = model(graph.to(device)).cpu().double().numpy()
    pairs = Pairs(*(part.numpy() for part in (graph.edge_i, graph.edge_j, graph.edge_shift)))
    symmetric = symmetrize_permutation(PairForceConstants(pairs, blocks))
    return with_self_blocks(symmetric.pairs, np.asarray(symmetric.blocks), crystal.n_atoms)


def _rigid_ion_charges(crystal: Crystal) -> Float[ndarray, "atoms"]:
    from mlrim.rim.charges import formal_charges, scaled_charges

    return scaled_charges(formal_charges(crystal))
