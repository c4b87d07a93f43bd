"""Whether a network has the derivatives that Hessians, and training on them, need.

A loss of second derivatives takes the third derivative of every activation. Those of ReLU and its relatives are zero or
jump, so that a Hessian would look plausible and be wrong. They are found in two ways: every activation module is
compared with its own derivatives, and the operations that made an energy are searched for the functional forms.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

from mlrim.errors import UserError

KINKED = {
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "Prelu": "prelu",
    "PreluKernel": "prelu",
    "RreluWithNoise": "rrelu",
    "Elu": "elu, celu or selu",
    "Hardtanh": "hardtanh or relu6",
    "Hardsigmoid": "hardsigmoid",
    "Hardswish": "hardswish",
    "Hardshrink": "hardshrink",
    "Softshrink": "softshrink",
    "Threshold": "threshold",
}
"""Operations whose second derivative is zero or jumps."""
SMOOTH = "SiLU, GELU, Tanh, Sigmoid or Softplus"
ELEMENTWISE = tuple(
    getattr(nn, name)
    for name in (
        *("ReLU", "LeakyReLU", "PReLU", "RReLU", "ELU", "CELU", "SELU", "ReLU6", "Hardtanh", "Hardsigmoid"),
        *("Hardswish", "Hardshrink", "Softshrink", "Threshold", "Softsign", "Tanhshrink"),
        *("SiLU", "GELU", "Tanh", "Sigmoid", "Softplus", "Mish", "LogSigmoid"),
    )
)


def check_smooth(energy: object, value: Tensor) -> None:
    """Pass only if neither the modules of an energy nor the operations that made its value have kinks.

    Raises:
        UserError: some have.
    """
    found = {*_kinked_modules(energy), *(KINKED[name] for name in _operations(value) if name in KINKED)}
    if found:
        raise UserError(
            f"second derivatives need smooth activations, and this energy uses {', '.join(sorted(found))}; "
            f"replace them by {SMOOTH}"
        )


def _kinked_modules(energy: object) -> Iterator[str]:
    for module in energy.modules() if isinstance(energy, nn.Module) else ():
        if isinstance(module, ELEMENTWISE) and not _known_smooth(module):
            yield type(module).__name__


_VERDICTS: dict[str, bool] = {}
"""Of activations without parameters, by what they print."""


def _known_smooth(module: nn.Module) -> bool:
    if any(True for _ in module.parameters()):
        return is_smooth(module)
    name = repr(module)
    if name not in _VERDICTS:
        _VERDICTS[name] = is_smooth(module)
    return _VERDICTS[name]


def is_smooth(activation: Callable[[Tensor], Tensor], order: int = 3) -> bool:
    """Whether the derivatives of an activation, up to an order, are those of one another and finite far out.

    On −6 … 6 every derivative is compared with the integral of the next one: what a jump adds is missing there.

    >>> is_smooth(nn.SiLU()), is_smooth(nn.ReLU()), is_smooth(nn.ELU())
    (True, False, False)
    """
    try:
        with torch.enable_grad():
            near = derivatives_of(activation, torch.linspace(-6, 6, 4801, dtype=torch.float64), order)
            far = derivatives_of(activation, torch.tensor([-1e4, -90.0, 90.0, 1e4]), order)
    except RuntimeError as error:
        if "is not implemented" in str(error):  # torch has no second derivative of hardsigmoid
            return False
        raise
    jumps = [
        torch.cumulative_trapezoid(derivative, dx=12 / 4800) - (before[1:] - before[0])
        for before, derivative in pairwise(near)
    ]
    return all(bool(jump.abs().max() < 1e-3) for jump in jumps) and all(bool(v.isfinite().all()) for v in far)


def derivatives_of(activation: Callable[[Tensor], Tensor], points: Tensor, order: int) -> list[Tensor]:
    """The function and its derivatives up to an order, at some points, by repeated automatic differentiation."""
    points = points.clone().requires_grad_()
    function = deepcopy(activation).to(points.dtype) if isinstance(activation, nn.Module) else activation
    values = [function(points)]
    for _ in range(order):
        last = values[-1]
        (gradient,) = (
            torch.autograd.grad(last.sum(), points, create_graph=True, materialize_grads=True)
            if last.requires_grad
            else (torch.zeros_like(points),)
        )
        values.append(gradient)
    return [value.detach() for value in values]


def _operations(value: Tensor) -> set[str]:
    """Names of all operations that a value was made by, without their endings."""
    waiting, seen = [value.grad_fn], {value.grad_fn}
    while waiting:
        node = waiting.pop()
        following = () if node is None else (function for function, _ in node.next_functions)
        for function in following:
            if function is not None and function not in seen:
                seen.add(function)
                waiting.append(function)
    return {node.name().rsplit("::", 1)[-1].split("Backward")[0] for node in seen if node is not None}
