"""The output folder of a direct prediction: written aside, then moved into place whole."""

from collections.abc import Sequence
from pathlib import Path

from mlrim.report.direct.prediction import DirectPrediction
from mlrim.report.direct.summary import write_direct_summary
from mlrim.report.direct.tables import write_direct_tables
from mlrim.report.folder import complete_folder


def write_direct(prediction: DirectPrediction, out: Path, figures: Sequence[str] = ("svg", "png")) -> Path:
    """Write the folder `out`/name with all files of a crystal; an older one is replaced.

    Args:
        figures: formats of the figures; none are drawn when empty.

    Raises:
        UserError: something that is not an output folder has that name.
    """
    with complete_folder(out / prediction.name) as folder:
        write_direct_tables(prediction, folder)
        write_direct_summary(prediction, folder / "summary.json")
        from mlrim.report.html.direct import write_direct_report

        write_direct_report(prediction, folder)
        if figures:
            from mlrim.report.direct.figures import write_direct_figures

            write_direct_figures(prediction, folder, figures)
    return out / prediction.name
