"""`python train.py -m sweep=NAME` runs the study sweeps/NAME.yaml; without `sweep=`, -m is Hydra's own grid."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


class StudySweeper(BasicSweeper):
    """Runs Optuna studies through Hydra's launcher, one job per trial.

    `trials`: another total number of trials than the study file's. `folder`: another folder than the file's.
    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        trials: int | None = None,
        folder: str | None = None,
    ) -> None:
        super().__init__(max_batch_size, params)
        self.trials = trials
        self.folder = folder

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Point Hydra's sweep folder at the study before the launcher reads it."""
        study = OmegaConf.select(config, "sweep")
        if study is not None:
            with open_dict(config.hydra.sweep):
                config.hydra.sweep.dir = str(self.study_folder(study))
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def study_folder(self, name: str) -> Path:
        """The folder of the study."""
        from mlrim.sweeping.study import read_study

        return Path(self.folder or read_study(name).folder)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the study named by `sweep=`, or Hydra's grid when there is none."""
        assert self.config is not None
        name = OmegaConf.select(self.config, "sweep")
        return self.run_named_study(name, arguments) if name is not None else super().sweep(arguments)

    def run_named_study(self, name: str, arguments: Sequence[str]) -> float | None:
        """Run the study to its end and return the best value."""
        from mlrim.sweeping.run_study import completed, print_results, run_study
        from mlrim.sweeping.study import read_study

        logging.getLogger("hydra").setLevel(logging.WARNING)  # run_study announces the trials
        study = read_study(name)
        study = replace(study, folder=str(self.study_folder(name)), trials=self.trials or study.trials)

        def run_trial(number: int, folder: Path, overrides: list[str]) -> Any:
            storage = Path(study.folder) / study.storage
            pruning = pruning_overrides(name, storage, number)
            return self.launch_one(number, folder, [*overrides, *arguments, *pruning])

        finished = run_study(name, study, study.trials, run_trial)
        print_results(finished, Path(study.folder))
        return finished.best_value if completed(finished) else None

    def launch_one(self, number: int, folder: Path, overrides: list[str]) -> Any:
        """Run one trial through the launcher; its exception, if any, is raised here."""
        assert self.launcher is not None
        places = [f"hydra.sweep.dir={folder.parent}", f"hydra.sweep.subdir={folder.name}"]
        outcome = self.launcher.launch([[*overrides, *places]], initial_job_idx=number)[0]
        if outcome.status == JobStatus.FAILED:
            raise outcome._return_value
        return outcome.return_value


def pruning_overrides(study: str, storage: Path, number: int) -> list[str]:
    """Overrides that give a trial the callback which reports to the study."""
    block = "callbacks.pruning"
    return [
        f"+{block}._target_=mlrim.callbacks.pruning.StudyPruning",
        f"+{block}.study={study}",
        f"+{block}.storage='{storage}'",
        f"+{block}.trial={number}",
        f"+{block}.monitor=${{monitor.metric}}",
    ]
