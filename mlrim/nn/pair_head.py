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
    baseline: Float[Tensor, "pairs 3 3"]
    dipole: Float[Tensor, "pairs 3 3"]
    """What the pair adds to the exact dipole sum: too much where ions overlap, which the head can take back."""


class PairHead(nn.Module):
    """Blocks Σ_k c_k B_k whose coefficients a three-layer network reads off both end points and the edge.

    The tensors B_k are 1, r̂r̂, the baseline's and the dipole interaction's block, the matrices of both atoms, u r̂,
    r̂ u and u u' with vectors u mixed from those of both atoms and from their matrices times r̂: everything that parity
    allows, antisymmetric parts included. Both directions of a pair are evaluated and averaged, so that
    Φ_ij(R) = Φ_ji(−R)ᵀ holds exactly.
    """

    N_VECTORS = 4
    N_SCALARS = 6

    def __init__(self, channels: Channels, pair_features: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.channels = channels
        n_vectors = 2 * channels.vectors + 2 * channels.matrices
        invariants = 3 * channels.vectors + 3 * channels.matrices
        self.splits = [self.N_SCALARS, 2 * channels.matrices, self.N_VECTORS * n_vectors]
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
            torch.cat([pairs.baseline, pairs.baseline.transpose(1, 2)]),
            torch.cat([pairs.dipole, pairs.dipole.transpose(1, 2)]),
        )
        first = self.of_first(atoms.scalars)
        second = self.of_second(atoms.scalars)
        forward, backward = self._directed(atoms, first[both.i] + second[both.j], both).chunk(2)
        return (forward + backward.transpose(1, 2)) / 2

    def _directed(self, atoms: SiteState, hidden: Tensor, pairs: PairGeometry) -> Tensor:
        v_i, v_j = atoms.vectors[pairs.i], atoms.vectors[pairs.j]
        t_i, t_j = atoms.matrices[pairs.i], atoms.matrices[pairs.j]
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
    given = _weighted(plain[:, 2], plain[:, 3], pairs.baseline, r)
    given = given + _weighted(plain[:, 4], plain[:, 5], pairs.dipole, r)
    return pairs.scale[:, None, None] * block + pairs.envelope[:, None, None] * given


def _weighted(whole: Tensor, radial: Tensor, given: Tensor, r: Tensor) -> Tensor:
    """A given block B and its part along the bond, each times a coefficient: c B + d (r̂ᵀBr̂) r̂r̂."""
    along = torch.einsum("pa,pab,pb->p", r, given, r)
    return whole[:, None, None] * given + (radial * along)[:, None, None] * r[:, :, None] * r[:, None, :]
