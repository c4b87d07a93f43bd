"""Splits: no leak, the same shares everywhere, the benchmarks in the test set, the same file every time."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from datamodules.splits import BENCHMARK_FORMULAS, check_split, load_split, make_split, reduced_formula, save_split
from datamodules.store import IndexEntry
from mlrim.errors import UserError


def entry(name: str, formula: str, system: str = "cubic", **changes: object) -> IndexEntry:
    values = {
        "id": name, "formula": formula, "elements": ("Na", "Cl"), "n_atoms": 2, "n_images": 64, "n_edges": 100,
        "space_group": 225, "crystal_system": system, "levels": ("dft",), "has_born": True, "quality": {},
    }  # fmt: skip
    return IndexEntry(**(values | changes))


@pytest.fixture
def index() -> list[IndexEntry]:
    generator = np.random.default_rng(0)
    systems = ["cubic", "hexagonal", "monoclinic"]
    entries = [
        entry(f"c-{number}", f"Na{generator.integers(1, 100)}Cl{generator.integers(1, 9)}", systems[number % 3])
        for number in range(1200)
    ]
    return entries + [entry(f"b-{formula}", formula) for formula in BENCHMARK_FORMULAS] + [entry("b-other", "O4Ti2")]


def test_sets_have_their_shares_in_every_crystal_system(index: list[IndexEntry]) -> None:
    split = make_split(index, seed=3)
    system_of = {one.id: one.crystal_system for one in index}
    totals = Counter(system_of.values())
    for part, share in zip((split.train, split.validation, split.test), (0.7, 0.15, 0.15), strict=True):
        counts = Counter(system_of[name] for name in part)
        for system, total in totals.items():
            assert counts[system] / total == pytest.approx(share, abs=0.06)
    assert sorted(split.train + split.validation + split.test) == sorted(one.id for one in index)


def test_compounds_with_one_formula_stay_together(index: list[IndexEntry]) -> None:
    split = make_split(index)
    formula_of = {one.id: reduced_formula(one.formula) for one in index}
    train, validation, test = (
        {formula_of[name] for name in part} for part in (split.train, split.validation, split.test)
    )
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_benchmark_formulas_are_in_the_test_set(index: list[IndexEntry]) -> None:
    for seed in range(5):
        assert {name for name in (one.id for one in index) if name.startswith("b-")} <= set(
            make_split(index, seed).test
        )


def test_many_benchmarks_shrink_no_other_set() -> None:
    """As in the embedded data set, where a third of the crystals are benchmarks."""
    index = [entry(f"b{number}", "MgO") for number in range(20)]
    index += [entry(f"c{number}", f"Na{number}Cl") for number in range(2, 42)]
    split = make_split(index)
    assert set(split.test) == {one.id for one in index if one.formula == "MgO"}
    assert len(split.validation) == pytest.approx(40 * 0.15 / 0.85, abs=1)


def test_split_depends_on_the_seed_and_not_on_the_order(index: list[IndexEntry]) -> None:
    assert make_split(index, 1) == make_split(index[::-1], 1)
    assert make_split(index, 1) != make_split(index, 2)


def test_file_keeps_a_split(index: list[IndexEntry], tmp_path: Path) -> None:
    split = make_split(index, 4, content_hash="abc")
    save_split(split, tmp_path / "folder/split.json")
    assert load_split(tmp_path / "folder/split.json", index) == split


def test_leak_in_a_file_is_found(index: list[IndexEntry], tmp_path: Path) -> None:
    save_split(make_split(index), tmp_path / "split.json")
    values = json.loads((tmp_path / "split.json").read_text())
    moved = next(name for name in values["test"] if name == "b-TiO2")
    values["test"].remove(moved)
    values["train"].append(moved)
    (tmp_path / "split.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="leaks: O2Ti"):
        load_split(tmp_path / "split.json", index)


def test_repeated_and_unknown_ids_are_found(index: list[IndexEntry]) -> None:
    split = make_split(index)
    with pytest.raises(UserError, match="twice"):
        check_split(type(split)(**(vars(split) | {"train": (*split.train, split.train[0])})), index)
    with pytest.raises(UserError, match="does not have"):
        check_split(split, index[:-1])


@pytest.mark.parametrize("text", ["{", "[]", '{"train": []}'])
def test_file_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match="no split file"):
        load_split(tmp_path / "split.json", [])
