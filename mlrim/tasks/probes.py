"""Displacements that a Hessian is multiplied with in a training step, drawn anew in every step.

All kinds are defined in mass-weighted coordinates w and given as displacements M^(−1/2) w, with ⟨|w|²⟩ = 1. Columns,
Gaussian and Rademacher probes have ⟨w wᵀ⟩ = 1 / 3n for a graph of n atoms, so that the squared norm of a matrix times w
is, in the mean over probes, the squared Frobenius norm of the matrix over 3n.

The graphs of a batch do not see each other: one probe holds a displacement of every graph, and one product with it a
product of every graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.energy_labels import LabelledGraph

NO_MODE = -1


@dataclass(frozen=True)
class ProbeCounts:
    """How many products a training step makes with the Hessian of every graph.

    Attributes:
        modes: with eigenvectors of the label's mass-weighted Hessian, different ones of each graph.
        columns: with displacements of one atom along one axis.
        gaussian: with normally distributed displacements of all atoms.
        rademacher: with displacements of all atoms by ±1/√mass.
        softness: modes are drawn with probabilities ∝ (|ω| + softening)^(−softness); 0 draws all alike.
        softening: cm⁻¹
    """

    modes: Annotated[int, AtLeast(0)] = 2
    columns: Annotated[int, AtLeast(0)] = 0
    gaussian: Annotated[int, AtLeast(0)] = 0
    rademacher: Annotated[int, AtLeast(0)] = 1
    softness: Annotated[float, AtLeast(0)] = 0.0
    softening: Annotated[float, Above(0)] = 40.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of every probe.

        >>> ProbeCounts(modes=2, columns=1, rademacher=0).kinds
        ('modes', 'modes', 'columns')
        """
        return tuple(kind for kind in ("modes", *DRAWN) for _ in range(getattr(self, kind)))


class Probes(NamedTuple):
    """Probes of a batch of graphs."""

    kinds: tuple[str, ...]
    """Of every probe; the same for all graphs."""
    vectors: Float[Tensor, "probes atoms 3"]
    """Displacements; zero where unknown."""
    known: Bool[Tensor, "probes graphs"]
    """Whether the graph has a Hessian that is multiplied with this probe."""
    modes: Int[Tensor, "probes graphs"]
    """Number of the mode; −1 where the probe is none."""

    def of_kind(self, kind: str) -> list[int]:
        """Numbers of the probes of a kind."""
        return [number for number, found in enumerate(self.kinds) if found == kind]


def draw_probes(counts: ProbeCounts, batch: LabelledGraph, generator: Generator) -> Probes:
    """Probes for the graphs of a batch whose Hessian is known; the others stay at rest.

    Args:
        generator: on the processor, wherever the batch is.
    """
    graph, labels = batch
    kinds = counts.kinds
    weighted, modes = [], []
    for hessian, vectors, frequencies, size in zip(
        labels.hessian, labels.eigenvectors, labels.frequencies, graph.n_atoms.tolist(), strict=True
    ):
        if len(hessian):
            chosen = _choose_modes(counts, frequencies.cpu(), generator)
            drawn = [DRAWN[kind](3 * size, generator) for kind in kinds[counts.modes :]]
            others = torch.stack(drawn) if drawn else torch.zeros(0, 3 * size)
            weighted.append(torch.cat([_mode_probes(vectors, chosen), others.to(vectors)]))
        else:
            chosen = torch.full((counts.modes,), NO_MODE)
            weighted.append(labels.masses.new_zeros(len(kinds), 3 * size))
        modes.append(torch.cat([chosen, torch.full((len(kinds) - counts.modes,), NO_MODE)]))
    number = torch.stack(modes, dim=1).to(labels.masses.device)
    is_mode = torch.tensor([kind == "modes" for kind in kinds], dtype=torch.bool, device=number.device)
    known = labels.has_hessian & (~is_mode[:, None] | (number != NO_MODE))
    vectors = torch.cat([rows.unflatten(1, (rows.shape[1] // 3, 3)) for rows in weighted], dim=1)
    return Probes(kinds, vectors / labels.masses.sqrt()[:, None], known, number)


def _choose_modes(
    counts: ProbeCounts, frequencies: Float[Tensor, "modes"], generator: Generator
) -> Int[Tensor, "probes"]:
    """Different modes by number; −1 for the probes that a graph with few modes has none for."""
    chosen = torch.full((counts.modes,), NO_MODE)
    most = min(counts.modes, len(frequencies))
    if most:
        probabilities = (frequencies.double().abs() + counts.softening) ** -counts.softness
        chosen[:most] = torch.multinomial(probabilities, most, generator=generator)
    return chosen


def _mode_probes(
    eigenvectors: Float[Tensor, "components modes"], chosen: Int[Tensor, "probes"]
) -> Float[Tensor, "probes components"]:
    chosen = chosen.to(eigenvectors.device)
    probes = eigenvectors.new_zeros(len(chosen), len(eigenvectors))
    exists = chosen != NO_MODE
    probes[exists] = eigenvectors[:, chosen[exists]].T
    return probes


def _one_component(components: int, generator: Generator) -> Float[Tensor, "components"]:
    probe = torch.zeros(components, dtype=torch.float64)
    probe[torch.randint(components, (), generator=generator)] = 1
    return probe


def _normal(components: int, generator: Generator) -> Float[Tensor, "components"]:
    return torch.randn(components, generator=generator, dtype=torch.float64) / components**0.5


def _signs(components: int, generator: Generator) -> Float[Tensor, "components"]:
    signs = torch.randint(2, (components,), generator=generator, dtype=torch.float64)
    return (2 * signs - 1) / components**0.5


DRAWN: dict[str, Callable[[int, Generator], Tensor]] = {
    "columns": _one_component,
    "gaussian": _normal,
    "rademacher": _signs,
}
"""Kinds that need the number of components only."""
