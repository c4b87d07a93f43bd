"""Report a trial's progress to its Optuna study, and end it when the study says that it is hopeless."""

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer

from mlrim.sweeping.study import open_storage


class StudyPruning(Callback):
    """Reports `monitor` after every validation; raises `optuna.TrialPruned` in all ranks together.

    Only the first rank talks to the study (one trial per job); its decision is broadcast.
    """

    def __init__(self, study: str, storage: str, trial: int, monitor: str) -> None:
        self.study_name, self.storage, self.number, self.monitor = study, storage, trial, monitor
        self.trial: optuna.Trial | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Open the study on the first rank; resuming means to go on after the steps that were reported."""
        if trainer.is_global_zero and self.trial is None:
            study = optuna.load_study(
                study_name=self.study_name, storage=open_storage(self.storage), pruner=pruner_of(self.study_name)
            )
            frozen = next(trial for trial in study.trials if trial.number == self.number)
            self.trial = optuna.Trial(study, frozen._trial_id)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, decide on rank 0, and stop everywhere."""
        if trainer.sanity_checking or self.monitor not in trainer.callback_metrics:
            return
        hopeless = False
        if self.trial is not None:
            self.trial.report(float(trainer.callback_metrics[self.monitor]), step=trainer.current_epoch)
            hopeless = self.trial.should_prune()
        if trainer.strategy.broadcast(hopeless):
            raise optuna.TrialPruned(f"trial {self.number} pruned after epoch {trainer.current_epoch}")


def pruner_of(study: str) -> optuna.pruners.BasePruner:
    """The pruner that the study file names."""
    from mlrim.sweeping.study import build_pruner, read_study

    return build_pruner(read_study(study))
