"""Building data sets: complete, deterministic, resumable, and clear about what went wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, _read_in_processes, build, main
from datamodules.features import FeaturesOptions, store_features
from datamodules.importers import ImportOptions, Input
from datamodules.reading import Task, read_input
from datamodules.store import RecordStore, partial_path
from mlrim.errors import UserError
from tests.datamodules.archives import (
    archive_files,
    phonopy_calculation,
    rocksalt,
    rocksalt_archives,
    write_archive,
)
from tests.datamodules.test_importers import damaged_forces


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve good archives and one that is cut off."""
    folder = tmp_path_factory.mktemp("archives")
    written = rocksalt_archives(folder, 12)
    (folder / "materials-id-9-broken.tar.lzma").write_bytes(written[0].read_bytes()[:-300])
    return folder


@pytest.fixture(scope="module")
def reference(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    """The data set of all archives, read in one process."""
    out = tmp_path_factory.mktemp("reference") / "set"
    build(options(archives, out, workers=1))
    return RecordStore(out)


def options(archives: Path, out: Path, **changes: object) -> BuildOptions:
    values = {"source": "phonondb", "path": archives, "out": out, "features": False, "quiet": True, "workers": 1}
    return BuildOptions(**(values | changes))


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "datamodules.build", *arguments], capture_output=True, text=True, timeout=120
    )


def test_every_input_is_a_record_or_a_reject(reference: RecordStore) -> None:
    assert len(reference) == 12
    assert reference.manifest.counts == {"inputs": 13, "records": 12, "rejects": 1}
    (reject,) = reference.rejects()
    assert reject.input == "materials-id-9-broken.tar.lzma"
    assert "truncated or damaged" in reject.reason


def test_content_does_not_depend_on_the_number_of_workers(
    archives: Path, reference: RecordStore, tmp_path: Path
) -> None:
    manifest = build(options(archives, tmp_path / "set", workers=2))
    assert manifest == reference.manifest
    for name in ("data.mdb", "index.json", "rejects.csv", "manifest.json"):
        assert (tmp_path / "set" / name).read_bytes() == (reference.path / name).read_bytes()


