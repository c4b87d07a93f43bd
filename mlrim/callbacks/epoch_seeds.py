"""Random numbers that depend on the progress only, so that a resumed run is the run that was interrupted."""

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything


class EpochSeeds(Callback):
    """Seeds all generators before every epoch from (`seed`, optimiser steps so far, rank)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed for the first epoch, of a resumed run as well."""
        self._seed(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed for the next epoch, before its first batch is drawn."""
        self._seed(trainer)

    def _seed(self, trainer: Trainer) -> None:
        sequence = np.random.SeedSequence([self.seed, trainer.global_step, trainer.global_rank])
        seed_everything(int(sequence.generate_state(1)[0]), verbose=False)
