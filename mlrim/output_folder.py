"""The folder that results go into: looked at before anything is calculated, and not left behind half-made."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlrim.errors import UserError

DISK_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST,
    errno.ENAMETOOLONG,
}  # fmt: skip
"""What a full, protected or limited disk raises, or a file where a folder is needed."""


def require_output_folder(path: str | Path, option: str = "out") -> Path:
    """The path, if it is a folder that can be written to or can be made one.

    Raises:
        UserError: a file is in the way, or the place is write-protected.
    """
    path = Path(path)
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if os.path.lexists(place))
    if not existing.is_dir():
        raise UserError(f"cannot write to {option}={path}: {existing} is a file; choose another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {option}={path}: {existing} is write-protected; choose another folder")
    return path


@contextmanager
def writing_to(folder: str | Path, advice: str) -> Iterator[None]:
    """A full or protected disk becomes a message that names the folder.

    Raises:
        UserError: something could not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise UserError(f"cannot write to {folder}: {error.strerror}; {advice}") from error


def remove_unused_run(folder: str | Path) -> None:
    """Remove the folder of a run that ended before it produced anything but logs and Hydra's `.hydra`."""
    folder = Path(folder)
    produced = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".log" and path.relative_to(folder).parts[0] != ".hydra"
    ]
    if folder.is_dir() and not produced:
        shutil.rmtree(folder, ignore_errors=True)
