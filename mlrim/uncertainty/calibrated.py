"""A model with what is known of its errors: a folder that predict.py takes like any other model.

uncertainty.json          method, error models by quantity, stability calibration, domain limits, provenance
domain.safetensors        the training crystals as points
member_0/ …               exported models; the first is the one that other commands load from this folder
posterior.safetensors     drawn last layers (Laplace method), for copies of the first member
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from mlrim.checkpoint import CALIBRATION_FILE, LoadedModel, export_model, load_model
from mlrim.errors import UserError
from mlrim.uncertainty.error_model import STANDARD_LEVEL, ErrorModel
from mlrim.uncertainty.laplace import last_layers
from mlrim.uncertainty.stability import StabilityCalibration
from mlrim.uncertainty.training_domain import Domain, TrainingDomain

VERSION = 1
DOMAIN_FILE, POSTERIOR_FILE = "domain.safetensors", "posterior.safetensors"

Method = Literal["ensemble", "laplace"]


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What is known of a model's errors.

    Attributes:
        method: where the members are from.
        models: how large errors are, by quantity.
        domain: where the training set is.
        stability: of log-odds of stability.
        facts: what it was calibrated on.
    """

    method: Method
    models: dict[str, ErrorModel]
    domain: TrainingDomain
    stability: StabilityCalibration = field(default_factory=StabilityCalibration)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """What the errors are, in words."""
        names = {"ensemble": "an ensemble", "laplace": "a last-layer Laplace posterior"}
        count = self.facts.get("crystals")
        crystals = "crystals that were not trained on" if count is None else f"{count} crystals not trained on"
        return f"standard errors (68 %) from {names[self.method]}, calibrated on {crystals}"

    def errors(self, latent: Float[ndarray, "channels"], numbers: ndarray) -> "Errors":
        """The errors of one crystal.

        Args:
            latent: where it is among others.
            numbers: atomic numbers of everything in it.
        """
        return Errors(self.models, self.domain.verdict(latent, numbers))


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of one crystal's quantities.

    Attributes:
        models: by quantity.
        domain: how far the crystal is from the training set.
    """

    models: Mapping[str, ErrorModel]
    domain: Domain

    def of(
        self,
        quantity: str,
        value: Float[ndarray, "*shape"],
        spread: Float[ndarray, "*shape"],
        level: float = STANDARD_LEVEL,
    ) -> Float[ndarray, "*shape"] | None:
        """Half the interval that holds the truth with this probability, in the unit of the value; none if unknown."""
        model = self.models.get(quantity)
        return None if model is None else model.half_width(value, spread, self.domain.distance, level)


def save_calibrated(
    folder: Path,
    members: list[LoadedModel],
    uncertainty: Uncertainty,
    posterior: list[nn.Module] | None = None,
    half: bool = False,
) -> Path:
    """Write a model with its uncertainty into a new folder, all or nothing; returns the folder.

    Args:
        members: exported one by one.
        posterior: networks drawn around the first member, of which last layers are kept.
        half: weights in half precision.

    Raises:
        UserError: the folder exists.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already. Choose a new folder for the calibrated model.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for index, member in enumerate(members):
            export_model(member, temporary / f"member_{index}", half)
        if posterior is not None:
            safetensors.torch.save_file(drawn_layers(posterior), temporary / POSTERIOR_FILE)
        domain = uncertainty.domain
        points = {"points": torch.tensor(domain.points).half(), "deviation": torch.tensor(domain.deviation).float()}
        safetensors.torch.save_file(points, temporary / DOMAIN_FILE)
        text = json.dumps(as_plain(uncertainty, len(members)), indent=1)
        (temporary / CALIBRATION_FILE).write_text(text + "\n", encoding="utf-8")
        for path in temporary.glob("*.safetensors"):
            path.chmod(0o644)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def is_calibrated(path: str | Path) -> bool:
    """Whether a path is a folder with a calibrated model."""
    return (Path(path) / CALIBRATION_FILE).is_file()


def load_calibrated(path: str | Path) -> tuple[list[LoadedModel], Uncertainty]:
    """The members and what is known of their errors.

    Raises:
        UserError: the folder is damaged, or of an unknown version.
    """
    path = Path(path)
    try:
        plain = json.loads((path / CALIBRATION_FILE).read_text(encoding="utf-8"))
        if plain.get("version") != VERSION:
            raise UserError(
                f"{path} has version {plain.get('version')} of {CALIBRATION_FILE}; this mlrim reads {VERSION}. "
                "Install a newer mlrim, or calibrate the model again (python -m mlrim.calibrate)."
            )
        points = safetensors.torch.load_file(path / DOMAIN_FILE)
        uncertainty = from_plain(plain, points)
        members = [load_model(path / f"member_{index}") for index in range(plain["members"])]
        if uncertainty.method == "laplace":
            drawn = safetensors.torch.load_file(path / POSTERIOR_FILE)
            members += posterior_members(members[0], drawn)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"The calibrated model {path} is damaged ({error}). Copy or calibrate it again.") from error
    return members, uncertainty


def drawn_layers(posterior: list[nn.Module]) -> dict[str, torch.Tensor]:
    """The last layers of drawn networks, stacked."""
    layers = [last_layers(member) for member in posterior]
    return {
        f"{name}.{kind}": torch.stack([getattr(found[name], kind).detach().float() for found in layers])
        for name in layers[0]
        for kind in ("weight", "bias")
    }


def posterior_members(first: LoadedModel, drawn: Mapping[str, torch.Tensor]) -> list[LoadedModel]:
    """Copies of the first member with each of the drawn last layers."""
    count = len(next(iter(drawn.values())))
    members = [replace(first, model=deepcopy(first.model)) for _ in range(count)]
    for index, member in enumerate(members):
        for name, layer in last_layers(member.model).items():
            with torch.no_grad():
                layer.weight.copy_(drawn[f"{name}.weight"][index])
                layer.bias.copy_(drawn[f"{name}.bias"][index])
    return members


def as_plain(uncertainty: Uncertainty, members: int) -> dict[str, Any]:
    """Everything but arrays as plain data."""
    domain = uncertainty.domain
    return {
        "version": VERSION,
        "method": uncertainty.method,
        "members": members,
        "quantities": {name: model.as_plain() for name, model in uncertainty.models.items()},
        "stability": uncertainty.stability._asdict(),
        "domain": {"typical": domain.typical, "limit": domain.limit, "elements": list(domain.elements)},
        "facts": uncertainty.facts,
    }


def from_plain(plain: Mapping[str, Any], points: Mapping[str, torch.Tensor]) -> Uncertainty:
    """The uncertainty in plain data and arrays."""
    found = plain["domain"]
    domain = TrainingDomain(
        np.asarray(points["points"].double().numpy()),
        np.asarray(points["deviation"].double().numpy()),
        found["typical"],
        found["limit"],
        tuple(found["elements"]),
    )
    return Uncertainty(
        plain["method"],
        {name: ErrorModel.from_plain(part) for name, part in plain["quantities"].items()},
        domain,
        StabilityCalibration(**plain["stability"]),
        plain["facts"],
    )
