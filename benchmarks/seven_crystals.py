"""The seven benchmark crystals from their structures alone, beside DFT and experiment, as a page of the documentation.

    python -m benchmarks.seven_crystals
    python -m benchmarks.seven_crystals ckpt=best.ckpt response=response.ckpt data=data/phonondb

Structures are the measured ones of examples/seven; measured frequencies and their sources are in benchmarks/seven.yaml;
DFT (PBEsol, its own relaxed structures, its own Born charges and ε∞) is the phonon database where `data` is there.
Modes are compared irrep by irrep in the order of their frequencies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks.seven_figures import write_figure
from datamodules.options import run_command
from mlrim.errors import UserError
from mlrim.output_folder import writing_to
from mlrim.pipeline import Settings, predict_structure
from mlrim.predictors import CLASSICAL, ForceConstantPrediction, Known, Predictor, load_predictor
from mlrim.report.mode_table import mode_columns
from mlrim.report.prediction import Prediction
from mlrim.responses import ResponsePredictor, load_response
from mlrim.shipped import NAME
from mlrim.structures import InputStructure, read_structure

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = ROOT / "benchmarks" / "seven.yaml"
DIRECTIONS = {"": "iso", "[100]": "perpendicular", "[001]": "parallel"}
"""Axis of the reflectivity in which the modes of a direction are seen."""
QUICK = Settings(mesh=(4, 4, 4), path_spacing=0.05, temperatures=(0.0, 300.0, 300.0), supercell=(2, 2, 2))


@dataclass
class Options:
    """What predicts, where the reference is, and where the page goes."""

    ckpt: str = NAME
    response: str | list[str] | None = None
    response_theory: str = "pbesol"
    data: str | None = "data/phonondb"
    out: Path = field(default_factory=lambda: ROOT / "docs" / "seven_crystals.md")


class Key(NamedTuple):
    """What makes modes comparable: irrep, `TO`, `LO`, `Raman` or `silent`, and for LO modes the direction."""

    irrep: str
    kind: str
    direction: str


class Mode(NamedTuple):
    """A mode of one of the three columns."""

    frequency: float
    infrared: float | None = None
    """km/mol"""
    raman: float | None = None
    """Activity, Å⁴/amu."""


class Interval(NamedTuple):
    """Published frequencies, cm⁻¹."""

    low: float
    high: float

    @property
    def centre(self) -> float:
        """Middle of the interval."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        return f"{self.low:.0f}" if self.low == self.high else f"{self.low:.0f}–{self.high:.0f}"


class Row(NamedTuple):
    """One line of a crystal's table."""

    key: Key
    predicted: Mode | None
    reference: Mode | None
    measured: Interval | None


class Result(NamedTuple):
    """Everything about one crystal."""

    entry: dict[str, Any]
    prediction: Prediction
    reference: Prediction | None
    rows: list[Row]


def main() -> None:
    """Read the options and run."""
    run_command("benchmarks.seven_crystals", Options, run)


def run(options: Options) -> None:
    """Predict every crystal, compare, write the page."""
    predictor = load_predictor(options.ckpt)
    response = load_response(options.response, options.response_theory, classical=options.ckpt in CLASSICAL)
    entries = yaml.safe_load(ENTRIES.read_text(encoding="utf-8"))["crystals"]
    results = [compare(entry, predictor, response, options.data) for entry in entries]
    with writing_to(options.out.parent, "choose another out=…"):
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(page(results, command_of(options)), encoding="utf-8")
        for result in results:
            measured = measured_places(result)
            write_figure(options.out.parent / figure_path(result.entry), result.prediction, result.reference, measured)
    print(f"page: {options.out}")
    print("\n".join(overview(results)))


def command_of(options: Options) -> str:
    """The command as it was given, without places of this machine."""
    names = [Path(name).name for name in _listed(options.response)]
    given = "" if not names else f" response={names[0] if len(names) == 1 else '[' + ','.join(names) + ']'}"
    theory = "" if options.response_theory == "pbesol" else f" response_theory={options.response_theory}"
    return f"python -m benchmarks.seven_crystals ckpt={Path(options.ckpt).name}{given}{theory}"


def compare(
    entry: dict[str, Any], predictor: Predictor, response: ResponsePredictor | None, data: str | None
) -> Result:
    """Prediction, reference and experiment of one crystal."""
    structure = read_structure(ROOT / entry["structure"])
    prediction = predict_structure(structure, predictor, QUICK, response=response)
    reference = None if data is None or not Path(data).is_dir() else reference_prediction(data, entry["record"])
    return Result(entry, prediction, reference, rows_of(entry, prediction, reference))


@dataclass(frozen=True)
class KnownForceConstants:
    """A predictor that hands out the force constants of a record."""

    prediction: ForceConstantPrediction

    @property
    def description(self) -> str:
        """Where they are from."""
        return "DFT (PBEsol)"

    def __call__(self, crystal: object, known: Known) -> ForceConstantPrediction:
        """The same for every crystal."""
        return self.prediction


