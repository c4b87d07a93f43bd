"""A study reaches its total number of trials whatever happens to the processes that run it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from mlrim.errors import UserError
from mlrim.sweeping.run_study import run_study
from mlrim.sweeping.study import Study, as_overrides, open_storage, read_study, study_problems, sweeps_directory

PARAMETERS = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "n": {"type": "choice", "choices": [8, 16]}}


def study_in(folder: Path, trials: int = 6, **changes: Any) -> Study:
    return Study(trials=trials, folder=str(folder), parameters=PARAMETERS, **changes)


def value_of(overrides: list[str]) -> float:
    values = dict(override.split("=") for override in overrides)
    return (float(values["x"]) - 0.3) ** 2 + float(values["n"]) / 1000


def good_trial(number: int, folder: Path, overrides: list[str]) -> float:
    return value_of(overrides)


@pytest.mark.parametrize("storage", ["study.db", "study.log"])
def test_a_study_continues_to_its_total_and_not_beyond(tmp_path: Path, storage: str) -> None:
    for trials in (2, 5, 5):
        finished = run_study("s", study_in(tmp_path, trials, storage=storage), trials, good_trial)
    assert [trial.state.name for trial in finished.trials] == ["COMPLETE"] * 5
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert value_of(best["overrides"]) == pytest.approx(finished.best_value)
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 6
    assert (tmp_path / "trial_0004").is_dir()


def test_an_interrupted_study_suggests_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = run_study("s", study_in(tmp_path / "a"), 6, good_trial)
    run_study("s", study_in(tmp_path / "b"), 3, good_trial)
    parts = run_study("s", study_in(tmp_path / "b"), 6, good_trial)
    assert [trial.params for trial in parts.trials] == [trial.params for trial in whole.trials]


def test_pruned_and_failed_trials_count_and_do_not_end_the_study(tmp_path: Path) -> None:
    def moody(number: int, folder: Path, overrides: list[str]) -> float:
        if number == 1:
            raise optuna.TrialPruned
        if number == 2:
            raise ValueError("diverged")
        return value_of(overrides)

    finished = run_study("s", study_in(tmp_path), 4, moody)
    assert [trial.state.name for trial in finished.trials] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]


def test_a_study_in_which_everything_fails_stops(tmp_path: Path) -> None:
    def broken(number: int, folder: Path, overrides: list[str]) -> float:
        raise ValueError("no")

    with pytest.raises(UserError, match="3 trials in a row failed"):
        run_study("s", study_in(tmp_path), 50, broken)


def test_a_mistake_of_the_user_ends_the_study_and_does_not_count(tmp_path: Path) -> None:
    def mistaken(number: int, folder: Path, overrides: list[str]) -> float:
        raise UserError("no data")

    with pytest.raises(UserError, match="no data"):
        run_study("s", study_in(tmp_path), 3, mistaken)
    finished = run_study("s", study_in(tmp_path), 3, good_trial)
    assert sum(trial.state.name == "COMPLETE" for trial in finished.trials) == 3


WORKER = """
import sys, time
from pathlib import Path
from mlrim.sweeping.run_study import run_study
from mlrim.sweeping.study import Study

def trial(number, folder, overrides):
    (folder / "started").touch()
    time.sleep(60 if number == 1 else 0)
    return float(number)

folder = sys.argv[1]
run_study("s", Study(trials=4, folder=folder, parameters={"x": {"type": "float", "low": 0.0, "high": 1.0}}), 4, trial)
"""


def test_a_killed_trial_is_marked_failed_and_run_again(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    started = tmp_path / "trial_0001" / "started"
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    storage = open_storage(tmp_path / "study.db")
    before = optuna.load_study(study_name="s", storage=storage).trials
    assert [trial.state.name for trial in before] == ["COMPLETE", "RUNNING"]

    space = {"x": PARAMETERS["x"]}
    study = Study(trials=4, folder=str(tmp_path), parameters=space)
    finished = run_study("s", study, 4, lambda number, folder, overrides: 0.5)
    states = [trial.state.name for trial in finished.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert finished.trials[2].params == before[1].params
    assert finished.trials[2].user_attrs["retry_of"] == 1


def test_a_trial_in_a_living_process_is_left_alone(tmp_path: Path) -> None:
    counts = []

    def nested(number: int, folder: Path, overrides: list[str]) -> float:
        if number == 0:  # another process starts the same study while this trial runs
            counts.append(len(run_study("s", study_in(tmp_path), 3, nested).trials))
        return value_of(overrides)

    finished = run_study("s", study_in(tmp_path), 3, nested)
    assert counts == [3]
    assert [trial.state.name for trial in finished.trials] == ["COMPLETE"] * 3


def test_values_become_overrides_that_hydra_reads_back() -> None:
    assert as_overrides({"a.b": 1.5e-05, "c": None, "d": True, "e": "text"}) == [
        "a.b=1.5e-05",
        "c=null",
        "d=True",
        "e='text'",
    ]


def test_the_studies_of_the_project_are_sound() -> None:
    names = [path.stem for path in sweeps_directory().glob("*.yaml")]
    assert "delta_tpe" in names
    for name in names:
        assert read_study(name).parameters


def test_mistakes_in_study_files_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.yaml").write_text(
        "trials: 0\nfolder: x\ntrails: 3\nsampler: {name: tpi}\nparameters:\n  a: {type: float, low: 1e-4, high: 2}\n"
    )
    (tmp_path / "worse.yaml").write_text(
        "trials: 3\nfolder: x\nsampler: {name: tpi}\npruner: {name: median, n_warmup: 3}\n"
        "parameters:\n  a: {type: float, low: 1e-4, high: 2}\n  b: {type: choice}\n  c: {type: int, low: 3, high: 2}\n"
    )
    monkeypatch.setattr("mlrim.sweeping.study.sweeps_directory", lambda: tmp_path)
    assert {problem.location for problem in study_problems("bad")} == {
        "sweeps/bad.yaml.trials",
        "sweeps/bad.yaml.trails",
    }
    assert [problem.location.removeprefix("sweeps/worse.yaml.") for problem in study_problems("worse")] == [
        "sampler.name", "pruner.n_warmup", "parameters.a", "parameters.b.choices", "parameters.c",
    ]  # fmt: skip
    assert "Did you mean" in next(study_problems("badd")).message
