"""Samples on disk: read as they were made, made again whenever something that they depend on has changed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.perturbation import ResponseErrors, perturbed_response
from datamodules.sample_cache import ensure_samples
from datamodules.samples import (
    SampleSettings,
    baseline_of,
    make_sample,
    scaled_formal_charges,
    with_perturbed_response,
    with_rigid_response,
)
from datamodules.store import RecordStore
from mlrim.graph.crystal_graph import ResponseFeatures
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from tests.datamodules.archives import rocksalt_archives


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    rocksalt_archives(folder / "archives", 3)
    build(BuildOptions("phonondb", folder / "set", folder / "archives", workers=1, features=False, quiet=True))
    return folder / "set"


def numbers(sample) -> dict[str, np.ndarray]:
    found = {f"graph.{name}": tensor.numpy() for name, tensor in sample.graph._asdict().items()}
    for part in ("folded", "gamma", "waves", "rigid"):
        if getattr(sample, part) is not None:
            found |= {f"{part}.{name}": array for name, array in getattr(sample, part)._asdict().items()}
    for draw, part in enumerate(sample.perturbed):
        found |= {f"perturbed{draw}.{name}": array for name, array in part._asdict().items()}
    return found


def labelled_numbers(sample) -> dict[str, np.ndarray]:
    others = ("rigid", "perturbed")
    return {name: array for name, array in numbers(sample).items() if not name.startswith(others)}


def test_samples_are_read_as_they_were_made(path: Path) -> None:
    store, settings = RecordStore(path), SampleSettings(perturbations=2)
    cache = ensure_samples(store, store.ids, settings, workers=0, quiet=True)
    assert len(cache) == len(store)
    for name in store.ids:
        expected, found = numbers(make_sample(store[name], settings)), numbers(cache[cache.row_of[name]])
        assert expected.keys() == found.keys()
        for key, array in expected.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-6, atol=1e-6, err_msg=key)


def test_processes_make_the_same_samples(path: Path) -> None:
    store, ids, settings = RecordStore(path), RecordStore(path).ids[:2], SampleSettings(perturbations=1)
    alone = ensure_samples(store, ids, settings, workers=0, quiet=True)
    data = (alone.folder / "samples.bin").read_bytes()
    (alone.folder / "index.json").unlink()
    (alone.folder / "samples.bin").unlink()
    alone.folder.rmdir()
    together = ensure_samples(store, ids, settings, workers=2, quiet=True)
    assert together.folder == alone.folder
    assert (together.folder / "samples.bin").read_bytes() == data


def test_every_dependence_has_its_own_samples(path: Path) -> None:
    settings = SampleSettings()
    folders = [
        ensure_samples(RecordStore(path), ids, chosen, workers=0, quiet=True).folder
        for ids, chosen in [
            (RecordStore(path).ids, settings),
            (RecordStore(path).ids[1:], settings),
            (RecordStore(path).ids, replace(settings, cutoff=4.0)),
            (RecordStore(path).ids, replace(settings, perturbations=1)),
            (RecordStore(path).ids, replace(settings, perturbations=1, errors=ResponseErrors(charges=0.2))),
        ]
    ]
    manifest = json.loads((path / "manifest.json").read_text())
    for key in ("features_hash", "content_hash"):
        (path / "manifest.json").write_text(json.dumps(manifest | {key: "changed"}))
        store = RecordStore(path)
        folders.append(ensure_samples(store, store.ids, settings, workers=0, quiet=True).folder)
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert len(set(folders)) == len(folders)
    again = ensure_samples(RecordStore(path), RecordStore(path).ids, settings, workers=0, quiet=True)
    assert again.folder == folders[0]


def test_hidden_response_makes_the_sample_of_a_record_without_born_charges(path: Path) -> None:
    store = RecordStore(path)
    record = store[store.ids[0]]
    assert record.born_charges is not None
    known = make_sample(record, SampleSettings())
    unknown = make_sample(replace(record, born_charges=None, dielectric=None), SampleSettings())
    assert unknown.rigid is None
    hidden = with_rigid_response(known)
    for name, array in labelled_numbers(unknown).items():
        np.testing.assert_array_equal(labelled_numbers(hidden)[name], array, err_msg=name)
    assert np.abs(hidden.folded.target - known.folded.target).max() > 1e-3


def test_perturbed_response_makes_the_sample_of_a_record_with_these_born_charges(path: Path) -> None:
    store, settings = RecordStore(path), SampleSettings(perturbations=2)
    record = store[store.ids[0]]
    known = make_sample(record, settings)
    for draw in range(2):
        exact = ResponseFeatures(record.born_charges, record.dielectric)
        born, dielectric = perturbed_response(exact, record.crystal.numbers, settings.errors, record.id, draw)
        assert not np.allclose(born, record.born_charges, atol=1e-3)
        expected = make_sample(replace(record, born_charges=born, dielectric=dielectric), SampleSettings())
        perturbed = with_perturbed_response(known, draw)
        assert float(perturbed.graph.site_features[0, 4]) == 1.0
        for name, array in labelled_numbers(expected).items():
            np.testing.assert_array_equal(labelled_numbers(perturbed)[name], array, err_msg=name)


def test_target_baseline_and_dipoles_add_up_to_the_label_with_every_long_range_part(path: Path) -> None:
    store, settings = RecordStore(path), SampleSettings(perturbations=1)
    record = store[store.ids[0]]
    known = make_sample(record, settings)
    baseline = baseline_of(record, settings.baseline)
    charges = scaled_formal_charges(record)
    parts = [(known, record.born_charges, record.dielectric)]
    parts.append((with_rigid_response(known), charges[:, None, None] * np.eye(3), np.eye(3)))
    exact = ResponseFeatures(record.born_charges, record.dielectric)
    wrong = perturbed_response(exact, record.crystal.numbers, settings.errors, record.id, 0)
    parts.append((with_perturbed_response(known, 0), *wrong))
    for sample, born, dielectric in parts:
        rest = LatticeDynamics(record.crystal, baseline, DipoleInteraction(record.crystal, born, dielectric))
        root_masses = np.sqrt(np.repeat(record.crystal.masses, 3))
        matrix = rest.dynamical_matrices(np.zeros((1, 3)))[0].real * root_masses[:, None] * root_masses
        basis = sample.gamma.basis[0]
        total = sample.gamma.target[0] + basis.T @ matrix @ basis
        np.testing.assert_allclose(total, np.diag(sample.gamma.eigenvalues[0]), atol=1e-6)


def test_stored_force_constants_as_baseline_leave_nothing_to_learn_with_any_response(path: Path) -> None:
    store, settings = RecordStore(path), SampleSettings(baseline="dft", perturbations=1)
    known = make_sample(store[store.ids[0]], settings)
    for sample in (known, with_perturbed_response(known, 0)):
        np.testing.assert_allclose(sample.folded.target, 0, atol=1e-6)
        np.testing.assert_allclose(sample.waves.target, 0, atol=1e-6)
