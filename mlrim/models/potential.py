"""An equivariant energy of NequIP's type: features of atoms up to degree l, convolved over neighbours.

Source: S. Batzner et al., Nat. Commun. 13, 2453 (2022). In addition radial functions see the elements of both atoms,
gates see the squares of convolved features, and the readout sees the scalars of all layers.
"""

from itertools import pairwise
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.configuration.types import Above, AtLeast, Between
from mlrim.derivatives.capabilities import ALL, Capabilities, declare
from mlrim.graph.energy_graph import EnergyGraph
from mlrim.nn.atomic_energies import AtomicEnergies
from mlrim.nn.tensor_product import harmonics_of, layer_irreps, neighbour_table
from mlrim.nn.tensor_product_layers import ElementFeatures, GatedLayer, RadialNetwork, Surroundings

START = 3.0
"""Factor of the last weights at the start: second derivatives of a new network are then of the size of its scale."""


class PotentialModel(AtomicEnergies):
    """Energies by tensor-product convolutions.

    Args:
        channels: channels of every irrep of an atom.
        layers: convolutions; as many hops.
        degree: highest degree l of features and spherical harmonics.
        pseudo: whether pseudoscalars, pseudovectors and the like are among the features; of use from four layers on.
        radial: learned radial functions of each degree in each layer.
        waves: Bessel functions of the distance.
        gaussians: Gaussians of the distance in units of covalent radii.
        radial_hidden: width of the radial network.
        cutoff: Å; must be that of the graphs.
        repulsion: whether nuclei closer than the sum of their covalent radii repel each other by a known function.
    """

    capabilities = declare(Capabilities("potential", ALL, hops=3))

    def __init__(
        self,
        channels: Annotated[int, AtLeast(1)] = 32,
        layers: Annotated[int, AtLeast(1)] = 3,
        degree: Annotated[int, Between(0, 3)] = 2,
        pseudo: bool = False,
        radial: Annotated[int, AtLeast(1)] = 4,
        waves: Annotated[int, AtLeast(1)] = 8,
        gaussians: Annotated[int, AtLeast(2)] = 8,
        radial_hidden: Annotated[int, AtLeast(1)] = 32,
        cutoff: Annotated[float, Above(0)] = 5.0,
        repulsion: bool = True,
    ) -> None:
        super().__init__(cutoff, layers, repulsion)
        self.degree = degree
        irreps = layer_irreps(layers, degree, pseudo)
        self.elements = ElementFeatures(channels)
        self.radial = RadialNetwork(waves, gaussians, channels, radial_hidden, [radial] * layers, degree, cutoff)
        self.layers = nn.ModuleList(
            GatedLayer(before, after, degree, channels, radial, channels) for before, after in pairwise(irreps)
        )
        last = nn.Linear(channels, 1)
        last.weight.data.mul_(START)
        self.readout = nn.Sequential(nn.Linear((layers + 1) * channels, channels), nn.SiLU(), last)

    def atomic_energies(self, graph: EnergyGraph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, "atoms"]:
        """Learned energy of each atom in units of `scale`; vectors lead from receivers to senders, Å."""
        table = neighbour_table(graph.receiver, graph.sender, len(graph.numbers))
        at_cutoff = vectors.new_tensor([[self.cutoff, 0, 0]])
        placed = torch.cat([vectors, at_cutoff]).index_select(0, table.edge).T.contiguous()
        distance = placed.square().sum(0, keepdim=True).sqrt()
        elements = self.elements(graph.numbers)
        harmonics = harmonics_of(placed / distance, self.degree) * self.neighbours.rsqrt()
        edges = self.radial(distance, harmonics, elements, graph.numbers, (table.receiver, table.sender))
        around = Surroundings(elements, table)
        features = elements[:, None]
        scalars = [elements]
        for layer, functions in zip(self.layers, edges, strict=True):
            features = layer(features, functions, around)
            scalars.append(features[:, 0])
        return self.readout(torch.cat(scalars, 1))[:, 0]
