"""What is needed to repeat a run: command, git commit, versions, machine threads, seeds and data hash."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlrim

PACKAGES = (
    "torch", "numpy", "scipy", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "optuna",
    "e3nn", "lmdb", "phonopy", "symfc", "spglib", "seekpath", "ase", "pymatgen", "dscribe",
)  # fmt: skip


def provenance(seed: int | None = None, data_hash: str | None = None) -> dict[str, Any]:
    """The facts about this process as plain data."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "mlrim": mlrim.__version__,
        "git": git_state(Path(mlrim.__file__).resolve().parent.parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "versions": versions(),
        "seed": seed,
        "data_hash": data_hash,
    }


def write_provenance(path: str | Path, seed: int | None = None, data_hash: str | None = None) -> None:
    """Write `provenance` as JSON."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(provenance(seed, data_hash), indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """The installed versions of the packages that results depend on."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of a checkout and whether files differ from it; None outside a checkout."""
    commit = git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "modified": bool(git(folder, "status", "--porcelain", "--untracked-files=no"))}


def git(folder: Path, *arguments: str) -> str | None:
    """The output of a git command, None when it fails or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
