"""A potential from train.py: what it leaves behind, resuming, starting from it, two processes."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from datamodules.build import BuildOptions, build
from mlrim.checkpoint import load_model

TINY = [
    "model.scalars=8", "model.channels=4", "model.messages=4", "model.hidden=8", "model.element_hidden=8", "cutoff=4.0",
    "data.sample_workers=0", "data.wave_cells=1", "quiet=true",
]  # fmt: skip


def train(repository: Path, data: Path, run: Path, *arguments: str, status: int = 0) -> str:
    """Run train.py on the small data set in a folder of its own; what it printed."""
    command = [sys.executable, str(repository / "train.py"), "experiment=hessian_embedded", *TINY]
    command += [f"data.path={data}", f"hydra.run.dir={run}", *arguments]
    run.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=run.parent, capture_output=True, text=True, timeout=500, env=os.environ)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def column(run: Path, name: str) -> list[float]:
    """All values of a metric of a run."""
    with (run / "metrics" / "metrics.csv").open() as handle:
        return [float(row[name]) for row in csv.DictReader(handle) if row.get(name)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two-atom and three-atom crystals of the embedded data set."""
    out = tmp_path_factory.mktemp("data") / "small"
    build(BuildOptions("embedded", out, workers=1, select="rocksalt-*,zincblende-*,fluorite-*", quiet=True))
    return out


@pytest.fixture(scope="module")
def whole(repository: Path, data: Path) -> Path:
    """A run of four epochs that keeps every checkpoint."""
    run = data.parent / "whole"
    every_epoch = ("callbacks.checkpoint.filename='{epoch}'", "callbacks.checkpoint.save_top_k=-1")
    assert train(repository, data, run, "trainer.max_epochs=4", *every_epoch) == ""
    return run


def test_a_run_leaves_a_potential_that_knows_what_it_was_trained_for(whole: Path) -> None:
    loaded = load_model(whole / "checkpoints" / "3.ckpt", kind="cartesian_potential")
    assert loaded.metadata["background"] == ["dipole"]
    assert all("ions" in theory for theory in loaded.metadata["theories"])
    assert 8 in loaded.metadata["elements"]
    assert loaded.metadata["cutoff"] == loaded.config["cutoff"] == 4.0
    assert float(loaded.model.scale) > 0.1
    for name in ("gamma_mae", "gamma_median", "gamma_norm", "wave_mae", "wave_norm"):
        assert len(column(whole, f"validation/{name}")) == 4
        assert len(column(whole, f"test/{name}")) == 1
    assert (whole / "figures" / "parity.svg").exists()


def test_a_resumed_run_is_the_run_that_was_interrupted(
    repository: Path, data: Path, whole: Path, tmp_path: Path
) -> None:
    half = whole / "checkpoints" / "1.ckpt"
    train(repository, data, tmp_path / "rest", "trainer.max_epochs=4", "test=false", f"resume={half}")
    assert column(tmp_path / "rest", "epoch")[-1] == 3
    for name in ("train/loss", "train/shift", "train/products", "validation/gamma_mae"):
        assert column(tmp_path / "rest", name) == pytest.approx(column(whole, name)[2:], rel=1e-5)


def test_heads_can_be_tuned_from_it(repository: Path, data: Path, whole: Path, tmp_path: Path) -> None:
    start = whole / "checkpoints" / "3.ckpt"
    fine = ["experiment=hessian_finetune", "data=energy_embedded", "task.train=heads", "trainer.max_epochs=1"]
    train(repository, data, tmp_path / "fine", *fine, f"task.start={start}", "callbacks=default", "test=false")
    before, after = (
        load_model(path).model.state_dict() for path in (start, tmp_path / "fine" / "checkpoints" / "last.ckpt")
    )
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert all(name.startswith("readout.") for name in changed)


def test_a_start_of_another_size_is_refused_in_one_message(
    repository: Path, data: Path, whole: Path, tmp_path: Path
) -> None:
    start = f"task.start={whole / 'checkpoints' / '3.ckpt'}"
    printed = train(repository, data, tmp_path / "other", start, "model.scalars=16", status=1)
    assert "of another size" in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_two_processes_measure_what_one_measures(repository: Path, data: Path, tmp_path: Path) -> None:
    run, alone = tmp_path / "run", tmp_path / "alone"
    same = ("trainer.max_epochs=1", "data.batch_size=2")
    train(repository, data, run, "trainer=ddp_sim", *same)
    train(repository, data, alone, *same, f"resume={run / 'checkpoints/last.ckpt'}")
    for name in ("test/gamma_mae", "test/wave_norm"):
        assert column(alone, name) == pytest.approx(column(run, name), rel=1e-4)
