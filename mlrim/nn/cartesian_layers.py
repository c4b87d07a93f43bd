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
SCALARS, VECTORS, MATRICES = slice(0, 1), slice(1, 4), slice(4, 9)
TENSOR_PATHS = (1, 1, 2, 2)
"""Ranks of what products give besides scalars: s v, T v, s T and v v."""
N_INVARIANTS = 3
"""Scalars that products give: s s, v·v and T:T."""
N_GATES = len(TENSOR_PATHS) + 2


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
            nn.Linear(2 * features, hidden), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, outputs),
        )  # fmt: skip

    def of_elements(self, numbers: Int[Tensor, "*n"]) -> Float[Tensor, "*n features"]:
        """Features of elements with these atomic numbers."""
        return self.embedding(numbers) + self.of_properties(self.properties[numbers])

    def forward(self, elements: Int[Tensor, "2 pairs"]) -> Float[Tensor, "pairs outputs"]:
        """The numbers of pairs of atomic numbers."""
        first, second = self.of_elements(elements)
        return self.network(torch.cat([first, second], -1))


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
        of_pairs = weights.view(len(weights), 3, -1).transpose(0, 1).index_select(0, self.radial.ranks)
        weighted = mixed * of_pairs.index_select(1, around.group_pair)
        return weighted.new_zeros(N_ANGULAR, n_atoms, weighted.shape[2]).index_add(1, around.group_receiver, weighted)


class Messages(nn.Module):
    """Sums over neighbours of their scalars times filters of the distance and angular functions."""

    def __init__(self, scalars: int, channels: int, functions: int) -> None:
        super().__init__()
        self.send = nn.Linear(scalars, channels)
        self.filters = nn.Linear(functions, channels, bias=False)

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
    collect: Tensor

    def __init__(self, scalars: int, inputs: int, channels: int, hidden: int, dropout: float, last: bool) -> None:
        super().__init__()
        self.widths = [scalars, 0 if last else N_GATES * channels]
        self.left, self.right = RankWise(inputs, channels), RankWise(inputs, channels)
        self.network = nn.Sequential(
            nn.Linear(scalars + (1 + N_INVARIANTS) * channels, hidden), SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, sum(self.widths)),
        )  # fmt: skip
        rows = torch.tensor([rank for rank in (*TENSOR_PATHS, 1, 2) for _ in range(2 * rank + 1)])
        gates = torch.tensor([gate for gate, rank in enumerate((*TENSOR_PATHS, 1, 2)) for _ in range(2 * rank + 1)])
        products = product_coefficients()
        self.register_buffer("products", products if not last else products[:N_INVARIANTS], persistent=False)
        self.register_buffer("gate_of_row", gates, persistent=False)
        self.register_buffer("collect", _rows_by_component(rows), persistent=False)

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
        by_row = gates.view(size, N_GATES, channels).transpose(0, 1).index_select(0, self.gate_of_row)
        rows = torch.cat([products[N_INVARIANTS:], left[1:]]) * by_row
        return scalars + change, (self.collect @ rows.view(len(rows), -1)).view(-1, size, channels)

    def _products(
        self, left: Float[Tensor, "9 atoms channels"], right: Float[Tensor, "9 atoms channels"]
    ) -> Float[Tensor, "rows atoms channels"]:
        vectors = right[VECTORS]
        pairs = torch.cat(
            [
                left[SCALARS] * right,
                (left[VECTORS, None] * vectors).flatten(0, 1),
                (left[MATRICES, None] * vectors).flatten(0, 1),
                left[MATRICES] * right[MATRICES],
            ]
        )
        return (self.products @ pairs.view(len(pairs), -1)).view(-1, *pairs.shape[1:])


def product_coefficients() -> Float[Tensor, "19 38"]:
    """From products of components to s s, v·v, T:T, s v, T v, s T and the matrix of v v; exact in every precision.

    Columns: a scalar with all nine, the vector's with the vector's, the matrix's with the vector's, and the matrix's
    with themselves.
    """
    columns = [
        *((0, j) for j in range(9)),
        *((i, j) for i in range(1, 9) for j in range(1, 4)),
        *((i, i) for i in range(4, 9)),
    ]
    return torch.stack([_product_rows(i, j) for i, j in columns], 1)


def _product_rows(first: int, second: int) -> Float[Tensor, "19"]:
    ranks = RANKS[first], RANKS[second]
    left, right = _unit_tensor(first), _unit_tensor(second)
    rows = [torch.zeros(size) for size in (1, 1, 1, 3, 3, 5, 5)]
    if ranks == (0, 0):
        rows[0][0] = 1
    elif ranks == (0, 1):
        rows[3] = right
    elif ranks == (0, 2):
        rows[5] = components(right)
    elif ranks == (1, 1):
        rows[1][0], rows[6] = left @ right, components(torch.outer(left, right) + torch.outer(right, left))
    elif ranks == (2, 1):
        rows[4] = left @ right
    else:
        rows[2][0] = (left * right).sum()
    return torch.cat(rows)


def _unit_tensor(component: int) -> Tensor:
    """The scalar, vector or matrix with a one in one component; matrices times 3/2, which makes them exact."""
    if component < 4:
        return torch.eye(3)[component - 1] if component else torch.ones(())
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


def _rows_by_component(ranks: Int[Tensor, "rows"]) -> Float[Tensor, "8 rows"]:
    """Ones where a row, of a tensor of this rank, belongs to one of the eight components of vectors and matrices."""
    found = torch.zeros(8, len(ranks))
    places = {1: 0, 2: 0}
    for row, rank in enumerate(ranks.tolist()):
        first, size = (0, 3) if rank == 1 else (3, 5)
        found[first + places[rank] % size, row] = 1
        places[rank] += 1
    return found


def _in_blocks(functions: Float[Tensor, "functions slots"]) -> Float[Tensor, "blocks room functions"]:
    return functions.view(len(functions), functions.shape[1] // BLOCK, BLOCK).permute(1, 2, 0)
