"""The examples of the documentation print what the pages say."""

import re
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["potentials_in_use.md", "direct.md"])
def test_the_example_runs(repository: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    page = (repository / "docs" / name).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, f"docs/{name}", "exec"), {})
    assert capsys.readouterr().out == printed
