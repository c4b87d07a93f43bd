"""The fast potential: an energy from scalars, vectors and symmetric traceless matrices of atoms.

The first exchange gathers densities of neighbours whose weights come from pairs of elements, so that additive pair
potentials, embedded-atom terms and angles are there at once; further ones send what atoms have learned about
themselves. See `mlrim.nn.cartesian_layers`.
"""

from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast
from mlrim.derivatives.capabilities import ALL, Capabilities, declare
from mlrim.graph.energy_graph import EnergyGraph
from mlrim.nn.atomic_energies import AtomicEnergies
from mlrim.nn.cartesian_layers import (
    AtomTensors,
    Densities,
    EdgeFunctions,
    ElementPairs,
    Messages,
    TensorChannels,
    Update,
)


class CartesianPotentialModel(AtomicEnergies):
    """Energies of crystals and molecules with all their derivatives.

    Args:
        scalars: scalar channels of an atom.
        vectors: vector channels of an atom.
        matrices: symmetric traceless matrix channels of an atom.
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
        vectors: Annotated[int, AtLeast(1)] = 32,
        matrices: Annotated[int, AtLeast(1)] = 32,
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
        self.channels = channels = TensorChannels(scalars, vectors, matrices)
        self.edges = EdgeFunctions(gaussians, waves, cutoff)
        functions = gaussians + waves
        self.elements = ElementPairs(scalars, element_hidden, sum(channels), dropout)
        self.densities = Densities(channels, functions)
        self.first_update = Update(channels, TensorChannels(scalars, 0, 0), channels, hidden, dropout)
        self.messages = nn.ModuleList(Messages(scalars, channels, functions) for _ in range(layers - 1))
        self.updates = nn.ModuleList(Update(channels, channels, channels, hidden, dropout) for _ in range(layers - 1))
        self.pair_readout = nn.Linear(scalars, 1, bias=False)
        self.readout = nn.Sequential(nn.Linear(scalars, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def atomic_energies(self, graph: EnergyGraph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, "atoms"]:
        """Learned energy of each atom in units of `scale`."""
        size = len(graph.numbers)
        edges = self.edges(graph, vectors)
        shrink = self.neighbours.rsqrt() * 2
        sums = self.densities(edges, shrink * self.elements(edges.around.elements), size)
        start = AtomTensors(
            self.elements.of_elements(graph.numbers),
            vectors.new_zeros(size, 3, 0),
            vectors.new_zeros(size, 3, 3, 0),
        )
        pair_energy = self.pair_readout(sums[0][:, 0])
        state = self.first_update(start, sums)
        for messages, update in zip(self.messages, self.updates, strict=True):
            new = update(state, [shrink * part for part in messages(edges, state.scalars)])
            state = new._replace(vectors=state.vectors + new.vectors, matrices=state.matrices + new.matrices)
        return (pair_energy + self.readout(state.scalars))[:, 0]
