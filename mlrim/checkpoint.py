"""Trained models on disk: versioned Lightning checkpoints, and folders to publish.

A checkpoint is a Lightning file with one more entry, "mlrim": {version, kind, model, metadata}. It holds
plain containers and tensors only and is read with `weights_only=True`; the class to build comes from `KINDS`,
never from the file. An exported model is a folder with `model.safetensors` and `config.json` (the same
header).
"""

import importlib
import inspect
import json
import os
import pickle
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mlrim.configuration.problems import did_you_mean
from mlrim.errors import UserError

VERSION = 1
HEADER = "mlrim"
MODEL_PREFIX = "model."
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
CALIBRATION_FILE, FIRST_MEMBER = "uncertainty.json", "member_0"

KINDS: dict[str, str] = {
    "delta": "mlrim.models.delta.DeltaModel",
    "response": "mlrim.models.response.ResponseModel",
    "direct": "mlrim.models.direct.DirectModel",
    "potential": "mlrim.models.potential.PotentialModel",
    "cartesian_potential": "mlrim.models.cartesian_potential.CartesianPotentialModel",
}
"""Kinds of models that can be stored, and the class of each."""

POTENTIALS = ("potential", "cartesian_potential")
"""The kinds that are energies, with forces and Hessians as derivatives."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""`UPGRADES[n]` turns the header of version n into that of version n + 1."""

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for prediction (in `eval` mode), with the configuration it was built from.

    `config`: the arguments of the model's constructor. `metadata`: what was recorded with it (baseline,
    label, cutoff, content hash of the data).
    """

    kind: str
    model: nn.Module
    config: dict[str, Any]
    metadata: dict[str, Any]


def header(kind: str, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The "mlrim" entry of a checkpoint; raises UserError for contents that are not plain data."""
    if kind not in KINDS:
        raise UserError(f'There is no kind of model "{kind}". Allowed: {", ".join(KINDS)}.')
    made = {"version": VERSION, "kind": kind, "model": dict(config), "metadata": dict(metadata)}
    require_plain(made, "mlrim")
    return made


def kind_of_target(target: str) -> str:
    """The kind of model that the class at a dotted path is; raises UserError for an unregistered class."""
    for kind, path in KINDS.items():
        if path == target:
            return kind
    raise UserError(f'"{target}" cannot be stored in a checkpoint. Allowed: {", ".join(KINDS.values())}.')


def load_model(path: str | Path, kind: str | Collection[str] | None = None, device: str = "cpu") -> LoadedModel:
    """The model in a checkpoint file or an exported folder.

    Raises UserError when the file is missing, damaged, not ours, of another kind than `kind` (or than any of several),
    of an unknown version, or needs code to be unpickled.
    """
    path = Path(path)
    if (path / CALIBRATION_FILE).is_file():
        path = path / FIRST_MEMBER  # of a folder with what is known of a model's errors, see mlrim.uncertainty
    if path.is_dir():
        found, weights = read_folder(path)
    else:
        contents = read_checkpoint(path)
        found = contents[HEADER]
        weights = {
            name.removeprefix(MODEL_PREFIX): value
            for name, value in contents["state_dict"].items()
            if name.startswith(MODEL_PREFIX)
        }
    kinds = [kind] if isinstance(kind, str) else kind
    if kinds is not None and found["kind"] not in kinds:
        needed = " or ".join(f'"{name}"' for name in kinds)
        raise UserError(f'{path} holds a model of kind "{found["kind"]}", but kind {needed} is needed here.')
    model = build(path, found, weights).to(device).eval()
    return LoadedModel(found["kind"], model, found["model"], found["metadata"])


def kind_of_model(path: str | Path) -> str:
    """The kind of the model in a checkpoint file or an exported folder; raises UserError as `load_model` does."""
    path = Path(path)
    if (path / CALIBRATION_FILE).is_file():
        path = path / FIRST_MEMBER
    return str(read_folder(path)[0]["kind"] if path.is_dir() else read_checkpoint(path)[HEADER]["kind"])


def class_of(kind: str) -> type[nn.Module]:
    """The class of a kind of model."""
    module, _, name = KINDS[kind].rpartition(".")
    return getattr(importlib.import_module(module), name)


def default_arguments(kind: str) -> dict[str, Any]:
    """The constructor's defaults, stored as well: they may change in a later version."""
    parameters = inspect.signature(class_of(kind)).parameters
    defaults = {name: found.default for name, found in parameters.items() if found.default is not found.empty}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}


