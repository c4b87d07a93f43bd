"""The page of the seven benchmark crystals: all modes are matched, numbers come from the rows that are shown."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import seven_crystals
from benchmarks.seven_crystals import Interval, Key, Options, compare, errors_of, outside, run
from mlrim.lattice.symmetry import space_group
from mlrim.predictors import load_predictor
from mlrim.structures import read_structure

SPACE_GROUPS = {"MgO": 225, "NaCl": 225, "CaF2": 225, "ZnO": 186, "TiO2": 136, "Al2O3": 167, "BaTiO3": 160}
DENSITIES = {"MgO": 3.58, "NaCl": 2.16, "CaF2": 3.18, "ZnO": 5.68, "TiO2": 4.25, "Al2O3": 3.99, "BaTiO3": 6.05}
"""g/cm³, from the minerals' handbooks."""


@pytest.fixture
def entries(repository) -> dict[str, dict]:
    listed = yaml.safe_load((repository / "benchmarks" / "seven.yaml").read_text(encoding="utf-8"))["crystals"]
    return {entry["name"]: entry for entry in listed}


@pytest.mark.parametrize("name", SPACE_GROUPS)
def test_the_structures_are_what_they_are_called(name, entries, repository):
    crystal = read_structure(repository / entries[name]["structure"]).crystal
    assert space_group(crystal).number == SPACE_GROUPS[name]
    density = crystal.masses.sum() / crystal.volume * 1.66053907
    assert density == pytest.approx(DENSITIES[name], rel=0.01)
    assert crystal.reduced_formula == name


@pytest.mark.parametrize("name", ["CaF2", "ZnO", "TiO2", "Al2O3", "BaTiO3"])
def test_every_measured_mode_has_a_predicted_one(name, entries):
    result = compare(entries[name], load_predictor("rim"), None, None)
    assert [row.key for row in result.rows if row.predicted is None] == []
    measured = [row for row in result.rows if row.measured]
    assert len(measured) == len(entries[name]["modes"])
    optical = sum(mode.degeneracy for mode in result.prediction.gamma.modes if not mode.acoustic)
    assert optical == 3 * result.prediction.dynamics.crystal.n_atoms - 3


def test_errors_are_those_of_the_rows(entries):
    result = compare(entries["CaF2"], load_predictor("rim"), None, None)
    rows = {row.key: row for row in result.rows}
    raman = rows[Key("T2g", "Raman", "")]
    assert raman.measured == Interval(322, 322)
    found = errors_of(result.rows)
    expected = [outside(row.measured, row.predicted.frequency) for row in result.rows if row.measured]
    assert found.to_experiment == pytest.approx(np.mean(expected))
    assert found.to_reference is None


def test_a_frequency_within_the_published_values_has_no_error():
    assert outside(Interval(393, 401), 400.0) == 0
    assert outside(Interval(393, 401), 405.0) == 4
    assert outside(Interval(393, 401), 390.0) == 3


def test_the_page_is_made_by_one_command(entries, tmp_path, monkeypatch):
    monkeypatch.setattr(seven_crystals, "ENTRIES", Path(tmp_path / "two.yaml"))
    (tmp_path / "two.yaml").write_text(yaml.safe_dump({"crystals": [entries["MgO"], entries["CaF2"]]}))
    run(Options(ckpt="rim", data=None, out=tmp_path / "docs" / "page.md"))
    page = (tmp_path / "docs" / "page.md").read_text(encoding="utf-8")
    assert "## CaF2 (fluorite, Fm-3m)" in page
    assert "python -m benchmarks.seven_crystals ckpt=rim" in page
    assert "| T2g | Raman |" in page
    for name in ("MgO", "CaF2"):
        assert (tmp_path / "docs" / "assets" / "seven" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
