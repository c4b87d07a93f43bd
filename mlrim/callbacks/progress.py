"""What a training run shows: a rich progress bar that can be silenced, and none of the libraries' small talk."""

import logging
import warnings
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


def silence_small_talk() -> None:
    """Keep Lightning's announcements and other libraries' notices to themselves off the screen."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*treespec, LeafSpec.*",
        ".*does not have many workers.*",
        ".*Sparse CSR tensor support is in beta.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*find_unused_parameters=True was specified.*",
    ):
        warnings.filterwarnings("ignore", message=message)
