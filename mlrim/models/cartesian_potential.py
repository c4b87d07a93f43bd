"""The fast potential: an energy from scalars, vectors and symmetric traceless matrices of atoms.

The first exchange gathers densities of neighbours whose weights come from pairs of elements, so that additive pair
potentials, embedded-atom terms and angles are there at once; further ones send what atoms have learned about
themselves. See `mlrim.nn.cartesian_layers`.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.derivatives.capabilities import ALL, Capabilities, declare
from mlrim.graph.energy_graph import EnergyGraph
from mlrim.nn.atomic_energies import AtomicEnergies
from mlrim.nn.cartesian_layers import Densities, ElementPairs, Messages, Update, linear
from mlrim.nn.edge_functions import EdgeFunctions
from mlrim.nn.known_derivatives import SiLU

FIRST_READOUT = 0.3
"""Share of the scale that energies have before training."""


class CartesianPotentialModel(AtomicEnergies):
    """Energies of crystals and molecules with all their derivatives.

    Args:
        scalars: scalar features of an atom.
        channels: of an atom's tensors, each a scalar, a vector and a symmetric traceless matrix.
        messages: channels of messages.
        layers: exchanges between neighbours.
        gaussians: radial functions of the distance in units of the covalent radii.
        waves: radial functions of the distance.
        hidden: width of the networks of atoms.
        element_hidden: width of the network of pairs of elements.
        cutoff: Å; must be that of the graphs.
        repulsion: whether nuclei that come very close repel each other by a known function.
        dropout: share of hidden units dropped while training.
    """

    capabilities = declare(Capabilities("cartesian_potential", ALL, hops=2))

    def __init__(
        self,
        scalars: Annotated[int, AtLeast(1)] = 64,
        channels: Annotated[int, AtLeast(1)] = 32,
        messages: Annotated[int, AtLeast(1)] = 32,
        layers: Annotated[int, AtLeast(1)] = 2,
        gaussians: Annotated[int, AtLeast(2)] = 10,
        waves: Annotated[int, AtLeast(1)] = 8,
        hidden: Annotated[int, AtLeast(1)] = 128,
        element_hidden: Annotated[int, AtLeast(1)] = 128,
        cutoff: Annotated[float, Above(0)] = 5.0,
        repulsion: bool = True,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ) -> None:
        super().__init__(cutoff, layers, repulsion)
        functions = gaussians + waves
        self.edges = EdgeFunctions(gaussians, waves, cutoff)
        self.elements = ElementPairs(scalars, element_hidden, 3 * channels, dropout)
        self.densities = Densities(channels, functions)
        self.messages = nn.ModuleList(Messages(scalars, messages, functions) for _ in range(layers - 1))
        self.updates = nn.ModuleList(
            Update(
                scalars, channels + messages * (index > 0), channels, hidden, dropout, last=index == layers - 1
            )
            for index in range(layers)
        )  # fmt: skip
        self.pair_readout = linear(channels, 1, bias=False, gain=FIRST_READOUT)
        self.readout = nn.Sequential(linear(scalars, hidden), SiLU(), linear(hidden, 1, gain=FIRST_READOUT))

    def atomic_energies(self, graph: EnergyGraph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, "atoms"]:
        """Learned energy of each atom in units of `scale`."""
        edges = self.edges(graph, vectors)
        shrink = 2 * self.neighbours.rsqrt()
        sums = self.densities(edges, shrink * self.elements(edges.around.elements), len(graph.numbers))
        pairs = self.pair_readout(sums[0])
        scalars, tensors = self.updates[0](self.elements.of_elements(graph.numbers), sums)
        for messages, update in zip(self.messages, self.updates[1:], strict=True):
            own = torch.cat([sums[:1], tensors])
            received = shrink * messages(edges, scalars)
            scalars, tensors = update(scalars, torch.cat([own, received], 2))
        return (pairs + self.readout(scalars))[:, 0]
