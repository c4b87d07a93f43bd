"""The options of evaluate.py, and which records they choose."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mlrim.configuration import AtLeast
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
    workers: Annotated[int, AtLeast(0)]
    out: str
    quiet: bool


def model_names(options: EvaluateOptions) -> list[str]:
    """The models as a list without repetitions; `a,b` means `[a,b]`."""
    models = options.ckpt.split(",") if isinstance(options.ckpt, str) else list(options.ckpt)
    if not models:
        raise UserError("ckpt=[] names no model to evaluate")
    return list(dict.fromkeys(models))


def chosen_records(store: "RecordStore", options: EvaluateOptions) -> list[str]:
    """Ids of the records to evaluate, sorted.

    Raises:
        UserError: none is left.
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
    selected = set(conditions.select(store.index).ids)
    if options.split != "all":
        if options.split_file is not None:
            split = load_split(Path(options.split_file), store.index)
        else:
            split = make_split(store.index, options.split_seed)
        selected &= set(getattr(split, options.split))
    names = sorted(selected)[: options.limit]
    if not names:
        raise UserError(
            f"no record of {options.data} ({len(store)} records) is in split={options.split} and passes the filter; "
            "use split=all, another filter, or quality=false"
        )
    return names
