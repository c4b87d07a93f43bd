"""From atoms to crystals: averages that do not depend on how many primitive cells are taken."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def softmax_over_graphs(
    logits: Float[Tensor, "atoms"], atom_graph: Int[Tensor, "atoms"], n_graphs: int
) -> Float[Tensor, "atoms"]:
    """Positive weights that sum to one over the atoms of every graph."""
    top = logits.new_full((n_graphs,), -torch.inf).scatter_reduce(0, atom_graph, logits.detach(), "amax")
    weights = torch.exp(logits - top[atom_graph])
    return weights / sum_over_graphs(weights, atom_graph, n_graphs)[atom_graph]


def sum_over_graphs(
    values: Float[Tensor, "atoms *shape"], atom_graph: Int[Tensor, "atoms"], n_graphs: int
) -> Float[Tensor, "graphs *shape"]:
    """Sums over the atoms of every graph."""
    return values.new_zeros(n_graphs, *values.shape[1:]).index_add_(0, atom_graph, values)


def with_mean(
    scalars: Float[Tensor, "atoms scalars"], atom_graph: Int[Tensor, "atoms"], n_atoms: Int[Tensor, "graphs"]
) -> Float[Tensor, "atoms both"]:
    """The scalars of every atom beside their mean over its crystal."""
    mean = sum_over_graphs(scalars, atom_graph, len(n_atoms)) / n_atoms.to(scalars.dtype)[:, None]
    return torch.cat([scalars, mean.index_select(0, atom_graph)], -1)
