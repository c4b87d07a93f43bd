"""Last-layer Laplace approximation: networks drawn from the posterior of the last layers' weights.

The curvature of the training loss around the trained weights is that of the empirical Fisher matrix, one Kronecker
product A ⊗ G for each last layer with A the mean of its inputs' outer products and G that of the loss's gradients with
respect to its outputs. Weights are drawn from the Gaussian with the inverse curvature, W + G^−½ E A^−½ / √N with E
standard normal; the body of the network is shared.

Sources: Ritter, Botev, Barber, ICLR 2018, eq. 8; Daxberger et al., NeurIPS 2021 (last layers).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Curvature(NamedTuple):
    """Factors of one layer's curvature, float64; inputs have a one appended for the bias."""

    inputs: Float[Tensor, "inputs inputs"]
    """A"""
    gradients: Float[Tensor, "outputs outputs"]
    """G"""
    crystals: int
    """Number of crystals that were seen."""


def last_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The layers of a network that nothing learned follows, by name; the network says which they are.

    Raises:
        TypeError: the network does not say.
    """
    names: Sequence[str] | None = getattr(model, "last_layers", None)
    if names is None:
        raise TypeError(f"{type(model).__name__} has no attribute last_layers, the names of its last linear layers")
    return {name: model.get_submodule(name) for name in names}  # type: ignore[misc]


def curvatures(model: nn.Module, loss: Callable[[Any], Tensor], batches: Iterable[Any]) -> dict[str, Curvature]:
    """The curvature of every last layer from the gradients of single crystals' losses.

    Args:
        loss: of one batch.
        batches: of one crystal each.
    """
    layers = last_layers(model)
    sums = {name: (_zeros(layer.in_features + 1), _zeros(layer.out_features)) for name, layer in layers.items()}
    count = 0
    with recorded(layers) as passes:
        for batch in batches:
            passes.clear()
            value = loss(batch)
            outputs = [part.output for part in passes.values()]
            gradients = torch.autograd.grad(value, outputs, allow_unused=True)
            count += 1
            for (name, part), gradient in zip(passes.items(), gradients, strict=True):
                if gradient is not None and len(part.given):
                    _add(sums[name], part.given, gradient)
    return {name: Curvature(a / max(1, count), g / max(1, count), count) for name, (a, g) in sums.items()}


class Pass(NamedTuple):
    """What went into a layer and came out."""

    given: Float[Tensor, "rows inputs"]
    output: Float[Tensor, "rows outputs"]


@contextmanager
def recorded(layers: Mapping[str, nn.Linear]) -> Iterator[dict[str, Pass]]:
    """The last pass through every layer, by name; empty until there was one."""
    passes: dict[str, Pass] = {}

    def keeper(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            passes[name] = Pass(given[0].detach(), output)

        return keep

    hooks = [layer.register_forward_hook(keeper(name)) for name, layer in layers.items()]
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()


def _add(sums: tuple[Tensor, Tensor], given: Tensor, gradient: Tensor) -> None:
    rows, slopes = given.double(), gradient.detach().double()
    with_one = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    sums[0].add_(with_one.T @ with_one / len(rows))
    sums[1].add_(len(rows) * slopes.T @ slopes)


def draw(
    model: nn.Module,
    found: Mapping[str, Curvature],
    count: int,
    scale: float | Mapping[str, float],
    seed: int = 0,
    damping: float = 1e-3,
) -> list[nn.Module]:
    """Networks from the posterior; each is a copy with other last layers, where the loss depends on them.

    Args:
        count: how many.
        scale: of the deviations, of all layers or of each; one is the posterior of a loss that is a negative
            log-likelihood.
        seed: of the draws.
        damping: added to the factors' eigenvalues, relative to their mean: the prior.
    """
    generator = torch.Generator().manual_seed(seed)
    roots = {
        name: (_inverse_root(part.inputs, damping), _inverse_root(part.gradients, damping))
        for name, part in found.items()
    }
    drawn = []
    for _ in range(count):
        member = deepcopy(model)
        for name, layer in last_layers(member).items():
            if not found[name].gradients.any():  # nothing is known of this layer's curvature
                continue
            of_inputs, of_gradients = roots[name]
            noise = torch.randn(len(of_gradients), len(of_inputs), generator=generator, dtype=torch.float64)
            size = scale[name] if isinstance(scale, Mapping) else scale
            step = size * max(1, found[name].crystals) ** -0.5 * of_gradients @ noise @ of_inputs
            with torch.no_grad():
                layer.weight.add_(step[:, :-1].to(layer.weight))
                layer.bias.add_(step[:, -1].to(layer.bias))
        drawn.append(member)
    return drawn


def _inverse_root(matrix: Tensor, damping: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    floor = damping * values.clamp(min=0).mean().clamp(min=1e-12)
    return (vectors * (values.clamp(min=0) + floor).rsqrt()) @ vectors.T


def _zeros(size: int) -> Tensor:
    return torch.zeros(size, size, dtype=torch.float64)
