"""Continuous-filter message passing on scalars, vectors and symmetric traceless matrices.

SchNet's idea (Schütt et al., J. Chem. Phys. 148, 241722, 2018) carried over to Cartesian tensors: learned functions
of an edge filter the neighbours' scalars, which are summed as they are, times the bond direction r̂ and times r̂r̂, and
filter the neighbours' vectors and matrices. Products of tensors are taken on sites, where they are cheap.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.neighbour_sums import DirectionalSum, sum_over_neighbours
from mlrim.nn.tensors import (
    bounded,
    matrix_product,
    matrix_times_vector,
    rotate_matrices,
    rotate_vectors,
    vector_product,
)


class Channels(NamedTuple):
    """Number of scalar, vector and matrix channels on a site."""

    scalars: int
    vectors: int
    matrices: int


class SiteState(NamedTuple):
    """What a network knows of every symmetry-inequivalent atom."""

    scalars: Float[Tensor, "sites scalars"]
    vectors: Float[Tensor, "sites 3 vectors"]
    matrices: Float[Tensor, "sites 3 3 matrices"]


class Environment(NamedTuple):
    """What every site sees, made once for all layers."""

    embedding: Float[Tensor, "edges features"]
    """Learned features of an edge, zero at the cut-off."""
    receiver: Int[Tensor, "edges"]
    sender: Int[Tensor, "edges"]
    sender_site: Int[Tensor, "edges"]
    atom_site: Int[Tensor, "atoms"] | None
    """None where every atom is a site of its own."""
    atom_rotation: Float[Tensor, "atoms 3 3"] | None
    along_bond: DirectionalSum
    """Y = r̂"""
    along_bond_twice: DirectionalSum
    """Y = r̂r̂ without trace"""
    along_baseline: DirectionalSum | None
    """Y = the baseline's block, symmetric and without trace; none for networks that read no baseline"""


def on_atoms(state: SiteState, atom_site: Tensor, rotation: Tensor) -> SiteState:
    """The state of all atoms, rotated from their sites."""
    return SiteState(
        state.scalars[atom_site],
        rotate_vectors(rotation, state.vectors[atom_site]),
        rotate_matrices(rotation, state.matrices[atom_site]),
    )


