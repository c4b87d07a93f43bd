"""What the response network is given, from records to batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.build import BuildOptions, build
from datamodules.filters import RecordFilter
from datamodules.records import Record
from datamodules.response_cache import ensure_response_samples
from datamodules.response_datamodule import ResponseDataModule
from datamodules.response_samples import arrays_of, labels_of_record, make_response_sample, raman_modes, sample_of
from datamodules.store import RecordStore
from mlrim.errors import UserError
from mlrim.graph.response_graph import theory_index
from mlrim.models.response import dielectric_tensor
from mlrim.tasks.raman_loss import mode_tensors, powder_strengths, similarity
from mlrim.units import THZ_TO_CM1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    out = tmp_path_factory.mktemp("data") / "small"
    build(BuildOptions("embedded", out, workers=1, select="rocksalt-*,fluorite-*", quiet=True))
    return RecordStore(out)


@pytest.fixture(scope="module")
def fluorite(store: RecordStore) -> Record:
    return store[next(name for name in store.ids if name.startswith("fluorite"))]


def with_raman(record: Record) -> Record:
    """The record with invented Raman tensors that obey the sum rule."""
    tensors = np.random.default_rng(0).normal(size=(record.crystal.n_atoms, 3, 3, 3))
    tensors = tensors + tensors.swapaxes(1, 2)
    return replace(record, raman_tensors=tensors - tensors.mean(axis=0))


def test_labels_are_those_of_the_record(fluorite: Record) -> None:
    labels = labels_of_record(fluorite)
    np.testing.assert_allclose(labels.born_charges, fluorite.born_charges, atol=1e-6)
    assert bool(labels.born_known)
    assert not bool(labels.dielectric_known), "rigid ions are not polarisable: there is no ε∞ to learn"
    assert not bool(labels.raman_known)
    assert float(labels.metal) == 0


def test_the_logarithm_gives_the_dielectric_tensor_back(fluorite: Record) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    dielectric = turn @ np.diag([2.0, 3.5, 9.0]) @ turn.T
    labels = labels_of_record(replace(fluorite, dielectric=dielectric))
    assert bool(labels.dielectric_known)
    np.testing.assert_allclose(dielectric_tensor(labels.log_susceptibility.double())[0], dielectric, rtol=1e-5)


@pytest.mark.parametrize("change", ["born_charges", "dielectric"])
def test_metals_are_told_and_their_numbers_are_not_learned(fluorite: Record, change: str) -> None:
    labels = labels_of_record(replace(fluorite, **{change: 60 * getattr(fluorite, change)}))
    assert float(labels.metal) == 1
    assert not bool(labels.born_known)
    assert not bool(labels.dielectric_known)


def test_what_is_absent_is_masked(fluorite: Record) -> None:
    labels = labels_of_record(replace(fluorite, born_charges=None))
    assert not bool(labels.born_known)
    assert bool(labels.metal.isnan()), "without charges nobody knows whether it is a metal"


def test_modes_of_raman_labels_are_the_optical_ones(fluorite: Record) -> None:
    modes = raman_modes(with_raman(fluorite))
    np.testing.assert_allclose(modes.frequencies, fluorite.gamma_frequencies[3:] * THZ_TO_CM1, rtol=1e-4, atol=0.1)
    weighted = modes.displacements * np.sqrt(fluorite.crystal.masses)[:, None]
    gram = np.einsum("mnk,lnk->ml", weighted, weighted)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-8)
    momentum = np.einsum("mnk,n->mk", modes.displacements, fluorite.crystal.masses)
    np.testing.assert_allclose(momentum, 0, atol=1e-6)


def test_samples_survive_storage(fluorite: Record) -> None:
    sample = make_response_sample(with_raman(fluorite))
    restored = sample_of(arrays_of(sample))
    for name, tensor in sample.graph.crystal._asdict().items():
        torch.testing.assert_close(getattr(restored.graph.crystal, name), tensor)
    torch.testing.assert_close(restored.graph.raman_prior, sample.graph.raman_prior)
    torch.testing.assert_close(restored.labels.raman_tensors, sample.labels.raman_tensors)
    torch.testing.assert_close(restored.labels.displacements[0], sample.labels.displacements[0])


def test_a_cache_gives_what_was_made(store: RecordStore) -> None:
    cache = ensure_response_samples(store, store.ids, 6.0, workers=0, quiet=True)
    again = ensure_response_samples(store, store.ids, 6.0, workers=0, quiet=True)
    assert again.folder == cache.folder
    made = make_response_sample(store[store.ids[1]])
    torch.testing.assert_close(cache[1].graph.crystal.vector, made.graph.crystal.vector)
    torch.testing.assert_close(cache[1].labels.born_charges, made.labels.born_charges)


def test_a_second_data_set_follows_the_split_of_the_first(store: RecordStore) -> None:
    everything = RecordFilter(need_born=True, quality=None)
    module = ResponseDataModule(
        str(store.path), also=str(store.path), repeats=3, selection=everything, sample_workers=0, quiet=True
    )
    for part in ("train", "validation", "test"):
        first, second = module.ids[part], module.second_ids[part]
        formulas = {entry.id: entry.formula for entry in store.index}
        assert {formulas[name] for name in second} == {formulas[name] for name in first}
        dataset = module.dataset(part)
        assert len(dataset) == len(first) + len(second) * (3 if part == "train" else 1)
    assert module.theories == ["classical"]
    graph, labels = next(iter(module.train_dataloader()))
    assert len(labels.metal) == len(graph.theory) == len(graph.crystal.n_atoms)


def test_unknown_levels_of_theory_are_refused() -> None:
    with pytest.raises(UserError, match="pbesol"):
        theory_index("CCSD(T)")


def test_records_with_raman_tensors(shared_data: Path, tmp_path: Path) -> None:
    """Real ones: the powder intensities that training compares with are those that CRYSTAL printed."""
    options = BuildOptions(
        "raman_pbe0",
        tmp_path / "raman",
        path=shared_data / "data" / "raman_pbe0",
        workers=1,
        select="*MgF2_136*",
        quiet=True,
    )
    build(options)
    (record,) = RecordStore(tmp_path / "raman")
    labels = labels_of_record(record)
    tensors = mode_tensors(labels.raman_tensors, labels.displacements[0])
    found = powder_strengths(labels.frequencies[0], tensors)
    assert float(similarity(labels.frequencies[0], found, labels.powder[0])) > 0.999