def reference_prediction(data: str, name: str) -> Prediction | None:
    """The same observables from the force constants, Born charges and ε∞ of a record; none without the record."""
    from datamodules.store import RecordStore
    from mlrim.lattice.dynamics import LatticeDynamics
    from mlrim.record_jobs import known_from_record

    store = RecordStore(data)
    if name not in set(store.ids):
        return None
    record = store[name]
    known = known_from_record(record)
    compact = np.asarray(record.compact("dft"), dtype=float)
    dynamics = LatticeDynamics.from_supercell(compact, record.supercell, record.born_charges, record.dielectric)
    predictor = KnownForceConstants(ForceConstantPrediction(dynamics.short_range, known.long_range))
    structure = InputStructure(name, Path(name), record.crystal, [], [])
    return predict_structure(structure, predictor, QUICK, known)


def rows_of(entry: dict[str, Any], prediction: Prediction, reference: Prediction | None) -> list[Row]:
    """All modes, those with the same key by ascending frequency."""
    predicted, theirs = grouped_modes(prediction), {} if reference is None else grouped_modes(reference)
    default = next(iter(prediction.gamma.directions), "")
    measured = measured_modes(entry, default)
    rows = []
    for key in dict.fromkeys([*predicted, *theirs, *measured]):
        columns = zip_longest(predicted.get(key, []), theirs.get(key, []), measured.get(key, []))
        rows += [Row(key, *column) for column in columns]
    return sorted(rows, key=lambda row: (row.key.kind == "LO", row.key.direction, position(row)))


def position(row: Row) -> float:
    """Where a row is sorted."""
    first = row.predicted or row.reference
    return first.frequency if first else row.measured.centre if row.measured else 0.0


def grouped_modes(prediction: Prediction) -> dict[Key, list[Mode]]:
    """The optical modes of a prediction."""
    columns = mode_columns(prediction)
    groups: dict[Key, list[Mode]] = {}
    for index, mode in enumerate(prediction.gamma.modes):
        if mode.acoustic:
            continue
        kind = "TO" if mode.irrep.infrared else "Raman" if mode.irrep.raman else "silent"
        infrared = columns["ir_intensity_km_per_mol"][index] if "ir_intensity_km_per_mol" in columns else None
        raman = columns["raman_activity_a4_per_amu"][index] if "raman_activity_a4_per_amu" in columns else None
        found = Mode(mode.frequency_cm1, infrared if mode.irrep.infrared else None, raman if mode.irrep.raman else None)
        groups.setdefault(Key(mode.irrep.symbol, kind, ""), []).append(found)
    for label, modes in prediction.gamma.directional.items():
        for polar in modes:
            if polar.polarization == "LO":
                groups.setdefault(Key(polar.symbol, "LO", label), []).append(Mode(polar.frequency_cm1))
    return groups


def measured_modes(entry: dict[str, Any], direction: str) -> dict[Key, list[Interval]]:
    """The measured frequencies; LO modes of cubic crystals belong to the one direction there is."""
    groups: dict[Key, list[Interval]] = {}
    for mode in entry["modes"]:
        where = mode.get("direction", direction) if mode["kind"] == "LO" else ""
        key = Key(mode["irrep"], mode["kind"], where)
        groups.setdefault(key, []).append(Interval(float(mode["low"]), float(mode["high"])))
    return {key: sorted(values) for key, values in groups.items()}


def measured_places(result: Result) -> dict[str, list[float]]:
    """Measured frequencies by what shows them: TO and LO modes with a dipole along an axis, and Raman scattering."""
    irreps = {mode.irrep.symbol: mode.irrep for mode in result.prediction.gamma.modes}
    places: dict[str, list[float]] = {}
    for mode in result.entry["modes"]:
        centre = Interval(mode["low"], mode["high"]).centre
        if mode["kind"] in ("TO", "LO"):
            places.setdefault(f"{mode['kind']} {DIRECTIONS[mode.get('direction', '')]}", []).append(centre)
        if mode["irrep"] in irreps and irreps[mode["irrep"]].raman:
            places.setdefault("Raman", []).append(centre)
    return places


def figure_path(entry: dict[str, Any]) -> str:
    """Where the figure of a crystal is, seen from the page."""
    return f"assets/seven/{entry['name']}.png"


class Errors(NamedTuple):
    """Mean absolute differences of one crystal, cm⁻¹; none without anything to compare."""

    to_reference: float | None
    lo_to_reference: float | None
    to_experiment: float | None
    reference_to_experiment: float | None


