"""Training, validation and test sets: made once, kept in a file, checked for leaks whenever the file is read.

Compounds with the same reduced formula are one group and always stay together, polymorphs and repeated entries with
them. Groups are dealt out within each crystal system so that every set has its share of all systems, and the formulas
of the benchmark crystals are always in the test set.

    python -m datamodules.splits data=data/phonondb out=splits/phonondb.json seed=0
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase.formula import Formula

from datamodules.options import run_command
from datamodules.store import IndexEntry, RecordStore, write_json
from mlrim.configuration.types import AtLeast, Between
from mlrim.errors import UserError

ALGORITHM = "stratified by crystal system, grouped by reduced formula, version 1"
BENCHMARK_FORMULAS = ("ZnO", "MgO", "TiO2", "CaF2", "BaTiO3", "NaCl", "Al2O3")
"""Always in the test set."""
PARTS = ("train", "validation", "test")
FRACTIONS = (0.70, 0.15, 0.15)


@dataclass(frozen=True)
class Split:
    """Three sets of ids and how they were made.

    Attributes:
        algorithm: name and version of the algorithm.
        seed: of its random numbers.
        fractions: shares of the three sets.
        content_hash: of the data set that was split.
        train: ids to learn from.
        validation: ids to choose by.
        test: ids to report on.
    """

    algorithm: str
    seed: int
    fractions: tuple[float, float, float]
    content_hash: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class SplitOptions:
    """What to split.

    Attributes:
        data: folder of the data set.
        out: file to write.
        seed: of the random numbers.
        train, validation, test: shares of the sets.
    """

    data: Path
    out: Path
    seed: Annotated[int, AtLeast(0)] = 0
    train: Annotated[float, Between(0, 1)] = FRACTIONS[0]
    validation: Annotated[float, Between(0, 1)] = FRACTIONS[1]
    test: Annotated[float, Between(0, 1)] = FRACTIONS[2]


def main() -> None:
    """The command."""
    run_command("datamodules.splits", SplitOptions, split_data_set)


def split_data_set(options: SplitOptions) -> None:
    """Make the split file of a data set."""
    store = RecordStore(options.data)
    fractions = (options.train, options.validation, options.test)
    split = make_split(store.index, options.seed, fractions, store.manifest.content_hash)
    save_split(split, options.out)
    sizes = ", ".join(f"{len(getattr(split, part))} {part}" for part in PARTS)
    print(f"{sizes} in {options.out}")


def make_split(
    index: Iterable[IndexEntry],
    seed: int = 0,
    fractions: Sequence[float] = FRACTIONS,
    content_hash: str = "",
) -> Split:
    """Split an index; the result does not depend on its order.

    Raises:
        UserError: the fractions are not three non-negative numbers that add up to one.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise UserError(f"fractions={list(fractions)} of a split must be three numbers ≥ 0 that add up to 1")
    groups = _groups(index)
    generator = np.random.default_rng(seed)
    benchmarks = {reduced_formula(formula) for formula in BENCHMARK_FORMULAS} & set(groups)
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    parts["test"] += [entry.id for formula in sorted(benchmarks) for entry in groups[formula]]
    rest = [
        formulas[position]
        for formulas in _by_system({formula: groups[formula] for formula in set(groups) - benchmarks}).values()
        for position in generator.permutation(len(formulas))
    ]
    _deal([groups[formula] for formula in rest], fractions, parts)
    train, validation, test = (tuple(sorted(parts[part])) for part in PARTS)
    shares = (fractions[0], fractions[1], fractions[2])
    return Split(ALGORITHM, seed, shares, content_hash, train, validation, test)


def save_split(split: Split, path: Path) -> None:
    """Write a split as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(split))


def load_split(path: Path, index: Sequence[IndexEntry]) -> Split:
    """Read a split and check it against the data set it is used with.

    Raises:
        UserError: no such file, another format, an id that the data set has not, or a leak between the sets.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        plain: Any = {name: tuple(item) if isinstance(item, list) else item for name, item in values.items()}
        split = Split(**plain)
    except OSError as error:
        raise UserError(f"the split file {path} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no split file ({error}); make one with python -m datamodules.splits") from error
    check_split(split, index)
    return split


def check_split(split: Split, index: Sequence[IndexEntry]) -> None:
    """Raise UserError when an id is unknown, is in two sets, or its formula is in two sets."""
    formulas = {entry.id: reduced_formula(entry.formula) for entry in index}
    sets = {part: getattr(split, part) for part in PARTS}
    unknown = [name for names in sets.values() for name in names if name not in formulas]
    if unknown:
        raise UserError(
            f"the split names {len(unknown)} ids that the data set does not have, for example {unknown[0]}; "
            f"it was made for another data set"
        )
    owner: dict[str, str] = {}
    for part, names in sets.items():
        for name in names:
            first = owner.setdefault(formulas[name], part)
            if first != part:
                raise UserError(
                    f"the split leaks: {formulas[name]} is in {first} and in {part} ({name}); make it again"
                )
    if len({name for names in sets.values() for name in names}) != sum(map(len, sets.values())):
        raise UserError("the split names an id twice; make it again")


def reduced_formula(formula: str) -> str:
    """A spelling of the reduced formula that does not depend on the order of the elements.

    >>> reduced_formula("O2Ti") == reduced_formula("Ti2O4")
    True
    """
    return Formula(formula).reduce()[0].format("hill")


def _groups(index: Iterable[IndexEntry]) -> dict[str, list[IndexEntry]]:
    groups = defaultdict(list)
    for entry in sorted(index, key=lambda entry: entry.id):
        groups[reduced_formula(entry.formula)].append(entry)
    return groups


def _by_system(groups: dict[str, list[IndexEntry]]) -> dict[str, list[str]]:
    """Formulas of every crystal system; a formula with several belongs to its commonest one."""
    systems = defaultdict(list)
    for formula in sorted(groups):
        names = [entry.crystal_system for entry in groups[formula]]
        systems[max(sorted(set(names)), key=names.count)].append(formula)
    return dict(sorted(systems.items()))


def _deal(groups: list[list[IndexEntry]], fractions: Sequence[float], parts: dict[str, list[str]]) -> None:
    """Give groups, one crystal system after the other, to the set that is furthest behind its share so far.

    What is in the test set already counts towards its share; where it is more than that, the others share the rest.
    """
    remaining = sum(map(len, groups))
    in_test = len(parts["test"])
    share = dict(zip(PARTS, fractions, strict=True))
    test = max(share["test"] * (remaining + in_test) - in_test, 0.0) / max(remaining, 1)
    learning = share["train"] + share["validation"]
    rate = {part: (1 - test) * share[part] / learning if learning else 0.0 for part in ("train", "validation")}
    rate["test"] = test if learning else 1.0
    dealt, counts = 0, dict.fromkeys(PARTS, 0)
    for group in groups:
        dealt += len(group)
        part = max(PARTS, key=lambda part: rate[part] * dealt - counts[part])
        counts[part] += len(group)
        parts[part] += [entry.id for entry in group]


if __name__ == "__main__":
    main()
