"""Does a value from a configuration file fit a Python annotation, and how is that said to a user?"""

import collections.abc
import os
import types
import typing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mlrim.configuration.problems import did_you_mean

SEQUENCES = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable,
             collections.abc.Collection, collections.abc.MutableSequence)  # fmt: skip
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@dataclass(frozen=True)
class Above:
    """Constraint of a number, for `Annotated`: strictly greater than `bound`."""

    bound: float

    def holds(self, value: float) -> bool:
        """Whether `value` is greater than the bound."""
        return value > self.bound

    def __str__(self) -> str:
        return f"> {self.bound:g}"


@dataclass(frozen=True)
class AtLeast:
    """Constraint of a number, for `Annotated`: `bound` or greater."""

    bound: float

    def holds(self, value: float) -> bool:
        """Whether `value` reaches the bound."""
        return value >= self.bound

    def __str__(self) -> str:
        return f"≥ {self.bound:g}"


@dataclass(frozen=True)
class Between:
    """Constraint of a number, for `Annotated`: within [low, high]."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` is inside the closed interval."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Mismatch:
    """Why a value does not fit: a sentence, and the allowed values."""

    message: str
    allowed: str


def mismatch(value: Any, annotation: Any) -> Mismatch | None:
    """None when `value` fits `annotation`; annotations that are not about plain data accept everything."""
    if fits(value, annotation):
        return None
    base, constraints = split_constraints(annotation)
    if constraints and fits(value, base):
        return Mismatch(f"{value!r} is out of range.", describe(annotation))
    hint = did_you_mean(value, literal_strings(annotation)) if isinstance(value, str) else ""
    return Mismatch(f"{value!r} is {kind_of(value)}, which is not allowed here.{hint}", describe(annotation))


def fits(value: Any, annotation: Any) -> bool:
    """Whether `value` (plain data, as YAML gives it) may be passed where `annotation` is asked for."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, constraints = split_constraints(annotation)
        if value is None and fits(None, base):
            return True
        return fits(value, base) and all(constraint.holds(value) for constraint in constraints)
    if origin in (Union, types.UnionType):
        return any(fits(value, member) for member in arguments)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    if origin is None:
        return fits_class(value, annotation)
    if origin in SEQUENCES:
        return fits_sequence(value, origin, arguments)
    if origin in MAPPINGS:
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values())
    return True


def fits_sequence(value: Any, origin: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether `value` is a list whose items fit the arguments of a sequence annotation."""
    if not isinstance(value, list | tuple):
        return False
    if origin is tuple and Ellipsis not in arguments:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return all(fits(item, arguments[0]) for item in value)


def fits_class(value: Any, annotation: Any) -> bool:
    """Whether `value` fits an annotation that is a plain class (or None, or something that accepts all)."""
    if annotation is None or annotation is type(None):
        return value is None
    if annotation is bool:
        return isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is str:
        return isinstance(value, str)
    if annotation in (Path, os.PathLike):
        return isinstance(value, str | Path)
    if annotation in SEQUENCES:
        return isinstance(value, list | tuple)
    if annotation in MAPPINGS:
        return isinstance(value, dict)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return isinstance(value, str) and value in annotation.__members__
    if is_ordinary_class(annotation):
        return isinstance(value, dict)  # a block that builds the object; its own check follows
    return True


def is_ordinary_class(annotation: Any) -> bool:
    """Whether `annotation` is a class whose objects only a `_target_` block can build."""
    if not isinstance(annotation, type) or annotation is object:
        return False
    return annotation.__module__ not in ("typing", "collections.abc", "jaxtyping")


def split_constraints(annotation: Any) -> tuple[Any, list[Any]]:
    """The bare annotation and the range constraints that `Annotated` adds to it."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    base, *extras = get_args(annotation)
    return base, [extra for extra in extras if hasattr(extra, "holds")]


def literal_strings(annotation: Any) -> list[str]:
    """All strings that the `Literal` parts of `annotation` allow."""
    if get_origin(annotation) is Literal:
        return [choice for choice in get_args(annotation) if isinstance(choice, str)]
    return [text for member in get_args(annotation) for text in literal_strings(member)]


def describe(annotation: Any) -> str:
    """`annotation` in words that a user of a YAML file understands."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, constraints = split_constraints(annotation)
        return " ".join([describe(base), *map(str, constraints)])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(member) for member in arguments))
    if origin is Literal:
        return ", ".join(str(choice) for choice in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} values ({', '.join(map(describe, arguments))})"
    if origin in SEQUENCES:
        return f"a list of ({describe(arguments[0])})"
    if origin in MAPPINGS:
        return f"a mapping to ({describe(arguments[1])})"
    return describe_class(annotation)


def describe_class(annotation: Any) -> str:
    """A class in words that a user of a YAML file understands."""
    words = {
        bool: "true or false", int: "a whole number", float: "a number", str: "text",
        Path: "a path", os.PathLike: "a path", type(None): "null", None: "null",
        list: "a list", tuple: "a list", dict: "a mapping", Any: "anything",
    }  # fmt: skip
    if annotation in words:
        return words[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(annotation.__members__)
    return f"a block with _target_ that builds {getattr(annotation, '__name__', str(annotation))}"


def kind_of(value: Any) -> str:
    """What `value` is, in a user's words."""
    kinds = {bool: "true/false", int: "a whole number", float: "a number", str: "text",
             list: "a list", dict: "a mapping", type(None): "null"}  # fmt: skip
    return kinds.get(type(value), type(value).__name__)


def annotations_of(function: Any) -> dict[str, Any]:
    """The resolved annotations of a function or class constructor; unresolvable ones accept everything."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}
