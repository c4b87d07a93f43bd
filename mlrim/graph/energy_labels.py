"""What an energy is trained on: graphs, and the energies, forces, stresses and Hessians that are known of them.

A sample is a crystal cell, a supercell or a molecule. Its Hessian is that of the graph as the periodic cell it is: all
images of an atom move together. Samples of any kind can stand in one batch; what is not known is NaN, or a matrix of
no size, and never zero.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlrim.graph.energy_graph import EnergyGraph, batch_graphs


class EnergyLabels(NamedTuple):
    """What is known of a batch of graphs."""

    energy: Float[Tensor, "graphs"]
    """eV; NaN where unknown."""
    forces: Float[Tensor, "atoms 3"]
    """Of what the network adds to the parts that are not learned, eV/Å; NaN where unknown."""
    stress: Float[Tensor, "graphs 3 3"]
    """eV/Å³, positive under tension; NaN where unknown."""
    masses: Float[Tensor, "atoms"]
    """amu"""
    hessian: list[Float[Tensor, "_ _"]]
    """For each graph what the network must give, (3·atoms, 3·atoms), component 3·atom + axis, eV/Å²; (0, 0) where
    unknown."""
    rest: list[Float[Tensor, "_ _"]]
    """The parts of the total Hessian that are not learned (dipole interaction, rigid ions), of the same sizes."""
    eigenvectors: list[Float[Tensor, "_ _"]]
    """Eigenvectors of the total mass-weighted Hessian as columns, without translations (and, of molecules,
    rotations); of no size where the Hessian is unknown."""
    frequencies: list[Float[Tensor, "_"]]
    """Of these modes, cm⁻¹, imaginary ones negative."""
    source: Int[Tensor, "graphs"]
    """Number of the data set that each graph is from."""

    def to(self, target: torch.device | str | torch.dtype) -> "EnergyLabels":
        """The same labels on another device or, but for `source`, in another precision."""
        precision = isinstance(target, torch.dtype)
        moved: list[Any] = [
            [tensor.to(target) for tensor in value]
            if isinstance(value, list)
            else (value if precision and not value.is_floating_point() else value.to(target))
            for value in self
        ]
        return EnergyLabels(*moved)

    @property
    def has_hessian(self) -> Bool[Tensor, "graphs"]:
        """Graphs whose Hessian is known."""
        return torch.tensor([len(matrix) > 0 for matrix in self.hessian], device=self.energy.device)


class LabelledGraph(NamedTuple):
    """A graph, or a batch of them, with its labels."""

    graph: EnergyGraph
    labels: EnergyLabels

    def to(self, target: torch.device | str | torch.dtype) -> "LabelledGraph":
        """The same on another device or in another precision."""
        return LabelledGraph(self.graph.to(target), self.labels.to(target))


def unlabelled(graph: EnergyGraph, masses: Float[Tensor, "atoms"], source: int = 0) -> LabelledGraph:
    """One graph of which nothing is known yet; what is known is filled in by `labels._replace`."""
    positions = graph.positions
    nothing = positions.new_zeros(0, 0)
    labels = EnergyLabels(
        energy=positions.new_full((1,), torch.nan),
        forces=torch.full_like(positions, torch.nan),
        stress=positions.new_full((1, 3, 3), torch.nan),
        masses=masses.to(positions.dtype),
        hessian=[nothing],
        rest=[nothing],
        eigenvectors=[nothing],
        frequencies=[positions.new_zeros(0)],
        source=torch.tensor([source]),
    )
    return LabelledGraph(graph, labels)


def join_labelled(samples: Sequence[LabelledGraph]) -> LabelledGraph:
    """One batch of several samples."""
    columns = zip(*(sample.labels for sample in samples), strict=True)
    joined: list[Any] = [_joined(column) for column in columns]
    return LabelledGraph(batch_graphs([sample.graph for sample in samples]), EnergyLabels(*joined))


def _joined(column: Sequence[Any]) -> Tensor | list[Tensor]:
    if isinstance(column[0], list):
        return [tensor for tensors in column for tensor in tensors]
    return torch.cat(list(column))
