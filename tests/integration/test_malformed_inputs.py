"""Every kind of wrong input to every command: one clear message, an exit status, no traceback, nothing half-written.

The table says what is typed and what the user reads. Mistakes in the contents of structures and BORN files are in
test_predict.py, more mistakes on the command line of a build in test_build.py.
"""

import lzma
import os
import pickle
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import datamodules.build
from datamodules.build import BuildOptions, build
from mlrim import checkpoint
from mlrim.checkpoint import save_model
from mlrim.models.delta import DeltaModel
from tests.datamodules.archives import rocksalt_archives

SMALL = {
    "scalars": 8,
    "vectors": 4,
    "matrices": 2,
    "layers": 1,
    "edge_features": 8,
    "update_hidden": 8,
    "head_hidden": 8,
}
POSCAR = "MgO\n{scale}\n0 2.1 2.1\n2.1 0 2.1\n2.1 2.1 0\n{symbols}\n1 1\nDirect\n0 0 0\n{last}\n"
BORN_OF_THREE = "14.4\n3 0 0 0 3 0 0 0 3\n2 0 0 0 2 0 0 0 2\n-2 0 0 0 -2 0 0 0 -2\n-2 0 0 0 -2 0 0 0 -2\n"


class Exploit:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (exec, ("import pathlib; pathlib.Path('exploited').touch()",))