class Messages(nn.Module):
    """Filtered messages from neighbours; vectors and matrices come from several sources each.

    Args:
        channels: of a site.
        edge_features: size of an edge's embedding.
        tensors: whether the neighbours' own vectors and matrices are sent too (they are zero before the first layer).
        baseline: whether there are blocks of a baseline along which messages are summed.
    """

    def __init__(self, channels: Channels, edge_features: int, tensors: bool, baseline: bool = True) -> None:
        super().__init__()
        self.channels, self.tensors, self.baseline = channels, tensors, baseline
        self.widths = [channels.scalars, channels.vectors, channels.matrices]
        self.of_sender = nn.Linear(channels.scalars, sum(self.widths))
        extra = [channels.matrices] * baseline + ([channels.vectors, channels.matrices] if tensors else [])
        self.filters = nn.Linear(edge_features, sum(self.widths) + sum(extra), bias=False)
        self.splits = [sum(self.widths), *extra]

    def forward(self, state: SiteState, around: Environment) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Summed scalars, and the lists of summed vectors and matrices."""
        scalar_filter, *filters = self.filters(around.embedding).split(self.splits, 1)
        sent = self.of_sender(state.scalars).index_select(0, around.sender_site) * scalar_filter
        scalars, vectors, matrices = sent.split(self.widths, 1)
        n_sites = len(state.scalars)
        summed = sum_over_neighbours(scalars, around.receiver, n_sites)
        of_vectors = [around.along_bond(vectors)]
        of_matrices = [around.along_bond_twice(matrices)]
        if around.along_baseline is not None:
            of_matrices.append(around.along_baseline(filters.pop(0)))
        if self.tensors:
            atoms = _atoms_of(state, around)
            moved = (atoms.vectors, filters[0]), (atoms.matrices, filters[1])
            vector_sum, matrix_sum = (_filtered_sum(*part, around, n_sites) for part in moved)
            of_vectors.append(vector_sum)
            of_matrices.append(matrix_sum)
        return summed, of_vectors, of_matrices


def _atoms_of(state: SiteState, around: Environment) -> SiteState:
    if around.atom_site is None or around.atom_rotation is None:
        return state
    return on_atoms(state, around.atom_site, around.atom_rotation)


def _filtered_sum(tensors: Tensor, filters: Tensor, around: Environment, n_sites: int) -> Tensor:
    flat = tensors.reshape(len(tensors), -1, tensors.shape[-1]).index_select(0, around.sender)
    summed = sum_over_neighbours(flat * filters[:, None, :], around.receiver, n_sites)
    return summed.view(n_sites, *tensors.shape[1:])


class InteractionLayer(nn.Module):
    """Messages, then a gated update with products of tensors on every site.

    Args:
        channels: of a site.
        edge_features: size of an edge's embedding.
        hidden: width of the update's network.
        tensors: see `Messages`.
        neighbours: typical number of neighbours; sums are divided by its square root.
        dropout: probability of dropping a hidden unit of the update while training.
        baseline: see `Messages`.
    """

    def __init__(
        self,
        channels: Channels,
        edge_features: int,
        hidden: int,
        tensors: bool,
        neighbours: float,
        dropout: float = 0.0,
        baseline: bool = True,
    ) -> None:
        super().__init__()
        scalars, vectors, matrices = channels
        self.channels = channels
        self.scale = neighbours**-0.5
        self.messages = Messages(channels, edge_features, tensors, baseline)
        self.mix_vectors = nn.Linear((2 + tensors) * vectors, 2 * vectors + matrices, bias=False)
        self.mix_matrices = nn.Linear((2 + tensors + baseline) * matrices, 2 * matrices, bias=False)
        invariants = 2 * vectors + 3 * matrices
        self.norm = nn.LayerNorm(2 * scalars)
        self.update = nn.Sequential(
            nn.Linear(2 * scalars + invariants, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, scalars + 2 * vectors + 3 * matrices),
        )
        self.vector_product = nn.Linear(matrices, vectors, bias=False)

    def forward(self, state: SiteState, around: Environment) -> SiteState:
        """The state of the sites after one exchange with their neighbours."""
        summed, of_vectors, of_matrices = self.messages(state, around)
        vectors = bounded(torch.cat([state.vectors, *(part * self.scale for part in of_vectors)], -1))
        matrices = bounded(torch.cat([state.matrices, *(part * self.scale for part in of_matrices)], -1))
        n_vectors, n_matrices = self.channels.vectors, self.channels.matrices
        v, w, u = self.mix_vectors(vectors).split([n_vectors, n_vectors, n_matrices], -1)
        t, s = self.mix_matrices(matrices).split([n_matrices, n_matrices], -1)
        tu = matrix_times_vector(t, u)
        invariants = [(v * v).sum(1), (v * w).sum(1), (t * t).sum((1, 2)), (t * s).sum((1, 2)), (tu * u).sum(1)]
        scalars = self.norm(torch.cat([state.scalars, summed * self.scale], -1))
        change, *gates = self.update(torch.cat([scalars, *invariants], -1)).split(
            [self.channels.scalars, n_vectors, n_vectors, n_matrices, n_matrices, n_matrices], -1
        )
        keep_v, turn_v, keep_t, square_u, square_t = (gate[:, None] for gate in gates)
        new_vectors = keep_v * v + turn_v * self.vector_product(tu)
        new_matrices = (
            keep_t[:, None] * t + square_u[:, None] * vector_product(u, u) + square_t[:, None] * matrix_product(t, s)
        )
        return SiteState(state.scalars + change, state.vectors + new_vectors, state.matrices + new_matrices)
