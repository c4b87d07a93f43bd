"""The optimiser and the course of its learning rate, shared by the tasks."""

import math
import time
from typing import Any

from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW whose weight decay acts on matrices only, not on biases, norms and other single numbers."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate, weight_decay=weight_decay, fused=True)


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
