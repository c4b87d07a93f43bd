"""The options of predict.py, their types and allowed values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mlrim.configuration import Above, AtLeast, Problem

if TYPE_CHECKING:
    from mlrim.pipeline import Settings

Multiple = Annotated[int, AtLeast(1)]


@dataclass
class PredictOptions:
    """What configs/predict.yaml may hold; the comments there say what each option means."""

    ckpt: str
    structure: str
    data: str | None
    born: str | None
    out: str
    mesh: tuple[Multiple, Multiple, Multiple] | None
    mesh_spacing: Annotated[float, Above(0)]
    path_spacing: Annotated[float, Above(0)]
    temperatures: tuple[Annotated[float, AtLeast(0)], Annotated[float, AtLeast(0)], Annotated[float, Above(0)]]
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
    )
