"""From the states of two atoms and the vector between them to the 3×3 block of their force constants."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.message_passing import Channels, SiteState


class PairGeometry(NamedTuple):
    """Pairs of atoms that are to be given a block."""

    i: Int[Tensor, "pairs"]
    j: Int[Tensor, "pairs"]
    direction: Float[Tensor, "pairs 3"]
    """r̂ from i to j."""
    features: Float[Tensor, "pairs features"]
    """Radial basis and invariants of the baseline's block; the same for both directions."""
    scale: Float[Tensor, "pairs"]
    """Expected magnitude of a block, eV/Å²; zero at the cut-off."""
    envelope: Float[Tensor, "pairs"]
    """One, and smoothly zero at the cut-off."""
    given: tuple[Float[Tensor, "pairs 3 3"], ...] = ()
    """Blocks that are known of every pair, such as a classical model's, which the head can weaken or strengthen."""


class PairHead(nn.Module):
    """Blocks Σ_k c_k B_k whose coefficients a three-layer network reads off both end points and the edge.

    The tensors B_k are 1, r̂r̂, the given blocks, the matrices of both atoms, u r̂, r̂ u and u u' with vectors u mixed
    from those of both atoms and from their matrices times r̂: everything that parity allows, antisymmetric parts
    included. Both directions of a pair are evaluated and averaged, so that Φ_ij(R) = Φ_ji(−R)ᵀ holds exactly.

    Args:
        channels: of an atom.
        pair_features: size of `PairGeometry.features`.
        hidden: width of the network.
        given: number of given blocks.
        dropout: share of hidden units dropped while training.
    """

    N_VECTORS = 4

    def __init__(
        self, channels: Channels, pair_features: int, hidden: int, given: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.channels = channels
        n_vectors = 2 * channels.vectors + 2 * channels.matrices
        invariants = 3 * channels.vectors + 3 * channels.matrices
        self.splits = [2 + 2 * given, 2 * channels.matrices, self.N_VECTORS * n_vectors]
        self.of_first = nn.Linear(channels.scalars, hidden)
        self.of_second = nn.Linear(channels.scalars, hidden, bias=False)
        self.of_pair = nn.Linear(pair_features + invariants, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, sum(self.splits))
        self.activation = nn.SiLU()
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.last.weight, std=0.3 * hidden**-0.5)
        nn.init.zeros_(self.last.bias)

    def forward(self, atoms: SiteState, pairs: PairGeometry) -> Float[Tensor, "pairs 3 3"]:
        """Blocks of the pairs, eV/Å²."""
        both = PairGeometry(
            torch.cat([pairs.i, pairs.j]),
            torch.cat([pairs.j, pairs.i]),
            torch.cat([pairs.direction, -pairs.direction]),
            pairs.features.repeat(2, 1),
            pairs.scale.repeat(2),
            pairs.envelope.repeat(2),
            tuple(torch.cat([blocks, blocks.transpose(1, 2)]) for blocks in pairs.given),
        )
        first = self.of_first(atoms.scalars)
        second = self.of_second(atoms.scalars)
        hidden = first.index_select(0, both.i) + second.index_select(0, both.j)
        forward, backward = self._directed(atoms, hidden, both).chunk(2)
        return (forward + backward.transpose(1, 2)) / 2

    def _directed(self, atoms: SiteState, hidden: Tensor, pairs: PairGeometry) -> Tensor:
        v_i, v_j = (atoms.vectors.index_select(0, ends) for ends in (pairs.i, pairs.j))
        t_i, t_j = (atoms.matrices.index_select(0, ends) for ends in (pairs.i, pairs.j))
        r = pairs.direction[:, :, None]
        tr_i, tr_j = (t_i * r[:, None]).sum(2), (t_j * r[:, None]).sum(2)
        invariants = [
            (v_i * r).sum(1), (v_j * r).sum(1), (v_i * v_j).sum(1),
            (tr_i * r).sum(1), (tr_j * r).sum(1), (t_i * t_j).sum((1, 2)),
        ]  # fmt: skip
        hidden = self.activation(hidden + self.of_pair(torch.cat([pairs.features, *invariants], -1)))
        hidden = self.dropout(self.activation(self.middle(hidden)))
        plain, of_matrices, of_vectors = self.last(hidden).split(self.splits, -1)
        vectors = torch.cat([v_i, v_j, tr_i, tr_j], -1)
        weights = of_vectors.view(len(of_vectors), -1, self.N_VECTORS)
        u = torch.bmm(vectors, weights) * weights.shape[1] ** -0.5
        matrices = torch.cat([t_i, t_j], -1)
        mixed = torch.bmm(matrices.flatten(1, 2), of_matrices[:, :, None]).view(-1, 3, 3)
        return _assemble(plain, u, mixed * matrices.shape[-1] ** -0.5, pairs)


def _assemble(plain: Tensor, u: Tensor, mixed: Tensor, pairs: PairGeometry) -> Tensor:
    r = pairs.direction
    identity = torch.eye(3, dtype=r.dtype, device=r.device)
    block = mixed + plain[:, 0, None, None] * identity
    block = block + (plain[:, 1, None] * r + u[:, :, 0])[:, :, None] * r[:, None, :]
    block = block + r[:, :, None] * u[:, None, :, 1] + u[:, :, 2, None] * u[:, None, :, 3]
    answer = pairs.scale[:, None, None] * block
    for index, given in enumerate(pairs.given):
        weighted = _weighted(plain[:, 2 + 2 * index], plain[:, 3 + 2 * index], given, r)
        answer = answer + pairs.envelope[:, None, None] * weighted
    return answer


def _weighted(whole: Tensor, radial: Tensor, given: Tensor, r: Tensor) -> Tensor:
    """A given block B and its part along the bond, each times a coefficient: c B + d (r̂ᵀBr̂) r̂r̂."""
    along = torch.einsum("pa,pab,pb->p", r, given, r)
    return whole[:, None, None] * given + (radial * along)[:, None, None] * r[:, :, None] * r[:, None, :]