def write_structures(folder: Path, example: str) -> None:
    poscar = {"scale": "1.0", "symbols": "Mg O", "last": "0.5 0.5 0.5"}
    (folder / "MgO.cif").write_text(example)
    (folder / "cut.cif").write_text(example[: len(example) // 2])
    (folder / "POSCAR_nan").write_text(POSCAR.format(**poscar | {"last": "nan 0.5 0.5"}))
    (folder / "POSCAR_element").write_text(POSCAR.format(**poscar | {"symbols": "Mg Qq"}))
    (folder / "POSCAR_cut").write_text(POSCAR.format(**poscar | {"last": ""}))
    (folder / "POSCAR_flat").write_text(POSCAR.format(**poscar | {"scale": "0.0"}))
    (folder / "code.yaml").write_text("!!python/object/apply:os.mkdir [exploited]\n")
    (folder / "cut.yaml.xz").write_bytes(lzma.compress(b"phonopy: {}\n" * 99)[:40])
    (folder / "BORN3").write_text(BORN_OF_THREE)
    (folder / "words.txt").write_text("words\n")
    (folder / "folder").mkdir()


def write_checkpoints(folder: Path) -> None:
    model = folder / "model.ckpt"
    save_model(model, DeltaModel(**SMALL), "delta", SMALL, {"baseline": "rim", "label": "dft", "cutoff": 6.0})
    (folder / "cut.ckpt").write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    (folder / "empty.ckpt").touch()

    def variant(name: str, change: Callable[[dict], object]) -> None:
        contents = torch.load(model, weights_only=True)
        change(contents)
        torch.save(contents, folder / name)

    variant("newer.ckpt", lambda contents: contents["mlrim"].update(version=99))
    variant("line.ckpt", lambda contents: contents["mlrim"].update(kind="line"))
    variant("unknown.ckpt", lambda contents: contents["mlrim"].update(kind="hessian"))
    variant("code.ckpt", lambda contents: contents.update(optimizer_states=Exploit()))
    variant("deeper.ckpt", lambda contents: contents["mlrim"].update(model={**SMALL, "layers": 2}))
    variant("state.ckpt", lambda contents: contents.update(state_dict=[1]))
    variant("nan.ckpt", lambda contents: [value.mul_(torch.nan) for value in contents["state_dict"].values()])
    variant("run.ckpt", lambda contents: contents.update(optimizer_states=[], loops={}))
    (folder / "code.pickle").write_bytes(pickle.dumps(Exploit(), protocol=0))


def write_data_sets(folder: Path) -> None:
    """A small data set and damaged copies of it; archives, one of them cut short."""
    build(BuildOptions("embedded", folder / "set", workers=1, limit=4, features=False, quiet=True))
    for name in ("shortened", "index", "manifest"):
        shutil.copytree(folder / "set", folder / name)
    with (folder / "shortened" / "data.mdb").open("r+b") as file:
        file.truncate(8192)
    (folder / "index" / "index.json").write_text("[{}]")
    (folder / "manifest" / "manifest.json").write_text("[]")
    (whole,) = rocksalt_archives(folder / "archives", 1)
    (folder / "cut.tar.lzma").write_bytes(whole.read_bytes()[:300])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_structures(folder, (repository / "examples/MgO.cif").read_text())
    write_checkpoints(folder)
    write_data_sets(folder)
    return folder


class Mistake(NamedTuple):
    command: str
    arguments: str
    status: int
    says: tuple[str, ...]
    """What the message must hold: the culprit, what is wrong, what would be right."""


PREDICT = "ckpt=rim structure=MgO.cif mesh=[2,2,2] figures=[] supercell=[2,2,2] path_spacing=0.1 out=out"
EVALUATE = "ckpt=rim data=set split=all quality=false workers=0 quiet=true out=out"
TRAIN = "data.path=set data.sample_workers=0 quiet=true hydra.run.dir=out " + " ".join(
    f"model.{name}={value}" for name, value in SMALL.items()
)
BUILD = "source=phonondb out=out workers=1 features=false quiet=true"

MISTAKES = [
    # structures
    Mistake("predict", "structure=none.cif", 1, ("'none.cif' does not exist", "CIF, POSCAR")),
    Mistake("predict", "structure=cut.cif", 1, ("'cut.cif'", "incomplete", "CIF, POSCAR")),
    Mistake("predict", "structure=POSCAR_cut", 1, ("'POSCAR_cut'", "incomplete")),
    Mistake("predict", "structure=POSCAR_nan", 1, ("'POSCAR_nan'", "not finite", "atom 2 (O)")),
    Mistake("predict", "structure=POSCAR_element", 1, ("'Qq' is no element", "periodic table")),
    Mistake("predict", "structure=POSCAR_flat", 1, ("'POSCAR_flat' is not a crystal", "three vectors")),
    Mistake("predict", "structure=words.txt", 1, ("'words.txt'", "unknown kind of file", "CIF, POSCAR")),
    Mistake("predict", "structure=model.ckpt", 1, ("'model.ckpt'", "unknown kind of file")),
    Mistake("predict", "structure=code.yaml", 1, ("'code.yaml'", "could not determine a constructor")),
    Mistake("predict", "structure=cut.yaml.xz", 1, ("'cut.yaml.xz'", "ended before", "is it complete?")),
    Mistake("predict", "structure=*.cfi", 1, ("no file matches structure=*.cfi",)),
    Mistake("predict", "symprec=5", 1, ("symprec=5", "0.001")),
    Mistake("predict", "born=BORN3", 1, ("'BORN3' for MgO", "Too many atoms", "symmetry-inequivalent")),
    Mistake("predict", "born=folder", 1, ("'folder' is a folder", "born=")),
    # checkpoints
    Mistake("predict", "ckpt=cut.ckpt", 1, ("cut.ckpt is damaged", "train.py")),
    Mistake("predict", "ckpt=empty.ckpt", 1, ("empty.ckpt is damaged",)),
    Mistake("predict", "ckpt=MgO.cif", 1, ("MgO.cif is damaged or not a checkpoint", "*.ckpt")),
    Mistake("predict", "ckpt=newer.ckpt", 1, ("version 99", "reads versions 1", "newer mlrim")),
    Mistake("predict", "ckpt=line.ckpt", 1, ('kind "line"', '"potential" or "cartesian_potential" is needed')),
    Mistake("predict", "ckpt=unknown.ckpt", 1, ('unknown kind "hessian"', "delta")),
    Mistake("predict", "ckpt=code.ckpt", 1, ("code.ckpt asks for Python code", "refused")),
    Mistake("predict", "ckpt=code.pickle", 1, ("code.pickle asks for Python code", "refused")),
    Mistake("predict", "ckpt=deeper.ckpt", 1, ("do not fit DeltaModel", "train again")),
    Mistake("predict", "ckpt=state.ckpt", 1, ("no mlrim checkpoint",)),
    Mistake("predict", "ckpt=nan.ckpt", 1, ("not finite", "learning_rate")),
    Mistake("predict", "ckpt=folder", 1, ("no exported model", "config.json")),
    Mistake("predict", "response=model.ckpt", 1, ("model.ckpt", 'kind "delta"', 'kind "response" is needed')),
    Mistake("predict", "response=[none.ckpt,model.ckpt]", 1, ("no checkpoint none.ckpt",)),
    Mistake("predict", "response=[]", 1, ("response= names no model", "none")),
    Mistake("predict", "response=code.ckpt", 1, ("code.ckpt asks for Python code", "refused")),
    Mistake("predict", "response=cut.ckpt", 1, ("cut.ckpt is damaged",)),
    # options and places
    Mistake("predict", "ckpt= structure=", 2, ("2 problems", "ckpt: is empty", "structure: is empty")),
    Mistake("predict", "out=a out=b", 2, ("out: is given more than once",)),
    Mistake("predict", "mesh=[2,2] symprec=small", 2, ("2 problems", "a list of 3 values", "a number > 0")),
    Mistake("predict", "temperatures=[300,100,10]", 2, ("last temperature (100 K) is below",)),
    Mistake("predict", "out=words.txt", 1, ("out=words.txt", "is a file", "choose another")),
    Mistake("predict", "out=words.txt/below", 1, ("out=words.txt/below", "is a file")),
    # data sets
    Mistake("predict", "data=folder structure=*", 1, ("no data set", "datamodules.build")),
    Mistake("predict", "data=set", 1, ("structure=MgO.cif", "leave data= out")),
    Mistake("predict", "data=shortened structure=*", 1, ("data.mdb is incomplete (8192 of",)),
    Mistake("evaluate", "data=index", 1, ("index.json cannot be read", "overwrite=true")),
    Mistake("evaluate", "data=manifest", 1, ("manifest.json cannot be read", "damaged")),
    Mistake("evaluate", "data=none", 1, ("no data set", "datamodules.build")),
    Mistake("evaluate", "level=dff", 1, ("level=dff", 'Did you mean "dft"?')),
    Mistake("evaluate", "filter=binry", 1, ("'binry'", 'Did you mean "binary"?')),
    Mistake("evaluate", "max_atoms=1", 1, ("none of the 4 records", "max_atoms=1", "max_atoms=null")),
    Mistake("evaluate", "split=test split_file=words.txt", 1, ("words.txt is no split file", "datamodules.splits")),
    Mistake("evaluate", "split_file=words.txt", 2, ("no effect with split=all",)),
    Mistake("evaluate", "ckpt=rim,cut.ckpt", 1, ("cut.ckpt is damaged",)),
    Mistake("evaluate", "ckpt=rim,code.ckpt", 1, ("code.ckpt asks for Python code",)),
    Mistake("evaluate", "ckpt=rim:learned response=none", 1, ("rim:learned", "response=…")),
    Mistake("evaluate", "ckpt=,", 1, ("names no model", "rim, shell, fitted")),
    Mistake("evaluate", "out=words.txt", 1, ("out=words.txt", "is a file")),
    Mistake("evaluate", "workers=many limt=3", 2, ("2 problems", 'Did you mean "limit"?', "whole number")),
    # builds
    Mistake("build", "source=phonondb path=archives out=words.txt/below", 1, ("words.txt/below", "another out=")),
    Mistake("build", "source=embedded out=manifest", 1, ("damaged", "overwrite=true")),
    Mistake("build", "source=embedded out=set", 1, ("finished data set of 4 records", "overwrite=true")),
    Mistake("build", "source=phonopy path=words.txt", 1, ("no directory with", "words.txt")),
    Mistake("build", "source=phonopi path=archives", 2, ('Did you mean "phonopy"?', "vasprun")),
    # training: everything is said before the run has a folder
    Mistake("train", "data.path=folder", 2, ("no data set at folder", "datamodules.build")),
    Mistake("train", "data.path=index", 2, ("data.path", "index.json cannot be read")),
    Mistake("train", "data.path=shortened", 2, ("data.mdb is incomplete",)),
    Mistake("train", "data.rigid_response=0.8 data.perturbed_response=0.3", 1, ("shares of the same crystals",)),
    Mistake("train", "data.response_errors.dielectric=-1", 2, ("data.response_errors.dielectric", "≥ 0")),
    Mistake("train", "data.split=none.json", 2, ("data.split", "none.json cannot be read")),
    Mistake("train", "label=dtf baseline=rmi", 2, ("2 problems", 'Did you mean "dft"?', 'Did you mean "rim"?')),
    Mistake("train", "experiment=delta_embeded", 2, ('Did you mean "delta_embedded"?',)),
    Mistake("train", "trainer.max_epochs=2 +trainer.min_epochs=3", 2, ("min_epochs", "above trainer.max_epochs")),
    Mistake("train", "resume=cut.ckpt", 2, ("resume: cut.ckpt is damaged", "last.ckpt")),
    Mistake("train", "resume=newer.ckpt", 2, ("version 99", "newer mlrim")),
    Mistake("train", "resume=line.ckpt", 2, ('kind "line", not "delta"', "last.ckpt")),
    Mistake("train", "resume=code.ckpt", 2, ("asks for Python code",)),
    Mistake("train", "resume=model.ckpt", 2, ("without the state of its training", "last.ckpt")),
    Mistake("train", "resume=run.ckpt model.layers=3", 2, ("model.layers: is 3", "trained with 1")),
]  # fmt: skip

BASE = {"predict": PREDICT, "evaluate": EVALUATE, "train": TRAIN, "build": BUILD}


def command_line(mistake: Mistake) -> list[str]:
    """Right arguments, with the wrong ones in their places."""
    wrong = mistake.arguments.split()
    keys = {word.partition("=")[0] for word in wrong}
    return [word for word in BASE[mistake.command].split() if word.partition("=")[0] not in keys] + wrong


def everything(folder: Path) -> dict[str, int]:
    """All files and folders with their sizes."""
    return {str(path): path.stat().st_size if path.is_file() else 0 for path in folder.rglob("*")}


def run_here(repository: Path, command: str) -> None:
    """Run a command in this process, as `python <command>` does."""
    if command == "build":
        datamodules.build.main()
    else:
        runpy.run_path(str(repository / f"{command}.py"), run_name="__main__")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.command} {mistake.arguments}")
def test_a_mistake_is_one_message(
    mistake: Mistake,
    inputs: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = everything(inputs)
    monkeypatch.chdir(inputs)
    monkeypatch.setitem(checkpoint.KINDS, "line", "toys.Line")
    monkeypatch.setattr(sys, "argv", [mistake.command, *command_line(mistake)])
    with pytest.raises(SystemExit) as ended:
        run_here(repository, mistake.command)
    message = capsys.readouterr().err
    assert ended.value.code == mistake.status, message
    assert message.startswith("error: ")
    assert "Traceback" not in message
    for words in mistake.says:
        assert words in message
    assert everything(inputs) == before


def in_a_process(repository: Path, inputs: Path, arguments: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    """The real command in the folder of the inputs; `limit` (ulimit -f, kB per file) stands in for a full disk."""
    script = f"{limit} exec {sys.executable} {arguments}"
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["bash", "-c", script], cwd=inputs, env=environment, capture_output=True, text=True, timeout=300
    )


def assert_told(done: subprocess.CompletedProcess[str], status: int, *says: str) -> None:
    assert done.returncode == status, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    for words in says:
        assert words in done.stderr


def test_code_in_a_checkpoint_is_not_run_by_the_real_command(repository: Path, inputs: Path) -> None:
    before = everything(inputs)
    done = in_a_process(repository, inputs, f"{repository}/predict.py ckpt=code.ckpt structure=MgO.cif out=out")
    assert_told(done, 1, "code.ckpt asks for Python code")
    assert everything(inputs) == before


def test_code_in_a_yaml_file_is_not_run_by_a_build(repository: Path, inputs: Path) -> None:
    arguments = "-m datamodules.build source=phonopy_params path=code.yaml out=rejected workers=1 quiet=true"
    done = in_a_process(repository, inputs, arguments)
    assert_told(done, 1, "none of 1 inputs", "could not determine a constructor")
    assert not (inputs / "exploited").exists()
    shutil.rmtree(inputs / "rejected")


def test_a_truncated_archive_is_a_reject_and_alone_it_is_an_error(repository: Path, inputs: Path) -> None:
    arguments = "-m datamodules.build source=phonondb path=cut.tar.lzma out=rejected workers=1 quiet=true"
    done = in_a_process(repository, inputs, arguments)
    assert_told(done, 1, "none of 1 inputs became a record", "truncated or damaged", "source=phonondb right")
    assert "cut.tar.lzma" in (inputs / "rejected" / "rejects.csv").read_text()
    right = in_a_process(repository, inputs, arguments.replace("cut.tar.lzma", "archives"))
    assert right.returncode == 0, right.stderr  # a data set without records is in nobody's way
    shutil.rmtree(inputs / "rejected")


def test_a_full_disk_ends_an_evaluation_without_half_a_table(repository: Path, inputs: Path) -> None:
    done = in_a_process(repository, inputs, f"{repository}/evaluate.py {EVALUATE}", "ulimit -f 1;")
    assert_told(done, 1, "cannot write to out", "space")
    assert not list((inputs / "out").iterdir())
    (inputs / "out").rmdir()


def test_a_full_disk_ends_a_build_that_can_go_on(repository: Path, inputs: Path) -> None:
    arguments = f"-m datamodules.build {BUILD} path=archives"
    assert_told(in_a_process(repository, inputs, arguments, "ulimit -f 16;"), 1, "out.partial", "disk is full")
    assert not (inputs / "out").exists()
    assert in_a_process(repository, inputs, arguments).returncode == 0
    assert not (inputs / "out.partial").exists()
    shutil.rmtree(inputs / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "limit", "says"),
    [
        ("hydra.run.dir=words.txt/below", "", "words.txt"),
        ("data.selection.max_atoms=1", "", "loosen data.selection"),
        ("trainer.devices=0", "", "devices"),
        ("", "ulimit -f 16;", "space"),
    ],
)
def test_a_run_that_cannot_start_leaves_no_folder(
    repository: Path, inputs: Path, arguments: str, limit: str, says: str
) -> None:
    before = everything(inputs)
    words = command_line(Mistake("train", arguments, 1, ()))
    done = in_a_process(repository, inputs, " ".join([f"{repository}/train.py", *words]), limit)
    assert done.returncode in (1, 2), done.stderr
    assert_told(done, done.returncode, says)
    assert {path for path in everything(inputs) if ".samples" not in path} == set(before)
