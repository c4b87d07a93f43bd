"""What an element is to a network: one of 89, a learned vector, or a gated ensemble of its properties.

Sites that several elements share (virtual crystal) have the average of their elements' embeddings.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.graph.elements import N_ELEMENTS, element_properties

Embedding = Literal["one_hot", "learned", "properties", "learned_and_properties"]
"""`one_hot`: a linear map of the element's number among 89, small at the start; `learned`: a vector of its own for each
element; `properties`: networks of groups of properties, weighted by gates that each element chooses; the last: the sum
of the two before."""


class ElementEmbedding(nn.Module):
    """Scalars of a site from its elements.

    Args:
        kind: see `Embedding`.
        size: number of scalars.
    """

    properties: Tensor

    def __init__(self, kind: Embedding, size: int) -> None:
        super().__init__()
        self.kind, self.size = kind, size
        if kind in ("one_hot", "learned", "learned_and_properties"):
            self.of_element = nn.Embedding(N_ELEMENTS, size)
            nn.init.normal_(self.of_element.weight, std=N_ELEMENTS**-0.5 if kind == "one_hot" else 0.3)
        if kind in ("properties", "learned_and_properties"):
            properties = torch.tensor(element_properties(), dtype=torch.float32)
            self.register_buffer("properties", properties, persistent=False)
            self.experts = nn.ModuleList(
                nn.Sequential(nn.Linear(1, size), nn.SiLU(), nn.Linear(size, size)) for _ in range(properties.shape[1])
            )
            self.gates = nn.Linear(properties.shape[1], properties.shape[1])

    def forward(
        self,
        element: Int[Tensor, "constituents"],
        share: Float[Tensor, "constituents"],
        atom: Int[Tensor, "constituents"],
        n_atoms: int,
    ) -> Float[Tensor, "atoms size"]:
        """The average over the constituents of every atom's site."""
        used, which = torch.unique(element, return_inverse=True)
        embedded = self._of_elements(used).index_select(0, which) * share[:, None]
        return embedded.new_zeros(n_atoms, self.size).index_add(0, atom, embedded)

    def _of_elements(self, element: Int[Tensor, "elements"]) -> Float[Tensor, "elements size"]:
        parts = []
        if self.kind != "properties":
            parts.append(self.of_element(element))
        if self.kind in ("properties", "learned_and_properties"):
            values = self.properties.index_select(0, element)
            gates = torch.softmax(self.gates(values), -1)
            each = [expert(values[:, index, None]) for index, expert in enumerate(self.experts)]
            parts.append((torch.stack(each, 1) * gates[:, :, None]).sum(1))
        return torch.stack(parts).sum(0)
