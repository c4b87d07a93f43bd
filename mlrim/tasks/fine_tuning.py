"""Training that starts from a model that has been trained before: its weights, what of it is trained, and how fast."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import Literal

import torch
from torch import nn

from mlrim.checkpoint import kind_of_target, load_model
from mlrim.configuration.problems import did_you_mean
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph
from mlrim.nn.atomic_energies import AtomicEnergies, energy_statistics

HEADS = "readout"
"""Name of the module behind the last learned numbers of an energy network."""


def take_over(model: nn.Module, start: str) -> None:
    """Give a model the weights and the stored figures of a checkpoint or exported folder of the same kind and size.

    Raises:
        UserError: there is no such model, or it is of another kind or size.
    """
    kind = kind_of_target(f"{type(model).__module__}.{type(model).__qualname__}")
    weights = load_model(start, kind=kind).model.state_dict()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"task.start={start} holds a {kind.replace('_', ' ')} model of another size or shape; give model.… the "
            "values that it was trained with (they are in config.json of its folder or .hydra/config.yaml of its run). "
            f"First difference: {str(error).splitlines()[1].strip()}"
        ) from error


def choose_trained(model: nn.Module, train: Literal["all", "heads"], freeze: Sequence[str]) -> None:
    """Let the parameters of a network be trained or not.

    Args:
        train: "heads" trains the module `readout` alone.
        freeze: names of modules or parameters that stay as they are, with * for anything: "layers.0", "*.radial".

    Raises:
        UserError: a name fits nothing, or nothing is left to train.
    """
    names = [name for name, _ in model.named_modules() if name] + [name for name, _ in model.named_parameters()]
    for pattern in freeze:
        if not any(fnmatch(name, pattern) for name in names):
            hint = did_you_mean(pattern, names)
            raise UserError(f'task.freeze: nothing in the model is called "{pattern}".{hint} Parts: {_parts(model)}.')
    if train == "heads" and not any(_in_heads(name) for name, _ in model.named_parameters()):
        raise UserError(f"task.train=heads needs a model with a module `{HEADS}`. Parts: {_parts(model)}.")
    for name, parameter in model.named_parameters():
        frozen = any(fnmatch(part, pattern) for part in _enclosing(name) for pattern in freeze)
        parameter.requires_grad_(not frozen and (train == "all" or _in_heads(name)))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError("task.train and task.freeze leave nothing to train; freeze less.")


def body_factor(factor: float) -> Callable[[str], float]:
    """Factor of the learning rate by the name of a parameter: one for the heads, `factor` for all others."""
    return lambda name: 1.0 if _in_heads(name) else factor


def refit_references(model: AtomicEnergies, samples: Sequence[LabelledGraph]) -> None:
    """Change the energies of the elements such that a model fits the energies of new samples best.

    What the new data and the old model differ by is fitted by the numbers of atoms, which is how two levels of theory
    or two programs mostly differ. Nothing changes where no energies are known.
    """
    differences = []
    dtype = next(model.parameters()).dtype
    for sample in samples:
        if bool(sample.labels.energy.isfinite().any()):
            with torch.no_grad():
                found = model(sample.graph.to(dtype)).to(sample.labels.energy.dtype)
            differences.append(sample._replace(labels=sample.labels._replace(energy=sample.labels.energy - found)))
    if differences:
        change = torch.tensor(energy_statistics(differences).reference_energies)
        model.reference_energies += change.to(model.reference_energies)


def _in_heads(name: str) -> bool:
    return HEADS in name.split(".")


def _enclosing(name: str) -> list[str]:
    """A parameter's name and those of the modules that it is in.

    >>> _enclosing("layers.0.weight")
    ['layers', 'layers.0', 'layers.0.weight']
    """
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _parts(model: nn.Module) -> str:
    return ", ".join(name for name, _ in model.named_children())
