"""Convolutions with tensor products of irreducible representations, for energies of NequIP's type.

Features of atoms are (atoms, components, channels): the components of a list of irreducible representations (e3nn's
`Irreps`, each once), and as many channels of all of them. A convolution is (Batzner et al., Nat. Commun. 13, 2453
(2022), eq. 9)

    Σ_neighbours Σ_paths W_path R(r) [Y(r̂) ⊗ x(neighbour)]

with radial functions R, spherical harmonics Y and e3nn's Wigner symbols in ⊗. As ⊗ and W are linear they are taken on
atoms, after the sum over neighbours; the sum is one product of matrices, (R Y)ᵀ x, for each atom. Edges so have few
numbers and few operations, and all of these are products, whose derivatives of any order are products too.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from e3nn.o3 import Irrep, Irreps, spherical_harmonics, wigner_3j
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

SPARE, SPARE_PLACES = 0.15, 256
"""Share of the places for neighbours that may be empty, and a number of empty ones that is too small to matter."""


def spherical_irreps(degree: int) -> Irreps:
    """Those of the spherical harmonics up to a degree: 0e + 1o + 2e …"""
    return Irreps([(1, (order, (-1) ** order)) for order in range(degree + 1)])


def layer_irreps(layers: int, degree: int, pseudo: bool) -> list[Irreps]:
    """Features before the first layer, between layers and after the last: what can be made and is of use later.

    Before the first layer there are only scalars, and after the last one only scalars are of use.

    Args:
        pseudo: whether pseudoscalars, pseudovectors and the like (0o, 1e, 2o) are allowed.

    >>> [str(irreps) for irreps in layer_irreps(3, 2, pseudo=True)]
    ['1x0e', '1x0e+1x1o+1x2e', '1x0e+1x1o+1x2e', '1x0e']
    >>> str(layer_irreps(4, 2, pseudo=True)[2])
    '1x0e+1x1o+1x1e+1x2o+1x2e'
    """
    harmonics = [irrep for _, irrep in spherical_irreps(degree)]
    allowed = {Irrep(irrep.l, parity) for irrep in harmonics for parity in (1, -1) if pseudo or parity == irrep.p}

    def reached(start: set[Irrep]) -> set[Irrep]:
        return start | ({product for one in start for other in harmonics for product in one * other} & allowed)

    sets = [{Irrep("0e")}]
    for _ in range(layers):
        sets.append(reached(sets[-1]))
    kept = [made & useful for made, useful in zip(sets, reversed(sets), strict=True)]
    return [Irreps([(1, irrep) for irrep in sorted(irreps)]) for irreps in kept]


def constant(values: Float[ndarray, "..."], dtype: torch.dtype, device: torch.device) -> Float[Tensor, "..."]:
    """Exact numbers in the precision of a calculation; to be kept, wherever they are first asked for."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


@cache
def _harmonics_step(order: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "components products"]:
    """The matrix from products of Y_(order − 1) and r̂ to Y_order."""
    coupling = wigner_3j(order - 1, 1, order, dtype=torch.float64).numpy()
    sample = torch.tensor([0.48, 0.6, 0.64], dtype=torch.float64)
    before, expected = (spherical_harmonics(some, sample, False, "component").numpy() for some in (order - 1, order))
    made = np.einsum("i,j,ijk->k", before, sample.numpy(), coupling)
    return constant(coupling.reshape(-1, 2 * order + 1).T * (made @ expected) / (made @ made), dtype, device)


def harmonics_of(directions: Float[Tensor, "3 edges"], degree: int) -> Float[Tensor, "components edges"]:
    """Real spherical harmonics up to a degree: e3nn's order, and its normalisation "component".

    Each degree is made from the one before and the direction, which must have length one, so that all derivatives are
    those of products.
    """
    orders = [torch.ones_like(directions[:1]), math.sqrt(3) * directions]
    for order in range(2, degree + 1):
        products = (orders[-1][:, None] * directions).flatten(0, 1)
        orders.append(_harmonics_step(order, directions.dtype, directions.device) @ products)
    return torch.cat(orders[: degree + 1])


