"""The options of predict.py, their types and allowed values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mlrim.configuration import Above, AtLeast, Problem
from mlrim.errors import UserError
from mlrim.potentials.settings import PotentialSettings, RelaxationSettings, Relaxed
from mlrim.spectra.settings import (
    InfraredSettings,
    NeutronSettings,
    NotNegative,
    Positive,
    RamanSettings,
    SpectraSettings,
)

if TYPE_CHECKING:
    from mlrim.pipeline import Settings

Multiple = Annotated[int, AtLeast(1)]
MOST_POINTS = 200_000
"""Most points of a spectrum."""


@dataclass
class PredictOptions:
    """What configs/predict.yaml may hold; the comments there say what each option means."""

    ckpt: str
    structure: str
    data: str | None
    born: str | None
    response: str | list[str] | None
    response_theory: Literal["pbesol", "pbe0", "pbe", "lda", "classical"]
    potential: PotentialSettings
    relax: Relaxed | None
    fmax: Annotated[float, Above(0)]
    max_steps: Multiple
    imaginary: Literal["warn", "error", "follow"]
    out: str
    mesh: tuple[Multiple, Multiple, Multiple] | None
    mesh_spacing: Annotated[float, Above(0)]
    path_spacing: Annotated[float, Above(0)]
    temperatures: tuple[Annotated[float, AtLeast(0)], Annotated[float, AtLeast(0)], Annotated[float, Above(0)]]
    directions: str | None
    lines: Literal["lorentzian", "gaussian", "voigt", "oscillator"]
    widths_file: str | None
    instrument: NotNegative
    wavenumbers: tuple[NotNegative, Positive, Positive] | None
    infrared: InfraredSettings
    raman: RamanSettings
    neutrons: NeutronSettings
    supercell: tuple[Multiple, Multiple, Multiple] | None
    min_length: Annotated[float, Above(0)]
    max_atoms: Multiple
    symprec: Annotated[float, Above(0)]
    figures: list[Literal["svg", "png", "pdf"]]
    quiet: bool


def check_sources(config: dict[str, Any]) -> Iterator[Problem]:
    """Options that cannot be combined."""
    if config["data"] is not None and config["born"] is not None:
        yield Problem("born", "a record of data=… brings its own Born charges.", "give one of born and data")
    first, last, _ = config["temperatures"]
    if last < first:
        yield Problem("temperatures", f"the last temperature ({last:g} K) is below the first ({first:g} K).")


def check_spectra(config: dict[str, Any]) -> Iterator[Problem]:
    """Directions, geometries, matrices, grids and files that cannot be."""
    from mlrim.directions import parse_directions
    from mlrim.spectra.infrared import matrix_of
    from mlrim.spectra.raman import check_geometries

    readers: dict[str, tuple[Callable[[Any], object], Any]] = {
        "directions": (parse_directions, config["directions"]),
        "infrared.face": (parse_directions, config["infrared"]["face"]),
        "infrared.normal": (parse_directions, config["infrared"]["normal"]),
        "infrared.matrix": (matrix_of, config["infrared"]["matrix"]),
        "raman.geometry": (check_geometries, config["raman"]["geometry"]),
    }
    for name, (read, value) in readers.items():
        try:
            read(value)
        except UserError as error:
            yield Problem(name, str(error))
    if config["widths_file"] is not None and not Path(config["widths_file"]).is_file():
        yield Problem("widths_file", f"there is no file {config['widths_file']}.", "a text file of widths, or null")
    yield from check_grid(config)


def check_grid(config: dict[str, Any]) -> Iterator[Problem]:
    """A grid of wavenumbers without points, or with too many."""
    if config["wavenumbers"] is None:
        return
    first, last, step = config["wavenumbers"]
    points = (last - first) / step
    if not 2 <= points <= MOST_POINTS:
        message = f"[{first:g}, {last:g}, {step:g}] makes {max(points, 0):.0f} steps."
        yield Problem("wavenumbers", message, f"first, last, step with 2 to {MOST_POINTS} steps between them")


def settings_from(options: PredictOptions) -> "Settings":
    """The part of the options that says what is calculated."""
    from mlrim.pipeline import Settings

    return Settings(
        mesh=options.mesh,
        mesh_spacing=options.mesh_spacing,
        path_spacing=options.path_spacing,
        temperatures=options.temperatures,
        supercell=options.supercell,
        min_length=options.min_length,
        max_atoms=options.max_atoms,
        relaxation=RelaxationSettings(options.relax, options.fmax, options.max_steps, options.imaginary),
        spectra=SpectraSettings(
            lines=options.lines,
            widths_file=options.widths_file,
            instrument=options.instrument,
            wavenumbers=options.wavenumbers,
            directions=options.directions,
            infrared=options.infrared,
            raman=options.raman,
            neutrons=options.neutrons,
        ),
    )
