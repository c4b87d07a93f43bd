"""What the response network reads: a crystal graph without pairs, the level of theory asked for, and a prior."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from mlrim.errors import UserError
from mlrim.graph.crystal_graph import CUTOFF, SYMPREC, CrystalGraph, batch, build_graph
from mlrim.graph.elements import covalent_radii
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants

THEORIES = ("pbesol", "pbe0", "pbe", "lda", "classical")
"""Levels of theory that are told apart."""
CLASSICAL = ("rigid ions", "shell model")
"""Names of classical models in records."""
N_PACKING = 2


class ResponseGraph(NamedTuple):
    """One crystal or a batch of them."""

    crystal: CrystalGraph
    theory: Int[Tensor, "graphs"]
    """Position in `THEORIES`."""
    packing: Float[Tensor, "graphs 2"]
    """ln of the volume per atom (Å³) and of the covalent spheres' share of it."""
    raman_prior: Float[Tensor, "sites 3 3 3"]
    """Raman tensors of the bond-polarisability model, Å², indices field, field, displacement."""

    def to(self, device: torch.device | str) -> "ResponseGraph":
        """The same graph on another device."""
        return ResponseGraph(self.crystal.to(device), *(tensor.to(device) for tensor in self[1:]))

    def double(self) -> "ResponseGraph":
        """The same graph in float64."""
        return ResponseGraph(self.crystal.double(), self.theory, self.packing.double(), self.raman_prior.double())


def theory_index(theory: str) -> int:
    """Position of the level of theory that a record names, in words, among those told apart.

    >>> theory_index("VASP PAW PBEsol"), theory_index("PBE0 TZVP CRYSTAL17"), theory_index("shell model, catlow")
    (0, 1, 4)

    Raises:
        UserError: none of them is named.
    """
    words = theory.lower()
    if any(name in words for name in CLASSICAL):
        return THEORIES.index("classical")
    for name in sorted(THEORIES, key=len, reverse=True):
        if name in words:
            return THEORIES.index(name)
    raise UserError(
        f"the level of theory '{theory}' names none of those that a response model knows: {', '.join(THEORIES)}"
    )


def build_response_graph(
    crystal: Crystal,
    baseline: PairForceConstants,
    charges: Float[ndarray, "atoms"],
    theory: int,
    raman_prior: Float[ndarray, "atoms 3 3 3"] | None = None,
    soap: Float[ndarray, "atoms 256"] | None = None,
    coordination: Float[ndarray, "atoms"] | None = None,
    cutoff: float = CUTOFF,
    symprec: float | None = SYMPREC,
    dtype: torch.dtype = torch.float32,
) -> ResponseGraph:
    """The graph of a primitive crystal; arguments as for `build_graph`.

    Args:
        theory: position in `THEORIES`.
        raman_prior: of the bond-polarisability model, Å²; zero when not given.
    """
    graph = build_graph(crystal, baseline, charges, None, soap, coordination, cutoff, symprec, dtype, with_pairs=False)
    spheres = 4 / 3 * np.pi * (covalent_radii(crystal.numbers) ** 3).sum()
    packing = np.log([crystal.volume / crystal.n_atoms, spheres / crystal.volume])
    made = ResponseGraph(
        graph,
        torch.tensor([theory]),
        torch.from_numpy(packing[None]).to(dtype),
        torch.zeros(len(graph.element), 3, 3, 3, dtype=dtype),
    )
    return made if raman_prior is None else with_raman_prior(made, raman_prior)


def with_raman_prior(graph: ResponseGraph, tensors: Float[ndarray, "atoms 3 3 3"]) -> ResponseGraph:
    """The graph of one crystal with other prior Raman tensors (Å²) of its atoms."""
    _, representative = np.unique(graph.crystal.atom_site.numpy(), return_index=True)
    chosen = torch.from_numpy(np.ascontiguousarray(tensors[representative]))
    return graph._replace(raman_prior=chosen.to(graph.raman_prior.dtype))


def batch_responses(graphs: Sequence[ResponseGraph]) -> ResponseGraph:
    """Join graphs into one."""
    return ResponseGraph(
        batch([graph.crystal for graph in graphs]),
        torch.cat([graph.theory for graph in graphs]),
        torch.cat([graph.packing for graph in graphs]),
        torch.cat([graph.raman_prior for graph in graphs]),
    )
