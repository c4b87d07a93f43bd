"""What train.py may be told: the keys of configs/train.yaml, their types, and combinations that cannot work."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from mlrim.configuration.problems import Problem, did_you_mean, listed
from mlrim.configuration.schema import Component, Components
from mlrim.configuration.types import Above, AtLeast
from mlrim.errors import UserError

CONFIGURATIONS = "datamodules.configuration_datamodule.ConfigurationDataModule"
"""The data module whose data sets hold molecules and other configurations in place of crystals."""

RESUMABLE = "a file checkpoints/last.ckpt of a run with the same model"


@dataclass(frozen=True)
class Monitor:
    """The metric that checkpoints, early stopping, pruning and sweeps look at."""

    metric: str
    mode: Literal["min", "max"]


@dataclass(frozen=True)
class Paths:
    """Where things are."""

    root: str
    data: str
    run: str


@dataclass(frozen=True)
class TrainConfig:
    """The keys of configs/train.yaml; each is explained there."""

    name: str
    seed: Annotated[int, AtLeast(0)]
    cutoff: Annotated[float, Above(0)]
    baseline: str
    label: str
    resume: str | None
    test: bool
    quiet: bool
    threads: Annotated[int, AtLeast(1)] | None
    sweep: str | None
    monitor: Monitor
    paths: Paths
    data: Annotated[dict, Component("pytorch_lightning.LightningDataModule")]
    model: Annotated[dict, Component("torch.nn.Module")]
    task: Annotated[dict, Component("pytorch_lightning.LightningModule", provided=("model",))]
    trainer: Annotated[dict, Component("pytorch_lightning.Trainer", provided=("callbacks", "logger"))]
    callbacks: Annotated[dict, Components("pytorch_lightning.Callback")]
    logger: Annotated[dict, Components("pytorch_lightning.loggers.logger.Logger")]


def training_checks(config: dict[str, Any]) -> Iterator[Problem]:
    """Combinations of values, each right alone, that cannot work together."""
    trainer = config["trainer"]
    yield from device_problems(trainer)
    yield from epoch_problems(trainer)
    yield from data_problems(config)
    yield from resume_problems(config)
    yield from sweep_problems(config)
    yield from stored_kind_problems(config)


def device_problems(trainer: dict[str, Any]) -> Iterator[Problem]:
    """Hardware that is asked for and not there; precisions that it cannot do."""
    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", "auto")
    if accelerator in ("gpu", "cuda"):
        available = torch.cuda.device_count()
        if available == 0:
            yield Problem("trainer.accelerator", "asks for a GPU, but torch sees none here.", "trainer=cpu")
        elif isinstance(devices, int) and devices > available:
            yield Problem("trainer.devices", f"asks for {devices} GPUs, but there are {available}.")
    if accelerator == "cpu" and str(trainer.get("precision")) in ("16-mixed", "16", "16-true"):
        yield Problem("trainer.precision", "half precision does not work on a CPU.", "32-true, bf16-mixed")
    several = isinstance(devices, int) and devices > 1
    if accelerator == "cpu" and several and trainer.get("strategy", "auto") == "auto":
        yield Problem("trainer.devices", "several CPU processes need a strategy.", "trainer=ddp_sim")


def epoch_problems(trainer: dict[str, Any]) -> Iterator[Problem]:
    """Lower limits above upper ones."""
    low, high = trainer.get("min_epochs"), trainer.get("max_epochs")
    if low is not None and high is not None and 0 <= high < low:
        yield Problem("trainer.min_epochs", f"is {low}, above trainer.max_epochs = {high}.")


def data_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """A data set that is not there, is damaged, or lacks the force constants or the split that are asked for."""
    from datamodules.splits import load_split
    from datamodules.store import RecordStore

    data = config["data"]
    if data.get("configurations") is not None:
        yield from configuration_problems_of(data["configurations"], "data.configurations")
    if data.get("_target_") == CONFIGURATIONS:
        yield from configuration_problems_of(data, "data")
        return
    path, split = data.get("path"), data.get("split")
    if path is None or path == "???":
        return
    if not (Path(path) / "manifest.json").is_file():
        yield no_data_set("data.path", path)
        return
    try:
        index = RecordStore(path).index
    except UserError as error:
        yield Problem("data.path", f"{error}.")
        return
    yield from level_problems(config, {level for entry in index for level in entry.levels})
    if split is not None:
        try:
            load_split(Path(split), index)
        except UserError as error:
            yield Problem("data.split", f"{error}.", "a split file of this data set, or null")


def configuration_problems_of(data: dict[str, Any], location: str) -> Iterator[Problem]:
    """A data set of molecules or other configurations that is not there or is damaged."""
    from datamodules.configurations import ConfigurationStore

    if data.get("_target_") != CONFIGURATIONS:
        yield Problem(location, "must be a block as in configs/data/energy_molecules.yaml, or null.")
        return
    path = data.get("path")
    if path is None or path == "???":
        return
    if not (Path(path) / "manifest.json").is_file():
        yield no_data_set(f"{location}.path", path)
        return
    try:
        len(ConfigurationStore(path).index)
    except UserError as error:
        yield Problem(f"{location}.path", f"{error}.")


def no_data_set(location: str, path: str) -> Problem:
    """There is nothing at a path."""
    how = f"a folder made by: python -m datamodules.build source=… out={path}"
    return Problem(location, f"there is no data set at {path}.", how)


def level_problems(config: dict[str, Any], levels: set[str]) -> Iterator[Problem]:
    """Labels and baselines that no record of the data set holds."""
    from mlrim.rim.baselines import BUILT_IN

    for key, allowed in (("label", levels), ("baseline", levels.union(BUILT_IN))):
        if config[key] not in allowed:
            message = f'the data set has no force constants named "{config[key]}".'
            yield Problem(key, message + did_you_mean(str(config[key]), allowed), listed(allowed))


def resume_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """A run to resume that is not there."""
    if config["resume"] is not None and not Path(config["resume"]).is_file():
        yield Problem("resume", f"there is no checkpoint {config['resume']}.", RESUMABLE)
    elif config["resume"] is not None:
        yield from resumed_state_problems(config["resume"], config["model"])
    if config["resume"] is not None and config["sweep"] is not None:
        yield Problem("resume", "a study continues by itself; remove resume=…")


def resumed_state_problems(path: str, model: dict[str, Any]) -> Iterator[Problem]:
    """A checkpoint to resume from that cannot be read, or that is of another model."""
    from mlrim.checkpoint import HEADER, KINDS, read_checkpoint

    try:
        contents = read_checkpoint(path)
    except UserError as error:
        yield Problem("resume", str(error), RESUMABLE)
        return
    found, kinds = contents[HEADER], {target: kind for kind, target in KINDS.items()}
    wanted = kinds.get(model["_target_"], found["kind"])
    if found["kind"] != wanted:
        yield Problem("resume", f'{path} holds a model of kind "{found["kind"]}", not "{wanted}".', RESUMABLE)
        return
    if not {"optimizer_states", "loops"} <= contents.keys():
        yield Problem("resume", f"{path} holds a model without the state of its training.", RESUMABLE)
    for key, value in model.items():
        if found["model"].get(key, value) != value:
            message = f"is {value}, but {path} was trained with {found['model'][key]}."
            yield Problem(f"model.{key}", message, f"{found['model'][key]}, or no resume=…")


def sweep_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Studies that do not exist, whose trials cannot be composed, or that would start one job per rank."""
    if config["sweep"] is None:
        return
    from mlrim.configuration.entry_point import validate
    from mlrim.sweeping.study import as_overrides, read_study, simplest_values, study_problems

    if HydraConfig.get().mode != RunMode.MULTIRUN:
        yield Problem("sweep", "a study needs the flag -m.", f"python train.py -m sweep={config['sweep']}")
    found = list(study_problems(config["sweep"]))
    yield from found
    if not found:
        study = read_study(config["sweep"])
        given = [word for word in HydraConfig.get().overrides.task if not word.startswith("sweep=")]
        for key in study.parameters.keys() & {word.lstrip("+").split("=")[0] for word in given}:
            yield Problem(key, "is searched by the study and cannot be fixed at the same time.")
        trial = [*study.overrides, *as_overrides(simplest_values(study)), *given]
        for problem in validate("train", trial, TrainConfig, [training_checks]):
            yield replace(problem, source=f"sweeps/{config['sweep']}.yaml")
    if str(config["trainer"].get("strategy", "auto")).startswith(("ddp", "fsdp", "deepspeed", "{")):
        yield Problem("trainer.strategy", "a trial of a study runs in one process.", "trainer=cpu, trainer=gpu")


def stored_kind_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Models that a checkpoint could not describe."""
    from mlrim.checkpoint import KINDS

    target = config["model"]["_target_"]
    if target not in KINDS.values():
        yield Problem("model._target_", f'"{target}" cannot be stored in a checkpoint.', ", ".join(KINDS.values()))
