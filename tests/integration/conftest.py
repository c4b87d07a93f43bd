"""Running the entry points inside the test process."""

import runpy
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Finished(NamedTuple):
    """A command that has ended."""

    status: int
    output: str
    errors: str


@pytest.fixture
def finished(repository, monkeypatch, capsys) -> Callable[..., Finished]:
    """Runs an entry point with its arguments."""

    def command(script: str, *arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        try:
            runpy.run_path(str(repository / script), run_name="__main__")
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return Finished(status, captured.out, captured.err)

    return command


@pytest.fixture
def run(finished) -> Callable[..., tuple[int, str]]:
    """The same; exit status and what was printed as an error."""

    def command(script: str, *arguments: object) -> tuple[int, str]:
        ended = finished(script, *arguments)
        return ended.status, ended.errors

    return command
