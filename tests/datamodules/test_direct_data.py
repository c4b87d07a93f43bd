"""Samples of the direct networks: labels against lattice dynamics, storage, and wave vectors drawn anew."""

import numpy as np
import pytest
import torch

from datamodules.build import BuildOptions, build
from datamodules.direct_cache import ensure_direct_samples
from datamodules.direct_datamodule import DirectDataModule
from datamodules.direct_samples import chosen_waves, join_direct, make_direct_sample
from datamodules.filters import RecordFilter
from datamodules.records import Record
from datamodules.store import RecordStore
from mlrim.units import SQRT_EIGENVALUE_TO_THZ


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
    sample = make_direct_sample(fluorite, 5.0, wave_vectors=3)
    dynamics = fluorite.lattice_dynamics()
    np.testing.assert_allclose(frequencies(sample.waves), dynamics.frequencies(sample.qpoints.numpy()), atol=1e-3)
    gamma = frequencies(sample.gamma)
    np.testing.assert_allclose(gamma[gamma != 0], dynamics.frequencies(np.zeros((1, 3)))[0][3:], atol=1e-3)
    assert (gamma == 0).sum() == 3


def test_wave_vectors_are_other_than_gamma_and_each_its_own(fluorite: Record) -> None:
    sample = make_direct_sample(fluorite, 5.0, wave_vectors=100)
    rounded = np.round(np.mod(sample.qpoints.numpy() + 1e-4, 1), 3)
    assert len(np.unique(rounded, axis=0)) == len(rounded)
    assert (np.abs(sample.qpoints.numpy()).max(axis=1) > 0.1).all()


def test_random_wave_vectors_change_and_fixed_ones_do_not(fluorite: Record) -> None:
    sample = make_direct_sample(fluorite, 5.0, wave_vectors=8)
    generator = np.random.default_rng(0)
    drawn = {tuple(chosen_waves(sample, 1, generator).labels.qpoints.flatten().tolist()) for _ in range(30)}
    assert len(drawn) > 3
    fixed = chosen_waves(sample, 2, None).labels
    torch.testing.assert_close(fixed.qpoints[0], sample.qpoints[:2])
    torch.testing.assert_close(fixed.waves[0], sample.waves[:2])


def test_stored_samples_are_the_ones_that_were_made(store: RecordStore) -> None:
    cache = ensure_direct_samples(store, store.ids[:3], 5.0, 4, workers=0, quiet=True)
    for row, name in enumerate(store.ids[:3]):
        made, read = make_direct_sample(store[name], 5.0, 4), cache[row]
        for field in ("gamma", "qpoints", "waves"):
            torch.testing.assert_close(getattr(read, field), getattr(made, field), rtol=0, atol=0)
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
    samples = [chosen_waves(make_direct_sample(record, 5.0, 2), 1, None) for record in (fluorite, rock_salt)]
    batch = join_direct(samples)
    assert batch.graph.n_atoms.tolist() == [3, 2]
    assert (batch.graph.vector[batch.graph.reverse] + batch.graph.vector).abs().max() < 1e-5
