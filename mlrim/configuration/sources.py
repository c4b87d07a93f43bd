"""Where was a key set? On the command line, or in which line of which file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mlrim.configuration.problems import Problem


def with_sources(
    problems: Sequence[Problem], directory: Path, config_name: str, choices: Mapping[str, Any], overrides: Sequence[str]
) -> list[Problem]:
    """`problems` with `source` filled in where it can be found."""
    files = composed_files(directory, config_name, choices)
    return [
        problem if problem.source else replace(problem, source=source_of(problem.location, files, overrides))
        for problem in problems
    ]


def composed_files(directory: Path, config_name: str, choices: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """The files of a composition with the package each one fills, the strongest last."""
    files = [(directory / f"{config_name}.yaml", "")]
    for group, choice in choices.items():
        if group.startswith("hydra") or not isinstance(choice, str):
            continue
        path = directory / group / f"{choice}.yaml"
        if path.is_file():
            files.append((path, package_of(path, group)))
    return sorted(files, key=lambda entry: entry[1] == "" and entry[0].parent != directory)


def package_of(path: Path, group: str) -> str:
    """The dotted key under which Hydra puts the contents of a group's file."""
    header = re.match(r"#\s*@package\s+(\S+)", path.read_text(encoding="utf-8"))
    if header is None:
        return group.replace("/", ".")
    return "" if header[1] == "_global_" else header[1]


def source_of(location: str, files: Sequence[tuple[Path, str]], overrides: Sequence[str]) -> str:
    """Command line or file and line of the dotted key `location`; empty when neither shows it."""
    location = re.sub(r"\[\d+\]", "", location)
    for override in overrides:
        key = override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]
        if location == key or location.startswith(key + "."):
            return f"the command line ({override})"
    for path, package in reversed(files):
        line = line_of(path, relative_keys(location, package))
        if line:
            return f"{path.parent.parent.name}/{path.parent.name}/{path.name}, line {line}"
    return ""


def relative_keys(location: str, package: str) -> list[str] | None:
    """The keys of `location` inside a file that fills `package`; None when it lies elsewhere."""
    keys, prefix = location.split("."), package.split(".") if package else []
    return keys[len(prefix) :] if keys[: len(prefix)] == prefix and len(keys) > len(prefix) else None


def line_of(path: Path, keys: Sequence[str] | None) -> int:
    """The line (from 1) at which a nested key stands in a YAML file; 0 when it does not."""
    if keys is None:
        return 0
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 0
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return 0
        matching = [pair for pair in node.value if pair[0].value == key]
        if not matching:
            return 0
        line, node = matching[0][0].start_mark.line + 1, matching[0][1]
    return line
