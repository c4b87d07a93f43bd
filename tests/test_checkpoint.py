"""Checkpoints hold plain data, load without running code, and say what is wrong with a bad file."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from toys import Line

from mlrim import checkpoint
from mlrim.checkpoint import LoadedModel, export_model, load_model, read_checkpoint, save_model
from mlrim.errors import UserError
from mlrim.export import main as export


@pytest.fixture(autouse=True)
def toy_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checkpoint.KINDS, "line", "toys.Line")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = Line(width=3, start=0.25)
    return save_model(tmp_path / "line.ckpt", model, "line", {"width": 3, "names": ["a"]}, {"baseline": "rim"})


def test_a_saved_model_returns_with_its_weights_configuration_and_metadata(saved: Path) -> None:
    loaded = load_model(saved, kind="line")
    assert loaded.config == {"width": 3, "names": ["a"]}
    assert loaded.metadata == {"baseline": "rim"}
    assert not loaded.model.training
    assert torch.equal(loaded.model.layer.weight, torch.full((1, 3), 0.25))


def test_an_exported_folder_is_the_same_model(saved: Path, tmp_path: Path) -> None:
    loaded = load_model(saved)
    folder = export_model(loaded, tmp_path / "out" / "line")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    again = load_model(folder)
    assert (again.kind, again.config, again.metadata) == (loaded.kind, loaded.config, loaded.metadata)
    x = torch.randn(5, 3)
    assert torch.equal(again.model(x), loaded.model(x))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["line"]


def refuses(path: Path, *words: str, kind: str | None = None) -> None:
    with pytest.raises(UserError) as caught:
        load_model(path, kind=kind)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_missing_file_is_named_with_a_suggestion(saved: Path) -> None:
    refuses(saved.with_name("lime.ckpt"), "There is no checkpoint", 'Did you mean "line.ckpt"')


def test_truncated_and_foreign_files_are_damaged(saved: Path, tmp_path: Path) -> None:
    contents = saved.read_bytes()
    for index, garbage in enumerate([b"", b"hello", contents[: len(contents) // 2], contents[:-40]]):
        path = tmp_path / f"bad{index}.ckpt"
        path.write_bytes(garbage)
        refuses(path, "damaged")


class Exploit:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (exec, (f"import pathlib; pathlib.Path({str(self.target)!r}).touch()",))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_wants_to_run_code_is_refused(tmp_path: Path, legacy: bool) -> None:
    path, exploit = tmp_path / "evil.ckpt", Exploit(tmp_path / "exploited")
    if legacy:
        path.write_bytes(pickle.dumps({"mlrim": exploit}))
    else:
        torch.save({"mlrim": exploit, "state_dict": {}}, path)
    refuses(path, "asks for Python code")
    assert not exploit.target.exists()


def test_a_torch_file_of_another_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    refuses(tmp_path / "other.ckpt", "no mlrim checkpoint")


def test_another_kind_is_refused(saved: Path) -> None:
    refuses(saved, 'kind "line"', 'kind "delta" is needed', kind="delta")


def rewrite(path: Path, **changes: object) -> None:
    contents = torch.load(path, weights_only=True)
    contents["mlrim"].update(changes)
    torch.save(contents, path)


@pytest.mark.parametrize("version", [0, 99, "1", None])
def test_unknown_versions_are_refused(saved: Path, version: object) -> None:
    rewrite(saved, version=version)
    refuses(saved, f"version {version}", "newer mlrim")


def test_unknown_kinds_are_refused_even_when_they_name_a_class(saved: Path) -> None:
    rewrite(saved, kind="os.system")
    refuses(saved, "unknown kind", "delta")


def test_a_configuration_that_the_model_does_not_take_is_explained(saved: Path) -> None:
    rewrite(saved, model={"width": 3, "depth": 2})
    refuses(saved, "do not fit Line")


def test_old_headers_are_upgraded_step_by_step(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(saved, model={"size": 3})
    monkeypatch.setattr(checkpoint, "VERSION", 3)
    rename = {1: lambda old: {**old, "version": 2, "model": {"breadth": old["model"]["size"]}},
              2: lambda old: {**old, "version": 3, "model": {"width": old["model"]["breadth"]}}}  # fmt: skip
    monkeypatch.setattr(checkpoint, "UPGRADES", rename)
    assert load_model(saved).config == {"width": 3}


def test_only_plain_data_can_be_stored(tmp_path: Path) -> None:
    for config in ({"width": torch.tensor(3)}, {"path": tmp_path}, {"inner": {"_target_": "os.system"}}):
        with pytest.raises(UserError, match="cannot be stored"):
            save_model(tmp_path / "line.ckpt", Line(), "line", config, {})
    assert list(tmp_path.iterdir()) == []


def test_damaged_folders_are_explained(saved: Path, tmp_path: Path) -> None:
    folder = export_model(load_model(saved), tmp_path / "line")
    (folder / "model.safetensors").write_bytes(b"short")
    refuses(folder, "damaged")
    (folder / "model.safetensors").unlink()
    refuses(folder, "has no model.safetensors")
    with pytest.raises(UserError, match="exists already"):
        export_model(load_model(saved), folder)


def test_the_header_is_readable_text_in_a_folder(saved: Path, tmp_path: Path) -> None:
    folder = export_model(load_model(saved), tmp_path / "line")
    assert json.loads((folder / "config.json").read_text())["version"] == 1


def test_loaded_models_are_values(saved: Path) -> None:
    assert isinstance(load_model(saved), LoadedModel)
    assert read_checkpoint(saved)["mlrim"]["kind"] == "line"


def test_export_command_and_half_precision(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    assert export(["--half", str(saved), str(half)]) == 0
    assert export([str(saved), str(whole)]) == 0
    assert capsys.readouterr().out.split() == [str(half), str(whole)]
    size = {folder: (folder / "model.safetensors").stat().st_size for folder in (whole, half)}
    assert size[half] < size[whole]
    exact, rounded = (load_model(folder).model.state_dict() for folder in (whole, half))
    for name, value in exact.items():
        assert rounded[name].dtype == value.dtype
        torch.testing.assert_close(rounded[name], value, rtol=1e-3, atol=1e-6)
    assert export([str(saved), str(whole)]) == 1
    assert "exists already" in capsys.readouterr().err
