"""What a training run leaves behind, shown on a toy."""

import json
import warnings
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from toys import Line, LineData, LineTask

from mlrim import checkpoint
from mlrim.callbacks.averaging import AveragedWeights
from mlrim.callbacks.figures import LearningCurves, ParityPlots
from mlrim.callbacks.model_header import ModelHeader
from mlrim.callbacks.progress import TrainingProgress
from mlrim.callbacks.run_provenance import RunProvenance
from mlrim.checkpoint import load_model

LINE = {"_target_": "toys.Line", "width": 1}


@pytest.fixture(autouse=True)
def toy_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checkpoint.KINDS, "line", "toys.Line")


def trainer(folder: Path, *callbacks: pl.Callback, epochs: int = 3) -> pl.Trainer:
    keep = pl.callbacks.ModelCheckpoint(
        folder / "checkpoints", filename="best", monitor="validation/mae", save_last=True, enable_version_counter=False
    )
    header = ModelHeader(LINE, {"baseline": "rim"})
    return pl.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[keep, header, TrainingProgress(quiet=True), *callbacks],
        logger=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=folder,
    )  # fmt: skip


def fit(run: pl.Trainer, task: LineTask, resume: Path | None = None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.fit(task, datamodule=LineData(), ckpt_path=resume, weights_only=True)


def test_lightning_checkpoints_load_as_models_with_all_arguments_and_the_data_hash(tmp_path: Path) -> None:
    task = LineTask(Line())
    fit(trainer(tmp_path), task)
    loaded = load_model(tmp_path / "checkpoints" / "last.ckpt")
    assert torch.equal(loaded.model.layer.weight, task.model.layer.weight)
    assert loaded.config == {"width": 1, "start": 0.0, "names": None}
    assert loaded.metadata == {"baseline": "rim", "data_hash": "abc123"}


def test_figures_of_the_run_are_written(tmp_path: Path) -> None:
    run = trainer(tmp_path, LearningCurves(tmp_path / "figures"), ParityPlots(tmp_path / "figures"))
    task = LineTask(Line())
    fit(run, task)
    run.test(task, datamodule=LineData(), verbose=False)
    curves = (tmp_path / "figures" / "learning_curves.svg").read_text()
    assert "epoch" in curves or len(curves) > 5000
    assert (tmp_path / "figures" / "parity.svg").stat().st_size > 3000


def test_learning_curves_continue_after_a_resume(tmp_path: Path) -> None:
    fit(trainer(tmp_path, LearningCurves(tmp_path), epochs=2), LineTask(Line()))
    curves = LearningCurves(tmp_path)
    fit(trainer(tmp_path, curves, epochs=5), LineTask(Line()), resume=tmp_path / "checkpoints" / "last.ckpt")
    assert [epoch for epoch, _ in curves.curves["validation/mae"]] == [0, 1, 2, 3, 4]


def test_a_resumed_run_ends_where_an_uninterrupted_one_ends(tmp_path: Path) -> None:
    whole = LineTask(Line())
    fit(trainer(tmp_path / "whole", AveragedWeights(decay=0.9, use_buffers=False), epochs=5), whole)
    fit(trainer(tmp_path / "part", AveragedWeights(decay=0.9, use_buffers=False), epochs=2), LineTask(Line()))
    resumed = LineTask(Line())
    run = trainer(tmp_path / "part", AveragedWeights(decay=0.9, use_buffers=False), epochs=5)
    fit(run, resumed, resume=tmp_path / "part" / "checkpoints" / "last.ckpt")
    assert torch.equal(resumed.model.layer.weight, whole.model.layer.weight)


def test_the_best_checkpoint_and_its_test_use_averaged_weights(tmp_path: Path) -> None:
    run = trainer(tmp_path, AveragedWeights(decay=0.9, use_buffers=False), epochs=4)
    task = LineTask(Line())
    fit(run, task)
    contents = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    current = contents["current_model_state"]["model.layer.weight"]
    averaged = contents["state_dict"]["model.layer.weight"]
    assert not torch.equal(current, averaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.test(task, datamodule=LineData(), ckpt_path="best", weights_only=True, verbose=False)
    assert torch.equal(task.model.layer.weight, averaged)


def test_provenance_names_versions_seed_and_data(tmp_path: Path) -> None:
    fit(trainer(tmp_path, RunProvenance(tmp_path, seed=7), epochs=1), LineTask(Line()))
    facts = json.loads((tmp_path / "provenance.json").read_text())
    assert (facts["seed"], facts["data_hash"]) == (7, "abc123")
    assert facts["versions"]["torch"] == torch.__version__ or torch.__version__.startswith(facts["versions"]["torch"])
