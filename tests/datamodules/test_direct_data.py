"""Samples of the direct networks: labels against lattice dynamics, storage, and wave vectors drawn anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.build import BuildOptions, build
from datamodules.direct_cache import ensure_direct_samples
from datamodules.direct_datamodule import DirectDataModule
from datamodules.direct_samples import DirectSample, DirectSettings, chosen_waves, join_direct, make_direct_sample
from datamodules.filters import RecordFilter
from datamodules.records import Record
from datamodules.store import RecordStore
from mlrim.graph.crystal_scalars import SCALARS
from mlrim.graph.frequency_bins import SPECTRUM_BINS
from mlrim.units import SQRT_EIGENVALUE_TO_THZ, THZ_TO_CM1
from mlrim.vibrations.density_of_states import mesh_modes
from mlrim.vibrations.thermal import thermal_properties


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    out = tmp_path_factory.mktemp("data") / "small"
    build(BuildOptions("embedded", out, workers=1, select="rocksalt-*,fluorite-*", quiet=True))
    return RecordStore(out)


@pytest.fixture(scope="module")
def fluorite(store: RecordStore) -> Record:
    return store[next(name for name in store.ids if name.startswith("fluorite"))]


def frequencies(squares: torch.Tensor) -> np.ndarray:
    """THz"""
    values = squares.double()
    return (values.sign() * values.abs().sqrt()).numpy() * SQRT_EIGENVALUE_TO_THZ


def test_labels_are_the_frequencies_of_the_crystal(fluorite: Record) -> None:
    sample = make_direct_sample(fluorite, DirectSettings(wave_vectors=3))
    dynamics = fluorite.lattice_dynamics()
    np.testing.assert_allclose(frequencies(sample.waves), dynamics.frequencies(sample.qpoints.numpy()), atol=1e-3)
    gamma = frequencies(sample.gamma)
    np.testing.assert_allclose(gamma[gamma != 0], dynamics.frequencies(np.zeros((1, 3)))[0][3:], atol=1e-3)
    assert (gamma == 0).sum() == 3


def test_wave_vectors_are_other_than_gamma_and_each_its_own(fluorite: Record) -> None:
    sample = make_direct_sample(fluorite, DirectSettings(wave_vectors=100))
    rounded = np.round(np.mod(sample.qpoints.numpy() + 1e-4, 1), 3)
    assert len(np.unique(rounded, axis=0)) == len(rounded)
    assert (np.abs(sample.qpoints.numpy()).max(axis=1) > 0.1).all()


def test_random_wave_vectors_change_and_fixed_ones_do_not(fluorite: Record) -> None:
    sample = make_direct_sample(fluorite, DirectSettings())
    generator = np.random.default_rng(0)
    drawn = {tuple(chosen_waves(sample, 1, generator).labels.qpoints.flatten().tolist()) for _ in range(30)}
    assert len(drawn) > 3
    fixed = chosen_waves(sample, 2, None).labels
    torch.testing.assert_close(fixed.qpoints[0], sample.qpoints[:2])
    torch.testing.assert_close(fixed.waves[0], sample.waves[:2])


def test_stored_samples_are_the_ones_that_were_made(store: RecordStore) -> None:
    cache = ensure_direct_samples(store, store.ids[:3], DirectSettings(wave_vectors=4), workers=0, quiet=True)
    for row, name in enumerate(store.ids[:3]):
        made, read = make_direct_sample(store[name], DirectSettings(wave_vectors=4)), cache[row]
        for field in DirectSample._fields[1:]:
            torch.testing.assert_close(getattr(read, field), getattr(made, field), rtol=0, atol=0, equal_nan=True)
        for one, other in zip(read.graph, made.graph, strict=True):
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_batches_hold_every_crystal_once(store: RecordStore) -> None:
    data = DirectDataModule(str(store.path), selection=RecordFilter(quality=None), batch_size=4, quiet=True)
    data.trainer = None
    batches = list(data.train_dataloader())
    assert sum(len(batch.graph.n_atoms) for batch in batches) == len(data.names("train"))
    for batch in batches:
        assert [len(row) for row in batch.labels.gamma] == (3 * batch.graph.n_atoms).tolist()
        assert batch.labels.qpoints.shape == (len(batch.graph.n_atoms), 1, 3)


def test_batches_of_crystals_of_any_size(store: RecordStore, fluorite: Record) -> None:
    rock_salt = store[next(name for name in store.ids if name.startswith("rocksalt"))]
    samples = [
        chosen_waves(make_direct_sample(record, DirectSettings(wave_vectors=2)), 1, None)
        for record in (fluorite, rock_salt)
    ]
    batch = join_direct(samples)
    assert batch.graph.n_atoms.tolist() == [3, 2]
    assert (batch.graph.vector[batch.graph.reverse] + batch.graph.vector).abs().max() < 1e-5


def test_densities_hold_three_states_of_every_atom_and_the_thermal_functions_of_the_mesh(fluorite: Record) -> None:
    settings = DirectSettings(mesh_spacing=0.04)
    sample = make_direct_sample(fluorite, settings)
    states = sample.states.double().numpy()
    np.testing.assert_allclose(states.sum(axis=1), 3.0, rtol=1e-5)
    np.testing.assert_allclose(states[1], states[2], rtol=1e-4)  # the two anions are equivalent
    dense = mesh_modes(fluorite.lattice_dynamics(), (12, 12, 12))
    exact = thermal_properties(dense.frequencies, dense.weights, np.array([300.0])).per(3)
    found = dict(zip(SCALARS, sample.scalars.tolist(), strict=True))
    assert found["entropy"] == pytest.approx(float(exact.entropy[0]), rel=0.02)
    assert found["free_energy"] == pytest.approx(float(exact.free_energy[0]), abs=0.05)
    assert found["heat_capacity"] == pytest.approx(float(exact.heat_capacity[0]), rel=0.005)
    assert found["highest_frequency"] == pytest.approx(float(dense.frequencies.max()) * THZ_TO_CM1, rel=0.03)
    mean = float(states.sum(axis=0) @ ((settings.density_bins.edges[1:] + settings.density_bins.edges[:-1]) / 2)) / 9
    assert mean == pytest.approx(float(dense.weights @ dense.frequencies.mean(axis=1)) * THZ_TO_CM1, rel=0.02)


def test_infrared_spectrum_lies_at_the_active_mode(store: RecordStore) -> None:
    record = store[next(name for name in store.ids if name.startswith("rocksalt"))]
    sample = make_direct_sample(record, DirectSettings(line_width=5.0))
    bins = SPECTRUM_BINS.edges
    frequency = record.lattice_dynamics().frequencies(np.zeros((1, 3)))[0, -1] * THZ_TO_CM1  # TO
    place = int(sample.infrared.argmax())
    assert bins[place] - 3 <= frequency <= bins[place + 1] + 3
    assert float(sample.infrared.sum()) == pytest.approx(1, rel=1e-5)
    charge, masses = record.born_charges[0, 0, 0], record.crystal.masses
    reduced = masses[0] * masses[1] / masses.sum()
    assert float(sample.infrared_intensity) == pytest.approx(974.88 * 3 * charge**2 / reduced / 2, rel=1e-3)
    assert bool(sample.raman.isnan().all())


def test_a_crystal_with_imaginary_modes_is_unstable_and_has_no_density(fluorite: Record) -> None:
    compact = {"dft": (-fluorite.force_constants["dft"]).astype(np.float32)}
    sample = make_direct_sample(replace(fluorite, force_constants=compact), DirectSettings())
    assert float(sample.stable) == 0
    assert bool(sample.states.isnan().all())
    assert bool(sample.scalars.isnan().all())
    assert float(make_direct_sample(fluorite, DirectSettings()).stable) == 1


def test_a_smaller_selection_uses_the_samples_of_a_larger_one(store: RecordStore) -> None:
    settings = DirectSettings(wave_vectors=2)
    larger = ensure_direct_samples(store, store.ids[:4], settings, workers=0, quiet=True)
    smaller = ensure_direct_samples(store, store.ids[1:3], settings, workers=0, quiet=True)
    assert smaller.folder == larger.folder
    other = ensure_direct_samples(store, store.ids[1:3], DirectSettings(wave_vectors=3), workers=0, quiet=True)
    assert other.folder != larger.folder


def test_left_out_elements_are_only_tested_on(store: RecordStore) -> None:
    chosen = {"selection": RecordFilter(quality=None), "batch_size": 4, "quiet": True}
    everything = DirectDataModule(str(store.path), **chosen)
    without = DirectDataModule(str(store.path), left_out=["Ca", "F"], **chosen)
    assert 20 in everything.elements
    assert not {9, 20} & set(without.elements)
    for part in ("train", "validation"):
        assert not {"Ca", "F"} & {one for name in without.dataset(part).ids for one in without.elements_of[name]}
    assert without.dataset("test").ids == everything.dataset("test").ids
