"""The direct network: modes, densities of states and spectra straight from the structure.

One encoder reads the structure, and heads answer what is asked for: frequencies at any wave vector through virtual
force constants, densities of states, infrared and Raman powder spectra, single numbers and stability.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.crystal_scalars import SCALARS
from mlrim.graph.frequency_bins import DENSITY_BINS, SPECTRUM_BINS, bins_from
from mlrim.graph.structure_graph import StructureGraph
from mlrim.nn.density_head import DensityHead
from mlrim.nn.dynamical import dynamical_matrices, eigenvalues
from mlrim.nn.element_embedding import Embedding
from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.nn.message_passing import Channels
from mlrim.nn.pooling import sum_over_graphs
from mlrim.nn.scalar_head import ScalarHead, Scalars
from mlrim.nn.spectrum_head import Spectrum, SpectrumHead
from mlrim.nn.structure_encoder import StructureEncoder
from mlrim.nn.virtual_force_constants import VirtualForceConstants

Head = Literal["modes", "density", "spectra", "scalars"]

HEADS: tuple[Head, ...] = ("modes", "density", "spectra", "scalars")
INFRARED_SCALE = 300.0
"""Typical infrared intensity, km per mole of atoms."""


class DirectOutput(NamedTuple):
    """What the heads say of a batch; none of a head that the network does not have."""

    blocks: Float[Tensor, "edges 3 3"] | None = None
    """Virtual force constants, eV/Å²."""
    states: Float[Tensor, "atoms bins"] | None = None
    """Density of states of every atom, three states in all."""
    infrared: Spectrum | None = None
    """Intensities in km per mole of atoms."""
    raman: Spectrum | None = None
    """Intensities in no unit."""
    scalars: Scalars | None = None
    """See `SCALARS`."""
    latent: Float[Tensor, "graphs scalars"] | None = None
    """Average of the atoms' scalars: where a crystal is among others."""


class DirectModel(nn.Module):
    """Vibrations of crystals without force constants.

    Args:
        heads: what it answers.
        scalars: scalar channels of an atom.
        vectors: vector channels of an atom.
        matrices: symmetric traceless matrix channels of an atom.
        layers: exchanges of messages.
        edge_features: size of the learned description of an edge.
        radial: number of radial functions.
        update_hidden: width of the update networks.
        head_hidden: width of the heads.
        cutoff: Å; must be that of the graphs.
        neighbours: typical number of neighbours within the cut-off.
        embedding: what an element is to the network.
        dropout: share of hidden units dropped while training.
        density_bins: of densities of states: number, upper edge of the last one, frequency where they widen (cm⁻¹).
        spectrum_bins: the same of spectra.
    """

    def __init__(
        self,
        heads: Sequence[Head] = HEADS,
        scalars: Annotated[int, AtLeast(1)] = 96,
        vectors: Annotated[int, AtLeast(1)] = 32,
        matrices: Annotated[int, AtLeast(1)] = 16,
        layers: Annotated[int, AtLeast(1)] = 3,
        edge_features: Annotated[int, AtLeast(1)] = 48,
        radial: Annotated[int, AtLeast(1)] = 12,
        update_hidden: Annotated[int, AtLeast(1)] = 192,
        head_hidden: Annotated[int, AtLeast(1)] = 128,
        cutoff: Annotated[float, Above(1)] = 5.0,
        neighbours: float = 30.0,
        embedding: Embedding = "learned_and_properties",
        dropout: Annotated[float, AtLeast(0)] = 0.0,
        density_bins: Sequence[int | float] = DENSITY_BINS,
        spectrum_bins: Sequence[int | float] = SPECTRUM_BINS,
    ) -> None:
        super().__init__()
        self.heads, self.cutoff = tuple(heads), cutoff
        channels = Channels(scalars, vectors, matrices)
        self.encoder = StructureEncoder(
            channels, layers, edge_features, radial, update_hidden, cutoff, neighbours, embedding, dropout
        )
        if "modes" in heads:
            self.modes = VirtualForceConstants(channels, self.encoder.n_edge_features, head_hidden, dropout)
        if "density" in heads:
            self.density = DensityHead(scalars, head_hidden, dropout, FrequencyGrid(*bins_from(density_bins)))
        if "spectra" in heads:
            grid = FrequencyGrid(*bins_from(spectrum_bins))
            self.infrared = SpectrumHead(scalars, head_hidden, dropout, grid, INFRARED_SCALE)
            self.raman = SpectrumHead(scalars, head_hidden, dropout, grid, 1.0)
        if "scalars" in heads:
            self.scalars = ScalarHead(scalars, head_hidden, len(SCALARS), dropout)

    def forward(self, graph: StructureGraph, heads: Sequence[Head] | None = None) -> DirectOutput:
        """The answers of all heads, or of those that are asked for."""
        wanted = set(self.heads if heads is None else heads)
        edges = self.encoder.geometry(graph)
        state = self.encoder(graph, edges)
        atoms = (state.scalars, graph.atom_graph, graph.n_atoms)
        sums = sum_over_graphs(state.scalars, graph.atom_graph, len(graph.n_atoms))
        return DirectOutput(
            blocks=self.modes(state, graph, edges) if "modes" in wanted else None,
            states=self.density(*atoms) if "density" in wanted else None,
            infrared=self.infrared(*atoms) if "spectra" in wanted else None,
            raman=self.raman(*atoms) if "spectra" in wanted else None,
            scalars=self.scalars(*atoms) if "scalars" in wanted else None,
            latent=sums / graph.n_atoms.to(sums.dtype)[:, None],
        )

    def squared_frequencies(
        self, graph: StructureGraph, qpoints: Float[Tensor, "graphs qpoints 3"] | None = None
    ) -> list[Float[Tensor, "_ _"]]:
        """ω² of every crystal (qpoints, modes), ascending, eV/Å²/amu; at Γ when no wave vectors are given."""
        blocks = self.virtual_force_constants(graph)
        return eigenvalues(dynamical_matrices(blocks, graph, qpoints), graph.masses if qpoints is None else None)

    def virtual_force_constants(self, graph: StructureGraph) -> Float[Tensor, "edges 3 3"]:
        """Virtual force constants on the edges, eV/Å², symmetric and the same for both directions of a pair."""
        blocks = self(graph, ["modes"]).blocks
        assert blocks is not None
        return blocks

    @property
    def last_layers(self) -> list[str]:
        """Names of the layers that nothing learned follows."""
        names = {
            "modes": ["modes.head.last"],
            "density": ["density.network.5"],
            "spectra": ["infrared.network.5", "raman.network.5"],
            "scalars": ["scalars.network.5"],
        }
        return [name for head in self.heads for name in names[head]]

    def set_scalar_statistics(self, mean: list[float], deviation: list[float]) -> None:
        """Take over mean and deviation of a training set's `SCALARS`; they are stored with the weights."""
        self.scalars.mean.copy_(torch.tensor(mean))
        self.scalars.deviation.copy_(torch.tensor(deviation))
