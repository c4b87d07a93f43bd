"""Run an Optuna study to its total number of trials, whatever happened to earlier processes."""

import csv
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from mlrim.errors import UserError
from mlrim.sweeping.alive import STUDY_LOCK, held, is_held
from mlrim.sweeping.study import Study, as_overrides, build_pruner, build_sampler, open_storage, suggest

log = logging.getLogger(__name__)

RunTrial = Callable[[int, Path, list[str]], Any]
"""Trains one trial: its number, its folder, its overrides → the value of the objective, or raises."""

DEAD, RETRY_OF = "dead", "retry_of"
MAX_FAILURES_IN_A_ROW = 3


def run_study(name: str, study: Study, trials: int, run_trial: RunTrial) -> optuna.Study:
    """Go on with the study until `trials` trials are done (complete, pruned or failed by themselves)."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = Path(study.folder)
    running = optuna.create_study(
        study_name=name,
        storage=open_storage(folder / study.storage),
        direction=study.direction,
        pruner=build_pruner(study),
        load_if_exists=True,
    )
    requeue_dead_trials(running, folder)
    failures = 0
    while count_claimed(running, folder) < trials:
        failures = failures + 1 if run_next(running, study, folder, run_trial) == TrialState.FAIL else 0
        write_results(running, folder, study)
        if failures == MAX_FAILURES_IN_A_ROW:
            raise UserError(f"{failures} trials in a row failed; see the logs in {folder}. The study can be continued.")
    return running


def run_next(running: optuna.Study, study: Study, folder: Path, run_trial: RunTrial) -> TrialState:
    """Ask for one trial, run it in its own folder, tell the study; returns how it ended."""
    with ExitStack() as locks:
        with held(folder, STUDY_LOCK):  # nobody may look for dead trials between asking and locking
            running.sampler = build_sampler(study, len(running.get_trials(deepcopy=False)))
            trial = running.ask()
            locks.enter_context(held(folder_of(folder, trial.number)))
        values = as_overrides(suggest(trial, study))
        Console().print(f"[bold]trial {trial.number}[/]  {'  '.join(values)}", highlight=False, soft_wrap=True)
        overrides = [*study.overrides, *values]
        try:
            value = float(run_trial(trial.number, folder_of(folder, trial.number), overrides))
        except optuna.TrialPruned:
            return running.tell(trial, state=TrialState.PRUNED).state
        except UserError:
            bury(running, trial.number, requeue=False)
            raise
        except Exception:  # one bad set of hyper-parameters must not end the study
            log.exception("trial %d failed", trial.number)
            return running.tell(trial, state=TrialState.FAIL).state
    return running.tell(trial, value).state


def requeue_dead_trials(running: optuna.Study, folder: Path) -> None:
    """Mark trials whose process is gone as failed and put their parameters back into the queue."""
    with held(folder, STUDY_LOCK):
        for trial in running.get_trials(states=(TrialState.RUNNING,)):
            if not is_held(folder_of(folder, trial.number)):
                bury(running, trial.number, requeue=True)


def bury(running: optuna.Study, number: int, requeue: bool) -> None:
    """End a trial as dead: it does not count towards the total."""
    frozen = find_trial(running, number)
    optuna.Trial(running, frozen._trial_id).set_user_attr(DEAD, True)
    running.tell(number, state=TrialState.FAIL)
    if requeue and frozen.params:
        running.enqueue_trial(frozen.params, user_attrs={RETRY_OF: number})


def find_trial(running: optuna.Study, number: int) -> FrozenTrial:
    """The trial with this number."""
    return next(trial for trial in running.get_trials(deepcopy=False) if trial.number == number)


def count_claimed(running: optuna.Study, folder: Path) -> int:
    """Trials that are done or are running in a living process (here or beside us)."""
    return sum(
        (trial.state.is_finished() and not trial.user_attrs.get(DEAD, False))
        or (trial.state == TrialState.RUNNING and is_held(folder_of(folder, trial.number)))
        for trial in running.get_trials(deepcopy=False)
    )


def folder_of(folder: Path, number: int) -> Path:
    """The folder of one trial."""
    return folder / f"trial_{number:04d}"


def completed(running: optuna.Study) -> Sequence[FrozenTrial]:
    """The trials that ended with a value."""
    return running.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def write_results(running: optuna.Study, folder: Path, study: Study) -> None:
    """Write trials.csv and, once a trial is complete, best.yaml (overrides to train with)."""
    with (folder / "trials.csv").open("w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        table.writerow(["trial", "state", "value", *study.parameters])
        for trial in running.get_trials(deepcopy=False):
            values = [trial.params.get(key) for key in study.parameters]
            table.writerow([trial.number, trial.state.name.lower(), trial.value, *values])
    if completed(running):
        best = running.best_trial
        contents = {
            "trial": best.number,
            "value": best.value,
            "overrides": [*study.overrides, *as_overrides(best.params)],
        }
        (folder / "best.yaml").write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")


def print_results(running: optuna.Study, folder: Path, rows: int = 10) -> None:
    """A table of the best trials, and where everything is."""
    sign = -1 if running.direction.name == "MAXIMIZE" else 1
    ranked = sorted(completed(running), key=lambda trial: sign * trial.values[0])
    table = Table(
        title=f"study {running.study_name}: {len(running.get_trials(deepcopy=False))} trials", title_justify="left"
    )
    for column in ("trial", "value", "parameters"):
        table.add_column(column)
    for trial in ranked[:rows]:
        table.add_row(str(trial.number), f"{trial.value:.6g}", ", ".join(as_overrides(trial.params)))
    console = Console()
    console.print(table)
    console.print(f"results: {folder}/trials.csv, {folder}/best.yaml", soft_wrap=True)
