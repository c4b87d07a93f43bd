"""The output folder of a molecule: written aside, then moved into place whole."""

from collections.abc import Sequence
from pathlib import Path

from mlrim.report.folder import complete_folder
from mlrim.report.molecule.prediction import MoleculePrediction
from mlrim.report.molecule.summary import write_molecule_summary
from mlrim.report.molecule.tables import write_molecule_tables
from mlrim.report.molecule.xyz import write_geometry, write_modes


def write_molecule(prediction: MoleculePrediction, out: Path, figures: Sequence[str] = ("svg", "png")) -> Path:
    """Write the folder `out`/name with all files of a molecule; an older one is replaced.

    Args:
        figures: formats of the figures; none are drawn when empty.

    Raises:
        UserError: something that is not an output folder has that name.
    """
    with complete_folder(out / prediction.name) as folder:
        write_molecule_tables(prediction, folder)
        write_molecule_summary(prediction, folder / "summary.json")
        write_geometry(prediction, folder / "molecule.xyz")
        write_modes(prediction, folder / "modes.xyz")
        from mlrim.report.html.molecule import write_molecule_report

        write_molecule_report(prediction, folder)
        if figures:
            from mlrim.report.molecule.figures import write_molecule_figures

            write_molecule_figures(prediction, folder, figures)
    return out / prediction.name
