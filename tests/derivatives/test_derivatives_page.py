"""The examples and the table of the pages on derivatives and potentials say what the code says."""

import re

import pytest

from mlrim.derivatives.capabilities import capability_table


@pytest.fixture
def page(repository):
    return (repository / "docs" / "derivatives.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["derivatives.md", "potentials.md"])
def test_the_example_prints_what_the_page_says(repository, name, capsys):
    page = (repository / "docs" / name).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, name, "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_table_lists_what_models_declare(page):
    import mlrim.models.cartesian_potential
    import mlrim.models.potential
    import mlrim.models.stillinger_weber  # noqa: F401  (they enter the table)

    listed = {line for line in capability_table().splitlines() if line.startswith(("| model", "| `"))}
    names = ("delta", "response", "stillinger_weber", "potential", "cartesian_potential")
    shown = {line for line in page.splitlines() if line.startswith(("| model", *(f"| `{name}`" for name in names)))}
    assert len(shown) == 1 + len(names)
    assert shown <= listed
