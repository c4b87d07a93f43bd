"""A rich progress bar that can be silenced."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar


class TrainingProgress(RichProgressBar):
    """Lightning's rich progress bar; `quiet` shows nothing at all."""

    def __init__(self, quiet: bool = False, refresh_rate: int = 1, leave: bool = False) -> None:
        super().__init__(refresh_rate=refresh_rate, leave=leave)
        self.quiet = quiet

    @property
    def is_disabled(self) -> bool:
        """Whether nothing is shown."""
        return self.quiet or super().is_disabled

    @property
    def is_enabled(self) -> bool:
        """Whether the bar is shown."""
        return not self.quiet and super().is_enabled

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The metrics beside the bar, without the version number of the logger."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return dict(metrics)
