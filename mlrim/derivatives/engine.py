"""All derivatives of an energy at one point, from one evaluation of it.

`differentiate(energy, graph)` evaluates the energy of every graph of a batch; the result gives its forces, stress,
products with the Hessian and parts of the Hessian when they are asked for. The energies of a batch do not depend on
each other's atoms, so their joint Hessian is block-diagonal and one product holds a column of every graph.

Products are vector–Hessian products vᵀH by two backward passes, so that rows come out; as energies are smooth (this is
checked), H is symmetric and columns are the same numbers.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.derivatives.capabilities import Derivative, capabilities_of, require
from mlrim.derivatives.smoothness import check_smooth
from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph, strained

MEMORY = {"cpu": 1 / 16, "cuda": 4.0}
"""GiB that products made at the same time may take by default; on a processor more than its caches hold is slower."""

Energy = Callable[[EnergyGraph], Tensor]
"""Energies (eV), one for each graph, of a graph; its attribute `capabilities` says which derivatives it has."""


def differentiate(
    energy: Energy, graph: EnergyGraph, training: bool = False, stress: bool = False, memory: float | None = None
) -> "EnergyDerivatives":
    """Evaluate an energy such that it can be differentiated.

    Args:
        energy: any function of a graph that declares its capabilities.
        graph: one graph or a batch; its positions decide on the precision.
        training: whether losses of the results will be differentiated with respect to parameters (`create_graph`).
        stress: whether stress will be asked for too.
        memory: GiB that products made at the same time may take beyond the evaluation itself; none for the device's
            default. Products for training all stay in memory until the loss is differentiated, whatever this says.

    Raises:
        UserError: the energy does not declare its derivatives, its parameters have another precision than the graph,
            its value is not one number for each graph that depends on the positions, or stress is asked for and not
            supported or not defined.
    """
    capabilities_of(energy)
    _check_precision(energy, graph)
    if stress:
        _check_stress(energy, graph)
    if memory is None:
        memory = MEMORY.get(graph.positions.device.type, MEMORY["cpu"])
    with torch.enable_grad():
        positions = graph.positions.detach().requires_grad_()
        strain = torch.zeros_like(graph.cell).requires_grad_() if stress else None
        point = graph._replace(positions=positions)
        counter = _SavedBytes()
        with nullcontext() if training else counter.counting():
            value = energy(point if strain is None else strained(point, strain))
    _check_value(energy, value, graph)
    return EnergyDerivatives(energy, graph, training, memory, positions, strain, value, counter)


@dataclass(frozen=True, eq=False)
class EnergyDerivatives:
    """An energy at one point, made by `differentiate`."""

    function: Energy
    graph: EnergyGraph
    training: bool
    memory: float
    _positions: Tensor
    _strain: Tensor | None
    _value: Tensor
    _counter: "_SavedBytes"

    @property
    def energy(self) -> Float[Tensor, "graphs"]:
        """Of each graph, eV."""
        return self._value if self.training else self._value.detach()

    @cached_property
    def forces(self) -> Float[Tensor, "atoms 3"]:
        """−∂E/∂r, eV/Å."""
        require(self.function, Derivative.FORCE_TRAINING if self.training else Derivative.FORCES)
        return -self._first_order[0]

    @cached_property
    def stress(self) -> Float[Tensor, "graphs 3 3"]:
        """∂E/∂ε per volume for symmetric strain, eV/Å³; positive under tension.

        Raises:
            ValueError: it was not asked for when the energy was evaluated.
        """
        if self._strain is None:
            raise ValueError("the energy was evaluated without strain: differentiate(energy, graph, stress=True)")
        if self.training:
            require(self.function, Derivative.FORCE_TRAINING)
        gradient = self._first_order[1]
        return (gradient + gradient.mT) / 2 / torch.linalg.det(self.graph.cell).abs()[:, None, None]

    def product(self, vectors: Float[Tensor, "atoms 3"]) -> Float[Tensor, "atoms 3"]:
        """The Hessian times one displacement of all atoms, eV/Å for Å."""
        return self.products(vectors[None])[0]

    def products(self, vectors: Float[Tensor, "probes atoms 3"]) -> Float[Tensor, "probes atoms 3"]:
        """The Hessian times several displacements, eV/Å for Å; as many at once as memory allows."""
        if not len(vectors):
            return torch.zeros_like(vectors)
        return torch.cat([self._some_products(chunk) for chunk in vectors.split(self.chunk)])

    def rows(self, components: Int[Tensor, "rows"]) -> Float[Tensor, "rows atoms 3"]:
        """∂²E/∂c∂r of the same component c = 3·atom + axis of every graph, eV/Å²; zero in graphs without this c."""
        return torch.cat([self._some_products(probes) for probes in self._unit_probes(components)])

    def columns(self, components: Int[Tensor, "columns"]) -> Float[Tensor, "columns atoms 3"]:
        """∂²E/∂r∂c of the same component of every graph, eV/Å²; equal to the rows, because the Hessian is symmetric."""
        return self.rows(components)

    def blocks(self, first: Int[Tensor, "pairs"], second: Int[Tensor, "pairs"]) -> Float[Tensor, "pairs 3 3"]:
        """∂²E/∂r_i∂r_j of pairs of atoms of the same graph, eV/Å²; atoms count through the batch.

        Raises:
            ValueError: the atoms of a pair are in different graphs.
        """
        owner = self.graph.atom_graph
        if not torch.equal(owner[first], owner[second]):
            raise ValueError("the atoms of a block must be in the same graph: blocks between graphs are zero")
        local, row = torch.unique(first - self.graph.first_atom[owner[first]], return_inverse=True)
        axes = torch.arange(3, device=local.device)
        rows = self.rows((3 * local[:, None] + axes).reshape(-1))
        return rows.reshape(len(local), 3, -1, 3).transpose(1, 2)[row, second]

    def hessian(self) -> tuple[Float[Tensor, "_ _"], ...]:
        """The full Hessian of each graph, (3·atoms, 3·atoms), component 3·atom + axis, eV/Å²."""
        sizes = self.graph.n_atoms.tolist()
        rows = self.rows(torch.arange(3 * max(sizes), device=self.graph.n_atoms.device))
        parts = rows.split(sizes, dim=1)
        return tuple(part[: 3 * size].reshape(3 * size, 3 * size) for part, size in zip(parts, sizes, strict=True))

    @cached_property
    def chunk(self) -> int:
        """How many products are made at once: as many as fit in the memory that was allowed, at least one."""
        if not capabilities_of(self.function).vectorized:
            return 1
        self._gradient  # noqa: B018  (its operations are counted too)
        return max(1, int(self.memory * 2**30 / max(1, self._counter.total)))

    @cached_property
    def _gradient(self) -> tuple[Tensor, ...]:
        """∂E/∂r and, with stress, ∂E/∂ε, which can be differentiated again."""
        with torch.enable_grad(), nullcontext() if self.training else self._counter.counting():
            return self._first_derivatives(create_graph=True)

    @cached_property
    def _first_order(self) -> tuple[Tensor, ...]:
        """The same as results; without what a second derivative would need, unless that exists already."""
        if self.training:
            return self._gradient
        if "_gradient" in self.__dict__:
            return tuple(gradient.detach() for gradient in self._gradient)
        return self._first_derivatives(retain_graph=True)

    def _first_derivatives(self, **options: Any) -> tuple[Tensor, ...]:
        inputs = (self._positions,) if self._strain is None else (self._positions, self._strain)
        return torch.autograd.grad(self._value.sum(), inputs, materialize_grads=True, **options)

    @cached_property
    def _second_order(self) -> Tensor:
        """∂E/∂r after the checks that second derivatives need."""
        require(self.function, Derivative.HESSIAN_TRAINING if self.training else Derivative.HESSIAN)
        check_smooth(self.function, self._value)
        return self._gradient[0]

    def _some_products(self, vectors: Float[Tensor, "probes atoms 3"]) -> Float[Tensor, "probes atoms 3"]:
        gradient = self._second_order
        if not gradient.requires_grad:  # an energy that is linear in the positions
            return torch.zeros_like(vectors)
        if len(vectors) == 1:
            return self._backward(gradient, vectors[0])[None]
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*not yet implemented the batching rule.*")
            try:
                return self._backward(gradient, vectors, is_grads_batched=True)
            except (RuntimeError, UserWarning) as error:
                if not any(word in str(error).lower() for word in ("vmap", "batching rule")):
                    raise
                raise UserError(
                    f"an operation of the model `{capabilities_of(self.function).name}` cannot be batched "
                    f"({error}); declare it with vectorized=False, which makes one product after the other"
                ) from error

    def _backward(self, gradient: Tensor, vectors: Tensor, **options: Any) -> Tensor:
        options |= {"retain_graph": True, "create_graph": self.training, "allow_unused": True}
        (answer,) = torch.autograd.grad(gradient, self._positions, vectors, **options)
        return torch.zeros_like(vectors) if answer is None else answer

    def _unit_probes(self, components: Int[Tensor, "rows"]) -> Iterator[Float[Tensor, "some atoms 3"]]:
        """For every component a displacement with a one in every graph that has the component, in chunks."""
        graph, size = self.graph, 3 * len(self.graph.numbers)
        for chunk in components.split(self.chunk):
            probes = graph.positions.new_zeros(len(chunk), size)
            row, owner = torch.nonzero(chunk[:, None] < 3 * graph.n_atoms[None, :], as_tuple=True)
            probes[row, 3 * graph.first_atom[owner] + chunk[row]] = 1
            yield probes.reshape(len(chunk), -1, 3)


class _SavedBytes:
    """Counts the bytes that operations keep for their derivatives, which is about what one product goes through."""

    def __init__(self) -> None:
        self.total = 0

    def counting(self) -> torch.autograd.graph.saved_tensors_hooks:
        return torch.autograd.graph.saved_tensors_hooks(self._count, lambda tensor: tensor)

    def _count(self, tensor: Tensor) -> Tensor:
        self.total += math.prod(tensor.shape) * tensor.element_size()
        return tensor


def _check_precision(energy: Energy, graph: EnergyGraph) -> None:
    parameters = energy.parameters() if isinstance(energy, nn.Module) else ()
    other = {parameter.dtype for parameter in parameters if parameter.is_floating_point()} - {graph.positions.dtype}
    if other:
        raise UserError(
            f"the parameters of the model are {', '.join(map(str, other))} and the positions {graph.positions.dtype}; "
            "bring them to one precision: model.double() or graph.to(torch.float32)"
        )


def _check_stress(energy: Energy, graph: EnergyGraph) -> None:
    require(energy, Derivative.STRESS)
    if not bool(graph.periodic.all()):
        raise UserError("stress needs a periodic cell in every graph; this batch holds molecules or extended graphs")


def _check_value(energy: Energy, value: Tensor, graph: EnergyGraph) -> None:
    name = capabilities_of(energy).name
    if value.shape != graph.n_atoms.shape:
        raise UserError(
            f"the model `{name}` must give one energy for each of {len(graph.n_atoms)} graphs, "
            f"not a tensor of shape {tuple(value.shape)}"
        )
    if not value.requires_grad:
        raise UserError(
            f"the energy of the model `{name}` does not depend on the positions in a way that can be differentiated: "
            "it detaches them, or it runs under torch.no_grad or torch.inference_mode"
        )
