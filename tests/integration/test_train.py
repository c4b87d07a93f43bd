"""The real train.py on a small data set: what it leaves behind, resuming, two processes, a study."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import torch

from datamodules.build import BuildOptions, build
from mlrim.checkpoint import load_model
from mlrim.sweeping.study import open_storage

SMALL = [
    "model.vectors=4", "model.matrices=2", "model.edge_features=8",
    "model.update_hidden=8", "model.head_hidden=8", "data.sample_workers=0", "quiet=true",
]  # fmt: skip
TINY = ("model.scalars=8", "model.layers=1")
RESUME = {"lr-AdamW/pg1": 1e-9, "train/loss": 1e-5}
"""Relative differences allowed between a resumed run and one that was not interrupted."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two-atom crystals of the embedded data set."""
    out = tmp_path_factory.mktemp("data") / "small"
    build(BuildOptions("embedded", out, workers=1, select="rocksalt-*,zincblende-*,fluorite-*", quiet=True))
    return out


def train(repository: Path, data: Path, run: Path, *arguments: str) -> str:
    """Run train.py in a folder of its own; returns what it printed."""
    command = [sys.executable, str(repository / "train.py"), *SMALL, f"data.path={data}", *arguments]
    if "-m" not in arguments:
        command += [*TINY, f"hydra.run.dir={run}"]
    run.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=run.parent, capture_output=True, text=True, timeout=500, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def column(run: Path, name: str) -> list[float]:
    """All values of a metric of a run."""
    with (run / "metrics" / "metrics.csv").open() as handle:
        return [float(row[name]) for row in csv.DictReader(handle) if row.get(name)]


def test_a_run_leaves_a_model_its_metrics_figures_and_provenance(repository: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    printed = train(repository, data, run, "trainer.max_epochs=2", "callbacks=full")
    assert printed == ""
    loaded = load_model(run / "checkpoints" / "best.ckpt", kind="delta")
    assert loaded.config["scalars"] == 8
    assert loaded.metadata["baseline"] == "rim"
    facts = json.loads((run / "provenance.json").read_text())
    assert (
        facts["data_hash"]
        == loaded.metadata["data_hash"]
        == json.loads((data / "manifest.json").read_text())["content_hash"]
    )
    assert {path.name for path in (run / "figures").iterdir()} == {"learning_curves.svg", "parity.svg"}
    assert len(column(run, "validation/mae")) == 2
    assert len(column(run, "test/mae")) == 1


def test_a_resumed_run_goes_on_at_the_epoch_and_learning_rate_where_it_stopped(
    repository: Path, data: Path, tmp_path: Path
) -> None:
    every_epoch = ("callbacks.checkpoint.filename='{epoch}'", "callbacks.checkpoint.save_top_k=-1")
    same = ("test=false", "trainer.max_epochs=4")
    train(repository, data, tmp_path / "whole", *same, *every_epoch)
    half = tmp_path / "whole" / "checkpoints" / "1.ckpt"
    train(repository, data, tmp_path / "rest", *same, f"resume={half}")
    assert column(tmp_path / "rest", "epoch")[-1] == 3
    for name in ("lr-AdamW/pg1", "train/loss"):
        assert column(tmp_path / "rest", name) == pytest.approx(column(tmp_path / "whole", name)[2:], rel=RESUME[name])


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(0.5, 0), (0, 1)], ids=["exact", "perturbed"])
def test_two_processes_measure_what_one_measures(
    repository: Path, data: Path, tmp_path: Path, shares: tuple[float, float]
) -> None:
    run = tmp_path / "run"
    same = ["trainer.max_epochs=1", "data.batch_size=1", "data.perturbations=1"]
    same += [f"data.rigid_response={shares[0]}", f"data.perturbed_response={shares[1]}"]
    train(repository, data, run, "trainer=ddp_sim", *same)
    reported = column(run, "test/mae")
    alone = tmp_path / "alone"
    last = run / "checkpoints" / "last.ckpt"
    train(repository, data, alone, *same, f"resume={last}")
    assert column(alone, "test/mae") == pytest.approx(reported, rel=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "run"]


@pytest.mark.slow
def test_a_study_trains_reports_and_continues(repository: Path, data: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    for trials in (1, 2):
        train(
            repository, data, tmp_path / "unused", "-m", "sweep=delta_tpe", "trainer.max_epochs=2",
            f"hydra.sweeper.trials={trials}", f"hydra.sweeper.folder={study}",
        )  # fmt: skip
    trials_done = optuna.load_study(study_name="delta_tpe", storage=open_storage(study / "study.db")).trials
    assert [trial.state.name for trial in trials_done] == ["COMPLETE", "COMPLETE"]
    assert all(sorted(trial.intermediate_values) == [0, 1] for trial in trials_done)
    assert (
        load_model(study / "trial_0001" / "checkpoints" / "best.ckpt").config["layers"]
        == trials_done[1].params["model.layers"]
    )


@pytest.mark.gpu
def test_a_run_on_a_gpu_makes_a_model_for_any_machine(repository: Path, data: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    train(repository, data, tmp_path / "run", "trainer=gpu", "trainer.max_epochs=2")
    load_model(tmp_path / "run" / "checkpoints" / "best.ckpt", kind="delta")
