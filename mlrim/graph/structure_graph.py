"""A structure as the direct networks read it: what is on every site, and the vectors to its neighbours.

Nothing but the structure is needed: no symmetry search, no classical model, so that a graph takes about a millisecond.
A site may hold several elements with their shares (virtual crystal); its mass is then their average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from mlrim.graph.elements import all_covalent_radii, element_indices
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors, reverse_index


class StructureGraph(NamedTuple):
    """One structure or a batch of them; indices count through the batch."""

    element: Int[Tensor, "constituents"]
    """Index of every constituent among the elements of `mlrim.graph.elements`."""
    share: Float[Tensor, "constituents"]
    """Of its site; the shares of a site sum to one."""
    constituent_atom: Int[Tensor, "constituents"]
    """Ascending."""
    masses: Float[Tensor, "atoms"]
    """Averaged over the constituents, amu."""
    radii: Float[Tensor, "atoms"]
    """Covalent radii averaged over the constituents, Å."""
    receiver: Int[Tensor, "edges"]
    """Ascending."""
    sender: Int[Tensor, "edges"]
    reverse: Int[Tensor, "edges"]
    """The same pair in the opposite direction."""
    vector: Float[Tensor, "edges 3"]
    """From the receiver to the sender, Å."""
    shift: Int[Tensor, "edges 3"]
    """Translation of the sender in units of the lattice vectors."""
    volume: Float[Tensor, "graphs"]
    """Of the cell, Å³."""
    n_atoms: Int[Tensor, "graphs"]

    @property
    def atom_graph(self) -> Int[Tensor, "atoms"]:
        """Structure that each atom belongs to."""
        graphs = torch.arange(len(self.n_atoms), device=self.n_atoms.device)
        return graphs.repeat_interleave(self.n_atoms, output_size=len(self.masses))

    @property
    def first_atom(self) -> Int[Tensor, "graphs"]:
        """Index of the first atom of each structure."""
        return torch.cumsum(self.n_atoms, 0) - self.n_atoms

    def to(self, target: torch.device | str | torch.dtype) -> "StructureGraph":
        """The same graph on another device, or in another precision."""
        if isinstance(target, torch.dtype):
            return StructureGraph(*(part.to(target) if part.is_floating_point() else part for part in self))
        return StructureGraph(*(part.to(target, non_blocking=True) for part in self))


@dataclass(frozen=True, eq=False)
class SiteOccupancy:
    """What is on the sites of a crystal, when it is not one element each.

    Attributes:
        numbers: atomic number of every constituent.
        shares: of its site; those of a site sum to one.
        sites: atom of the crystal that each constituent is on, ascending.
    """

    numbers: Int[ndarray, "constituents"]
    shares: Float[ndarray, "constituents"]
    sites: Int[ndarray, "constituents"]

    @property
    def parts(self) -> tuple[ndarray, ndarray, ndarray]:
        """Numbers, shares and sites."""
        return self.numbers, self.shares, self.sites


def full_occupancy(crystal: Crystal) -> SiteOccupancy:
    """One element on every site."""
    return SiteOccupancy(crystal.numbers, np.ones(crystal.n_atoms), np.arange(crystal.n_atoms))


def build_structure_graph(
    crystal: Crystal, cutoff: float, occupancy: SiteOccupancy | None = None, dtype: torch.dtype = torch.float32
) -> StructureGraph:
    """The graph of a crystal with all pairs closer than `cutoff` (Å).

    Args:
        occupancy: what is on the sites; the crystal's own elements when not given. The masses are the crystal's.

    Raises:
        UserError: an element is none that networks know.
    """
    occupancy = occupancy or full_occupancy(crystal)
    element = element_indices(occupancy.numbers)
    radii = np.bincount(occupancy.sites, occupancy.shares * all_covalent_radii()[element], crystal.n_atoms)
    pairs = neighbour_pairs(crystal, cutoff)
    return StructureGraph(
        element=torch.from_numpy(element),
        share=torch.tensor(occupancy.shares, dtype=dtype),
        constituent_atom=torch.tensor(occupancy.sites, dtype=torch.int64),
        masses=torch.tensor(crystal.masses, dtype=dtype),
        radii=torch.tensor(radii, dtype=dtype),
        receiver=torch.from_numpy(pairs.i),
        sender=torch.from_numpy(pairs.j),
        reverse=torch.from_numpy(reverse_index(pairs)),
        vector=torch.tensor(pair_vectors(crystal, pairs), dtype=dtype),
        shift=torch.from_numpy(pairs.shifts),
        volume=torch.tensor([crystal.volume], dtype=dtype),
        n_atoms=torch.tensor([crystal.n_atoms]),
    )


def batch_structures(graphs: Sequence[StructureGraph]) -> StructureGraph:
    """Join graphs into one; no pair connects two of them."""
    atoms = _starts([len(graph.masses) for graph in graphs])
    edges = _starts([len(graph.receiver) for graph in graphs])
    moved = [
        graph._replace(
            constituent_atom=graph.constituent_atom + atom,
            receiver=graph.receiver + atom,
            sender=graph.sender + atom,
            reverse=graph.reverse + edge,
        )
        for graph, atom, edge in zip(graphs, atoms, edges, strict=True)
    ]
    return StructureGraph(*(torch.cat(parts) for parts in zip(*moved, strict=True)))


def _starts(lengths: list[int]) -> list[int]:
    return np.cumsum([0, *lengths[:-1]]).tolist()
