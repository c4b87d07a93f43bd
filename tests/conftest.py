"""One thread, no network, and the folder of shared reference data where there is one."""

import os
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest  # noqa: E402  (the thread counts must be set before numpy is imported)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch

torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with `data/` and `reference/`: $MLRIM_SHARED, or ../shared beside the repository."""
    folder = Path(os.environ.get("MLRIM_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder} (set MLRIM_SHARED to use another folder)")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository, where the entry points and `configs/` are."""
    return REPOSITORY
