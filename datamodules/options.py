"""Commands with `key=value` arguments: every mistake found is told in one message, before anything runs."""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import yaml

from mlrim.configuration.problems import Problem, did_you_mean, listed, report
from mlrim.configuration.types import describe, fits, mismatch

Options = TypeVar("Options")
BAD_CONFIGURATION = 2


class Values(yaml.SafeLoader):
    """YAML in which 1e-3 is a number too; YAML 1.1 wants a dot and a sign in it."""


Values.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class Declared(NamedTuple):
    """An option: what its value may be, and whether it has to be given."""

    annotation: Any
    needed: bool


def run_command(name: str, options: type[Options], action: Callable[[Options], None]) -> None:
    """Parse the command line into `options` and run `action`; exit status 0, 1 (input) or 2 (command line)."""
    from mlrim.configuration.entry_point import speaking_plainly, stop

    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(usage(name, options))
        return
    values, problems = parse(arguments, options)
    if problems:
        stop(f"{report(problems)}\n\nusage: {usage(name, options)}", BAD_CONFIGURATION)
    speaking_plainly(lambda: action(options(**values)))


def parse(arguments: Sequence[str], options: type) -> tuple[dict[str, Any], list[Problem]]:
    """The values of a command line for a dataclass, by dotted key, and everything that is wrong with it."""
    fields = declared(options)
    values: dict[str, Any] = {}
    problems = []
    seen: set[str] = set()
    for argument in arguments:
        key, separator, text = argument.partition("=")
        if not separator:
            problems.append(Problem(argument, "is not of the form key=value.", listed(fields)))
        elif key not in fields:
            problems.append(Problem(key, f"unknown option.{did_you_mean(key, fields)}", listed(fields)))
        elif key in seen:
            problems.append(Problem(key, "is given more than once.", "one value"))
        else:
            seen.add(key)
            value, problem = _value(key, text, fields[key].annotation)
            values[key] = value
            problems += [problem] if problem else []
    missing = [name for name, field in fields.items() if field.needed and name not in values]
    problems += [Problem(name, "is needed and is not set.", describe(fields[name].annotation)) for name in missing]
    return values, problems


def declared(options: type, prefix: str = "") -> dict[str, Declared]:
    """The options of a dataclass by dotted key; a field that is a dataclass itself is a group of options."""
    types = get_type_hints(options, include_extras=True)
    found: dict[str, Declared] = {}
    for field in dataclasses.fields(options):
        annotation = types[field.name]
        if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
            found |= declared(annotation, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = Declared(annotation, _is_needed(field))
    return found


def usage(name: str, options: type) -> str:
    """One line with every option and its default."""
    parts = [
        f"{field.name}=…" if _is_needed(field) else f"[{field.name}={_shown(field.default)}]"
        for field in dataclasses.fields(options)
    ]
    return f"python -m {name} {' '.join(parts)}"


def _value(key: str, text: str, annotation: Any) -> tuple[Any, Problem | None]:
    """The first reading of a text that the option allows: as YAML, as text."""
    if text in ("", "''", '""') and not fits(None, annotation):
        return None, Problem(key, "is empty.", describe(annotation))
    readings = _readings(text)
    for value in readings:
        if mismatch(value, annotation) is None:
            is_path = annotation in (Path, Path | None) and value is not None
            return (Path(value) if is_path else value), None
    wrong = mismatch(readings[0], annotation)
    assert wrong is not None
    return None, Problem(key, wrong.message, wrong.allowed)


def _readings(text: str) -> list[Any]:
    """What a text may mean: a YAML value, and the text itself."""
    try:
        return [yaml.load(text, Values), text]
    except (yaml.YAMLError, ValueError):
        return [text]


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _shown(value: Any) -> str:
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if value is not None else "null"
