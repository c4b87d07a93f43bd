"""The embedded data set: enough of it, at equilibrium, with consistent long-range physics, and something to learn."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.embedded import CRYSTALS, STRUCTURES, SWITCH_WIDTH, read_embedded, relaxed
from datamodules.filters import RecordFilter
from datamodules.importers import ImportOptions, Input
from datamodules.records import Record, encode
from datamodules.splits import make_split
from datamodules.store import RecordStore
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import fold
from mlrim.rim.baselines import short_range_baseline
from mlrim.rim.library import LIBRARY, published_rigid_ion_model
from mlrim.units import COULOMB_EV_ANGSTROM, SQRT_EIGENVALUE_TO_THZ


def record(name: str) -> Record:
    return read_embedded(Input(name, None), ImportOptions())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    out = tmp_path_factory.mktemp("embedded") / "set"
    build(BuildOptions("embedded", out, workers=1, features=False, quiet=True))
    return RecordStore(out)


def test_there_are_forty_crystals_of_six_structure_types(store: RecordStore) -> None:
    assert len(store) == len(CRYSTALS) >= 40
    assert store.rejects() == ()
    types = Counter(crystal.structure for crystal in CRYSTALS.values())
    assert sum(count >= 3 for count in types.values()) >= 6
    assert any(LIBRARY[crystal.parameters].shells for crystal in CRYSTALS.values())


def test_all_crystals_pass_the_quality_filter_and_are_stable(store: RecordStore) -> None:
    assert RecordFilter().select(store.index).left_out == {}
    assert min(entry.quality["min_commensurate_thz"] for entry in store.index) > -1e-3
    assert max(entry.quality["sum_rule_residual"] for entry in store.index) < 1e-8


def test_all_three_sets_of_the_default_split_are_filled(store: RecordStore) -> None:
    split = make_split(store.index)
    assert min(len(split.train), len(split.validation), len(split.test)) >= 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rutile-TiO2", 136),
        ("corundum-Al2O3", 167),
        ("wurtzite-ZnO", 186),
        ("spinel-MgAl2O4", 227),
        ("perovskite-SrTiO3", 221),
    ],
)
def test_relaxation_keeps_the_space_group_and_ends_at_rest(name: str, expected: int) -> None:
    found = record(name)
    assert found.space_group == expected
    model = published_rigid_ion_model(CRYSTALS[name].parameters, found.crystal, SWITCH_WIDTH)
    _, forces, stress = model.energy_forces_stress()
    assert np.abs(forces).max() < 1e-4
    assert np.abs(stress).max() < 1e-5


def test_lattice_parameter_is_that_of_the_lowest_energy() -> None:
    """Against a scan of the energy, which uses neither forces nor stress."""

    def energy(length: float) -> float:
        lattice = length / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
        crystal = Crystal.from_fractional(lattice, np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.array([12, 8]))
        return published_rigid_ion_model("lewis_catlow", crystal, SWITCH_WIDTH).energy_forces_stress()[0]

    found = record("rocksalt-MgO").crystal
    best = (4 * found.volume) ** (1 / 3)
    assert energy(best) < min(energy(best - 0.005), energy(best + 0.005))
    lengths = best + np.array([-0.02, 0.0, 0.02])
    curve = np.polyfit(lengths - best, [energy(length) for length in lengths], 2)
    assert -curve[1] / (2 * curve[0]) == pytest.approx(0, abs=1e-3)


def test_relaxation_without_equilibrium_says_so() -> None:
    start = Crystal.from_ase(STRUCTURES["wurtzite"].build(("Na", "Cl"), 4.3))
    with pytest.raises(RuntimeError, match="no equilibrium"):
        relaxed(start, lambda cell: published_rigid_ion_model("fumi_tosi", cell, SWITCH_WIDTH))


@pytest.mark.parametrize("name", ["rocksalt-NaCl", "rocksalt-MgO-shell", "zincblende-ZnO"])
def test_longitudinal_splitting_is_that_of_the_charges(name: str) -> None:
    """ω_LO² − ω_TO² = Z*² e² / (ε₀ ε∞ V µ) of a cubic diatomic crystal."""
    found = record(name)
    dynamics = found.lattice_dynamics()
    gamma = np.zeros((1, 3))
    transverse = dynamics.frequencies(gamma)[0, -1]
    longitudinal = dynamics.frequencies(gamma, direction=np.array([1.0, 0, 0]))[0, -1]
    reduced = 1 / (1 / found.crystal.masses).sum()
    charge, screening = found.born_charges[0, 0, 0], found.dielectric[0, 0]
    expected = 4 * math.pi * COULOMB_EV_ANGSTROM * charge**2 / (screening * found.crystal.volume * reduced)
    assert longitudinal**2 - transverse**2 == pytest.approx(expected * SQRT_EIGENVALUE_TO_THZ**2, rel=1e-5)


def test_rigid_ions_are_charges_in_vacuum_and_shells_screen() -> None:
    rigid, shells = record("rocksalt-MgO"), record("rocksalt-MgO-shell")
    assert rigid.dielectric == pytest.approx(np.eye(3))
    assert rigid.born_charges[0] == pytest.approx(2 * np.eye(3))
    assert shells.dielectric[0, 0] > 1.5


def test_labels_differ_from_the_rigid_ion_baseline(store: RecordStore) -> None:
    for name in ("rocksalt-CaO", "rutile-SnO2", "corundum-Fe2O3"):
        found = store[name]
        baseline = fold(short_range_baseline("rim", found.crystal), found.supercell)
        label = fold(found.lattice_dynamics().short_range, found.supercell)
        assert np.abs(label - baseline).max() > 0.05 * np.abs(label).max()


def test_records_are_the_same_every_time(store: RecordStore) -> None:
    assert encode(record("corundum-Al2O3-shell")) == encode(store["corundum-Al2O3-shell"])


@pytest.mark.slow
def test_build_with_features_takes_less_than_a_minute(tmp_path: Path) -> None:
    import time

    start = time.process_time()
    build(BuildOptions("embedded", tmp_path / "set", workers=1, quiet=True))
    assert time.process_time() - start < 60
