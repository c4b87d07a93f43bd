"""Blocks of the fast energy network: densities of neighbours, messages, and products of tensors on atoms.

Second derivatives of an energy, and losses of them, go through every operation many times, so operations are few and
what edges carry is small: radial functions R and nine angular functions Y of the direction, both without parameters.
Sums over neighbours are products of small matrices, Y Rᵀ, over blocks of edges; whatever is learned acts on elements
and atoms. These are the densities of atomic cluster expansions (R. Drautz, Phys. Rev. B 99, 014104 (2019)), followed by
messages as in PaiNN (Schütt et al., ICML 2021) and products as in TensorNet (Simeon and de Fabritiis, NeurIPS 2023).

A channel of an atom's features has nine components: a scalar, a vector and a symmetric traceless matrix, whose numbers
are those of `edge_functions`: T_xy, T_yz, T_zx, T_xx − T_yy and 2T_zz − T_xx − T_yy.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.edge_functions import BLOCK, N_ANGULAR, OFF_DIAGONAL, Surroundings
from mlrim.nn.element_tables import N_NUMBERS, properties_by_number
from mlrim.nn.known_derivatives import SiLU

RANKS = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""Rank of the tensor that each component belongs to."""
VECTORS, MATRICES = slice(1, 4), slice(4, 9)
GATED = (1, 2, 1, 2)
"""Ranks of what an update's tensors are made of: products T v and v v, and the tensors v and T themselves."""
N_INVARIANTS = 2
"""Scalars that products give: v·v and T:T."""


class ElementPairs(nn.Module):
    """Learned numbers of elements and of ordered pairs of them, from properties and an embedding of each.

    They do not depend on positions, so that this network costs next to nothing however large it is.

    Args:
        features: numbers of an element.
        hidden: width of the network of pairs.
        outputs: numbers of a pair.
        dropout: share of hidden units dropped while training.
    """

    properties: Tensor

    def __init__(self, features: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        properties = torch.tensor(properties_by_number(), dtype=torch.float32)
        self.register_buffer("properties", properties, persistent=False)
        self.embedding = nn.Embedding(N_NUMBERS, features)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.of_properties = nn.Linear(properties.shape[1], features)
        self.network = nn.Sequential(
            linear(2 * features, hidden, gain=1.5), nn.SiLU(), nn.Dropout(dropout),
            linear(hidden, hidden, gain=1.5), nn.SiLU(), nn.Dropout(dropout),
            linear(hidden, outputs, gain=1.5),
        )  # fmt: skip

    def of_elements(self, numbers: Int[Tensor, "*n"]) -> Float[Tensor, "*n features"]:
        """Features of elements with these atomic numbers."""
        return self.embedding(numbers) + self.of_properties(self.properties[numbers])

    def forward(self, elements: Int[Tensor, "2 pairs"]) -> Float[Tensor, "pairs outputs"]:
        """The numbers of pairs of atomic numbers."""
        first, second = self.of_elements(elements)
        return self.network(torch.cat([first, second], -1))


def linear(inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> nn.Linear:
    """A linear map that starts with as much variance as comes in, times a gain, and without a shift."""
    layer = nn.Linear(inputs, outputs, bias)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Densities(nn.Module):
    """Sums over neighbours of radial times angular functions, with weights that pairs of elements set.

    Args:
        channels: of the sums.
        functions: number of radial functions.
    """

    def __init__(self, channels: int, functions: int) -> None:
        super().__init__()
        self.radial = RankWise(functions, channels)

    def forward(
        self, edges: Surroundings, weights: Float[Tensor, "pairs weights"], n_atoms: int
    ) -> Float[Tensor, "9 atoms channels"]:
        """The sums of every atom; weights of a pair are those of three ranks."""
        around = edges.around
        blocks = torch.bmm(edges.angular, _in_blocks(edges.radial))
        groups = blocks.new_zeros(len(around.group_receiver), *blocks.shape[1:])
        mixed = self.radial(groups.index_add(0, around.block_group, blocks).transpose(0, 1))
        of_pairs = weights.view(len(weights), 3, mixed.shape[2]).transpose(0, 1).index_select(0, self.radial.ranks)
        weighted = mixed * of_pairs.index_select(1, around.group_pair)
        return weighted.new_zeros(N_ANGULAR, n_atoms, weighted.shape[2]).index_add(1, around.group_receiver, weighted)


class Messages(nn.Module):
    """Sums over neighbours of their scalars times filters of the distance and angular functions."""

    def __init__(self, scalars: int, channels: int, functions: int) -> None:
        super().__init__()
        self.send = linear(scalars, channels)
        self.filters = linear(functions, channels, bias=False)

    def forward(
        self, edges: Surroundings, scalars: Float[Tensor, "atoms scalars"]
    ) -> Float[Tensor, "9 atoms channels"]:
        """The sums of every atom."""
        around = edges.around
        sent = self.send(scalars).index_select(0, around.sender) * self.filters(edges.radial.t())
        blocks = torch.bmm(edges.angular, sent.view(len(around.block_group), BLOCK, sent.shape[1]))
        receiver = around.group_receiver.index_select(0, around.block_group)
        return blocks.new_zeros(len(scalars), *blocks.shape[1:]).index_add(0, receiver, blocks).transpose(0, 1)


class RankWise(nn.Module):
    """Mixes channels, by other weights for scalars, vectors and matrices."""

    ranks: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, inputs, outputs) / inputs**0.5)
        self.register_buffer("ranks", torch.tensor(RANKS), persistent=False)

    def forward(self, tensors: Float[Tensor, "9 atoms inputs"]) -> Float[Tensor, "9 atoms outputs"]:
        """The mixed channels."""
        return torch.bmm(tensors, self.weight.index_select(0, self.ranks))


