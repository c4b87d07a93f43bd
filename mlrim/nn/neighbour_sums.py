"""Sums over neighbours, as sparse matrix products.

Σ_e Y(e) m(e) over the edges of a site, for a fixed tensor Y of the bond direction and learned scalar channels m, is
one product of a sparse matrix with the messages. The tensor-valued messages themselves, 3 or 9 times as large, never
exist.
"""

import warnings
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

with warnings.catch_warnings():  # torch says once that sparse rows are in beta state
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], size=(1, 1), check_invariants=False)


class DirectionalSum:
    """Σ_e Y(e) ⊗ m(e) over the edges of every site.

    Args:
        tensors: Y, one tensor of fixed components for each edge; no gradient flows into it.
        receiver: site of every edge, ascending.
        n_sites: number of sites.
    """

    def __init__(self, tensors: Float[Tensor, "edges *shape"], receiver: Int[Tensor, "edges"], n_sites: int) -> None:
        self.shape = tensors.shape[1:]
        self.n_sites = n_sites
        flat = tensors.detach().reshape(len(tensors), -1)
        self.matrix, self.transposed = _sparse_matrices(flat, receiver, n_sites)

    def __call__(self, messages: Float[Tensor, "edges channels"]) -> Float[Tensor, "sites *shape channels"]:
        """The sums for scalar messages."""
        summed = _SparseProduct.apply(messages, self.matrix, self.transposed)
        return summed.view(self.n_sites, *self.shape, messages.shape[1])


class _SparseMatrix(NamedTuple):
    row_starts: Tensor
    columns: Tensor
    values: Tensor
    shape: tuple[int, int]

    def multiply(self, dense: Tensor) -> Tensor:
        matrix = torch.sparse_csr_tensor(
            self.row_starts, self.columns, self.values, size=self.shape, check_invariants=False
        )
        return matrix @ dense.contiguous()


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: _SparseMatrix, transposed: _SparseMatrix) -> Tensor:
        ctx.transposed = transposed
        return matrix.multiply(dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed.multiply(gradients[0]), None, None


def _sparse_matrices(
    tensors: Float[Tensor, "edges components"], receiver: Int[Tensor, "edges"], n_sites: int
) -> tuple[_SparseMatrix, _SparseMatrix]:
    """The matrix from edges to (site, component), and its transpose, in compressed rows."""
    n_edges, size = tensors.shape
    counts = torch.bincount(receiver, minlength=n_sites)
    starts = torch.cumsum(counts, 0) - counts
    row_counts = counts.repeat_interleave(size)
    row_ends = torch.cumsum(row_counts, 0)
    rows = torch.arange(n_sites * size, device=tensors.device).repeat_interleave(row_counts)
    within = torch.arange(n_edges * size, device=tensors.device) - (row_ends - row_counts)[rows]
    columns = starts[rows // size] + within
    shape = (n_sites * size, n_edges)
    zero = row_ends.new_zeros(1)
    forward = _SparseMatrix(torch.cat([zero, row_ends]), columns, tensors[columns, rows % size], shape)
    components = torch.arange(size, device=tensors.device)
    backward = _SparseMatrix(
        torch.arange(n_edges + 1, device=tensors.device) * size,
        (receiver[:, None] * size + components).reshape(-1),
        tensors.reshape(-1),
        shape[::-1],
    )
    return forward, backward


def sum_over_neighbours(
    values: Float[Tensor, "edges *shape"], receiver: Int[Tensor, "edges"], n_receivers: int
) -> Float[Tensor, "receivers *shape"]:
    """Sum of the values of the edges that end at each receiver."""
    return values.new_zeros(n_receivers, *values.shape[1:]).index_add_(0, receiver, values)
