"""What predict.py shows of a direct prediction on the terminal."""

from typing import TYPE_CHECKING

from mlrim.report.direct.prediction import DirectPrediction
from mlrim.uncertainty.estimate import Estimate

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show_direct(prediction: DirectPrediction, console: "Console") -> None:
    """The Γ table, single numbers, what is not known, notes and warnings."""
    if console.quiet:
        return
    if prediction.levels is not None:
        console.print(level_table(prediction))
    else:
        console.print(f"{prediction.formula} ({prediction.space_group.symbol}): {prediction.model}", highlight=False)
    for line in fact_lines(prediction):
        console.print(line, highlight=False, markup=False)
    for name, reason in prediction.absent.items():
        console.print(f"no {name.replace('_', ' ')}: {reason}", highlight=False, markup=False)
    for note in prediction.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    for warning in prediction.warnings:
        console.print("[yellow]warning:[/yellow]", warning, highlight=False)


def level_table(prediction: DirectPrediction) -> "Table":
    """Every frequency at Γ with its degeneracy and error."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    title = f"{prediction.formula} ({prediction.space_group.symbol}), Γ modes: {prediction.model}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), collapse_padding=True)
    for header in ("cm⁻¹", "±", "deg.", "kind"):
        table.add_column(header, justify="left" if header == "kind" else "right", no_wrap=True)
    for level in prediction.levels or []:
        error = "" if level.error_cm1 is None else f"{level.error_cm1:.1f}"
        kind = "acoustic" if level.acoustic else "optical"
        table.add_row(f"{level.frequency_cm1:.1f}", error, str(level.degeneracy), kind)
    return table


def fact_lines(prediction: DirectPrediction) -> list[str]:
    """Single numbers, stability, what the errors are, and how far the crystal is from the training set."""
    lines = [f"{name.replace('_', ' ')}: {in_words(one)}" for name, one in prediction.scalars.items()]
    if prediction.stability is not None:
        lines.append(f"probability that no mode is imaginary: {prediction.stability:.2f}")
    if prediction.error_source is not None:
        lines.append(f"errors: {prediction.error_source}")
    if prediction.domain is not None:
        domain = prediction.domain
        verdict = "outside" if domain.outside else "inside"
        lines.append(f"distance from the training set: {domain.distance:.2f} ({verdict}; limit {domain.limit:.2f})")
    return lines


def in_words(estimate: Estimate) -> str:
    """Value, error and unit.

    >>> in_words(Estimate(25.123, 0.5, "J/K")), in_words(Estimate(25.123, None, "J/K"))
    ('25.12 ± 0.50 J/K', '25.12 J/K')
    """
    error = "" if estimate.error is None else f" ± {estimate.error:.2f}"
    return f"{estimate.value:.2f}{error} {estimate.unit}"
