"""Turn a composition that Hydra refuses into problems that name the mistyped words."""

from collections.abc import Sequence
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlrim.configuration.components import find_target, named_parameters
from mlrim.configuration.problems import Problem, did_you_mean, listed

COMMAND_LINE = "the command line"


def override_problems(
    config_name: str, arguments: Sequence[str], failure: Exception
) -> tuple[list[Problem], list[str]]:
    """The problems behind `failure`, which composing `config_name` with `arguments` raised.

    Also returns the arguments with which nothing is wrong.
    """
    problems: list[Problem] = []
    groups, values = [], []
    for argument in arguments:
        override = parsed(argument)
        if override is None:
            problems.append(syntax_problem(argument))
        elif not is_group(override.key_or_group):
            values.append((override, argument))
        elif problem := choice_problem(override, argument):
            problems.append(problem)
        else:
            groups.append(argument)
    config = composed(config_name, groups)
    good = list(groups)
    if config is not None:
        for override, argument in values:
            if problem := key_problem(config, override, argument):
                problems.append(problem)
            else:
                good.append(argument)
    return problems or [Problem("configuration", first_sentence(failure))], good


def parsed(argument: str) -> Override | None:
    """The override that `argument` means to Hydra, None when it means nothing."""
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def syntax_problem(argument: str) -> Problem:
    """The problem of an argument that is no override."""
    return Problem(
        argument,
        "is not an option of the form key=value; text with spaces, commas, brackets or = needs quotes: "
        "'key=\"some text\"'.",
        source=COMMAND_LINE,
    )


def is_group(name: str) -> bool:
    """Whether `name` is a folder of choices in configs/."""
    return bool(choices_of(name))


def choices_of(group: str) -> list[str]:
    """The choices of a configuration group."""
    loader = GlobalHydra.instance().config_loader()
    return list(loader.get_group_options(group, ObjectType.CONFIG))


def group_names() -> list[str]:
    """The configuration groups, without Hydra's own."""
    loader = GlobalHydra.instance().config_loader()
    return [name for name in loader.list_groups("") if name != "hydra"]


def choice_problem(override: Override, argument: str) -> Problem | None:
    """The problem of a group override that names no existing choice."""
    value, group = override.value(), override.key_or_group
    names = value if isinstance(value, list) else [value]
    choices = choices_of(group)
    for name in names:
        if name is not None and not override.is_sweep_override() and str(name) not in choices:
            message = f'there is no {group} "{name}".{did_you_mean(str(name), choices)}'
            return Problem(group, message, listed(choices), f"{COMMAND_LINE} ({argument})")
    return None


def composed(config_name: str, arguments: Sequence[str]) -> DictConfig | None:
    """The configuration with only these overrides, None when even that fails."""
    try:
        return compose(config_name, overrides=list(arguments))
    except (HydraException, OmegaConfBaseException):
        return None


def key_problem(config: DictConfig, override: Override, argument: str) -> Problem | None:
    """The problem of a `key=value` argument whose key does not exist."""
    key, known = override.key_or_group, dotted_keys(config)
    if key.startswith("hydra.") or override.is_add() or override.is_force_add() or key in known:
        return None
    parent, _, _ = key.rpartition(".")
    possible = [f"{parent}.{argument}" for argument in arguments_of_block(config, parent)]
    source = f"{COMMAND_LINE} ({argument})"
    if key in possible:
        return Problem(key, f"is not set in the files; add it with a plus sign: +{argument}", source=source)
    siblings = [other for other in known if other.rpartition(".")[0] == parent]
    allowed = {*siblings, *possible, *(group_names() if not parent else [])} - {f"{parent}._target_"}
    hint = did_you_mean(key, [*sorted(allowed), *known, *group_names()])
    return Problem(key, f"unknown option.{hint}", listed(allowed), source)


def arguments_of_block(config: DictConfig, location: str) -> list[str]:
    """The arguments that the `_target_` of the block at `location` takes, when there is one."""
    block = OmegaConf.select(config, location) if location else None
    if not isinstance(block, DictConfig) or "_target_" not in block:
        return []
    plain_block: Any = OmegaConf.to_container(block, resolve=False)
    return list(named_parameters(find_target(plain_block["_target_"])))


def dotted_keys(config: DictConfig, prefix: str = "") -> list[str]:
    """All keys of a configuration, inner nodes included, in dotted form."""
    keys: list[str] = []
    for key in map(str, config):
        keys.append(f"{prefix}{key}")
        if not OmegaConf.is_missing(config, key) and not OmegaConf.is_interpolation(config, key):
            node = config[key]
            if isinstance(node, DictConfig):
                keys.extend(dotted_keys(node, f"{prefix}{key}."))
    return keys


def first_sentence(failure: Exception) -> str:
    """Hydra's own words, without its advice on debugging and its list of search paths."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("Config search path", "provider=", "full_key", "Set the"))]
    if failure.__cause__ is not None:
        kept.append(str(failure.__cause__).splitlines()[0])
    return " ".join(kept) or type(failure).__name__
