"""The example and the table of docs/derivatives.md say what the code says."""

import re

import pytest

from mlrim.derivatives.capabilities import capability_table


@pytest.fixture
def page(repository):
    return (repository / "docs" / "derivatives.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_says(page, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "docs/derivatives.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_table_lists_what_models_declare(page):
    import mlrim.models.stillinger_weber  # noqa: F401  (enters the table)

    listed = {line for line in capability_table().splitlines() if line.startswith(("| model", "| `"))}
    shown = {
        line for line in page.splitlines() if line.startswith(("| model", "| `delta`", "| `response`", "| `still"))
    }
    assert len(shown) == 4
    assert shown <= listed
