"""Configurations: what is written is what is read, and a data set of them is complete, resumable and strict."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.configurations import (
    LABELS,
    Configuration,
    ConfigurationStore,
    decode_configuration,
    describe_configuration,
    encode_configuration,
)
from datamodules.extended_xyz import write_extended_xyz
from datamodules.records import SCHEMA_VERSION
from datamodules.store import RecordStore
from mlrim.errors import UserError
from tests.datamodules.archives import rocksalt_archives


def configuration(name: str = "a", group: str = "water", periodic: bool = False, seed: int = 0) -> Configuration:
    """Three atoms with random labels, all of them."""
    random = np.random.default_rng(seed).normal
    hessian, stress, polarizability = random(size=(9, 9)), random(size=(3, 3)), random(size=(3, 3))
    positions = np.array([[0, 0, 0.1], [0, 0.75, -0.5], [0, -0.75, -0.5]]) + 0.01 * random(size=(3, 3))
    return Configuration(
        id=name, group=group, formula="H2O", source="here", theory="made up", licence="BSD-3-Clause",
        numbers=np.array([8, 1, 1]), positions=positions, masses=np.array([15.999, 1.008, 1.008]),
        lattice=4 * np.eye(3) + 0.1 * random(size=(3, 3)) if periodic else None,
        energy=float(random()), forces=random(size=(3, 3)), stress=stress + stress.T if periodic else None,
        hessian=hessian + hessian.T, dipole=None if periodic else random(size=3),
        dipole_derivatives=random(size=(3, 3, 3)), polarizability=polarizability + polarizability.T,
        polarizability_derivatives=random(size=(3, 3, 3, 3)), details={"basis": "none", "temperature": 300.0},
    )  # fmt: skip


def assert_same(one: Configuration, other: Configuration, tolerance: float = 0.0) -> None:
    assert one.labels == other.labels
    for name in ("numbers", "positions", "masses", "lattice", *LABELS):
        values = getattr(one, name), getattr(other, name)
        if values[0] is None:
            assert values[1] is None
        else:
            np.testing.assert_allclose(values[0], values[1], atol=tolerance, rtol=0, err_msg=name)


@pytest.mark.parametrize("periodic", [False, True])
def test_what_is_written_is_read(periodic: bool) -> None:
    written = configuration(periodic=periodic)
    data = encode_configuration(written)
    read = decode_configuration(data)
    assert_same(read, written)
    assert (read.id, read.group, read.theory, read.details) == ("a", "water", "made up", written.details)
    assert encode_configuration(read) == data


def test_absent_labels_stay_absent() -> None:
    bare = replace(configuration(), **dict.fromkeys(LABELS))
    read = decode_configuration(encode_configuration(bare))
    assert read.labels == ()
    assert not describe_configuration(read).has_hessian


def test_single_precision_survives() -> None:
    written = configuration()
    assert written.forces is not None
    written = replace(written, forces=written.forces.astype(np.float32))
    read = decode_configuration(encode_configuration(written))
    assert read.forces is not None
    assert read.forces.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forces": np.full((3, 3), np.inf)}, "forces of a holds what is not a finite number"),
        ({"hessian": np.zeros((3, 3))}, "hessian of a has shape"),
        ({"energy": float("nan")}, "energy of a holds what is not a finite number"),
    ],
)
def test_labels_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(configuration(), **changes)


def test_molecules_are_no_crystals() -> None:
    with pytest.raises(UserError, match="molecule"):
        _ = configuration().crystal


def test_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(UserError, match="schema version None"):
        decode_configuration(b"\x80")
    with pytest.raises(UserError, match="cannot be read"):
        decode_configuration(b"\xc1")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of two groups, the last of which is cut off."""
    path = tmp_path_factory.mktemp("frames") / "frames.xyz"
    some = [configuration(f"frame-{row}", "ab"[row % 2], row > 4, row) for row in range(8)]
    write_extended_xyz(path, some)
    path.write_text(path.read_text()[:-400])
    return path


def options(path: Path, out: Path, **changes: object) -> BuildOptions:
    return BuildOptions(**({"source": "extxyz", "path": path, "out": out, "workers": 1, "quiet": True} | changes))


def test_every_frame_is_a_configuration_or_a_reject(frames: Path, tmp_path: Path) -> None:
    manifest = build(options(frames, tmp_path / "set"))
    store = ConfigurationStore(tmp_path / "set")
    assert manifest.counts == {"inputs": 8, "records": 7, "rejects": 1}
    assert (manifest.content, manifest.content_hash) == ("configurations", store.content_hash)
    (reject,) = store.rejects()
    assert reject.input == "frames.xyz:000007"
    assert "cannot be read" in reject.reason
    assert store.ids == tuple(f"frame-{row}" for row in range(7))
    assert_same(store["frame-6"], configuration(periodic=True, seed=6), 1e-8)
    entry = store.index[6]
    assert (entry.group, entry.n_atoms, entry.periodic, entry.has_hessian) == ("a", 3, True, True)
    assert entry.volume == pytest.approx(store[6].crystal.volume)
    assert store.index[0].volume is None
    assert store.index[0].n_edges == 6
    assert [one.id for one in pickle.loads(pickle.dumps(store))] == list(store.ids)


def test_killed_build_reads_only_what_is_missing_or_changed(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datamodules.build as module

    path = tmp_path / "frames.xyz"
    path.write_text(frames.read_text())
    read = module.read_input
    answers: list[object] = []

    def stopping(task: object) -> object:
        if len(answers) == 4:
            raise KeyboardInterrupt
        answers.append(read(task))
        return answers[-1]

    monkeypatch.setattr(module, "read_input", stopping)
    monkeypatch.setattr(module, "SAVED_AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        build(options(path, tmp_path / "set"))
    with pytest.raises(UserError, match="not finished"):
        ConfigurationStore(tmp_path / "set")
    path.write_text(path.read_text().replace("group=b", "group=c", 1))  # frame 1
    again: list[object] = []
    monkeypatch.setattr(module, "read_input", lambda task: again.append(read(task)) or again[-1])
    build(options(path, tmp_path / "set"))
    assert [outcome is None for outcome in again] == [True, False, True, True] + [False] * 4
    assert ConfigurationStore(tmp_path / "set")["frame-1"].group == "c"


def test_content_does_not_depend_on_the_number_of_workers(frames: Path, tmp_path: Path) -> None:
    one = build(options(frames, tmp_path / "one"))
    assert build(options(frames, tmp_path / "two", workers=2)) == one


def test_stores_refuse_what_they_do_not_hold(frames: Path, tmp_path: Path) -> None:
    build(options(frames, tmp_path / "set"))
    with pytest.raises(UserError, match="holds configurations; crystals are needed"):
        RecordStore(tmp_path / "set")
    rocksalt_archives(tmp_path / "archives", 1)
    manifest = build(options(tmp_path / "archives", tmp_path / "crystals", source="phonondb", features=False))
    assert (manifest.content, manifest.schema_version) == ("crystals", SCHEMA_VERSION)
    with pytest.raises(UserError, match="holds crystals; configurations are needed"):
        ConfigurationStore(tmp_path / "crystals")


def test_finished_data_set_is_not_replaced_by_accident(frames: Path, tmp_path: Path) -> None:
    build(options(frames, tmp_path / "set", limit=2))
    with pytest.raises(UserError, match="finished data set of 2 configurations"):
        build(options(frames, tmp_path / "set"))
    assert build(options(frames, tmp_path / "set", overwrite=True)).counts["records"] == 7
