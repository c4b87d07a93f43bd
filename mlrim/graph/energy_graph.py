"""Crystals and molecules as the graph that energies read, with positions and cell that can be differentiated.

Every atom of the cell is there (no symmetry is used), and pairs carry the integer translation of their partner, never
a Cartesian one, so that derivatives with respect to strain are exact.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs


class EnergyGraph(NamedTuple):
    """One crystal or molecule, or a batch of them; indices count through the batch."""

    numbers: Int[Tensor, "atoms"]
    """Atomic numbers."""
    positions: Float[Tensor, "atoms 3"]
    """Å"""
    cell: Float[Tensor, "graphs 3 3"]
    """Lattice vectors as rows, Å; zero for molecules."""
    receiver: Int[Tensor, "edges"]
    """Ascending."""
    sender: Int[Tensor, "edges"]
    shift: Int[Tensor, "edges 3"]
    """Translation of the sender in units of the lattice vectors."""
    n_atoms: Int[Tensor, "graphs"]
    periodic: Bool[Tensor, "graphs"]
    counted: Bool[Tensor, "atoms"]
    """Whether the atom's energy is part of the graph's; atoms that only surround others are not counted."""

    @property
    def atom_graph(self) -> Int[Tensor, "atoms"]:
        """Graph that each atom belongs to."""
        graphs = torch.arange(len(self.n_atoms), device=self.n_atoms.device)
        return graphs.repeat_interleave(self.n_atoms, output_size=len(self.numbers))

    @property
    def first_atom(self) -> Int[Tensor, "graphs"]:
        """Index of the first atom of each graph."""
        return torch.cumsum(self.n_atoms, 0) - self.n_atoms

    def to(self, target: torch.device | str | torch.dtype) -> "EnergyGraph":
        """The same graph on another device, or with positions and cell in another precision."""
        if isinstance(target, torch.dtype):
            return self._replace(positions=self.positions.to(target), cell=self.cell.to(target))
        return type(self)(*(tensor.to(target, non_blocking=True) for tensor in self))


def periodic_graph(crystal: Crystal, cutoff: float, dtype: torch.dtype = torch.float64) -> EnergyGraph:
    """The graph of a crystal (or of a supercell as one) with all pairs closer than `cutoff` (Å)."""
    pairs = neighbour_pairs(crystal, cutoff)
    return _graph(crystal.numbers, crystal.positions, crystal.lattice, pairs.i, pairs.j, pairs.shifts, True, dtype)


def molecular_graph(
    numbers: Int[ndarray, "atoms"],
    positions: Float[ndarray, "atoms 3"],
    cutoff: float,
    dtype: torch.dtype = torch.float64,
) -> EnergyGraph:
    """The graph of a molecule in vacuum with all pairs closer than `cutoff` (Å)."""
    found = cKDTree(positions).query_pairs(cutoff, output_type="ndarray").reshape(-1, 2)
    pairs = np.concatenate([found, found[:, ::-1]])
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
    shifts = np.zeros((len(pairs), 3), dtype=np.int64)
    return _graph(numbers, positions, np.zeros((3, 3)), pairs[:, 0], pairs[:, 1], shifts, False, dtype)


def _graph(
    numbers: ndarray,
    positions: ndarray,
    cell: ndarray,
    receiver: ndarray,
    sender: ndarray,
    shift: ndarray,
    periodic: bool,
    dtype: torch.dtype,
) -> EnergyGraph:
    return EnergyGraph(
        numbers=torch.tensor(np.asarray(numbers), dtype=torch.int64),
        positions=torch.tensor(np.asarray(positions), dtype=dtype),
        cell=torch.tensor(cell, dtype=dtype)[None],
        receiver=torch.tensor(receiver, dtype=torch.int64),
        sender=torch.tensor(sender, dtype=torch.int64),
        shift=torch.tensor(shift, dtype=torch.int64),
        n_atoms=torch.tensor([len(numbers)]),
        periodic=torch.tensor([periodic]),
        counted=torch.ones(len(numbers), dtype=torch.bool),
    )


def batch_graphs(graphs: Sequence[EnergyGraph]) -> EnergyGraph:
    """Join graphs into one; no pair connects two of them."""
    sizes = [len(graph.numbers) for graph in graphs]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    moved = [
        graph._replace(receiver=graph.receiver + start, sender=graph.sender + start)
        for graph, start in zip(graphs, starts, strict=True)
    ]
    return EnergyGraph(*(torch.cat(parts) for parts in zip(*moved, strict=True)))


def edge_vectors(graph: EnergyGraph) -> Float[Tensor, "edges 3"]:
    """From the receiver to the sender, Å."""
    cells = graph.cell.index_select(0, graph.atom_graph[graph.receiver])
    translations = (graph.shift[:, :, None] * cells).sum(1)
    ends, starts = (graph.positions.index_select(0, atoms) for atoms in (graph.sender, graph.receiver))
    return ends + translations - starts


def sum_over_atoms(energies: Float[Tensor, "atoms"], graph: EnergyGraph) -> Float[Tensor, "graphs"]:
    """Energy of each graph: the sum over its counted atoms. What every energy ends with."""
    counted = energies * graph.counted.to(energies.dtype)
    return counted.new_zeros(len(graph.n_atoms)).index_add_(0, graph.atom_graph, counted)


def strained(graph: EnergyGraph, strain: Float[Tensor, "graphs 3 3"]) -> EnergyGraph:
    """Positions and cells x (1 + ε) with the symmetric part of a strain for each graph."""
    symmetric = (strain + strain.mT) / 2
    moved = (graph.positions[:, None, :] @ symmetric[graph.atom_graph])[:, 0]
    return graph._replace(positions=graph.positions + moved, cell=graph.cell + graph.cell @ symmetric)
