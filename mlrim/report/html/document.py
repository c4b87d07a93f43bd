"""Self-contained HTML pages: style, scripts and data inside one file, which can neither load nor send anything."""

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mlrim.report.html import formats

FOLDER = Path(__file__).parent
DIGITS = 7
"""Significant digits of embedded numbers."""


def render(template: str, scripts: Sequence[str], **values: Any) -> str:
    """A page from a template of `templates/`, with the style sheet and scripts inside.

    Args:
        scripts: files of `vendor/` and `static/`, in the order in which they run.
        values: what the template shows; text is escaped by the template engine.
    """
    contents = [script_text(name) for name in scripts]
    page = environment().get_template(template)
    return page.render(
        style=Markup(asset("static/page.css")),
        scripts=[Markup(content) for content in contents],
        content_security_policy=content_security_policy(contents),
        **values,
    )


def content_security_policy(scripts: Sequence[str]) -> str:
    """What a browser lets the page do: run these scripts and show images made in the page, nothing else."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def embedded_json(value: Any, digits: int = DIGITS) -> Markup:
    """A value as JSON that can stand inside a script element; numbers that are not finite become null."""
    text = json.dumps(plain(value, digits), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)


def plain(value: Any, digits: int = DIGITS) -> Any:
    """Arrays and NumPy numbers as lists and Python numbers, rounded to significant digits.

    >>> plain({"a": np.array([1.23456789012, np.nan]), "b": (np.int64(3), "x")}, digits=4)
    {'a': [1.235, None], 'b': [3, 'x']}
    """
    if isinstance(value, dict):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits)
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return _shortest(float(f"{value:.{digits}g}")) if math.isfinite(value) else None
    return value


@cache
def environment() -> Environment:
    """The template engine, which escapes everything that is put into a page."""
    engine = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= formats.FILTERS
    return engine


@cache
def asset(name: str) -> str:
    """The text of a file beside this one."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def script_text(name: str) -> str:
    """A script as it stands in the page.

    Raises:
        ValueError: the script would end its own element.
    """
    text = asset(name)
    if "</script" in text.lower() or "\r" in text:
        raise ValueError(f"{name} cannot be put into a page")
    return text


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _shortest(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
