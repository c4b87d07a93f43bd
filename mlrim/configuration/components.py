"""Check `_target_` blocks against the signature of what they build, without building it."""

import importlib
import inspect
from collections.abc import Collection, Iterator
from typing import Any

from mlrim.configuration.problems import Problem, did_you_mean, listed
from mlrim.configuration.types import annotations_of, mismatch

HYDRA_KEYS = frozenset({"_target_", "_partial_", "_recursive_", "_convert_", "_args_"})


def component_problems(
    block: dict[str, Any], location: str, base: str = "", provided: Collection[str] = ()
) -> Iterator[Problem]:
    """Everything wrong with a `_target_` block and with the blocks inside it.

    `base`: dotted path of the class that the target must be or derive from ("" for no such demand).
    `provided`: arguments that the program passes itself; the block may leave them out but not set them.
    """
    if "_target_" not in block:
        yield Problem(location, "has no _target_, the dotted path of the class to build.")
        return
    target = find_target(block["_target_"])
    if isinstance(target, str):
        yield Problem(f"{location}._target_", target)
        return
    if base:
        yield from base_problems(target, block["_target_"], base, location)
    yield from signature_problems(block, target, location, provided)
    for key, value in block.items():
        if key == "_args_" or key not in HYDRA_KEYS:
            yield from nested_problems(value, f"{location}.{key}")


def nested_problems(value: Any, location: str) -> Iterator[Problem]:
    """Problems of the `_target_` blocks anywhere inside `value`."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield from component_problems(value, location)
        else:
            for key, item in value.items():
                yield from nested_problems(item, f"{location}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from nested_problems(item, f"{location}[{index}]")


def find_target(path: Any) -> Any:
    """The object at a dotted path, or a sentence (str) that says why there is none."""
    if not isinstance(path, str) or "." not in path:
        return f'{path!r} is not a dotted path such as "package.module.Class".'
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and not (module_name == error.name or module_name.startswith(error.name + ".")):
                return f'"{path}" needs the package "{error.name}", which is not installed.'
            continue
        for name in parts[split:]:
            if not hasattr(found, name):
                return f'"{path}" does not exist.{did_you_mean(name, public_names(found))}'
            found = getattr(found, name)
        return found if callable(found) else f'"{path}" is not something that can be called.'
    return f'"{path}" does not exist: there is no package "{parts[0]}".'


def public_names(module: Any) -> list[str]:
    """The names in a module that a configuration might mean."""
    return [name for name in dir(module) if not name.startswith("_")]


def base_problems(target: Any, path: str, base: str, location: str) -> Iterator[Problem]:
    """A problem when `target` is a class of the wrong kind."""
    wanted = find_target(base)
    if isinstance(target, type) and isinstance(wanted, type) and not issubclass(target, wanted):
        yield Problem(f"{location}._target_", f'"{path}" is not a {base}, which is needed here.')


def signature_problems(
    block: dict[str, Any], target: Any, location: str, provided: Collection[str]
) -> Iterator[Problem]:
    """Unknown, missing and wrongly typed arguments of one block."""
    named = named_parameters(target)
    open_ended = accepts_anything(target)
    hints = annotations_of(constructor_of(target))
    for key, value in block.items():
        if key in HYDRA_KEYS:
            continue
        if key in provided:
            yield Problem(f"{location}.{key}", "is set by the program itself and cannot be configured.")
        elif key not in named:
            if not open_ended:
                yield unknown_argument(key, set(named) - set(provided), block["_target_"], location)
        elif wrong := wrong_type(value, hints.get(key, Any), named[key]):
            yield Problem(f"{location}.{key}", wrong.message, wrong.allowed)
    if not block.get("_partial_") and not block.get("_args_"):
        yield from missing_arguments(block, named, location, provided)


def constructor_of(target: Any) -> Any:
    """What is called when `target` is: a function itself, the constructor of a class."""
    return target.__init__ if isinstance(target, type) else target  # type: ignore[misc]


def named_parameters(target: Any) -> dict[str, inspect.Parameter]:
    """The arguments of a callable that can be given by name; none for one without a readable signature."""
    skipped = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: found for name, found in parameters_of(target).items() if found.kind not in skipped}


def accepts_anything(target: Any) -> bool:
    """Whether a callable takes arguments that its signature does not name."""
    parameters = parameters_of(target)
    return not parameters or any(found.kind is found.VAR_KEYWORD for found in parameters.values())


def parameters_of(target: Any) -> dict[str, inspect.Parameter]:
    """The signature of a callable; empty when there is none to read."""
    try:
        return dict(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return {}


def unknown_argument(key: str, allowed: Collection[str], target: str, location: str) -> Problem:
    """The problem of an argument that the target does not have."""
    message = f"unknown key of {target}.{did_you_mean(key, allowed)}"
    return Problem(f"{location}.{key}", message, listed(allowed))


def wrong_type(value: Any, annotation: Any, parameter: inspect.Parameter) -> Any:
    """The mismatch of `value`, none for `_target_` blocks and for values equal to the default."""
    if isinstance(value, dict) and "_target_" in value:
        return None
    if value is None and parameter.default is None:
        return None
    return mismatch(value, annotation)


def missing_arguments(
    block: dict[str, Any], named: dict[str, inspect.Parameter], location: str, provided: Collection[str]
) -> Iterator[Problem]:
    """Arguments without a default that nobody gives."""
    for name, parameter in named.items():
        if parameter.default is parameter.empty and name not in block and name not in provided:
            yield Problem(f"{location}.{name}", f"is needed by {block['_target_']} and is not set.")
