"""Which trials are really running? A lock per trial, which the kernel drops when its process dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRIAL_LOCK, STUDY_LOCK = ".running", ".study"


@contextmanager
def held(folder: Path, name: str = TRIAL_LOCK) -> Iterator[None]:
    """Hold the lock file `name` in `folder` while the body runs; waits for another holder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_held(folder: Path, name: str = TRIAL_LOCK) -> bool:
    """Whether a living process holds the lock file `name` in `folder`."""
    try:
        with (folder / name).open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
