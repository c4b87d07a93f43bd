"""Check a whole configuration against a frozen dataclass that declares its keys, types and blocks.

A field is plain data (`seed: Annotated[int, AtLeast(0)]`), a nested dataclass, or a block that Hydra
builds: `model: Annotated[dict, Component("torch.nn.Module")]`; a field with a default may be left out.
"""

import dataclasses
import typing
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from mlrim.configuration.components import component_problems
from mlrim.configuration.problems import Problem, did_you_mean, listed
from mlrim.configuration.types import mismatch

Check = Callable[[dict[str, Any]], Iterable[Problem]]
"""An extra check of the whole (resolved, plain) configuration: combinations that no single key shows."""


@dataclass(frozen=True)
class Component:
    """Marks a field as a `_target_` block; see `component_problems` for `base` and `provided`."""

    base: str = ""
    provided: Collection[str] = ()
    optional: bool = False


@dataclass(frozen=True)
class Components:
    """Marks a field as a mapping of names to `_target_` blocks; null switches one entry off."""

    base: str = ""
    provided: Collection[str] = ()


def configuration_problems(config: dict[str, Any], schema: type, checks: Iterable[Check] = ()) -> list[Problem]:
    """All problems of a resolved, plain configuration."""
    problems = list(mapping_problems(config, schema, location=""))
    for check in checks:
        try:
            problems.extend(check(config))
        except (KeyError, TypeError, ValueError, AttributeError):
            if not problems:
                raise  # otherwise it stumbled over a value that is reported already
    return problems


def mapping_problems(config: dict[str, Any], schema: type, location: str) -> Iterator[Problem]:
    """Problems of a mapping that `schema` declares."""
    fields = {field.name: field for field in dataclasses.fields(schema)}
    hints = typing.get_type_hints(schema, include_extras=True)
    prefix = f"{location}." if location else ""
    for key, value in config.items():
        if key not in fields:
            message = f"unknown key; nothing reads it.{did_you_mean(key, fields)}"
            yield Problem(prefix + str(key), message, listed(fields))
        else:
            yield from value_problems(value, hints[key], prefix + key)
    for name, field in fields.items():
        missing = field.default is field.default_factory is dataclasses.MISSING
        if missing and name not in config:
            yield Problem(prefix + name, "is not set.")


def value_problems(value: Any, annotation: Any, location: str) -> Iterator[Problem]:
    """Problems of one declared value."""
    marker = block_marker(annotation)
    if value == "???":
        yield Problem(location, f"has no value yet; give one, for example {location}=…")
    elif isinstance(marker, Component):
        if isinstance(value, dict) and value:
            yield from component_problems(value, location, marker.base, marker.provided)
        elif not marker.optional:
            yield Problem(location, "must be a block with a _target_.")
    elif isinstance(marker, Components):
        for name, block in (value or {}).items():
            if isinstance(block, dict):
                yield from component_problems(block, f"{location}.{name}", marker.base, marker.provided)
            elif block is not None:
                yield Problem(f"{location}.{name}", "must be a block with a _target_, or null.")
    elif isinstance(annotation, type) and dataclasses.is_dataclass(annotation) and isinstance(value, dict):
        yield from mapping_problems(value, annotation, location)
    elif wrong := mismatch(value, annotation):
        yield Problem(location, wrong.message, wrong.allowed)


def block_marker(annotation: Any) -> Component | Components | None:
    """The marker in `Annotated[dict, Component(...)]`, if there is one."""
    if get_origin(annotation) is not Annotated:
        return None
    markers = [extra for extra in get_args(annotation) if isinstance(extra, Component | Components)]
    return markers[0] if markers else None
