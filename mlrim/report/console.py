"""What predict.py shows on the terminal: the Γ table, where the response is from, and the checks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlrim.report.formula import chemical_formula
from mlrim.report.mode_table import mode_columns
from mlrim.report.prediction import Prediction
from mlrim.vibrations.gamma import DirectionalMode, GammaModes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_LONGITUDINAL = 12
"""Most LO modes that are shown along one direction; lo_to.csv holds all."""
SYMBOLS = {"born_charges": "Z*", "dielectric": "ε∞", "raman_tensors": "Raman tensors"}


def show(prediction: Prediction, console: "Console") -> None:
    """The Γ table, sources, checks, notes and warnings of a prediction."""
    if console.quiet:
        return
    console.print(gamma_table(prediction))
    for line in source_lines(prediction):
        console.print(line, highlight=False, markup=False)
    for line in error_lines(prediction):
        console.print(line, highlight=False, markup=False)
    console.print(f"quality: {prediction.quality.line}", highlight=False, markup=False)
    for name, reason in prediction.absent.items():
        console.print(f"no {name}: {reason}", highlight=False, markup=False)
    for note in prediction.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    for warning in prediction.warnings:
        console.print("[yellow]warning:[/yellow]", warning, highlight=False)


def gamma_table(prediction: Prediction) -> "Table":
    """The Γ table: modes without field with their intensities, LO modes of every direction below."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    crystal, group = prediction.dynamics.crystal, prediction.space_group
    title = f"{chemical_formula(crystal)} ({group.symbol}), Γ modes: {prediction.model}"
    table = Table(
        title=title,
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
        pad_edge=False,
        caption=caption(prediction),
    )
    errors = [] if prediction.errors is None else prediction.errors.frequencies
    headers = ("cm⁻¹", *(["±"] if errors else []), "THz", "deg.", "irrep", "kind", "activity")
    for header in (*headers, *intensity_headers(prediction)):
        right = header not in ("irrep", "kind", "activity")
        table.add_column(header, justify="right" if right else "left", no_wrap=True)
    columns = mode_columns(prediction)
    intensities = intensity_cells(prediction, columns)
    for index, mode in enumerate(prediction.gamma.modes):
        kind = "acoustic" if mode.acoustic else columns["polarization"][index] or "optical"
        error = [] if not errors else ["" if errors[index] is None else f"{errors[index]:.1f}"]
        degeneracy, symbol = str(mode.degeneracy), mode.irrep.symbol
        cells = (f"{mode.frequency_cm1:.1f}", *error, f"{mode.frequency_thz:.3f}", degeneracy, symbol)
        table.add_row(*cells, kind, "" if mode.acoustic else mode.activity, *intensities[index])
    for label, modes in prediction.gamma.directional.items():
        longitudinal = shown_longitudinal(prediction.gamma, modes)
        if longitudinal:
            table.add_section()
        for polar in longitudinal:
            blank = [""] if errors else []
            cells = (f"{polar.frequency_cm1:.1f}", *blank, f"{polar.frequency_thz:.3f}", "1", polar.symbol)
            table.add_row(*cells, Text(f"LO {label}"))
    return table


def shown_longitudinal(gamma: GammaModes, modes: list[DirectionalMode]) -> list[DirectionalMode]:
    """The LO modes along a direction; of very many those that lie above the mode they come from."""
    longitudinal = [mode for mode in modes if mode.polarization == "LO"]
    if len(longitudinal) <= MOST_LONGITUDINAL:
        return longitudinal
    raised = [mode.frequency_cm1 - gamma.modes[mode.partner].frequency_cm1 for mode in longitudinal]
    least = sorted(raised)[-MOST_LONGITUDINAL]
    return [mode for mode, rise in zip(longitudinal, raised, strict=True) if rise >= least]


def caption(prediction: Prediction) -> str | None:
    """What the intensities mean."""
    parts = ["IR: km/mol"] if prediction.infrared else []
    parts += ["Raman: activity 45a² + 7γ², Å⁴/amu"] if prediction.raman else []
    parts += ["sums over degenerate modes, per primitive cell"] if parts else []
    return "; ".join(parts) or None


def intensity_headers(prediction: Prediction) -> list[str]:
    """Headers of the intensities that are known."""
    infrared = ["IR"] if prediction.infrared else []
    return infrared + (["Raman", "depol."] if prediction.raman else [])


def intensity_cells(prediction: Prediction, columns: dict[str, Sequence]) -> list[list[str]]:
    """Intensities of every row, empty where symmetry forbids them."""
    rows = []
    for index, mode in enumerate(prediction.gamma.modes):
        cells = []
        if prediction.infrared:
            active = mode.irrep.infrared and not mode.acoustic
            cells.append(f"{columns['ir_intensity_km_per_mol'][index]:.1f}" if active else "")
        if prediction.raman:
            active = mode.irrep.raman and not mode.acoustic
            ratio = columns["depolarization_ratio"][index]
            cells.append(f"{columns['raman_activity_a4_per_amu'][index]:.3g}" if active else "")
            cells.append("" if ratio is None else f"{ratio:.2f}")
        rows.append(cells)
    return rows


def error_lines(prediction: Prediction) -> list[str]:
    """What the errors are, single numbers with theirs, and how far the crystal is from what was trained on."""
    errors = prediction.errors
    if errors is None:
        return []
    lines = [
        f"{name.replace('_', ' ')}: {one.value:.2f} ± {one.error:.2f} {one.unit}"
        for name, one in errors.scalars.items()
        if one.error is not None
    ]
    verdict = "outside" if errors.domain.outside else "inside"
    distance = f"{errors.domain.distance:.2f} ({verdict}; limit {errors.domain.limit:.2f})"
    return [*lines, f"errors: {errors.source}", f"distance from the training set: {distance}"]


def source_lines(prediction: Prediction) -> list[str]:
    """Where Born charges, ε∞ and Raman tensors are from."""
    sources = prediction.response.sources
    lines = [f"long-range part: {prediction.long_range}"]
    always = "raman_tensors"
    shown = {name: text for name, text in sources.items() if name == always or text != prediction.long_range}
    lines += [f"{SYMBOLS[name]}: {source}" for name, source in shown.items()]
    if prediction.response.spread:
        spread = prediction.response.spread
        lines.append(
            f"spread of the response models: Z* {spread['born_charges']:.2g} e, ε∞ {100 * spread['dielectric']:.2g} %"
        )
    errors = prediction.response.errors
    if errors:
        parts = [
            f"{SYMBOLS[name]} {error:.2g}{' e' if name == 'born_charges' else ''}" for name, error in errors.items()
        ]
        lines.append(f"standard errors of the response model (68 %): {', '.join(parts)}")
    return lines
