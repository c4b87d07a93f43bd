"""Commands with key=value options whose defaults and explanations are one commented file, configs/<command>.yaml.

Values are read as YAML, so that paths and globs need no escaping. All mistakes are told in one message before
anything runs. Exit status: 0 done, 1 a mistake in the input, 2 a mistake in the options.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

import yaml

from datamodules.options import parse
from mlrim.configuration.entry_point import BAD_CONFIGURATION, configuration_directory, speaking_plainly, stop
from mlrim.configuration.problems import Problem, report

MISSING = "???"
Check = Callable[[dict[str, Any]], Iterable[Problem]]


@runtime_checkable
class Action(Protocol):
    """What a command does with its options."""

    def __call__(self, options: Any) -> None:
        """Run."""
        ...


def command(name: str, schema: type, checks: Iterable[Check] = ()) -> Callable[[Action], Callable[[], None]]:
    """Decorate the main function of a command whose options are configs/`name`.yaml.

    Args:
        schema: dataclass that names every option with its type.
        checks: further conditions on the options, once each of them is right by itself.
    """

    def decorate(action: Action) -> Callable[[], None]:
        def main() -> None:
            arguments = sys.argv[1:]
            path = configuration_directory() / f"{name}.yaml"
            if {"-h", "--help"} & set(arguments):
                print(f"python {name}.py key=value …\n\n{path.read_text(encoding='utf-8')}")
                return
            values, problems = merged(arguments, yaml.safe_load(path.read_text(encoding="utf-8")), schema)
            problems += [problem for check in checks for problem in found_by(check, values, problems)]
            if problems:
                stop(f"{report(problems)}\n\nAll options: python {name}.py --help", BAD_CONFIGURATION)
            speaking_plainly(lambda: action(built(values, schema)))

        return main

    return decorate


def found_by(check: Check, values: dict[str, Any], problems: Sequence[Problem]) -> list[Problem]:
    """What a check finds; it may stumble over values that are reported already."""
    reported = {problem.location for problem in problems}
    found: list[Problem] = []
    try:
        for problem in check(values):
            found.append(problem)
    except (KeyError, TypeError, ValueError, AttributeError):
        if not reported:
            raise
    return [problem for problem in found if problem.location not in reported]


def merged(arguments: Sequence[str], defaults: dict[str, Any], schema: type) -> tuple[dict[str, Any], list[Problem]]:
    """The options given on the command line over the defaults, in their groups, and what is wrong with them."""
    values, problems = parse(arguments, schema)
    known = flattened(defaults)
    given = {argument.partition("=")[0] for argument in arguments}
    optional = {key for key, value in known.items() if value != MISSING} - given
    return nested(known | values), [problem for problem in problems if problem.location not in optional]


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Groups of options as dotted keys.

    >>> flattened({"quiet": True, "raman": {"laser": 532}})
    {'quiet': True, 'raman.laser': 532}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as groups of options.

    >>> nested({"quiet": True, "raman.laser": 532})
    {'quiet': True, 'raman': {'laser': 532}}
    """
    groups: dict[str, Any] = {}
    for key, value in values.items():
        *path, name = key.split(".")
        group = groups
        for part in path:
            group = group.setdefault(part, {})
        group[name] = value
    return groups


def built(values: Mapping[str, Any], schema: type) -> Any:
    """The dataclass of the options, its groups built too, lists turned into tuples where it says tuple."""
    annotations = get_type_hints(schema)
    return schema(**{key: _as_declared(value, annotations[key]) for key, value in values.items()})


def _as_declared(value: Any, annotation: Any) -> Any:
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return built(value, annotation)
    return tuple(value) if isinstance(value, list) and _allows_tuple(annotation) else value


def _allows_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(get_origin(member) is tuple for member in get_args(annotation))
