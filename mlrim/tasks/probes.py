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
from jaxtyping import Float, Int
from torch import Generator, Tensor

from mlrim.configuration.types import Above, AtLeast
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph

KINDS = ("modes", "columns", "gaussian", "rademacher")
NOTHING = -1


@dataclass(frozen=True)
class ProbeMixture:
    """How many products a training step makes with the Hessian of every graph, and with what.

    Attributes:
        count: products with each Hessian.
        modes: share of eigenvectors of the label's mass-weighted Hessian. A graph shows no mode twice in a step; one
            with fewer modes than it should show is multiplied with a random probe instead where the mixture has some.
        columns: share of displacements of one atom along one axis.
        gaussian: share of normally distributed displacements of all atoms.
        rademacher: share of displacements of all atoms by ±1/√mass.
        softness: modes are drawn with probabilities ∝ (|ω| + softening)^(−softness); 0 draws all alike.
        softening: cm⁻¹

    Raises:
        UserError: there are products to make, and all shares are zero.
    """

    count: Annotated[int, AtLeast(0)] = 1
    modes: Annotated[float, AtLeast(0)] = 0.4
    columns: Annotated[float, AtLeast(0)] = 0.0
    gaussian: Annotated[float, AtLeast(0)] = 0.0
    rademacher: Annotated[float, AtLeast(0)] = 0.6
    softness: Annotated[float, AtLeast(0)] = 0.0
    softening: Annotated[float, Above(0)] = 40.0

    def __post_init__(self) -> None:
        if self.count and not any(self.shares):
            raise UserError(f"task.probes: all shares are zero; give one of {', '.join(KINDS)}, or count: 0")

    @property
    def shares(self) -> list[float]:
        """Of each of `KINDS`."""
        return [getattr(self, kind) for kind in KINDS]


class Probes(NamedTuple):
    """Probes of a batch of graphs."""

    vectors: Float[Tensor, "probes atoms 3"]
    """Displacements; zero where there is no probe."""
    kinds: Int[Tensor, "probes graphs"]
    """Number of the kind in `KINDS`; −1 where a graph has no Hessian, or no such probe."""
    modes: Int[Tensor, "probes graphs"]
    """Number of the mode; −1 where the probe is none."""


def draw_probes(mixture: ProbeMixture, batch: LabelledGraph, generator: Generator) -> Probes:
    """Probes for the graphs of a batch whose Hessian is known; the others stay at rest.

    Args:
        generator: on the processor, wherever the batch is.
    """
    graph, labels = batch
    parts = zip(labels.hessian, labels.eigenvectors, labels.frequencies, graph.n_atoms.tolist(), strict=True)
    drawn = [
        _draw(mixture, vectors, frequencies, 3 * size, generator)
        if len(hessian)
        else _at_rest(mixture.count, labels.masses.new_zeros(3 * size))
        for hessian, vectors, frequencies, size in parts
    ]
    weighted = torch.cat([rows.unflatten(1, (rows.shape[1] // 3, 3)) for rows, _, _ in drawn], dim=1)
    kinds, modes = (torch.stack([part[index] for part in drawn], dim=1).to(weighted.device) for index in (1, 2))
    return Probes(weighted / labels.masses.sqrt()[:, None], kinds, modes)


Drawn = tuple[Float[Tensor, "probes components"], Int[Tensor, "probes"], Int[Tensor, "probes"]]
"""Mass-weighted probes of one graph, their kinds and modes."""


def _at_rest(count: int, zeros: Float[Tensor, "components"]) -> Drawn:
    nothing = torch.full((count,), NOTHING)
    return zeros.expand(count, -1), nothing, nothing


def _draw(
    mixture: ProbeMixture,
    eigenvectors: Float[Tensor, "components modes"],
    frequencies: Float[Tensor, "modes"],
    components: int,
    generator: Generator,
) -> Drawn:
    if not mixture.count:
        return _at_rest(0, eigenvectors.new_zeros(components))
    shares = torch.tensor(mixture.shares, dtype=torch.float64)
    kinds = torch.multinomial(shares, mixture.count, replacement=True, generator=generator)
    wanted = torch.nonzero(kinds == KINDS.index("modes"))[:, 0]
    chosen = _choose_modes(mixture, frequencies.cpu(), len(wanted), generator)
    modes = torch.full_like(kinds, NOTHING)
    modes[wanted[: len(chosen)]] = chosen
    if len(missing := wanted[len(chosen) :]):
        others = shares * (torch.arange(len(KINDS)) != KINDS.index("modes"))
        any_left = bool(others.any())
        kinds[missing] = torch.multinomial(others, len(missing), True, generator=generator) if any_left else NOTHING
    rows = [_probe(kind, mode, eigenvectors, components, generator) for kind, mode in zip(kinds, modes, strict=True)]
    return torch.stack(rows), kinds, modes


def _choose_modes(
    mixture: ProbeMixture, frequencies: Float[Tensor, "modes"], count: int, generator: Generator
) -> Int[Tensor, "chosen"]:
    """Different modes by number, at most so many."""
    count = min(count, len(frequencies))
    if not count:
        return torch.zeros(0, dtype=torch.int64)
    probabilities = (frequencies.double().abs() + mixture.softening) ** -mixture.softness
    return torch.multinomial(probabilities, count, generator=generator)


def _probe(
    kind: Int[Tensor, ""], mode: Int[Tensor, ""], eigenvectors: Tensor, components: int, generator: Generator
) -> Float[Tensor, "components"]:
    if kind == NOTHING:
        return eigenvectors.new_zeros(components)
    if mode != NOTHING:
        return eigenvectors[:, int(mode)]
    return DRAWN[KINDS[int(kind)]](components, generator).to(eigenvectors)


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