class NeighbourTable(NamedTuple):
    """The edges of a graph as tables, one for each group of atoms with about as many neighbours."""

    edge: Int[Tensor, "places"]
    """Edge in every place of all tables; the number of edges where a place is empty."""
    receiver: Int[Tensor, "places"]
    sender: Int[Tensor, "places"]
    """Any atom where a place is empty."""
    atoms: Int[Tensor, "rows"]
    """Atom of every row of all tables; those without neighbours have none."""
    shapes: list[tuple[int, int]]
    """Rows (atoms) and columns (neighbours) of every table."""


def neighbour_table(receiver: Int[Tensor, "edges"], sender: Int[Tensor, "edges"], n_atoms: int) -> NeighbourTable:
    """Arrange edges, whose receivers must ascend, in tables with few empty places."""
    counts = torch.bincount(receiver, minlength=n_atoms)
    order = torch.argsort(counts, descending=True, stable=True)
    shapes = table_shapes(counts[order].cpu().numpy())
    atoms = order[: sum(rows for rows, _ in shapes)]
    columns = torch.cat([counts.new_full((rows,), width) for rows, width in shapes] or [counts[:0]])
    rows = torch.arange(len(atoms), device=order.device).repeat_interleave(columns)
    place = torch.arange(len(rows), device=order.device) - (torch.cumsum(columns, 0) - columns)[rows]
    first = torch.cumsum(counts, 0) - counts
    edge = torch.where(place < counts[atoms][rows], first[atoms][rows] + place, len(receiver))
    return NeighbourTable(edge, atoms[rows], torch.cat([sender, sender.new_zeros(1)])[edge], atoms, shapes)


def table_shapes(counts: Int[ndarray, "atoms"]) -> list[tuple[int, int]]:
    """Rows and columns of the tables for atoms with descending numbers of neighbours.

    >>> table_shapes(np.array([900, 880, 800, 100, 100, 0]))
    [(3, 900), (2, 100)]
    """
    values, repeats = np.unique(counts[counts > 0], return_counts=True)
    shapes: list[tuple[int, int]] = []
    empty = 0
    for value, repeat in zip(values[::-1].tolist(), repeats[::-1].tolist(), strict=True):
        rows, columns = shapes[-1] if shapes else (0, value)
        empty += repeat * (columns - value)
        if shapes and empty <= max(SPARE_PLACES, SPARE * columns * (rows + repeat)):
            shapes[-1] = (rows + repeat, columns)
        else:
            shapes.append((repeat, value))
            empty = 0
    return shapes


