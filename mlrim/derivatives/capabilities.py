"""Which derivatives an energy has, as it declares them itself; whatever else is asked for raises."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph


class Derivative(StrEnum):
    """What can be asked of an energy."""

    FORCES = "forces"
    STRESS = "stress"
    HESSIAN = "Hessian"
    FORCE_TRAINING = "training on forces"
    HESSIAN_TRAINING = "training on Hessians"
    BLOCH = "any wave vector"


ALL = frozenset(Derivative)


@dataclass(frozen=True)
class Capabilities:
    """What a model declares in its attribute `capabilities`.

    Attributes:
        name: of the model.
        derivatives: that it has.
        hops: how many pairs in a row lead to the farthest atom that an atom's energy depends on; none where the energy
            is not a sum of such energies, which then has no extended graph.
        vectorized: whether all its operations may be batched by `torch.vmap`, so that one pass gives many products.
        reason: why the other derivatives are missing.
    """

    name: str
    derivatives: frozenset[Derivative]
    hops: int | None = None
    vectorized: bool = True
    reason: str = "it does not declare them"


WITHOUT_ENERGY = "it gives force constants or responses directly, and no energy"
MODELS = {
    name: Capabilities(name, frozenset(), vectorized=False, reason=WITHOUT_ENERGY) for name in ("delta", "response")
}
"""Models that are known to the table; those with an energy add themselves by `declare`."""


def declare(capabilities: Capabilities) -> Capabilities:
    """Enter a model into the table."""
    MODELS[capabilities.name] = capabilities
    return capabilities


@dataclass(frozen=True)
class DeclaredEnergy:
    """Any function of a graph as an energy: eV, one number for each graph."""

    function: Callable[[EnergyGraph], Tensor]
    capabilities: Capabilities

    def __call__(self, graph: EnergyGraph) -> Tensor:
        """The function's value."""
        return self.function(graph)


def capabilities_of(energy: Callable[[EnergyGraph], Tensor]) -> Capabilities:
    """What an energy declares.

    Raises:
        UserError: it declares nothing, or it is compiled.
    """
    if hasattr(energy, "_orig_mod"):
        raise UserError(
            "a model compiled by torch.compile cannot be differentiated twice from outside; "
            "give the model itself (its attribute _orig_mod)"
        )
    declared = getattr(energy, "capabilities", None)
    if not isinstance(declared, Capabilities):
        raise UserError(
            f"{_name(energy)} does not say which derivatives it has: give it an attribute `capabilities` (see "
            "mlrim.derivatives.capabilities.Capabilities), or wrap a function as DeclaredEnergy(function, capabilities)"
        )
    return declared


def require(energy: Callable[[EnergyGraph], Tensor], derivative: Derivative) -> None:
    """Pass only if the energy has a derivative.

    Raises:
        UserError: it has not.
    """
    capabilities = capabilities_of(energy)
    if derivative in capabilities.derivatives:
        return
    has = ", ".join(known.value for known in Derivative if known in capabilities.derivatives) or "none"
    raise UserError(
        f"the model `{capabilities.name}` does not support {derivative.value}: {capabilities.reason}; "
        f"it supports: {has}"
    )


def capability_table() -> str:
    """All models that are known against all derivatives, as Markdown."""
    header = ["model", *(derivative.value for derivative in Derivative), "hops"]
    lines = [_row(header), _row(["---"] * len(header))]
    for name, model in sorted(MODELS.items()):
        marks = ["yes" if derivative in model.derivatives else "–" for derivative in Derivative]
        lines.append(_row([f"`{name}`", *marks, "–" if model.hops is None else str(model.hops)]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _name(energy: object) -> str:
    return getattr(energy, "__name__", type(energy).__name__)
