"""The output folder of a prediction: written aside, then moved into place whole."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlrim.errors import UserError
from mlrim.report.prediction import Prediction
from mlrim.report.summary import write_summary
from mlrim.report.tables import write_tables


def write_prediction(prediction: Prediction, out: Path, figures: Sequence[str] = ("svg", "png")) -> Path:
    """Write the folder `out`/name with all files of a prediction; an older one is replaced.

    Args:
        figures: formats of the figures; none are drawn when empty.

    Raises:
        UserError: something that is not an output folder has that name.
    """
    with complete_folder(out / prediction.name) as folder:
        write_tables(prediction, folder)
        write_summary(prediction, folder / "summary.json")
        from mlrim.report.html import write_report
        from mlrim.report.phononwebsite import write_phononwebsite
        from mlrim.report.phonopy_files import write_phonopy_files

        write_phonopy_files(prediction, folder)
        write_phononwebsite(prediction, folder / "phononwebsite.json")
        write_report(prediction, folder)
        if figures:
            from mlrim.report.figures import write_figures

            write_figures(prediction, folder, figures)
    return out / prediction.name


@contextmanager
def complete_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that takes the name `target` at the end, or vanishes when something fails."""
    if target.exists() and not (target.is_dir() and _is_output(target)):
        raise UserError(f"'{target}' exists and is not an output folder of predict.py; choose another out=…")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    previous = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    target.rename(previous / "previous")
    temporary.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def _is_output(folder: Path) -> bool:
    return (folder / "summary.json").is_file() or not any(folder.iterdir())