def test_killed_build_goes_on_and_ends_with_the_same_content(
    archives: Path, reference: RecordStore, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    arguments = f"source=phonondb path={archives} out={out} features=false quiet=true workers=1".split()
    code = (
        "import datamodules.build as b, sys, os, signal; b.SAVED_AT_ONCE = 1; read = b.read_input; seen = []\n"
        "def counted(task):\n"
        "    seen.append(task)\n"
        "    if len(seen) > 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return read(task)\n"
        "b.read_input = counted; b.main()"
    )
    killed = subprocess.run([sys.executable, "-c", code, *arguments], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert partial_path(out).exists()
    with pytest.raises(UserError, match="not finished"):
        RecordStore(out)
    resumed = command(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    assert RecordStore(out).manifest == reference.manifest
    assert not partial_path(out).exists()


def test_resumed_build_does_not_read_again_what_it_has(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datamodules.build as module

    read = module.read_input
    answers = []

    def stopping(task: object) -> object:
        if len(answers) == 6:
            raise KeyboardInterrupt
        answers.append(read(task))
        return answers[-1]

    monkeypatch.setattr(module, "read_input", stopping)
    monkeypatch.setattr(module, "SAVED_AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        build(options(archives, tmp_path / "set"))
    again = []
    monkeypatch.setattr(module, "read_input", lambda task: again.append(read(task)) or again[-1])
    build(options(archives, tmp_path / "set"))
    assert [outcome is None for outcome in again] == [True] * 6 + [False] * 7


def test_changed_input_is_read_again_when_a_build_goes_on(archives: Path, tmp_path: Path) -> None:
    path = next(archives.glob("*1000*"))
    task = Task("phonondb", Input(path.name, path), ImportOptions(), False, "")
    known = read_input(task).input_hash
    assert read_input(Task("phonondb", task.input, task.options, False, known)) is None
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes()[:-1])
    assert read_input(Task("phonondb", Input(path.name, copy), task.options, False, known)) is not None


def test_repeated_id_is_a_reject(archives: Path, tmp_path: Path) -> None:
    source = next(archives.glob("*1000*"))
    (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "materials-id-1000-again.tar.lzma").write_bytes(source.read_bytes())
    manifest = build(options(tmp_path, tmp_path / "set"))
    assert manifest.counts["rejects"] == 1
    assert "is that of" in RecordStore(tmp_path / "set").rejects()[0].reason


def test_bad_archives_are_rejects_with_a_reason(tmp_path: Path) -> None:
    matrix = np.diag([2, 1, 1])
    files = archive_files(phonopy_calculation(rocksalt("Mg", "O", 4.2), matrix, "F"), matrix)
    for kind in ("nan", "short"):
        write_archive(tmp_path / f"{kind}.tar.lzma", damaged_forces(files, kind))
    wrong = files | {"FORCE_SETS": files["FORCE_SETS"].replace("16", "15", 1)}
    write_archive(tmp_path / "count.tar.lzma", wrong)
    (tmp_path / "empty.tar.lzma").write_bytes(b"")
    build(options(tmp_path, tmp_path / "set"))
    reasons = {reject.input: reject.reason for reject in RecordStore(tmp_path / "set").rejects()}
    assert "not finite" in reasons["nan.tar.lzma"]
    assert "holds" in reasons["short.tar.lzma"]
    assert "15 atoms, the supercell has 16" in reasons["count.tar.lzma"]
    assert "truncated or damaged" in reasons["empty.tar.lzma"]


def test_dead_worker_costs_one_input_and_not_the_build(archives: Path) -> None:
    inputs = [Input(path.name, path) for path in sorted(archives.glob("*-100[0-2]-*"))]
    tasks = [Task("phonondb", one, ImportOptions(), False, "") for one in inputs]
    tasks.insert(1, _DeadlyTask("phonondb", Input("deadly", None), ImportOptions(), False, ""))
    outcomes = {outcome.input: outcome for outcome in _read_in_processes(tasks, 2)}
    assert set(outcomes) == {"deadly", *(one.name for one in inputs)}
    assert outcomes["deadly"].reason.startswith("the process that read it died")
    assert all(outcomes[one.name].record for one in inputs)


class _DeadlyTask(Task):
    """A task whose arrival kills the worker."""

    def __reduce__(self) -> tuple:
        return os._exit, (9,)


def test_features_can_be_computed_afterwards(archives: Path, tmp_path: Path) -> None:
    build(options(archives, tmp_path / "later", limit=3))
    build(options(archives, tmp_path / "now", limit=3, features=True))
    later, now = RecordStore(tmp_path / "later"), RecordStore(tmp_path / "now")
    assert later[0].features == {}
    store_features(FeaturesOptions(tmp_path / "later", workers=1, quiet=True))
    later = RecordStore(tmp_path / "later")
    assert later.manifest == now.manifest
    for before, after in zip(now, later, strict=True):
        assert before.features["soap"].shape == (2, 256)
        assert all((before.features[name] == after.features[name]).all() for name in before.features)
        assert sorted(before.features["charge"]) == sorted(-before.features["charge"])


def test_finished_data_set_is_not_overwritten_unless_asked(archives: Path, tmp_path: Path) -> None:
    build(options(archives, tmp_path / "set", limit=1))
    with pytest.raises(UserError, match="overwrite=true"):
        build(options(archives, tmp_path / "set", limit=2))
    assert len(RecordStore(tmp_path / "set")) == 1
    build(options(archives, tmp_path / "set", limit=2, overwrite=True))
    assert len(RecordStore(tmp_path / "set")) == 2


def test_folder_that_is_no_data_set_is_never_removed(archives: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is no data set"):
        build(options(archives, tmp_path / "precious", overwrite=True))
    assert (tmp_path / "precious/thesis.tex").exists()


def test_full_disk_is_one_clear_message(archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.writing.MAP_SIZE", 1 << 16)
    with pytest.raises(UserError, match="disk is full"):
        build(options(archives, tmp_path / "set"))
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("source=phonodb out=x path=.", 2, 'Did you mean "phonondb"'),
        ("source=phonondb out=x pth=.", 2, 'Did you mean "path"'),
        ("source=phonondb", 2, "out: is needed"),
        ("source=phonondb out=x path=. workers=0", 2, "≥ 1"),
        ("source=phonondb out=x path=. features=maybe", 2, "true or false"),
        ("--verbose", 2, "not of the form key=value"),
        ("source=phonondb out={tmp}/x", 1, "needs path="),
        ("source=phonondb out={tmp}/x path={tmp}/nothing", 1, "does not exist"),
        ("source=phonondb out={tmp}/x path={tmp}", 1, "no phonondb archive"),
        ("source=phonopy out={tmp}/x path={tmp}", 1, "no directory with"),
        ("source=phonondb out={tmp} path=.", 1, "is no data set"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path,
    arguments: str,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["build", *arguments.format(tmp=tmp_path).split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.partial").exists()


def test_command_tells_several_mistakes_together_and_shows_no_traceback() -> None:
    result = command("source=phonodb", "out=x", "limit=-1", "slect=a")
    assert result.returncode == 2
    assert "3 problems" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_build_killed_at_any_time_goes_on(archives: Path, reference: RecordStore, tmp_path: Path) -> None:
    out = tmp_path / "set"
    arguments = f"source=phonondb path={archives} out={out} features=false quiet=true workers=2".split()
    for seconds in (4.0, 5.0, 6.0):
        process = subprocess.Popen([sys.executable, "-m", "datamodules.build", *arguments], start_new_session=True)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if out.exists():
            break
    if not out.exists():
        assert command(*arguments).returncode == 0
    assert RecordStore(out).manifest.content_hash == reference.manifest.content_hash
