"""The reader: lazy, shared by any kind of worker process, and never anything but a path when it travels."""

import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from datamodules.build import BuildOptions, build
from datamodules.store import RecordStore, close_store
from mlrim.errors import UserError
from mlrim.lattice.neighbours import neighbour_pairs
from tests.datamodules.archives import rocksalt_archives


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    rocksalt_archives(folder / "archives", 6)
    source = folder / "archives"
    build(BuildOptions("phonondb", folder / "set", source, workers=1, features=False, quiet=True))
    return folder / "set"


class Formulas(Dataset):
    """Reads one number of every record, so that a worker has to open the file."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, row: int) -> float:
        return float(self.store[row].crystal.masses.sum())


SLOW = pytest.mark.slow


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on a single core
@pytest.mark.parametrize(
    ("method", "opened_before"),
    [
        ("fork", True),
        ("fork", False),
        ("spawn", True),
        pytest.param("spawn", False, marks=SLOW),
        pytest.param("forkserver", True, marks=SLOW),
        pytest.param("forkserver", False, marks=SLOW),
    ],
)
def test_workers_read_what_the_parent_reads(path: Path, method: str, opened_before: bool) -> None:
    store = RecordStore(path)
    expected = [float(record.crystal.masses.sum()) for record in store]
    store = RecordStore(path) if opened_before else pickle.loads(pickle.dumps(store))
    if opened_before:
        assert store[0].id == store.ids[0]
    loader = DataLoader(
        Formulas(store), batch_size=2, num_workers=2, multiprocessing_context=method, persistent_workers=True
    )
    for _ in range(2):
        assert np.concatenate([batch.numpy() for batch in loader]) == pytest.approx(expected)
    assert store[1].crystal.masses.sum() == pytest.approx(expected[1])


def test_reader_travels_as_a_path(path: Path) -> None:
    store = RecordStore(path)
    assert len(list(store)) == 6
    assert len(pickle.dumps(store)) < 300


def test_several_readers_of_one_path_share_the_file(path: Path) -> None:
    first, second = RecordStore(path), RecordStore(path)
    assert first[0].id == second[0].id == first[first.ids[0]].id


def test_reader_cannot_write(path: Path) -> None:
    import lmdb

    from datamodules.store import _environment

    RecordStore(path)[0]
    with pytest.raises(lmdb.ReadonlyError):
        _environment(path).begin(write=True)


def test_index_knows_sizes_without_reading_records(path: Path) -> None:
    store = RecordStore(path)
    assert store.n_atoms.tolist() == [2] * 6
    assert store.n_edges.tolist() == [len(neighbour_pairs(record.crystal, 6.0).i) for record in store]
    assert store.entry("mp-1001").formula == "NaCl"
    assert store.entry("mp-1001").elements == ("Na", "Cl")
    assert "mp-1001" in store
    assert "mp-1" not in store


def test_unknown_id_is_named(path: Path) -> None:
    with pytest.raises(UserError, match="no record 'mp-7'"):
        RecordStore(path)["mp-7"]


def test_missing_data_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="datamodules.build"):
        RecordStore(tmp_path / "nothing")


def test_damaged_data_set_is_one_clear_message(path: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "index.json"):
        (tmp_path / name).write_bytes((path / name).read_bytes())
    (tmp_path / "data.mdb").write_bytes(b"not a database" * 100000)
    with pytest.raises(UserError, match="cannot be opened"):
        RecordStore(tmp_path)[0]
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        len(RecordStore(tmp_path))


def test_fork_does_not_close_the_parents_file(path: Path) -> None:
    store = RecordStore(path)
    before = store[0].id
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_formula_of, [(store, row) for row in range(6)]) == [entry.formula for entry in store.index]
    assert store[0].id == before


def _formula_of(argument: tuple[RecordStore, int]) -> str:
    store, row = argument
    return store[row].formula


REWRITE = """
import sys, lmdb
with lmdb.open(sys.argv[1], map_size=2**30, lock=False) as environment, environment.begin(write=True) as transaction:
    for row in range(64):
        transaction.put(b"f:new%d" % row, bytes(2**20))
"""


def test_a_data_set_that_grows_while_it_is_read_is_told_plainly(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "set")
    store = RecordStore(tmp_path / "set")
    assert store[0].id == store.ids[0]
    subprocess.run([sys.executable, "-c", REWRITE, str(tmp_path / "set")], check=True)
    with pytest.raises(UserError, match="being written, start again"):
        store[0]
    close_store(store.path)
    assert store[0].id == store.ids[0]
