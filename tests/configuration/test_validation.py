"""Mistakes in a configuration are found before anything runs, all at once, with a way out."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from mlrim.configuration import AtLeast, Between, Component, Components
from mlrim.configuration.components import component_problems, find_target
from mlrim.configuration.problems import Problem, did_you_mean, report
from mlrim.configuration.schema import configuration_problems
from mlrim.configuration.types import describe, fits

TRAINER = "pytorch_lightning.Trainer"


@dataclass(frozen=True)
class Inner:
    mode: Literal["min", "max"]
    weight: Annotated[float, Between(0, 1)] = 0.5


@dataclass(frozen=True)
class Outer:
    seed: Annotated[int, AtLeast(0)]
    inner: Inner
    trainer: Annotated[dict, Component(TRAINER, provided=("logger",))]
    callbacks: Annotated[dict, Components("pytorch_lightning.Callback")]
    path: str | None = None


def good() -> dict[str, Any]:
    return {
        "seed": 0,
        "inner": {"mode": "min"},
        "trainer": {"_target_": TRAINER, "max_epochs": 3, "precision": "32-true", "deterministic": "warn"},
        "callbacks": {"stop": {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "x"}, "off": None},
    }


def found(change: dict[str, Any]) -> dict[str, Problem]:
    config = good()
    for dotted, value in change.items():
        node = config
        *parents, last = dotted.split("/")
        for parent in parents:
            node = node[parent]
        node[last] = value
    return {problem.location: problem for problem in configuration_problems(config, Outer)}


def test_a_right_configuration_has_no_problems() -> None:
    assert found({}) == {}


@pytest.mark.parametrize(
    ("key", "value", "location", "says"),
    [
        ("sed", 1, "sed", 'Did you mean "seed"'),
        ("seed", -1, "seed", "out of range"),
        ("seed", 1.5, "seed", "a number"),
        ("seed", True, "seed", "true/false"),
        ("seed", "???", "seed", "has no value yet"),
        ("inner/mode", "mix", "inner.mode", 'Did you mean "min"'),
        ("inner/weight", 1.5, "inner.weight", "out of range"),
        ("inner/wieght", 0.5, "inner.wieght", 'Did you mean "weight"'),
        ("trainer/max_epohs", 3, "trainer.max_epohs", 'Did you mean "max_epochs"'),
        ("trainer/max_epochs", "abc", "trainer.max_epochs", "text"),
        ("trainer/precision", "31-true", "trainer.precision", "Did you mean"),
        ("trainer/logger", True, "trainer.logger", "set by the program"),
        ("trainer/_target_", "pytorch_lightning.Trainr", "trainer._target_", 'Did you mean "Trainer"'),
        ("trainer/_target_", "nowhere.Trainer", "trainer._target_", 'no package "nowhere"'),
        ("trainer/_target_", "torch.nn.Linear", "trainer._target_", "is not a pytorch_lightning.Trainer"),
        ("trainer", {}, "trainer", "must be a block"),
        ("trainer", {"max_epochs": 3}, "trainer", "has no _target_"),
        ("callbacks/stop/monitr", "x", "callbacks.stop.monitr", 'Did you mean "monitor"'),
        ("callbacks/odd", 3, "callbacks.odd", "must be a block"),
    ],
)
def test_a_mistake_is_found_and_explained(key: str, value: Any, location: str, says: str) -> None:
    problems = found({key: value})
    assert location in problems
    assert says in problems[location].message


def test_mistakes_are_reported_together_with_what_is_allowed() -> None:
    problems = found({"seed": -1, "inner/mode": "mix", "trainer/max_epohs": 3})
    message = report(list(problems.values()))
    assert "3 problems; nothing was run" in message
    assert "whole number ≥ 0" in message
    assert "min, max" in message
    assert "accumulate_grad_batches" in message


def test_arguments_without_a_default_must_be_given() -> None:
    block = {"_target_": "pytorch_lightning.callbacks.EarlyStopping"}
    assert [problem.location for problem in component_problems(block, "stop")] == ["stop.monitor"]
    assert list(component_problems(block, "stop", provided=("monitor",))) == []
    assert list(component_problems({**block, "_partial_": True}, "stop")) == []


def test_blocks_inside_blocks_are_checked() -> None:
    inner = {"_target_": "torch.nn.Linear", "in_features": 2, "out_featurs": 1}
    block = {"_target_": "torch.nn.Sequential", "_args_": [inner]}
    locations = [problem.location for problem in component_problems(block, "net")]
    assert locations == ["net._args_[0].out_featurs", "net._args_[0].out_features"]


@pytest.mark.parametrize(
    ("value", "annotation", "allowed"),
    [
        (1, float, True),
        (1.0, int, False),
        (True, int, False),
        ("a", Path, True),
        (None, int | None, True),
        ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ([1, 2], tuple[int, int, int], False),
        ([1, 2, 3], tuple[int, int, int], True),
        ([1, 2, 3, 4], tuple[int, ...], True),
        ({"a": 1}, dict[str, int], True),
        ({"a": "b"}, dict[str, int], False),
        ("x", Any, True),
        (3, Annotated[int | None, AtLeast(4)], False),
        (None, Annotated[int | None, AtLeast(4)], True),
    ],
)
def test_values_fit_annotations_as_a_caller_of_the_function_would_expect(
    value: Any, annotation: Any, allowed: bool
) -> None:
    assert fits(value, annotation) is allowed


def test_annotations_are_described_in_plain_words() -> None:
    assert describe(Annotated[float, Between(0, 1)] | None) == "a number from 0 to 1 or null"
    assert describe(list[int]) == "a list of (a whole number)"


def test_suggestions_are_close_or_absent() -> None:
    assert did_you_mean("epochs", ["trainer.max_epochs", "seed"]) == ' Did you mean "trainer.max_epochs"?'
    assert did_you_mean("zzz", ["seed"]) == ""


def test_targets_are_found_without_calling_them() -> None:
    assert find_target("pathlib.Path") is Path
    assert "not something that can be called" in find_target("math.pi")


def run_train(repository: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(repository / "train.py"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_train_reports_every_mistake_of_a_command_line_and_writes_nothing(repository: Path, tmp_path: Path) -> None:
    done = run_train(
        repository,
        "experiment=delta_emebdded",
        "seeed=3",
        "seed=-1",
        "trainer.max_epochs=many",
        "trainer.min_epohs=2",
        "baseline",
        "resume=no.ckpt",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "9 problems; nothing was run" in done.stderr
    for hint in (
        "delta_embedded",
        '"seed"',
        '"trainer.min_epochs"',
        "≥ 0",
        "whole number or null",
        "key=value",
        "no.ckpt",
        "no data set",
    ):
        assert hint in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_places_of_mistakes_in_files_are_named(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    (folder / "group").mkdir(parents=True)
    (folder / "main.yaml").write_text("defaults:\n  - group: one\nseed: 1\n")
    (folder / "group" / "one.yaml").write_text("\na:\n  b: 1\n")
    from mlrim.configuration.sources import with_sources

    problems = [Problem("group.a.b", ""), Problem("seed", ""), Problem("group.a.b", "")]
    files = with_sources(problems[:2], folder, "main", {"group": "one"}, [])
    assert files[0].source.endswith("group/one.yaml, line 3")
    assert files[1].source.endswith("main.yaml, line 3")
    line = with_sources(problems[2:], folder, "main", {"group": "one"}, ["group.a.b=3"])
    assert line[0].source == "the command line (group.a.b=3)"
