"""The example of docs/molecules.md prints what the page says."""

import re


def test_the_example_prints_what_the_page_says(repository, capsys):
    page = (repository / "docs" / "molecules.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "docs/molecules.md", "exec"), {})
    assert capsys.readouterr().out == printed
