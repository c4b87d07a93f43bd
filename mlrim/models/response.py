"""The response network: Born charges, ε∞ and Raman tensors from the structure of a crystal.

One equivariant trunk, three heads. What must hold does so by construction: Σ Z* = 0 and Σ ∂α/∂u = 0 over the atoms, ε∞
symmetric with eigenvalues above one, Raman tensors symmetric in the field's indices. The level of theory is an input:
hybrid functionals screen less than semilocal ones.
"""

from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.crystal_graph import CUTOFF, CrystalGraph
from mlrim.graph.response_graph import N_PACKING, THEORIES, ResponseGraph
from mlrim.nn.bond_head import BondGeometry, BondHead
from mlrim.nn.encoder import SiteEncoder, polar, reduced_distance
from mlrim.nn.message_passing import Channels, SiteState, on_atoms
from mlrim.nn.pooling import softmax_over_graphs, sum_over_graphs
from mlrim.nn.radial import smooth_switch
from mlrim.nn.tensors import matrix_product, rotate_matrices

CHARGE_SCALE = 0.6
"""Rigid-ion charges are this share of the formal ones."""
MAX_LOG_SUSCEPTIBILITY = 6.0
LEAST_RAMAN = 0.1
"""Å²; least size of the learned part of a Raman tensor's component."""


class ResponseStatistics(NamedTuple):
    """Figures of a training set that put inputs and outputs on a common scale."""

    soap_mean: list[float]
    soap_deviation: list[float]
    log_susceptibility: float
    """Mean of ln(ε∞ − 1)."""
    raman: float
    """One where some Raman tensors are known, else zero."""


class Response(NamedTuple):
    """What the network says of a batch."""

    born_charges: Float[Tensor, "atoms 3 3"]
    """e; first index the field, second the displacement."""
    log_susceptibility: Float[Tensor, "graphs 3 3"]
    """ln(ε∞ − 1), symmetric."""
    metal_logit: Float[Tensor, "graphs"]
    """Positive where the compound is rather a metal, or nearly one, than an insulator."""
    raman_tensors: Float[Tensor, "atoms 3 3 3"] | None
    """∂α/∂u per primitive cell, Å²; indices field, field, displacement."""


