"""Samples on disk: read as they were made, made again whenever something that they depend on has changed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.sample_cache import ensure_samples
from datamodules.samples import SampleSettings, make_sample
from datamodules.store import RecordStore
from tests.datamodules.archives import rocksalt_archives


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    rocksalt_archives(folder / "archives", 3)
    build(BuildOptions("phonondb", folder / "set", folder / "archives", workers=1, features=False, quiet=True))
    return folder / "set"


def numbers(sample) -> dict[str, np.ndarray]:
    found = {f"graph.{name}": tensor.numpy() for name, tensor in sample.graph._asdict().items()}
    for part in ("folded", "gamma", "waves"):
        found |= {f"{part}.{name}": array for name, array in getattr(sample, part)._asdict().items()}
    return found


def test_samples_are_read_as_they_were_made(path: Path) -> None:
    store, settings = RecordStore(path), SampleSettings()
    cache = ensure_samples(store, store.ids, settings, workers=0, quiet=True)
    assert len(cache) == len(store)
    for name in store.ids:
        expected, found = numbers(make_sample(store[name], settings)), numbers(cache[cache.row_of[name]])
        assert expected.keys() == found.keys()
        for key, array in expected.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-6, atol=1e-6, err_msg=key)


def test_processes_make_the_same_samples(path: Path) -> None:
    store, ids = RecordStore(path), RecordStore(path).ids[:2]
    alone = ensure_samples(store, ids, SampleSettings(), workers=0, quiet=True)
    data = (alone.folder / "samples.bin").read_bytes()
    (alone.folder / "index.json").unlink()
    (alone.folder / "samples.bin").unlink()
    alone.folder.rmdir()
    together = ensure_samples(store, ids, SampleSettings(), workers=2, quiet=True)
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
