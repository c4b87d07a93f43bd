"""A response model from train.py, used by predict.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from mlrim.checkpoint import load_model

TINY = [
    "model.scalars=8", "model.vectors=4", "model.matrices=4", "model.layers=1", "model.edge_features=8",
    "model.update_hidden=8", "model.head_hidden=8", "data.sample_workers=0", "trainer.max_epochs=2", "quiet=true",
]  # fmt: skip


def run(repository: Path, folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "small"
    build(BuildOptions("embedded", out, workers=1, select="rocksalt-*,zincblende-*,fluorite-*", quiet=True))
    return out


@pytest.fixture(scope="module")
def checkpoint(repository: Path, data: Path) -> Path:
    folder = data.parent / "run"
    arguments = ["experiment=response_embedded", f"data.path={data}", f"hydra.run.dir={folder}", *TINY]
    done = run(repository, data.parent, "train.py", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "checkpoints" / "best.ckpt"


def test_training_leaves_a_response_model(checkpoint: Path) -> None:
    loaded = load_model(checkpoint, kind="response")
    assert loaded.config["scalars"] == 8
    assert loaded.metadata["theories"] == ["classical"]
    assert (checkpoint.parent.parent / "figures" / "parity.svg").exists()


def test_training_can_start_from_it(repository: Path, data: Path, checkpoint: Path, tmp_path: Path) -> None:
    second = ["experiment=response_embedded", f"data.path={data}", f"hydra.run.dir={tmp_path}/run", *TINY]
    done = run(repository, tmp_path, "train.py", *second, f"task.start={checkpoint}", "task.learning_rate=0")
    assert done.returncode == 0, done.stdout + done.stderr
    first, again = (
        load_model(path).model.state_dict() for path in (checkpoint, tmp_path / "run/checkpoints/best.ckpt")
    )
    for name, value in first.items():
        np.testing.assert_allclose(again[name], value, atol=1e-6, err_msg=name)


def test_predictions_use_it_and_say_so(repository: Path, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["ckpt=rim", f"response={checkpoint}", "response_theory=classical", "figures=[]", "quiet=true"]
    done = run(repository, tmp_path, "predict.py", *arguments, f"structure={repository}/examples/MgO.cif")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("predictions/*/summary.json")
    summary = json.loads(path.read_text())
    assert "best.ckpt" in summary["response"]["sources"]["born_charges"]
    born = np.array(summary["long_range"]["born_charges"])
    np.testing.assert_allclose(born.sum(axis=0), 0, atol=1e-8)


def test_a_level_of_theory_that_was_not_trained_on_is_refused(
    repository: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["ckpt=rim", f"response={checkpoint}", "response_theory=pbe0", "figures=[]", "quiet=true"]
    done = run(repository, tmp_path, "predict.py", *arguments, f"structure={repository}/examples/MgO.cif")
    assert done.returncode == 1
    assert "trained on classical" in done.stderr + done.stdout
    assert not list(tmp_path.glob("predictions/*/summary.json"))


def test_a_start_of_another_size_is_refused_in_one_message(
    repository: Path, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["experiment=response_embedded", f"data.path={data}", f"hydra.run.dir={tmp_path}/run", *TINY]
    done = run(repository, tmp_path, "train.py", *arguments, f"task.start={checkpoint}", "model.scalars=16")
    assert done.returncode == 1
    assert "of another size" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
