"""A study file in sweeps/: what is searched, how, and where the results are kept."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna
import yaml
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

import mlrim
from mlrim.configuration.problems import Problem, did_you_mean, listed, report
from mlrim.configuration.schema import mapping_problems
from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError

SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
}
PRUNERS = {
    "median": optuna.pruners.MedianPruner,
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "none": optuna.pruners.NopPruner,
}
PARAMETER_KEYS = {
    "float": {"type", "low", "high", "log", "step"},
    "int": {"type", "low", "high", "log", "step"},
    "choice": {"type", "choices"},
}


@dataclass(frozen=True)
class Study:
    """The contents of a study file.

    `trials`: how many trials the study has *in total*; a restarted study goes on to this number.
    `folder`: where the storage, one folder per trial, and the results go.
    `storage`: a file name inside `folder`; *.db is SQLite, *.log an append-only journal (for network disks).
    `overrides`: what every trial has in common. `parameters`: dotted configuration key → range.
    """

    trials: Annotated[int, AtLeast(1)]
    folder: str
    parameters: dict[str, dict[str, Any]]
    overrides: list[str] = field(default_factory=list)
    direction: Literal["minimize", "maximize"] = "minimize"
    storage: str = "study.db"
    seed: Annotated[int, AtLeast(0)] = 0
    sampler: dict[str, Any] = field(default_factory=lambda: {"name": "tpe"})
    pruner: dict[str, Any] = field(default_factory=lambda: {"name": "median"})


def sweeps_directory() -> Path:
    """The folder sweeps/: beside the entry points in a checkout, inside the package when installed."""
    package = Path(mlrim.__file__).resolve().parent
    installed = package / "sweeps"
    return installed if installed.is_dir() else package.parent / "sweeps"


def read_study(name: str) -> Study:
    """The study sweeps/`name`.yaml; raises UserError listing everything that is wrong with it."""
    problems = list(study_problems(name))
    if problems:
        raise UserError(report(problems))
    return Study(**read_yaml(name))


def study_problems(name: str) -> Iterator[Problem]:
    """Everything wrong with the study file `name`."""
    names = [path.stem for path in sweeps_directory().glob("*.yaml")]
    if name not in names:
        yield Problem("sweep", f'there is no study "{name}" in sweeps/.{did_you_mean(name, names)}', listed(names))
        return
    try:
        contents = read_yaml(name)
    except yaml.YAMLError as error:
        yield Problem(f"sweeps/{name}.yaml", f"is not valid YAML: {error}")
        return
    if not isinstance(contents, dict):
        yield Problem(f"sweeps/{name}.yaml", f"must hold the keys {listed(known.name for known in fields(Study))}.")
        return
    found = list(mapping_problems(contents, Study, f"sweeps/{name}.yaml"))
    yield from found
    if not found:
        for part, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
            yield from part_problems(contents.get(part, {}), known, f"sweeps/{name}.yaml.{part}")
        for key, space in contents["parameters"].items():
            yield from parameter_problems(space, f"sweeps/{name}.yaml.parameters.{key}")


def read_yaml(name: str) -> Any:
    """The raw contents of a study file."""
    return yaml.safe_load((sweeps_directory() / f"{name}.yaml").read_text(encoding="utf-8"))


def part_problems(part: dict[str, Any], known: dict[str, Any], location: str) -> Iterator[Problem]:
    """Problems of a sampler or pruner block."""
    if not part:
        return
    name = part.get("name")
    if name not in known:
        yield Problem(f"{location}.name", f"{name!r} is not known.{did_you_mean(str(name), known)}", listed(known))
        return
    allowed = set(inspect.signature(known[name]).parameters) - {"seed"}
    for key in part.keys() - {"name"} - allowed:
        yield Problem(f"{location}.{key}", f"unknown key.{did_you_mean(key, allowed)}", listed(allowed))


def parameter_problems(space: dict[str, Any], location: str) -> Iterator[Problem]:
    """Problems of one searched parameter."""
    kind = space.get("type")
    if kind not in PARAMETER_KEYS:
        yield Problem(f"{location}.type", f"{kind!r} is not known.", listed(PARAMETER_KEYS))
        return
    for key in space.keys() - PARAMETER_KEYS[kind]:
        yield Problem(f"{location}.{key}", f"unknown key.{did_you_mean(key, PARAMETER_KEYS[kind])}")
    if kind == "choice":
        if not isinstance(space.get("choices"), list) or not space["choices"]:
            yield Problem(f"{location}.choices", "must be a list of at least one value.")
    elif not all(isinstance(space.get(bound), int | float) for bound in ("low", "high")):
        yield Problem(location, "needs the numbers low and high (write 1.0e-4, not 1e-4).")
    elif space["low"] > space["high"]:
        yield Problem(location, f"low = {space['low']} is above high = {space['high']}.")


def build_sampler(study: Study, number: int) -> optuna.samplers.BaseSampler:
    """The sampler for trial `number`: seeded by it, so that a restarted study suggests what it would have."""
    arguments = {key: value for key, value in study.sampler.items() if key != "name"}
    return SAMPLERS[study.sampler["name"]](**arguments, seed=study.seed + number)


def build_pruner(study: Study) -> optuna.pruners.BasePruner:
    """The pruner that the study names."""
    arguments = {key: value for key, value in study.pruner.items() if key != "name"}
    return PRUNERS[study.pruner["name"]](**arguments)


def open_storage(path: str | Path) -> BaseStorage:
    """The storage in a file: SQLite for *.db, a journal otherwise; makes its folder."""
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".db":
        return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
    return JournalStorage(JournalFileBackend(str(path)))


def suggest(trial: optuna.Trial, study: Study) -> dict[str, Any]:
    """Values for all parameters of the study, as the sampler proposes them."""
    return {key: suggest_one(trial, key, space) for key, space in study.parameters.items()}


def suggest_one(trial: optuna.Trial, key: str, space: dict[str, Any]) -> Any:
    """A value for one parameter."""
    if space["type"] == "choice":
        return trial.suggest_categorical(key, space["choices"])
    numbers = {name: space[name] for name in ("low", "high", "step", "log") if name in space}
    if space["type"] == "int":
        return trial.suggest_int(key, **numbers)
    return trial.suggest_float(key, **numbers)


def simplest_values(study: Study) -> dict[str, Any]:
    """One legal value for every parameter, to check that a trial can be composed at all."""
    return {
        key: space["choices"][0] if space["type"] == "choice" else space["low"]
        for key, space in study.parameters.items()
    }


def as_overrides(values: dict[str, Any]) -> list[str]:
    """Hydra overrides that set `values`."""
    return [f"{key}=null" if value is None else f"{key}={value!r}" for key, value in values.items()]
