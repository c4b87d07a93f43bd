"""The example of docs/potentials_in_use.md prints what the page says."""

import re


def test_the_example_runs(repository, capsys):
    page = (repository / "docs" / "potentials_in_use.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "docs/potentials_in_use.md", "exec"), {})
    assert capsys.readouterr().out == printed
