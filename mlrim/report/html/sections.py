"""The parts of the page below the modes and bands: what each shows, or why it is not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlrim.report.html.charts import (
    Chart,
    Tables,
    infrared_charts,
    neutron_charts,
    raman_charts,
    thermal_charts,
)
from mlrim.report.html.formats import number
from mlrim.report.prediction import Prediction
from mlrim.uncertainty.training_domain import Domain

LARGE_ASYMMETRY = 0.1
"""Residuals of raw force constants above this share of the largest one are marked."""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: identifier in the page.
        title: heading.
        short: its name in the navigation.
        charts: its line charts.
        body: template that follows the charts.
        notes: paragraphs before them.
        absent: one line that says why there is nothing to show.
    """

    name: str
    title: str
    short: str
    charts: Sequence[Chart] = ()
    body: str | None = None
    notes: Sequence[str] = ()
    absent: str | None = None


@dataclass(frozen=True)
class Check:
    """An item of the quality line."""

    label: str
    value: str
    good: bool = True


def sections(prediction: Prediction, tables: Tables) -> list[Section]:
    """The sections in their order."""
    return [
        response_section(prediction),
        infrared_section(prediction),
        raman_section(prediction),
        neutron_section(prediction),
        Section(
            "thermal", "Thermal properties", "Thermal", thermal_charts(prediction.thermal, tables), body="thermal.html"
        ),
    ]


def response_section(prediction: Prediction) -> Section:
    """Born charges and ε∞."""
    names = ("response", "Born charges and dielectric constants", "Born charges")
    if prediction.response.born_charges is None:
        return Section(*names, absent=_reason(prediction, "born_charges", prediction.long_range))
    return Section(*names, body="response.html")


def infrared_section(prediction: Prediction) -> Section:
    """Infrared spectra."""
    names = ("infrared", "Infrared", "Infrared")
    if prediction.infrared is None:
        return Section(*names, absent=_reason(prediction, "infrared", "not calculated"))
    return Section(*names, infrared_charts(prediction), body="infrared.html")


def raman_section(prediction: Prediction) -> Section:
    """Raman spectra."""
    names = ("raman", "Raman", "Raman")
    if prediction.raman is None:
        return Section(*names, absent=_reason(prediction, "raman", "not calculated"))
    source = prediction.response.sources.get("raman_tensors", "")
    return Section(*names, raman_charts(prediction), notes=[f"Raman tensors: {source}."] if source else [])


def neutron_section(prediction: Prediction) -> Section:
    """Inelastic neutron scattering."""
    names = ("neutrons", "Neutrons", "Neutrons")
    if prediction.neutrons is None:
        return Section(*names, absent=_reason(prediction, "neutrons", "not calculated"))
    return Section(*names, neutron_charts(prediction))


def quality_line(prediction: Prediction) -> list[Check]:
    """Checks that need no reference, doubtful ones marked."""
    quality, gamma, thermal = prediction.quality, prediction.gamma, prediction.thermal
    tail = f"short-range force constants beyond {quality.tail_distance:.1f} Å"
    checks = [Check(tail, f"{number(quality.short_range_tail, 2)} eV/Å²", quality.short_range_tail < 0.1)]
    if quality.born_correction is not None:
        value = f"{number(quality.born_correction, 2)} e"
        checks.append(Check("correction of Born charges", value, quality.born_correction < 0.1))
    if quality.lst_deviation is not None:
        value = f"{number(100 * quality.lst_deviation, 1)} %"
        checks.append(Check("Lyddane–Sachs–Teller check", value, quality.lst_deviation < 0.01))
    checks.append(
        Check("acoustic modes at Γ", f"{number(quality.acoustic_residual, 1)} cm⁻¹", quality.acoustic_residual < 1)
    )
    asymmetry = f"{number(100 * quality.asymmetry, 1)} %"
    checks.append(Check("asymmetry of the raw force constants", asymmetry, quality.asymmetry < LARGE_ASYMMETRY))
    checks.append(Check("imaginary modes at Γ", str(gamma.n_imaginary), gamma.n_imaginary == 0))
    share = f"{100 * thermal.imaginary_share:.2g} %"
    checks.append(Check("on the mesh", share, thermal.imaginary_modes == 0))
    return checks + ([] if prediction.errors is None else domain_checks(prediction.errors.domain))


def domain_checks(domain: Domain) -> list[Check]:
    """How far a crystal is from what a model was trained on."""
    value = f"{number(domain.distance, 2)} (inside up to {number(domain.limit, 2)})"
    return [
        Check("distance from the training set", value, domain.distance <= domain.limit),
        Check("elements not trained on", ", ".join(domain.unseen) or "none", not domain.unseen),
    ]


def origin(prediction: Prediction, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers come from, as rows of a table."""
    sources = prediction.response.sources
    names = {"born_charges": "Born charges", "dielectric": "ε∞", "raman_tensors": "Raman tensors"}
    shown = ("numpy", "scipy", "torch", "phonopy", "spglib", "seekpath")
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name in shown)
    return [
        ("structure", prediction.source),
        ("force constants", prediction.model),
        *([("errors", prediction.errors.source)] if prediction.errors is not None else []),
        *((label, sources[key]) for key, label in names.items() if key in sources),
        ("mesh of wave vectors", " × ".join(str(count) for count in prediction.mesh.mesh)),
        ("mlrim", program(facts)),
        ("libraries", f"Python {facts['python']}, {versions}"),
        ("command", " ".join(facts["command"])),
        ("made", str(facts["time"])),
    ]


def _reason(prediction: Prediction, name: str, otherwise: str) -> str:
    """Why a quantity is missing, as a sentence."""
    reason = prediction.absent.get(name, otherwise)
    return f"Not shown: {reason.rstrip('.')}."


def program(facts: dict[str, Any]) -> str:
    """Version and commit of mlrim."""
    git = facts["git"]
    if git is None:
        return str(facts["mlrim"])
    return f"{facts['mlrim']}, commit {git['commit'][:10]}{' with changes' if git['modified'] else ''}"