def build(path: Path, found: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """The model that a header describes, with its weights."""
    constructor = class_of(found["kind"])
    try:
        model = constructor(**found["model"])
        model.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{path}: the stored configuration or weights do not fit {constructor.__name__} of this version "
            f"({str(error).splitlines()[0].rstrip(':')}). Use the version of mlrim that wrote it, or train again."
        ) from error
    broken = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f"{path} holds weights that are not finite numbers ({broken[0]}): its training diverged or the file is "
            "damaged. Use an earlier checkpoint, or train again with a lower task.learning_rate."
        )
    return model


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The whole contents of a checkpoint file (header upgraded to the current version), read safely.

    Raises UserError as `load_model` does.
    """
    path = Path(path)
    if not path.exists():
        nearby = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"There is no checkpoint {path}.{did_you_mean(path.name, nearby)}")
    if path.is_dir():
        raise UserError(f"{path} is a folder, but a checkpoint file (*.ckpt) is needed here.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd pickle protocols of foreign files
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(refusal(path, str(error))) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, UnicodeDecodeError, IndexError) as error:
        raise UserError(damaged(path)) from error
    if not isinstance(contents, dict) or HEADER not in contents or not isinstance(contents.get("state_dict"), dict):
        raise UserError(
            f'{path} is a torch file but no mlrim checkpoint: it has no entry "{HEADER}". '
            "Use a file that train.py wrote (checkpoints/*.ckpt) or an exported model folder."
        )
    contents[HEADER] = upgraded(contents[HEADER], path)
    return contents


def refusal(path: Path, reason: str) -> str:
    """The message for a file that the safe unpickler does not accept."""
    bare_pickle = path.read_bytes()[:1] == pickle.PROTO
    if "global" in reason.lower() or "Unsupported class" in reason or bare_pickle:
        return (
            f"{path} asks for Python code to be run when it is loaded, which is refused. mlrim checkpoints "
            "hold plain data only; get the file again from whoever published it."
        )
    return damaged(path)


def damaged(path: Path) -> str:
    """The message for a file that cannot be read."""
    return (
        f"{path} is damaged or not a checkpoint (truncated download?). Checkpoints are files checkpoints/*.ckpt that "
        "train.py wrote, or exported folders. Copy or train it again."
    )


def upgraded(found: Any, path: Path) -> dict[str, Any]:
    """A stored header brought to the current version, checked."""
    version = found.get("version") if isinstance(found, dict) else None
    if type(version) is not int or not 1 <= version <= VERSION:
        raise UserError(
            f"{path} has checkpoint version {version}; this mlrim reads versions 1 to {VERSION}. "
            "Install a newer mlrim to read it, or train the model again."
        )
    while found["version"] < VERSION:
        found = UPGRADES[found["version"]](found)
    if not {"kind", "model", "metadata"} <= found.keys() or not isinstance(found["model"], dict):
        raise UserError(damaged(path))
    if found["kind"] not in KINDS:
        raise UserError(
            f'{path} holds a model of unknown kind "{found["kind"]}". Known: {", ".join(KINDS)}. '
            "Install a newer mlrim if that is a later one."
        )
    return found


def export_model(loaded: LoadedModel, folder: str | Path, half: bool = False) -> Path:
    """Write `model.safetensors` and `config.json` into a new `folder`, all or nothing; returns the folder.

    Args:
        half: store weights in half precision, which halves the size; networks compute in float32 all the same.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder} exists already. Choose a new folder for the exported model.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        weights = {name: stored(value, half) for name, value in loaded.model.state_dict().items()}
        safetensors.torch.save_file(weights, temporary / WEIGHTS_FILE)
        (temporary / WEIGHTS_FILE).chmod(0o644)
        contents = header(loaded.kind, loaded.config, loaded.metadata)
        (temporary / CONFIG_FILE).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def stored(value: Tensor, half: bool) -> Tensor:
    """A tensor as it is written."""
    plain = value.detach().cpu().contiguous()
    return plain.half() if half and plain.is_floating_point() else plain


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and weights of an exported model; raises UserError when a file is missing or damaged."""
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} is a folder but no exported model: it has no {name}. "
                "Give a file checkpoints/*.ckpt of a run, or a folder that was exported."
            )
    try:
        found = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        weights = safetensors.torch.load_file(folder / WEIGHTS_FILE)
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise UserError(f"The exported model {folder} is damaged ({error}). Copy or export it again.") from error
    return upgraded(found, folder / CONFIG_FILE), weights


def save_model(
    path: str | Path, model: nn.Module, kind: str, config: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Path:
    """Write a checkpoint file with a model alone (no optimiser state), atomically; returns `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {MODEL_PREFIX + name: value for name, value in model.state_dict().items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save({HEADER: header(kind, config, metadata), "state_dict": state}, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def require_plain(value: Any, where: str) -> None:
    """Raise UserError unless `value` is built of dict, list, text, numbers, booleans and None."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or key.startswith("_"):
                raise UserError(f"{where}: the key {key!r} cannot be stored in a checkpoint.")
            require_plain(item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            require_plain(item, f"{where}[{index}]")
    elif not (value is None or type(value) in (bool, int, float, str)):
        raise UserError(f"{where}: a {type(value).__name__} cannot be stored in a checkpoint, only plain data.")