class ResponseModel(SiteEncoder):
    """Born charges, ε∞ and Raman tensors of crystals.

    Args:
        scalars: scalar channels of an atom.
        vectors: vector channels of an atom.
        matrices: symmetric traceless matrix channels of an atom.
        layers: exchanges of messages.
        edge_features: size of the learned description of an edge.
        radial: number of radial functions.
        update_hidden: width of the update networks.
        head_hidden: width of the heads.
        cutoff: Å; must be that of the graphs.
        bond_cutoff: Å; reach of a bond's contribution to charges and Raman tensors.
        neighbours: typical number of neighbours within the cut-off.
        dropout: share of hidden units dropped while training.
        raman: whether there is a head for Raman tensors.
    """

    def __init__(
        self,
        scalars: Annotated[int, AtLeast(1)] = 128,
        vectors: Annotated[int, AtLeast(1)] = 32,
        matrices: Annotated[int, AtLeast(1)] = 16,
        layers: Annotated[int, AtLeast(1)] = 4,
        edge_features: Annotated[int, AtLeast(1)] = 64,
        radial: Annotated[int, AtLeast(1)] = 16,
        update_hidden: Annotated[int, AtLeast(1)] = 288,
        head_hidden: Annotated[int, AtLeast(1)] = 128,
        cutoff: Annotated[float, Above(0)] = CUTOFF,
        bond_cutoff: Annotated[float, Above(0)] = 5.0,
        neighbours: float = 60.0,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
        raman: bool = True,
    ) -> None:
        channels = Channels(scalars, vectors, matrices)
        super().__init__(channels, layers, edge_features, radial, update_hidden, cutoff, neighbours, dropout)
        self.bond_cutoff, self.with_raman = min(bond_cutoff, cutoff), raman
        self.theory = nn.Embedding(len(THEORIES), scalars)
        nn.init.normal_(self.theory.weight, std=0.1)
        self.of_packing = nn.Linear(N_PACKING, scalars)
        self.bonds = BondHead(channels, self.n_pair_features, head_hidden, dropout)
        self.surroundings = CrystalContext(channels, head_hidden, dropout)
        self.charges = ChargeHead(channels, head_hidden, dropout)
        self.dielectric = DielectricHead(channels, head_hidden, dropout)
        self.metal = nn.Sequential(nn.Linear(scalars, head_hidden), nn.SiLU(), nn.Linear(head_hidden, 1))
        self.register_buffer("raman_scale", torch.tensor(0.0))
        self.prior_weight = nn.Parameter(torch.tensor(1.0))

    raman_scale: Tensor

    @property
    def last_layers(self) -> list[str]:
        """Names of the layers that nothing learned follows."""
        names = ["bonds.to_charge", "charges.network.3", "dielectric.network.3", "dielectric.last.2", "metal.2"]
        return [*names, "bonds.to_raman"] if self.knows_raman else names

    @property
    def knows_raman(self) -> bool:
        """Whether the network has been trained on Raman tensors."""
        return self.with_raman and float(self.raman_scale) > 0

    def set_statistics(self, statistics: ResponseStatistics) -> None:
        """Take over the figures of a training set; they are stored with the weights."""
        self.site_embedding.soap_mean.copy_(torch.tensor(statistics.soap_mean))
        self.site_embedding.soap_deviation.copy_(torch.tensor(statistics.soap_deviation))
        self.dielectric.mean.fill_(statistics.log_susceptibility)
        self.raman_scale.fill_(statistics.raman)

    def forward(self, batch: ResponseGraph, raman: bool = True) -> Response:
        """The response of the crystals in a batch.

        Args:
            raman: leave out the Raman tensors, which take half of the time, when false.
        """
        graph, raman = batch.crystal, raman and self.with_raman
        atom_graph, n_graphs = graph.atom_graph, len(graph.n_atoms)
        of_graph = self.theory(batch.theory) + self.of_packing(batch.packing)
        site_graph = _graph_of_sites(graph, atom_graph)
        sites = self.encode(graph, of_graph[site_graph])
        sites = self.surroundings(sites, graph.atom_site, atom_graph, site_graph, n_graphs)
        atoms = on_atoms(sites, graph.atom_site, graph.atom_rotation)
        flux, tensors = self.bonds(sites, atoms, self._bonds(graph), raman)
        own = self.charges(sites, CHARGE_SCALE**-1 * graph.site_features[:, 0])
        on_site = rotate_tensors(graph.atom_rotation, (own.tensor + flux)[graph.atom_site])
        weights = softmax_over_graphs(own.willingness[graph.atom_site], atom_graph, n_graphs)
        excess = sum_over_graphs(on_site, atom_graph, n_graphs)[atom_graph]
        pooled, log_susceptibility = self.dielectric(sites, atoms, graph.atom_site, atom_graph, n_graphs)
        return Response(
            on_site - weights[:, None, None] * excess,
            log_susceptibility,
            self.metal(pooled)[:, 0],
            None if tensors is None else self._raman(tensors, batch, log_susceptibility.detach()),
        )

    def latent(self, batch: ResponseGraph) -> Float[Tensor, "graphs scalars"]:
        """Where crystals are among others: the average of their atoms' scalars before any head."""
        graph = batch.crystal
        of_graph = self.theory(batch.theory) + self.of_packing(batch.packing)
        return self.pooled(graph, of_graph[_graph_of_sites(graph, graph.atom_graph)])

    def _raman(self, learned: Tensor, batch: ResponseGraph, log_susceptibility: Tensor) -> Tensor:
        """The prior and a learned part that is measured by the prior's size in the same crystal.

        Sums over bonds miss the magnitude where the gap is small; ε∞ − 1, which the network predicts, goes with it.
        """
        graph, atom_graph = batch.crystal, batch.crystal.atom_graph
        gain = torch.exp(log_susceptibility.diagonal(dim1=1, dim2=2).mean(-1))
        square = batch.raman_prior.square().mean((1, 2, 3))[graph.atom_site]
        mean = sum_over_graphs(square, atom_graph, len(graph.n_atoms)) / graph.n_atoms
        size = self.raman_scale * (LEAST_RAMAN**2 + mean).sqrt()[atom_graph, None, None, None]
        prior, own = (part[graph.atom_site] for part in (batch.raman_prior, learned))
        of_atoms = gain[atom_graph, None, None, None] * (size * own + self.prior_weight * prior)
        return rotate_rank_three(graph.atom_rotation, of_atoms)

    def _bonds(self, graph: CrystalGraph) -> BondGeometry:
        distance, direction = polar(graph.vector)
        near = distance < self.bond_cutoff
        distance, direction, site, atom = distance[near], direction[near], graph.receiver[near], graph.sender[near]
        reduced = reduced_distance(distance, graph.element[site], graph.element[graph.atom_site[atom]])
        features = self.pair_features(distance, reduced, direction, graph.baseline[near], graph.dipole[near])
        envelope = smooth_switch(distance, 0.5 * self.bond_cutoff, self.bond_cutoff)
        return BondGeometry(site, atom, direction, features, envelope)


