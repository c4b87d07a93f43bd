"""Tensors of bonds that atoms gain and lose: sums over neighbours that vanish when all atoms are added up.

What a bond i–j gives to i it takes from j, so that Σ_i Σ_j (b_ij − b_ji) = 0 exactly. For charges this is a flux along
bonds; for Raman tensors it is the structure of the bond-polarisability model (Wolkenstein), with learned coefficients
and everything else that parity allows.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.message_passing import Channels, SiteState
from mlrim.nn.neighbour_sums import sum_over_neighbours


class BondGeometry(NamedTuple):
    """Bonds from a site to an atom."""

    site: Int[Tensor, "bonds"]
    """Ascending."""
    atom: Int[Tensor, "bonds"]
    direction: Float[Tensor, "bonds 3"]
    """r̂ from the site to the atom."""
    features: Float[Tensor, "bonds features"]
    """The same for both directions."""
    envelope: Float[Tensor, "bonds"]
    """Smoothly zero at the cut-off."""


class BondHead(nn.Module):
    """Σ_j (b_ij − b_ji) for a 3×3 tensor (charge flux), and where wanted for a 3×3×3 tensor (Raman).

    Args:
        channels: of a site.
        bond_features: size of `BondGeometry.features`.
        hidden: width of the network.
        dropout: share of hidden units dropped while training.
    """

    N_CHARGE_VECTORS, N_RAMAN_VECTORS = 2, 5

    def __init__(self, channels: Channels, bond_features: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        n_vectors = 2 * channels.vectors + 2 * channels.matrices
        invariants = 3 * channels.vectors + 3 * channels.matrices
        self.of_first = nn.Linear(channels.scalars, hidden)
        self.of_second = nn.Linear(channels.scalars, hidden, bias=False)
        self.of_bond = nn.Linear(bond_features + invariants, hidden, bias=False)
        self.middle = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(dropout))
        self.charge_splits = [2, 2 * channels.matrices, self.N_CHARGE_VECTORS * n_vectors]
        self.raman_splits = [3, 2 * 2 * channels.matrices, self.N_RAMAN_VECTORS * n_vectors]
        self.to_charge = _small(nn.Linear(hidden, sum(self.charge_splits)))
        self.to_raman = _small(nn.Linear(hidden, sum(self.raman_splits)))

    def forward(
        self, sites: SiteState, atoms: SiteState, bonds: BondGeometry, raman: bool
    ) -> tuple[Float[Tensor, "sites 3 3"], Float[Tensor, "sites 3 3 3"] | None]:
        """Charges (e) and Raman tensors (Å²) of the sites; the latter none unless asked for."""
        here, there = _gather(sites, bonds.site), _gather(atoms, bonds.atom)
        out = self._directed(here, there, bonds.direction, bonds, raman)
        back = self._directed(there, here, -bonds.direction, bonds, raman)
        n_sites = len(sites.scalars)
        charge = sum_over_neighbours(bonds.envelope[:, None, None] * (out[0] - back[0]), bonds.site, n_sites)
        if not raman:
            return charge, None
        tensor = bonds.envelope[:, None, None, None] * (out[1] - back[1])
        return charge, sum_over_neighbours(tensor, bonds.site, n_sites)

    def _directed(
        self, first: SiteState, second: SiteState, r: Tensor, bonds: BondGeometry, raman: bool
    ) -> tuple[Tensor, Tensor]:
        column = r[:, :, None]
        tr_i, tr_j = ((state.matrices * column[:, None]).sum(2) for state in (first, second))
        v_i, v_j, t_i, t_j = first.vectors, second.vectors, first.matrices, second.matrices
        invariants = [
            (v_i * column).sum(1), (v_j * column).sum(1), (v_i * v_j).sum(1),
            (tr_i * column).sum(1), (tr_j * column).sum(1), (t_i * t_j).sum((1, 2)),
        ]  # fmt: skip
        ends = self.of_first(first.scalars) + self.of_second(second.scalars)
        hidden = self.middle(ends + self.of_bond(torch.cat([bonds.features, *invariants], -1)))
        vectors = torch.cat([v_i, v_j, tr_i, tr_j], -1)
        matrices = torch.cat([t_i, t_j], -1)
        charge = _charge_tensor(self.to_charge(hidden).split(self.charge_splits, -1), vectors, matrices, r)
        if not raman:
            return charge, charge
        return charge, _raman_tensor(self.to_raman(hidden).split(self.raman_splits, -1), vectors, matrices, r)


def _small(layer: nn.Linear) -> nn.Linear:
    nn.init.normal_(layer.weight, std=0.1 * layer.in_features**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def _gather(state: SiteState, index: Tensor) -> SiteState:
    return SiteState(*(part.index_select(0, index) for part in state))


def _mixed(tensors: Tensor, weights: Tensor, count: int) -> Tensor:
    """`count` combinations of the channels (last axis), with weights of every bond: (bonds, …, count)."""
    weights = weights.view(len(weights), -1, count) * tensors.shape[-1] ** -0.5
    flat = tensors.reshape(len(tensors), -1, tensors.shape[-1])
    return torch.bmm(flat, weights).view(*tensors.shape[:-1], count)


def _charge_tensor(parts: tuple[Tensor, ...], vectors: Tensor, matrices: Tensor, r: Tensor) -> Tensor:
    plain, of_matrices, of_vectors = parts
    u = _mixed(vectors, of_vectors, BondHead.N_CHARGE_VECTORS)
    identity = torch.eye(3, dtype=r.dtype, device=r.device)
    tensor = _mixed(matrices, of_matrices, 1)[..., 0] + plain[:, 0, None, None] * identity
    tensor = tensor + (plain[:, 1, None] * r + u[..., 0])[:, :, None] * r[:, None, :]
    return tensor + r[:, :, None] * u[:, None, :, 1]


def _raman_tensor(parts: tuple[Tensor, ...], vectors: Tensor, matrices: Tensor, r: Tensor) -> Tensor:
    """Symmetric in the first two indices; odd under inversion."""
    plain, of_matrices, of_vectors = parts
    w = _mixed(vectors, of_vectors, BondHead.N_RAMAN_VECTORS)
    m = _mixed(matrices, of_matrices, 2)
    identity = torch.eye(3, dtype=r.dtype, device=r.device)
    field = m[..., 0] + plain[:, 0, None, None] * r[:, :, None] * r[:, None, :]
    field = field + plain[:, 1, None, None] * identity + _symmetric(r, w[..., 0])
    mixed = m[..., 1] + plain[:, 2, None, None] * identity + w[..., 1, None] * r[:, None, :]
    along_r = field[:, :, :, None] * r[:, None, None, :]
    twice = r[:, :, None] * r[:, None, :]
    along_w = twice[..., None] * w[:, None, None, :, 2] + identity[:, :, None] * w[:, None, None, :, 3]
    crossed = r[:, :, None, None] * mixed[:, None] + identity[None, :, None, :] * w[:, None, :, None, 4]
    return along_r + along_w + (crossed + crossed.transpose(1, 2)) / 2


def _symmetric(left: Tensor, right: Tensor) -> Tensor:
    outer = left[:, :, None] * right[:, None, :]
    return (outer + outer.transpose(1, 2)) / 2
