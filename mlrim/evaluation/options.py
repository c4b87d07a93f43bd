"""The options of evaluate.py, and which records they choose."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mlrim.configuration import AtLeast, Problem
from mlrim.configuration.problems import did_you_mean
from mlrim.errors import UserError

if TYPE_CHECKING:
    from datamodules.store import RecordStore


@dataclass
class EvaluateOptions:
    """What configs/evaluate.yaml may hold; the comments there say what each option means."""

    ckpt: str | list[str]
    data: str
    split: Literal["train", "validation", "test", "all"]
    split_file: str | None
    split_seed: Annotated[int, AtLeast(0)]
    level: str
    filter: str
    max_atoms: Annotated[int, AtLeast(1)] | None
    quality: bool
    need_born: bool
    limit: Annotated[int, AtLeast(1)] | None
    response: str | list[str] | None
    workers: Annotated[int, AtLeast(0)]
    out: str
    quiet: bool


def check_split_choice(config: dict[str, Any]) -> Iterator[Problem]:
    """A split file that would not be looked at."""
    if config["split_file"] is not None and config["split"] == "all":
        yield Problem("split_file", "has no effect with split=all.", "a split file, or split=all")


def model_names(options: EvaluateOptions) -> list[str]:
    """The models as a list without repetitions; `a,b` means `[a,b]`."""
    models = options.ckpt.split(",") if isinstance(options.ckpt, str) else list(options.ckpt)
    named = list(dict.fromkeys(model for model in models if model))
    if not named:
        raise UserError("ckpt= names no model to evaluate; give checkpoints or rim, shell, fitted")
    return named


def chosen_records(store: "RecordStore", options: EvaluateOptions) -> list[str]:
    """Ids of the records to evaluate, sorted.

    Raises:
        UserError: none is left, or no record has the level of theory.
    """
    from datamodules.filters import RecordFilter
    from datamodules.quality import QualityLimits
    from datamodules.splits import load_split, make_split

    conditions = RecordFilter(
        name=options.filter,
        max_atoms=options.max_atoms,
        need_born=options.need_born,
        level=options.level,
        quality=QualityLimits() if options.quality else None,
    )
    levels = sorted({level for entry in store.index for level in entry.levels})
    if options.level not in levels:
        raise UserError(
            f"no record of {options.data} has force constants of level={options.level}."
            f"{did_you_mean(options.level, levels)} Allowed: {', '.join(levels)}"
        )
    selected = set(conditions.select(store.index).ids)
    if options.split != "all":
        if options.split_file is not None:
            split = load_split(Path(options.split_file), store.index)
        else:
            split = make_split(store.index, options.split_seed)
        selected &= set(getattr(split, options.split))
    names = sorted(selected)[: options.limit]
    if not names:
        active = f"split={options.split}, filter={options.filter}, quality={str(options.quality).lower()}"
        size = "" if options.max_atoms is None else f", max_atoms={options.max_atoms}"
        raise UserError(
            f"none of the {len(store)} records of {options.data} is left with {active}{size}; "
            "widest are split=all filter=all quality=false max_atoms=null"
        )
    return names
