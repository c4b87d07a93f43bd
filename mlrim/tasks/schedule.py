"""The optimiser and the course of its learning rate, shared by the tasks."""

import math
import time
from collections.abc import Callable

from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def adamw(
    model: nn.Module, learning_rate: float, weight_decay: float, factor: Callable[[str], float] = lambda name: 1.0
) -> AdamW:
    """AdamW whose weight decay acts on matrices only, not on biases, norms and other single numbers.

    Args:
        factor: of the learning rate, by the name of a parameter. Parameters that need no gradient are left alone.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((factor(name), parameter.ndim > 1), []).append(parameter)
    settings = [
        {"params": groups[key], "lr": key[0] * learning_rate} | ({} if key[1] else {"weight_decay": 0.0})
        for key in sorted(groups, reverse=True)
    ]
    return AdamW(settings, lr=learning_rate, weight_decay=weight_decay, fused=True)


def each_step(optimizer: AdamW, factor: "WarmUpCosine") -> OptimizerLRScheduler:
    """The optimiser with a factor of its learning rate that changes at every step, as Lightning wants it."""
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}


class WarmUpCosine:
    """Factor of the learning rate: up in a line, then half a cosine to zero at the last step or when time is up.

    Its numbers are kept in checkpoints, so that a resumed run goes on where it was.

    Args:
        warmup: share of the run that warms up.
        steps: of the run.
        seconds: allowed for the run; none for no limit.
    """

    def __init__(self, warmup: float, steps: int, seconds: float | None = None) -> None:
        self.warmup, self.steps, self.seconds = warmup, max(1, steps), seconds
        self.elapsed, self.ended = 0.0, False
        self.clock = time.monotonic()

    def __call__(self, step: int) -> float:
        """The factor at a step."""
        now = time.monotonic()
        self.elapsed, self.clock = self.elapsed + max(0.0, min(now - self.clock, 60.0)), now
        spent = 0.0 if self.seconds is None else self.elapsed / self.seconds
        progress = max(step / self.steps, spent)
        self.ended = spent >= 1
        if progress < self.warmup:
            return max(progress / self.warmup, 1 / (self.warmup * self.steps + 1))
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - self.warmup) / (1 - self.warmup))))