def errors_of(rows: Sequence[Row]) -> Errors:
    """Of modes without field against DFT, of LO modes against DFT, and of all measured modes against experiment."""

    def mean(values: list[float]) -> float | None:
        return float(np.mean(values)) if values else None

    both = [(row, row.predicted, row.reference) for row in rows if row.predicted and row.reference]
    seen = [(row.measured, row.predicted, row.reference) for row in rows if row.measured]
    return Errors(
        mean([abs(ours.frequency - theirs.frequency) for row, ours, theirs in both if row.key.kind != "LO"]),
        mean([abs(ours.frequency - theirs.frequency) for row, ours, theirs in both if row.key.kind == "LO"]),
        mean([outside(measured, ours.frequency) for measured, ours, _ in seen if ours]),
        mean([outside(measured, theirs.frequency) for measured, _, theirs in seen if theirs]),
    )


def outside(measured: Interval, frequency: float) -> float:
    """Distance from the published values."""
    return max(measured.low - frequency, frequency - measured.high, 0.0)


def overview(results: Sequence[Result]) -> list[str]:
    """One line of a table for every crystal."""
    lines = [
        "| crystal | modes – DFT | LO – DFT | all – experiment | DFT – experiment | ε∞ (DFT; exp.) | ε0 (DFT; exp.) |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry, prediction, reference, rows in results:
        cells = [_number(value) for value in errors_of(rows)]
        electronic = _three(prediction, reference, entry, "electronic")
        static = _three(prediction, reference, entry, "static")
        lines.append(f"| {entry['name']} | {' | '.join(cells)} | {electronic} | {static} |")
    means = []
    for column in zip(*(errors_of(result.rows) for result in results), strict=True):
        known = [value for value in column if value is not None]
        means.append(_number(float(np.mean(known)) if known else None))
    return [*lines, f"| mean | {' | '.join(means)} | | |"]


def page(results: Sequence[Result], command: str) -> str:
    """The whole page."""
    first = results[0].prediction
    parts = [
        "# The seven benchmark crystals",
        "Γ modes from the structure alone, beside DFT and experiment. Made by",
        f"    {command}",
        f"Model: {first.model}. Born charges and ε∞: {first.long_range}. Raman tensors: "
        f"{first.response.sources.get('raman_tensors', 'none')}.",
        "Structures are the measured ones (`examples/seven`). DFT is PBEsol at its own relaxed structures (phonondb, "
        "CC BY 4.0), with its own Born charges and ε∞; it has no Raman tensors. Experiments and their sources are in "
        "`benchmarks/seven.yaml`.",
        "Mean absolute differences in cm⁻¹ of modes without field, LO modes and all measured modes; those from "
        "experiment count from the nearest published value.",
        "\n".join(overview(results)),
    ]
    for result in results:
        parts += crystal_section(result)
    return "\n\n".join(parts) + "\n"


def crystal_section(result: Result) -> list[str]:
    """Heading, table and remarks of one crystal."""
    entry, prediction, _, rows = result
    lines = [
        "| irrep | mode | predicted | DFT | experiment | IR predicted | IR DFT | Raman predicted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, ours, theirs, measured in rows:
        kind = f"LO {key.direction}" if key.kind == "LO" else key.kind
        frequencies = [_number(mode.frequency if mode else None) for mode in (ours, theirs)]
        intensities = [
            _number(ours.infrared if ours else None),
            _number(theirs.infrared if theirs else None),
            _number(ours.raman if ours else None, 3),
        ]
        lines.append(
            f"| {key.irrep} | {kind} | {' | '.join(frequencies)} | {measured or ''} | {' | '.join(intensities)} |"
        )
    remarks = [f"* {warning}" for warning in prediction.warnings]
    return [
        f"## {entry['name']} ({entry['phase']})",
        "Frequencies in cm⁻¹, infrared intensities in km/mol, Raman activities in Å⁴/amu, per primitive cell. "
        f"Experiment: {entry['source'].strip()}.",
        f"![Spectra of {entry['name']}]({figure_path(entry)})",
        "\n".join(lines),
        *(["\n".join(remarks)] if remarks else []),
    ]


def _three(prediction: Prediction, reference: Prediction | None, entry: dict[str, Any], which: str) -> str:
    """Predicted value with DFT and experiment in brackets."""
    low, high = entry["dielectric"].get(which, (None, None))
    measured = "–" if low is None else f"{low:g}" if low == high else f"{low:g}–{high:g}"
    theirs = "–" if reference is None else _dielectric(reference, which)
    return f"{_dielectric(prediction, which)} ({theirs}; {measured})"


def _dielectric(prediction: Prediction, which: str) -> str:
    """Mean of ε∞ or ε0; nothing where charges are screened or a mode is unstable."""
    response, infrared = prediction.response, prediction.infrared
    if response.dielectric is None or response.screened:
        return "–"
    if which == "electronic":
        return f"{np.trace(response.dielectric) / 3:.2f}"
    if infrared is None or len(infrared.oscillators.left_out):
        return "–"
    return f"{np.trace(infrared.static) / 3:.1f}"


def _number(value: float | None, digits: int | None = None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if digits is None else f"{value:.{digits}g}"


def _listed(names: str | list[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else names


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
