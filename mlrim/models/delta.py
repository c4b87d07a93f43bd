"""The delta network: corrections to a classical model's force constants from the structure of a crystal.

The architecture of the ML-RIM paper (elements, SOAP, rigid-ion charge and coordination on atoms; radial basis,
direction and rigid-ion blocks on edges; four continuous-filter layers; three-layer heads) with directions and blocks
carried as Cartesian tensors, so that the network is equivariant under rotations and reflections.
"""

from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.crystal_graph import CUTOFF, CrystalGraph
from mlrim.nn.encoder import SiteEncoder, polar, reduced_distance
from mlrim.nn.message_passing import Channels, on_atoms
from mlrim.nn.pair_head import PairGeometry, PairHead
from mlrim.nn.radial import smooth_switch

DEFAULT_LOG_SCALE = (1.0, -4.0, 0.5, 0.0, 0.0)


class DeltaStatistics(NamedTuple):
    """Figures of a training set that put inputs and outputs on a common scale."""

    soap_mean: list[float]
    soap_deviation: list[float]
    log_scale: list[float]
    """ln of the mean block magnitude (eV/Å²) as a polynomial in x − 1, see `reduced_distance`."""


class DeltaModel(SiteEncoder):
    """3×3 corrections on all pairs (i, j, R) of a crystal within the cut-off.

    Args:
        scalars: scalar channels of an atom.
        vectors: vector channels of an atom.
        matrices: symmetric traceless matrix channels of an atom.
        layers: exchanges of messages.
        edge_features: size of the learned description of an edge.
        radial: number of radial functions.
        update_hidden: width of the update networks.
        head_hidden: width of the head.
        cutoff: Å; must be that of the graphs.
        neighbours: typical number of neighbours within the cut-off.
        dropout: share of hidden units dropped while training.
    """

    log_scale: Tensor
    last_layers = ("head.last",)
    """Names of the layers that nothing learned follows."""

    def __init__(
        self,
        scalars: Annotated[int, AtLeast(1)] = 128,
        vectors: Annotated[int, AtLeast(1)] = 32,
        matrices: Annotated[int, AtLeast(1)] = 16,
        layers: Annotated[int, AtLeast(1)] = 4,
        edge_features: Annotated[int, AtLeast(1)] = 64,
        radial: Annotated[int, AtLeast(1)] = 16,
        update_hidden: Annotated[int, AtLeast(1)] = 288,
        head_hidden: Annotated[int, AtLeast(1)] = 256,
        cutoff: Annotated[float, Above(0)] = CUTOFF,
        neighbours: float = 60.0,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ) -> None:
        channels = Channels(scalars, vectors, matrices)
        super().__init__(channels, layers, edge_features, radial, update_hidden, cutoff, neighbours, dropout)
        self.head = PairHead(channels, self.n_pair_features, head_hidden, given=2, dropout=dropout)
        self.register_buffer("log_scale", torch.tensor(DEFAULT_LOG_SCALE))

    def set_statistics(self, statistics: DeltaStatistics) -> None:
        """Take over the figures of a training set; they are stored with the weights."""
        self.site_embedding.soap_mean.copy_(torch.tensor(statistics.soap_mean))
        self.site_embedding.soap_deviation.copy_(torch.tensor(statistics.soap_deviation))
        self.log_scale.copy_(torch.tensor(statistics.log_scale))

    def forward(self, graph: CrystalGraph) -> Float[Tensor, "edges 3 3"]:
        """Corrections ΔΦ_ij(R) on the graph's edges, eV/Å²; the on-site blocks follow from the sum rule."""
        state = self.encode(graph)
        atoms = on_atoms(state, graph.atom_site, graph.atom_rotation)
        return expand_to_edges(self.head(atoms, self._pairs(graph)), graph)

    def _pairs(self, graph: CrystalGraph) -> PairGeometry:
        distance, direction = polar(graph.pair_vector)
        envelope = smooth_switch(distance, self.cutoff - 1, self.cutoff)
        reduced = reduced_pair_distance(graph)
        powers = torch.arange(len(self.log_scale), device=reduced.device)
        log_scale = ((reduced[:, None] - 1) ** powers) @ self.log_scale
        return PairGeometry(
            i=graph.pair_i,
            j=graph.pair_j,
            direction=direction,
            features=self.pair_features(distance, reduced, direction, graph.pair_baseline, graph.pair_dipole),
            scale=envelope * torch.exp(log_scale),
            envelope=envelope,
            given=(graph.pair_baseline, graph.pair_dipole),
        )


def expand_to_edges(blocks: Float[Tensor, "pairs 3 3"], graph: CrystalGraph) -> Float[Tensor, "edges 3 3"]:
    """Rotate the blocks of the representative pairs onto all edges."""
    chosen = blocks[graph.edge_pair]
    chosen = torch.where(graph.edge_reversed[:, None, None], chosen.transpose(1, 2), chosen)
    return torch.bmm(torch.bmm(graph.edge_rotation, chosen), graph.edge_rotation.transpose(1, 2))


def reduced_pair_distance(graph: CrystalGraph) -> Float[Tensor, "pairs"]:
    """The reduced distance of a graph's pairs."""
    element = graph.element[graph.atom_site]
    return reduced_distance(graph.pair_vector.norm(dim=-1), element[graph.pair_i], element[graph.pair_j])


def fit_log_scale(x: Float[np.ndarray, "pairs"], magnitude: Float[np.ndarray, "pairs"]) -> list[float]:
    """Polynomial ln|block|(x − 1) through the means of bins of the reduced distance x."""
    edges = np.linspace(0.6, 4.0, 35)
    place = np.digitize(x, edges)
    filled = [index for index in range(1, len(edges)) if (place == index).sum() >= 5]
    if not filled:
        return list(DEFAULT_LOG_SCALE)
    centres = [(edges[index - 1] + edges[index]) / 2 - 1 for index in filled]
    means = [np.log(max(magnitude[place == index].mean(), 1e-6)) for index in filled]
    degree = min(len(DEFAULT_LOG_SCALE) - 1, max(0, len(filled) // 3))
    fitted = np.polynomial.polynomial.polyfit(centres, means, degree)
    return np.pad(fitted, (0, len(DEFAULT_LOG_SCALE) - len(fitted))).tolist()
