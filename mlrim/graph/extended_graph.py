"""The extended graph of a crystal: its home cell and all that the energies of its atoms depend on, unrolled.

Images of an atom are atoms of their own here and can move independently, which is what a wave vector needs. Only the
energies of the home cell are counted, because only their surroundings are complete; the sum over all translations of
this energy is the energy of the crystal. The idea is phonax's (Fang et al., arXiv:2403.11347).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from mlrim.graph.energy_graph import EnergyGraph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import Pairs, neighbour_pairs


@dataclass(frozen=True, eq=False)
class ExtendedGraph:
    """A crystal without periodicity.

    Attributes:
        crystal: the home cell.
        graph: all atoms that the counted energies depend on; those of the home cell (or the one atom) first.
        origin: atom of the home cell that each is an image of.
        translation: and its lattice translation R, in units of the lattice vectors.
    """

    crystal: Crystal
    graph: EnergyGraph
    origin: Int[Tensor, "atoms"]
    translation: Int[Tensor, "atoms 3"]

    @property
    def fractional(self) -> Float[ndarray, "atoms 3"]:
        """Fractional coordinates of all atoms."""
        return self.crystal.fractional[self.origin.cpu().numpy()] + self.translation.cpu().numpy()

    def to(self, target: torch.device | str | torch.dtype) -> "ExtendedGraph":
        """The same on another device or in another precision."""
        if isinstance(target, torch.dtype):
            return ExtendedGraph(self.crystal, self.graph.to(target), self.origin, self.translation)
        return ExtendedGraph(self.crystal, self.graph.to(target), self.origin.to(target), self.translation.to(target))


def extended_graph(crystal: Crystal, cutoff: float, hops: int, dtype: torch.dtype = torch.float64) -> ExtendedGraph:
    """Unroll a crystal.

    Args:
        cutoff: of the pairs, Å.
        hops: how many pairs in a row lead to the farthest atom that an atom's energy depends on: the number of
            message-passing layers, 1 for pair and three-body potentials.
    """
    home = np.column_stack([np.arange(crystal.n_atoms), np.zeros((crystal.n_atoms, 3), dtype=np.int64)])
    return _unrolled(crystal, home, cutoff, hops, 0, dtype)


def atom_surroundings(
    crystal: Crystal, atom: int, cutoff: float, hops: int, dtype: torch.dtype = torch.float64
) -> ExtendedGraph:
    """All that the force on one atom depends on; the atom comes first.

    Energies within `hops` of the atom depend on it and are counted; these depend on atoms as far again.
    """
    return _unrolled(crystal, np.array([[atom, 0, 0, 0]]), cutoff, 2 * hops, hops, dtype)


def _unrolled(
    crystal: Crystal, start: Int[ndarray, "nodes 4"], cutoff: float, hops: int, counted_hops: int, dtype: torch.dtype
) -> ExtendedGraph:
    """All within some hops of the first atoms; energies are counted within fewer hops of them."""
    pairs = neighbour_pairs(crystal, cutoff)
    bound = (hops + 1) * int(np.abs(pairs.shifts).max(initial=1))
    atoms, frontier, n_counted = start, start, len(start)
    receivers, senders = [np.zeros((0, 4), np.int64)], [np.zeros((0, 4), np.int64)]
    for hop in range(hops):
        receiver, sender = _incoming(frontier, pairs)
        receivers.append(receiver)
        senders.append(sender)
        _, first = np.unique(_keys(sender, bound), return_index=True)
        frontier = sender[first]
        frontier = frontier[~np.isin(_keys(frontier, bound), _keys(atoms, bound))]
        atoms = np.concatenate([atoms, frontier])
        if hop < counted_hops:
            n_counted = len(atoms)
    receiver, sender = (_positions_in(np.concatenate(rows), atoms, bound) for rows in (receivers, senders))
    return _as_graph(crystal, atoms, receiver, sender, n_counted, dtype)


def _incoming(
    frontier: Int[ndarray, "nodes 4"], pairs: Pairs
) -> tuple[Int[ndarray, "edges 4"], Int[ndarray, "edges 4"]]:
    """All edges that end at some nodes (atom and translation): their receivers and their senders."""
    starts, ends = (np.searchsorted(pairs.i, frontier[:, 0], side=side) for side in ("left", "right"))
    counts = ends - starts
    receiver = np.repeat(frontier, counts, axis=0)
    within = np.arange(len(receiver)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.repeat(starts, counts) + within
    return receiver, np.column_stack([pairs.j[chosen], receiver[:, 1:] + pairs.shifts[chosen]])


def _keys(nodes: Int[ndarray, "nodes 4"], bound: int) -> Int[ndarray, "nodes"]:
    """One integer for each atom and translation."""
    base = 2 * bound + 1
    first, *digits = nodes.T
    for digit in digits:
        first = first * base + digit + bound
    return first


def _positions_in(rows: Int[ndarray, "edges 4"], atoms: Int[ndarray, "nodes 4"], bound: int) -> Int[ndarray, "edges"]:
    keys = _keys(atoms, bound)
    order = np.argsort(keys)
    return order[np.searchsorted(keys[order], _keys(rows, bound))]


def _as_graph(
    crystal: Crystal,
    atoms: Int[ndarray, "nodes 4"],
    receiver: Int[ndarray, "edges"],
    sender: Int[ndarray, "edges"],
    n_counted: int,
    dtype: torch.dtype,
) -> ExtendedGraph:
    origin, translation = atoms[:, 0], atoms[:, 1:]
    order = np.argsort(receiver, kind="stable")
    graph = EnergyGraph(
        numbers=torch.tensor(crystal.numbers[origin]),
        positions=torch.tensor(crystal.positions[origin] + translation @ crystal.lattice, dtype=dtype),
        cell=torch.zeros(1, 3, 3, dtype=dtype),
        receiver=torch.tensor(receiver[order]),
        sender=torch.tensor(sender[order]),
        shift=torch.zeros(len(receiver), 3, dtype=torch.int64),
        n_atoms=torch.tensor([len(atoms)]),
        periodic=torch.tensor([False]),
        counted=torch.arange(len(atoms)) < n_counted,
    )
    return ExtendedGraph(crystal, graph, torch.tensor(origin), torch.tensor(translation))
