"""Commands with key=value options whose defaults and explanations are one commented file, configs/<command>.yaml.

Values are read as YAML, so that paths and globs need no escaping. All mistakes are told in one message before
anything runs. Exit status: 0 done, 1 a mistake in the input, 2 a mistake in the options.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
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
            problems += [problem for check in checks if not problems for problem in check(values)]
            if problems:
                stop(f"{report(problems)}\n\nAll options: python {name}.py --help", BAD_CONFIGURATION)
            speaking_plainly(lambda: action(schema(**with_tuples(values, schema))))

        return main

    return decorate


def merged(arguments: Sequence[str], defaults: dict[str, Any], schema: type) -> tuple[dict[str, Any], list[Problem]]:
    """The options given on the command line over the defaults, and what is wrong with them."""
    values, problems = parse(arguments, schema)
    given = {argument.partition("=")[0] for argument in arguments}
    optional = {key for key, value in defaults.items() if value != MISSING} - given
    return defaults | values, [problem for problem in problems if problem.location not in optional]


def with_tuples(values: dict[str, Any], schema: type) -> dict[str, Any]:
    """The values with lists turned into tuples where the schema says tuple."""
    annotations = get_type_hints(schema)
    return {
        key: tuple(value) if isinstance(value, list) and _allows_tuple(annotations[key]) else value
        for key, value in values.items()
    }


def _allows_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(get_origin(member) is tuple for member in get_args(annotation))
