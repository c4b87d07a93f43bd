"""The frame of every command: compose, validate everything, run, and speak plainly about mistakes.

    @entry_point("train", TrainConfig, checks=[...])
    def main(config: DictConfig) -> float | None: ...

Exit status: 0 done, 1 a mistake in the input or an unexpected error, 2 a mistake in the configuration,
130 interrupted. MLRIM_DEBUG=1 shows tracebacks for users' mistakes as well.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

import mlrim
from mlrim.configuration.overrides import override_problems, parsed
from mlrim.configuration.problems import Problem, report
from mlrim.configuration.schema import Check, configuration_problems
from mlrim.configuration.sources import with_sources
from mlrim.errors import UserError
from mlrim.output_folder import DISK_ERRORS, remove_unused_run

BAD_INPUT, BAD_CONFIGURATION, INTERRUPTED = 1, 2, 130
MULTIRUN_FLAGS = ("-m", "--multirun")
"""May stand anywhere on the command line; argparse wants them before or after all other words."""

Main = Callable[[DictConfig], Any]


def entry_point(config_name: str, schema: type, checks: Iterable[Check] = ()) -> Callable[[Main], Callable[[], None]]:
    """Decorate the main function of a command whose primary configuration is configs/`config_name`.yaml."""

    def decorate(function: Main) -> Callable[[], None]:
        @functools.wraps(function)
        def main() -> None:
            sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in MULTIRUN_FLAGS)
            arguments = get_args_parser().parse_args()
            runs = not (arguments.help or arguments.hydra_help or arguments.cfg or arguments.info)
            if runs and not arguments.shell_completion:
                problems = validate(config_name, arguments.overrides, schema, tuple(checks), arguments.multirun)
                if problems:
                    stop(report(problems), BAD_CONFIGURATION)
            run_with_hydra(function, config_name)

        return main

    return decorate


def configuration_directory() -> Path:
    """The folder configs/: beside the entry points in a checkout, inside the package when installed."""
    package = Path(mlrim.__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def validate(
    config_name: str, overrides: Sequence[str], schema: type, checks: Iterable[Check] = (), multirun: bool = False
) -> list[Problem]:
    """All problems of a command line; of a multirun, its first combination is looked at."""
    directory = configuration_directory()
    if multirun:
        overrides = [without_sweep(override) for override in overrides]
    problems: list[Problem] = []
    with initialize_config_dir(str(directory), version_base="1.3", job_name=config_name):
        try:
            config = compose(config_name, overrides=list(overrides), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as failure:
            problems, good = override_problems(config_name, overrides, failure)
            try:
                config = compose(config_name, overrides=good, return_hydra_config=True)
            except (HydraException, OmegaConfBaseException):
                return problems
    with open_dict(config):
        config.hydra.mode = RunMode.MULTIRUN if multirun else RunMode.RUN
        config.hydra.runtime.output_dir = "outputs"  # Hydra makes the folder later
    HydraConfig.instance().set_config(config)
    choices = dict(config.hydra.runtime.choices)
    problems += unresolved(config) or configuration_problems(plain(config), schema, checks)
    return with_sources(problems, directory, config_name, choices, overrides)


def without_sweep(override: str) -> str:
    """The first of several values that an override of a multirun lists."""
    parsed_override = parsed(override)
    if parsed_override is None or not parsed_override.is_discrete_sweep():
        return override
    return f"{parsed_override.get_key_element()}={next(parsed_override.sweep_string_iterator())}"


def unresolved(config: DictConfig) -> list[Problem]:
    """Problems of interpolations such as ${cutof} that point nowhere."""
    problems: dict[str, Problem] = {}
    for key in own_keys(config):
        try:
            resolved(config, key)
        except OmegaConfBaseException as error:
            location = str(error.full_key or key)
            problems[location] = Problem(location, str(error).splitlines()[0])
    return list(problems.values())


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as dictionaries and lists, without Hydra's own part."""
    return {key: resolved(config, key) for key in own_keys(config)}


def resolved(config: DictConfig, key: str) -> Any:
    """One top-level entry as plain data; a mandatory value that is not given stays "???"."""
    if OmegaConf.is_missing(config, key):
        return "???"
    node = config[key]
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def own_keys(config: DictConfig) -> list[str]:
    """The top-level keys, without Hydra's own part."""
    return [str(key) for key in config if key != "hydra"]


def run_with_hydra(function: Main, config_name: str) -> None:
    """Hand over to Hydra: it makes the run folder, sets up logging and calls `function`, once or many times."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would otherwise print in its own way
    register_plugins()

    def guarded(config: DictConfig) -> Any:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return function(config)
        try:
            return speaking_plainly(lambda: function(config))
        except SystemExit:
            remove_unused_run(HydraConfig.get().runtime.output_dir)
            raise

    decorated = hydra.main(str(configuration_directory()), config_name, version_base="1.3")(guarded)
    speaking_plainly(decorated)


def register_plugins() -> None:
    """Make our sweeper known to Hydra, which looks for plug-ins in installed packages only."""
    from hydra.core.plugins import Plugins

    from hydra_plugins.mlrim_study import StudySweeper

    Plugins.instance().register(StudySweeper)


def speaking_plainly(action: Callable[[], Any]) -> Any:
    """Run `action`; a user's mistake ends the program with its message and without a traceback."""
    try:
        return action()
    except UserError as error:
        if os.environ.get("MLRIM_DEBUG") == "1":
            raise
        stop(str(error), BAD_INPUT)
    except (HydraException, OmegaConfBaseException) as error:
        if isinstance(error.__cause__, UserError):
            stop(str(error.__cause__), BAD_INPUT)
        if type(error.__cause__).__name__ == "MisconfigurationException":  # Lightning's own, too slow to import here
            stop(f"The trainer cannot be made: {error.__cause__} See configs/trainer.", BAD_CONFIGURATION)
        raise
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f" {error.filename}" if error.filename else ""
        stop(f"Cannot write{where}: {error.strerror}. Free some space or choose another output folder.", BAD_INPUT)
    except KeyboardInterrupt as interruption:
        stop(f"Interrupted. {interruption}".strip(), INTERRUPTED)


def stop(message: str, status: int) -> None:
    """Print `message` to standard error and end the program with `status`."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