class CrystalContext(nn.Module):
    """Lets every site know the crystal as a whole: its scalars, averaged, are added to those of every site."""

    def __init__(self, channels: Channels, hidden: int, dropout: float) -> None:
        super().__init__()
        self.message = nn.Sequential(nn.Linear(channels.scalars, hidden), nn.SiLU())
        self.change = nn.Sequential(
            nn.Linear(channels.scalars + hidden, hidden), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(hidden, channels.scalars),
        )  # fmt: skip

    def forward(
        self, sites: SiteState, atom_site: Tensor, atom_graph: Tensor, site_graph: Tensor, n_graphs: int
    ) -> SiteState:
        """The sites with changed scalars."""
        sent = self.message(sites.scalars)[atom_site]
        counts = torch.bincount(atom_graph, minlength=n_graphs)[:, None]
        mean = sum_over_graphs(sent, atom_graph, n_graphs) / counts
        return sites._replace(scalars=sites.scalars + self.change(torch.cat([sites.scalars, mean[site_graph]], -1)))


class SiteCharges(NamedTuple):
    """Born charges before neutrality is imposed, and how readily each atom takes part in that."""

    tensor: Float[Tensor, "sites 3 3"]
    willingness: Float[Tensor, "sites"]


class ChargeHead(nn.Module):
    """A 3×3 tensor of every site: the formal charge, corrected, plus what the site's own matrices and vectors give.

    The antisymmetric part, which low site symmetry allows, comes from commutators of matrices and products of vectors.
    """

    def __init__(self, channels: Channels, hidden: int, dropout: float) -> None:
        super().__init__()
        self.splits = [3, channels.matrices, channels.matrices, channels.vectors]
        self.network = _network(channels.scalars, hidden, sum(self.splits), dropout)
        self.turn = nn.Linear(channels.matrices, channels.matrices, bias=False)
        self.turn_vectors = nn.Linear(channels.vectors, channels.vectors, bias=False)

    def forward(self, sites: SiteState, formal: Float[Tensor, "sites"]) -> SiteCharges:
        """Charges in e from the states and the formal charges (e)."""
        plain, symmetric, commuted, crossed = self.network(sites.scalars).split(self.splits, -1)
        mean = formal * (1 + plain[:, 0]) + plain[:, 1]
        t, v = sites.matrices, sites.vectors
        product = (t[:, :, :, None] * self.turn(t)[:, None]).sum(2)
        outer = v[:, :, None] * self.turn_vectors(v)[:, None]
        other = (outer * crossed[:, None, None]).sum(-1) + (product * commuted[:, None, None]).sum(-1)
        tensor = (t * symmetric[:, None, None]).sum(-1) + (other - other.transpose(1, 2)) / 2
        return SiteCharges(tensor + mean[:, None, None] * _identity_like(tensor), plain[:, 2])


