"""Which records of a data set are used: named filters over the index.

A filter looks at the index only, so that choosing among thousands of records opens none of them. Filters say why each
record was left out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from datamodules.quality import QualityLimits, quality_flags
from datamodules.store import IndexEntry
from mlrim.configuration.problems import did_you_mean, listed
from mlrim.errors import UserError

PAPER_MAX_ATOMS = 30
PAPER_ELEMENT_COUNTS = (2, 3)

HALOGENS = ("F", "Cl", "Br", "I")
ANIONS = (*HALOGENS, "O", "S", "N")
"""Anions of the ML-RIM paper's subset."""

Reason = str
Chemistry = Callable[[IndexEntry], Reason]
"""Why a record is left out; empty when it stays."""


class Selection(NamedTuple):
    """What a filter chose."""

    ids: tuple[str, ...]
    left_out: dict[str, tuple[Reason, ...]]
    """Id and reasons of every record that was not chosen."""


@dataclass(frozen=True)
class RecordFilter:
    """Conditions that a record must meet.

    Attributes:
        name: subset by chemistry, one of `FILTERS`.
        max_atoms: largest primitive cell allowed.
        min_images: smallest supercell allowed, in atoms.
        need_born: leave out records without Born charges and ε∞.
        level: force constants that must be there.
        quality: limits on the quality figures; none for no limits.
    """

    name: str = "all"
    max_atoms: int | None = None
    min_images: int | None = None
    need_born: bool = False
    level: str = "dft"
    quality: QualityLimits | None = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        if self.name not in FILTERS:
            raise UserError(
                f"there is no filter '{self.name}'.{did_you_mean(self.name, FILTERS)} allowed: {listed(FILTERS)}"
            )

    def reasons(self, entry: IndexEntry) -> tuple[Reason, ...]:
        """Why a record is left out; empty when it stays."""
        found = [FILTERS[self.name](entry)]
        if self.max_atoms is not None and entry.n_atoms > self.max_atoms:
            found.append(f"{entry.n_atoms} atoms > {self.max_atoms}")
        if self.min_images is not None and entry.n_images < self.min_images:
            found.append(f"supercell of {entry.n_images} atoms < {self.min_images}")
        if self.need_born and not entry.has_born:
            found.append("no Born charges")
        if self.level not in entry.levels:
            found.append(f"no force constants named '{self.level}'")
        if self.quality is not None:
            found += quality_flags(entry.quality, self.quality)
        return tuple(reason for reason in found if reason)

    def select(self, index: Iterable[IndexEntry]) -> Selection:
        """Split an index into what stays and what is left out."""
        reasons = {entry.id: self.reasons(entry) for entry in index}
        left_out = {name: why for name, why in reasons.items() if why}
        return Selection(tuple(name for name in reasons if name not in left_out), left_out)


def _everything(_: IndexEntry) -> Reason:
    return ""


def _mlrim_paper(entry: IndexEntry) -> Reason:
    """Binary and ternary oxides, halides, sulfides and nitrides with at most 30 atoms in the primitive cell."""
    if len(entry.elements) not in PAPER_ELEMENT_COUNTS:
        return f"{len(entry.elements)} elements, not two or three"
    if not any(element in ANIONS for element in entry.elements):
        return "no oxide, halide, sulfide or nitride"
    return f"{entry.n_atoms} atoms > {PAPER_MAX_ATOMS}" if entry.n_atoms > PAPER_MAX_ATOMS else ""


def _binary(entry: IndexEntry) -> Reason:
    return "" if len(entry.elements) == 2 else f"{len(entry.elements)} elements, not two"


FILTERS: dict[str, Chemistry] = {"all": _everything, "binary": _binary, "mlrim_paper": _mlrim_paper}
"""Subsets by chemistry."""
