"""Dynamical matrices of a batch of crystals from blocks on their pairs, at any wave vectors, and their eigenvalues.

Crystals of one size are treated together, so that no matrix is padded. Matrices are Hermitian and three modes at Γ are
exactly zero by construction: blocks are symmetric and the same for both directions of a pair, Φ_ij(R) = Φ_ji(−R)ᵀ, and
the on-site blocks are minus their sum. (Were blocks not symmetric themselves, these sums would not be either, and the
sum rule would contradict permutation symmetry.)
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlrim.graph.structure_graph import StructureGraph


class SameSize(NamedTuple):
    """The crystals of a batch that have the same number of atoms."""

    graphs: Int[Tensor, "members"]
    """Their places in the batch."""
    atoms: Int[Tensor, "members atoms"]
    """Their atoms."""
    matrices: Float[Tensor, "members qpoints size size"] | Complex[Tensor, "members qpoints size size"]
    """Mass-weighted, eV/Å²/amu; in the convention exp(iq·R) with lattice vectors R."""


def both_directions(
    blocks: Float[Tensor, "half 3 3"], graph: StructureGraph, half: Int[Tensor, "half"]
) -> Float[Tensor, "edges 3 3"]:
    """The symmetric parts of the blocks of one direction of each pair, as the blocks of both directions."""
    symmetric = (blocks + blocks.transpose(1, 2)) / 2
    everywhere = blocks.new_zeros(len(graph.receiver), 3, 3).index_copy(0, half, symmetric)
    return everywhere.index_copy(0, graph.reverse.index_select(0, half), symmetric)


def one_direction(graph: StructureGraph) -> Int[Tensor, "half"]:
    """One edge of each pair of opposite edges."""
    edges = torch.arange(len(graph.reverse), device=graph.reverse.device)
    return torch.nonzero(edges < graph.reverse)[:, 0]


def dynamical_matrices(
    blocks: Float[Tensor, "edges 3 3"],
    graph: StructureGraph,
    qpoints: Float[Tensor, "graphs qpoints 3"] | None = None,
) -> list[SameSize]:
    """D(q) of every crystal, grouped by size.

    Args:
        blocks: force constants on the edges, eV/Å²; of both directions.
        qpoints: in reciprocal lattice vectors; none for Γ alone, where matrices are real.
    """
    atom_graph = graph.atom_graph
    edge_graph = atom_graph.index_select(0, graph.receiver)
    on_site = blocks.new_zeros(len(graph.masses), 3, 3).index_add(0, graph.receiver, -blocks)
    on_site = on_site / graph.masses[:, None, None]
    root = torch.rsqrt(graph.masses)
    weights = root.index_select(0, graph.receiver) * root.index_select(0, graph.sender)
    weighted = blocks * weights[:, None, None]
    local = torch.arange(len(atom_graph), device=atom_graph.device) - graph.first_atom[atom_graph]
    offsets = torch.cumsum(graph.n_atoms**2, 0) - graph.n_atoms**2
    size = graph.n_atoms.index_select(0, atom_graph)
    row = offsets.index_select(0, atom_graph) + local * size
    slot = row.index_select(0, graph.receiver) + local.index_select(0, graph.sender)
    empty = blocks.new_zeros(int((graph.n_atoms**2).sum()), 3, 3)
    diagonal = empty.index_add(0, row + local, on_site)
    if qpoints is None:
        return _by_size(diagonal.index_add(0, slot, weighted)[:, None], graph, offsets)
    waves = []
    for wave in qpoints.unbind(1):
        phase = 2 * math.pi * (graph.shift.to(wave.dtype) * wave.index_select(0, edge_graph)).sum(-1)
        real = diagonal.index_add(0, slot, weighted * phase.cos()[:, None, None])
        imaginary = empty.index_add(0, slot, weighted * phase.sin()[:, None, None])
        waves.append(torch.complex(real, imaginary))
    return _by_size(torch.stack(waves, 1), graph, offsets)


def _by_size(
    blocks: Float[Tensor, "slots qpoints 3 3"] | Complex[Tensor, "slots qpoints 3 3"],
    graph: StructureGraph,
    offsets: Int[Tensor, "graphs"],
) -> list[SameSize]:
    groups = []
    counting = torch.arange(int(graph.n_atoms.max()) ** 2, device=offsets.device)
    for size in torch.unique(graph.n_atoms).tolist():
        members = torch.nonzero(graph.n_atoms == size)[:, 0]
        atoms = graph.first_atom.index_select(0, members)[:, None] + counting[:size]
        slots = offsets.index_select(0, members)[:, None] + counting[: size**2]
        chosen = blocks.index_select(0, slots.reshape(-1)).view(len(members), size, size, -1, 3, 3)
        matrices = chosen.permute(0, 3, 1, 4, 2, 5).reshape(len(members), -1, 3 * size, 3 * size)
        groups.append(SameSize(members, atoms, matrices))
    return groups


def eigenvalues(groups: list[SameSize], masses: Float[Tensor, "atoms"] | None = None) -> list[Float[Tensor, "_ _"]]:
    """ω² of every crystal of the batch (qpoints, modes), ascending, eV/Å²/amu.

    Gradients of eigenvalues need no differences of eigenvalues, so that degenerate ones are safe.

    Args:
        masses: of the batch's atoms, amu; with them all matrices must be those of Γ, and the translations' eigenvalues
            are zero without rounding.
    """
    answer: dict[int, Tensor] = {}
    for group in groups:
        values = torch.linalg.eigvalsh(group.matrices) if masses is None else _at_gamma(group, masses)
        answer |= dict(zip(group.graphs.tolist(), values.unbind(0), strict=True))
    return [answer[index] for index in range(len(answer))]


def _at_gamma(group: SameSize, masses: Float[Tensor, "atoms"]) -> Float[Tensor, "members qpoints modes"]:
    """Eigenvalues in the space of vectors without translation, with three zeros put in order among them."""
    size = group.matrices.shape[-1]
    roots = masses.index_select(0, group.atoms.reshape(-1)).view(len(group.atoms), -1).sqrt()
    translations = torch.einsum("ga,xy->gaxy", roots, torch.eye(3, dtype=roots.dtype, device=roots.device))
    basis = torch.linalg.qr(translations.reshape(len(roots), size, 3), mode="complete").Q[:, None, :, 3:]
    others = torch.linalg.eigvalsh(basis.mT @ group.matrices @ basis)
    return torch.cat([others, others.new_zeros(*others.shape[:2], 3)], -1).sort(-1).values
