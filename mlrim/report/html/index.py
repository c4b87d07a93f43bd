"""index.html: all structures of an output folder in one table, with links to their reports."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float
from numpy import ndarray

import mlrim
from mlrim.report.html.document import render
from mlrim.units import THZ_TO_CM1

SCRIPTS = ("static/start.js", "static/sorting.js", "static/index.js")
SMALLEST_GAP = 5.0
"""Gaps between bands below this are not reported, cm⁻¹."""


@dataclass(frozen=True)
class Entry:
    """One structure of the index.

    Attributes:
        link: address of its report, or of its folder where there is no report.
        space_group: symbol; of a molecule its point group.
        space_group_number: number; 0 for a molecule.
        highest: highest frequency, cm⁻¹; none where a model does not give it.
        splitting: largest difference of an LO mode and the TO mode it overlaps with most, cm⁻¹.
        gap: widest gap between two bands along the path, cm⁻¹.
        imaginary: number of imaginary optical modes at Γ.
    """

    name: str
    link: str
    formula: str
    space_group: str
    space_group_number: int
    atoms: int
    highest: float | None
    splitting: float | None
    gap: float | None
    imaginary: int
    warnings: list[str]


def write_index(out: Path, failed: Mapping[str, str] | None = None) -> Path:
    """Write index.html for all structures below an output folder; the path of the file.

    Args:
        failed: structures of this run that could not be predicted, and why.
    """
    path = out / "index.html"
    facts = {"version": mlrim.__version__, "entries": list(entries(out)), "failed": dict(failed or {})}
    page = render("index.html", SCRIPTS, folder=out.resolve().name, **facts)
    path.write_text(page, encoding="utf-8")
    return path


def entries(out: Path) -> Iterator[Entry]:
    """The structures of an output folder by name; folders without a readable summary.json are passed over."""
    for folder in sorted(child for child in out.iterdir() if child.is_dir() and not child.name.startswith(".")):
        try:
            yield entry(folder, json.loads((folder / "summary.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError):  # somebody else's folder, or one of an older version
            continue


def entry(folder: Path, summary: dict[str, Any]) -> Entry:
    """What the index shows of one structure."""
    target = quote(folder.name) + ("/report.html" if (folder / "report.html").is_file() else "/")
    if "molecule" in summary:
        return molecule_entry(target, summary)
    return crystal_entry(folder, target, summary)


def molecule_entry(link: str, summary: dict[str, Any]) -> Entry:
    """A molecule; its point group stands in the place of a space group."""
    molecule = summary["molecule"]
    return Entry(
        name=summary["name"],
        link=link,
        formula=molecule["formula"],
        space_group=molecule["point_group"],
        space_group_number=0,
        atoms=len(molecule["symbols"]),
        highest=summary["highest_frequency_cm1"],
        splitting=None,
        gap=None,
        imaginary=summary["vibrations"]["imaginary_modes"],
        warnings=summary["warnings"],
    )


def crystal_entry(folder: Path, target: str, summary: dict[str, Any]) -> Entry:
    """A crystal."""
    crystal = summary["crystal"]
    return Entry(
        name=summary["name"],
        link=target,
        formula=crystal["formula"],
        space_group=crystal["space_group"],
        space_group_number=crystal["space_group_number"],
        atoms=len(crystal["symbols"]),
        highest=summary.get("highest_frequency_cm1"),
        splitting=largest_splitting(summary.get("gamma", {})),
        gap=widest_gap(folder / "bands.csv"),
        imaginary=summary.get("gamma", {}).get("imaginary_optical_modes", 0),
        warnings=summary["warnings"],
    )


def largest_splitting(gamma: dict[str, Any]) -> float | None:
    """The largest LO–TO splitting over directions and modes, cm⁻¹; none without longitudinal modes."""
    splittings = [
        mode["frequency_cm1"] - gamma["modes"][mode["nearest_mode"] - 1]["frequency_cm1"]
        for modes in gamma.get("directional_modes", {}).values()
        for mode in modes
        if mode["polarization"] == "LO"
    ]
    return max(splittings, default=None)


def widest_gap(bands: Path) -> float | None:
    """The widest range of frequencies without a mode on the path, below the highest band, cm⁻¹."""
    try:
        with bands.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except OSError:
        return None
    columns = [key for key in rows[0] if re.fullmatch(r"band_\d+_thz", key)]
    frequencies = np.array([[float(row[key]) for key in columns] for row in rows])
    return gap_between_bands(frequencies * THZ_TO_CM1)


def gap_between_bands(frequencies: Float[ndarray, "qpoints bands"]) -> float | None:
    """The widest gap between neighbouring bands, none when it is below `SMALLEST_GAP`; units of the argument.

    >>> gap_between_bands(np.array([[0.0, 50.0, 300.0], [80.0, 120.0, 320.0]]))
    180.0
    """
    if frequencies.shape[1] < 2:
        return None
    gap = float((frequencies[:, 1:].min(axis=0) - frequencies[:, :-1].max(axis=0)).max())
    return gap if gap >= SMALLEST_GAP else None