class DielectricHead(nn.Module):
    """ln(ε∞ − 1) as an average over atoms, weighted by learned weights, of scalars and matrices."""

    mean: Tensor

    def __init__(self, channels: Channels, hidden: int, dropout: float) -> None:
        super().__init__()
        self.splits = [2, channels.matrices, channels.matrices]
        self.network = _network(channels.scalars, hidden, sum(self.splits), dropout)
        self.last = nn.Sequential(nn.Linear(channels.scalars, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        self.register_buffer("mean", torch.tensor(1.0))

    def forward(
        self, sites: SiteState, atoms: SiteState, atom_site: Tensor, atom_graph: Tensor, n_graphs: int
    ) -> tuple[Float[Tensor, "graphs scalars"], Float[Tensor, "graphs 3 3"]]:
        """Pooled scalars, and ln(ε∞ − 1)."""
        plain, linear, squared = (part[atom_site] for part in self.network(sites.scalars).split(self.splits, -1))
        weights = softmax_over_graphs(plain[:, 0], atom_graph, n_graphs)[:, None]
        pooled = sum_over_graphs(weights * atoms.scalars, atom_graph, n_graphs)
        t = atoms.matrices
        tensor = (t * linear[:, None, None]).sum(-1) + (matrix_product(t, t) * squared[:, None, None]).sum(-1)
        of_atoms = tensor + plain[:, 1, None, None] * _identity_like(tensor)
        averaged = sum_over_graphs(weights[..., None] * of_atoms, atom_graph, n_graphs)
        trace = self.mean + self.last(pooled)[..., None] * 0.5
        return pooled, _bounded(averaged + trace * _identity_like(averaged))


def dielectric_tensor(log_susceptibility: Float[Tensor, "graphs 3 3"]) -> Float[Tensor, "graphs 3 3"]:
    """ε∞ = 1 + exp(ln(ε∞ − 1)): symmetric, all eigenvalues above one."""
    return torch.linalg.matrix_exp(log_susceptibility) + torch.eye(3).to(log_susceptibility)


def rotate_tensors(
    rotations: Float[Tensor, "atoms 3 3"], tensors: Float[Tensor, "atoms 3 3"]
) -> Float[Tensor, "atoms 3 3"]:
    """R Z Rᵀ."""
    return rotations @ tensors @ rotations.transpose(1, 2)


def rotate_rank_three(
    rotations: Float[Tensor, "atoms 3 3"], tensors: Float[Tensor, "atoms 3 3 3"]
) -> Float[Tensor, "atoms 3 3 3"]:
    """R_ia R_jb R_kc T_abc; the tensors must be symmetric in the first two indices."""
    by_displacement = rotate_matrices(rotations, tensors)
    return (by_displacement.flatten(1, 2) @ rotations.transpose(1, 2)).view(tensors.shape)


def _network(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Dropout(dropout), last)


def _graph_of_sites(graph: CrystalGraph, atom_graph: Tensor) -> Tensor:
    site_graph = atom_graph.new_zeros(len(graph.element))
    return site_graph.scatter(0, graph.atom_site, atom_graph)


def _identity_like(tensors: Tensor) -> Tensor:
    return torch.eye(3, dtype=tensors.dtype, device=tensors.device).expand_as(tensors)


def _bounded(matrices: Tensor) -> Tensor:
    """Symmetric matrices scaled down where their norm would overflow the exponential."""
    norm = matrices.square().sum((1, 2), keepdim=True).sqrt()
    limit = MAX_LOG_SUSCEPTIBILITY * 3**0.5
    return matrices * (limit / norm.clamp(min=limit))