@cache
def coupling_paths(before: str, after: str, degree: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each irrep of the result the pairs (irrep of the features, order of the harmonics) that couple to it."""
    return tuple(
        tuple(
            (index, order)
            for index, (_, feature) in enumerate(Irreps(before))
            for order in range(degree + 1)
            if result in feature * Irrep(order, (-1) ** order)
        )
        for _, result in Irreps(after)
    )


@cache
def coupling_matrix(
    before: str, after: str, degree: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "results products"]:
    """From all products of harmonics and features to the results of all paths: by irrep, then component, then path.

    The results have variance one if the features and the harmonics have.
    """
    features, slices = Irreps(before), spherical_irreps(degree).slices()
    blocks = []
    for (_, result), paths in zip(Irreps(after), coupling_paths(before, after, degree), strict=True):
        block = np.zeros((result.dim, len(paths), slices[-1].stop, features.dim))
        for number, (index, order) in enumerate(paths):
            symbols = wigner_3j(order, features[index].ir.l, result.l, dtype=torch.float64).numpy()
            block[:, number, slices[order], features.slices()[index]] = symbols.transpose(2, 0, 1) * result.dim**0.5
        blocks.append(block.reshape(result.dim * len(paths), -1))
    return constant(np.concatenate(blocks), dtype, device)


class Convolution(nn.Module):
    """Sums over neighbours of tensor products of their features with spherical harmonics, and mixtures of all paths.

    Args:
        before: irreps of the features.
        after: irreps of the result.
        degree: of the spherical harmonics.
        channels: of the features.
        radial: number of radial functions of each order.
        widths: number of channels of each irrep of the result.
    """

    def __init__(
        self, before: Irreps, after: Irreps, degree: int, channels: int, radial: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.before, self.after, self.degree = str(before), str(after), degree
        self.paths = coupling_paths(self.before, self.after, degree)
        self.sizes = [irrep.dim for _, irrep in after]
        inputs = [len(paths) * channels * radial for paths in self.paths]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(size, width) / math.sqrt(size)) for size, width in zip(inputs, widths, strict=True)
        )

    def forward(
        self,
        features: Float[Tensor, "atoms components channels"],
        edges: Float[Tensor, "harmonics radial places"],
        table: NeighbourTable,
    ) -> list[Float[Tensor, "atoms _ _"]]:
        """Sums of each irrep of the result, (atoms, components, channels).

        Args:
            edges: products R Y of radial functions and spherical harmonics; zero in empty places.
        """
        couple = self._to_scalars if self.sizes == [1] else self._to_tensors
        lengths = [rows * columns for rows, columns in table.shapes]
        parts = zip(edges.split(lengths, dim=2), table.sender.split(lengths), table.shapes, strict=True)
        coupled = [couple(features, around, sender, shape) for around, sender, shape in parts] if lengths else []
        results = []
        for index, (size, weight) in enumerate(zip(self.sizes, self.weights, strict=True)):
            empty = features.new_zeros(len(features), size, weight.shape[1])
            rows = [part[index] for part in coupled]
            results.append(empty.index_copy(0, table.atoms, torch.cat(rows) @ weight) if rows else empty)
        return results

    def _to_tensors(
        self,
        features: Float[Tensor, "atoms components channels"],
        edges: Float[Tensor, "harmonics radial places"],
        sender: Int[Tensor, "places"],
        shape: tuple[int, int],
    ) -> list[Float[Tensor, "rows _ inputs"]]:
        """Products of all harmonics with all features are summed over neighbours, and then coupled."""
        (_, components, channels), (harmonics, radial, _) = features.shape, edges.shape
        around = features.flatten(1).index_select(0, sender).view(*shape, -1)
        sums = torch.bmm(edges.reshape(-1, *shape).transpose(0, 1), around)
        sums = sums.view(-1, harmonics, radial, components, channels).transpose(2, 3)
        coupling = coupling_matrix(self.before, self.after, self.degree, sums.dtype, sums.device)
        coupled = coupling @ sums.reshape(shape[0], harmonics * components, radial * channels)
        lengths = [size * len(paths) for size, paths in zip(self.sizes, self.paths, strict=True)]
        parts = zip(coupled.split(lengths, dim=1), self.sizes, strict=True)
        return [part.reshape(shape[0], size, -1) for part, size in parts]

    def _to_scalars(
        self,
        features: Float[Tensor, "atoms components channels"],
        edges: Float[Tensor, "harmonics radial places"],
        sender: Int[Tensor, "places"],
        shape: tuple[int, int],
    ) -> list[Float[Tensor, "rows 1 inputs"]]:
        """The same for a result of scalars alone: a sum over neighbours and components at the same time."""
        orders = edges.split([irrep.dim for _, irrep in spherical_irreps(self.degree)])
        parts = features.split([irrep.dim for _, irrep in Irreps(self.before)], dim=1)
        sums = []
        for index, order in self.paths[0]:
            size, channels = parts[index].shape[1:]
            around = parts[index].flatten(1).index_select(0, sender).view(shape[0], -1, channels)
            harmonics = orders[order].unflatten(2, shape).permute(2, 1, 3, 0).flatten(2)
            sums.append(torch.bmm(harmonics, around).flatten(1) / math.sqrt(size))
        return [torch.cat(sums, 1)[:, None]]