class Update(nn.Module):
    """New features of atoms from products of their tensors with each other.

    Args:
        scalars: scalar features of an atom.
        inputs: channels of the tensors that come in.
        channels: channels of the tensors that go out.
        hidden: width of the network.
        dropout: share of hidden units dropped while training.
        last: only scalars are wanted.
    """

    products: Tensor
    gate_of_row: Tensor

    def __init__(self, scalars: int, inputs: int, channels: int, hidden: int, dropout: float, last: bool) -> None:
        super().__init__()
        self.widths = [scalars, 0 if last else len(GATED) * channels]
        self.left, self.right = RankWise(inputs, channels), RankWise(inputs, channels)
        self.network = nn.Sequential(
            linear(scalars + (1 + N_INVARIANTS) * channels, hidden), SiLU(), nn.Dropout(dropout),
            linear(hidden, sum(self.widths)),
        )  # fmt: skip
        gate_of_row = torch.tensor([gate for gate, rank in enumerate(GATED) for _ in range(2 * rank + 1)])
        products = product_coefficients()
        self.register_buffer("products", products if not last else products[:N_INVARIANTS], persistent=False)
        self.register_buffer("gate_of_row", gate_of_row, persistent=False)

    def forward(
        self, scalars: Float[Tensor, "atoms scalars"], tensors: Float[Tensor, "9 atoms inputs"]
    ) -> tuple[Float[Tensor, "atoms scalars"], Float[Tensor, "8 atoms channels"] | None]:
        """The scalars afterwards and, unless this is the last update, vectors and matrices."""
        left = self.left(tensors)
        products = self._products(left, self.right(tensors))
        _, size, channels = products.shape
        invariants = products[:N_INVARIANTS].transpose(0, 1).reshape(size, -1)
        change, gates = self.network(torch.cat([scalars, left[0], invariants], 1)).split(self.widths, 1)
        if not self.widths[1]:
            return scalars + change, None
        by_row = gates.view(size, len(GATED), channels).transpose(0, 1).index_select(0, self.gate_of_row)
        rows = torch.cat([products[N_INVARIANTS:], left[1:]]) * by_row
        return scalars + change, rows.view(2, N_ANGULAR - 1, size, channels).sum(0)

    def _products(
        self, left: Float[Tensor, "9 atoms channels"], right: Float[Tensor, "9 atoms channels"]
    ) -> Float[Tensor, "rows atoms channels"]:
        vectors = right[VECTORS]
        pairs = torch.cat(
            [
                (left[VECTORS, None] * vectors).flatten(0, 1),
                (left[MATRICES, None] * vectors).flatten(0, 1),
                left[MATRICES] * right[MATRICES],
            ]
        )
        return (self.products @ pairs.view(len(pairs), -1)).view(-1, *pairs.shape[1:])


def product_coefficients() -> Float[Tensor, "10 29"]:
    """From products of components to v·v, T:T, T v and the matrix of v v; exact in every precision.

    Columns: vectors with vectors, matrices with vectors, and components of matrices with themselves.
    """
    columns = [*((i, j) for i in range(1, 9) for j in range(1, 4)), *((i, i) for i in range(4, 9))]
    return torch.stack([_product_rows(_unit_tensor(i), _unit_tensor(j)) for i, j in columns], 1)


def _product_rows(left: Tensor, right: Tensor) -> Float[Tensor, "10"]:
    rows = [torch.zeros(size) for size in (1, 1, 3, 5)]
    if left.ndim == 1:
        rows[0][0], rows[3] = left @ right, components(torch.outer(left, right) + torch.outer(right, left))
    elif right.ndim == 1:
        rows[2] = left @ right
    else:
        rows[1][0] = (left * right).sum()
    return torch.cat(rows)


def _unit_tensor(component: int) -> Tensor:
    """The vector or matrix with a one in one component; matrices times 3/2, which makes them exact."""
    if component < 4:
        return torch.eye(3)[component - 1]
    found = torch.zeros(3, 3)
    if component < 7:
        a, b = OFF_DIAGONAL[component - 4]
        found[a, b] = found[b, a] = 1.5
        return found
    diagonal = [0.75, -0.75, 0.0] if component == 7 else [-0.25, -0.25, 0.5]
    return torch.diag(torch.tensor(diagonal))


def components(matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "5"]:
    """The five numbers of the symmetric traceless part of a symmetric matrix, see the top of this file."""
    off_diagonal = [matrix[a, b] for a, b in OFF_DIAGONAL]
    xx, yy, zz = matrix.diagonal()
    return torch.stack([*off_diagonal, xx - yy, 2 * zz - xx - yy])


def _in_blocks(functions: Float[Tensor, "functions slots"]) -> Float[Tensor, "blocks room functions"]:
    return functions.view(len(functions), functions.shape[1] // BLOCK, BLOCK).permute(1, 2, 0)
