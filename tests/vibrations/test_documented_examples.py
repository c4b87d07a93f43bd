"""The Python examples in the pages on symmetry and neutrons run and print what the pages say."""

import re

import pytest


@pytest.mark.parametrize("page", ["symmetry", "neutrons"])
def test_examples_run_and_print_what_their_comments_say(page, repository, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    text = (repository / "docs" / f"{page}.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(examples) >= 3
    exec(compile("\n".join(examples), f"docs/{page}.md", "exec"), {})
    printed = capsys.readouterr().out
    for expected in re.findall(r"^print\(.*?\)  # (.*)$", "\n".join(examples), flags=re.MULTILINE):
        assert expected in printed
    assert printed.count("\n") >= 5
