"""The examples beside constants hold: doctest reads only those of functions, classes and modules."""

import ast
import doctest
import importlib
import itertools
from pathlib import Path

import pytest

import mlrim

PACKAGE = Path(mlrim.__file__).parent


def constants_with_examples():
    for path in sorted(PACKAGE.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for before, after in itertools.pairwise(body):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            if isinstance(before, ast.Assign) and isinstance(text, str) and ">>>" in text:
                module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
                yield pytest.param(module, text, id=f"{module}.{ast.unparse(before.targets[0])}")


@pytest.mark.parametrize(("module", "text"), constants_with_examples())
def test_the_examples_beside_a_constant_hold(module, text):
    names = vars(importlib.import_module(module)).copy()
    example = doctest.DocTestParser().get_doctest(text, names, module, module, 0)
    assert doctest.DocTestRunner().run(example).failed == 0
