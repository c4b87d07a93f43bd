"""Mistakes in a configuration: one value per mistake, one message for all of them."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_LISTED = 24


@dataclass(frozen=True)
class Problem:
    """One mistake: the dotted key, what is wrong there, what is allowed, and where the value was set."""

    location: str
    message: str
    allowed: str = ""
    source: str = ""


def report(problems: Sequence[Problem]) -> str:
    """The one message that a user reads for all `problems`."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"The configuration has {count}; nothing was run.", ""]
    for number, problem in enumerate(problems, start=1):
        lines.append(f"{number}. {problem.location}: {problem.message}")
        if problem.allowed:
            lines.append(f"   allowed: {problem.allowed}")
        if problem.source:
            lines.append(f"   set in:  {problem.source}")
    return "\n".join(lines)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A question naming the closest of `candidates`, with a leading space; empty when nothing is close."""
    candidates = list(candidates)
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if not close:
        last_parts = {candidate.rsplit(".", 1)[-1]: candidate for candidate in reversed(candidates)}
        matched = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(last_parts), n=1, cutoff=0.7)
        close = [last_parts[matched[0]]] if matched else []
    return f' Did you mean "{close[0]}"?' if close else ""


def listed(names: Iterable[str]) -> str:
    """`names` sorted and joined by commas, shortened when there are very many."""
    names = sorted(names)
    shown = ", ".join(names[:MAX_LISTED])
    return shown if len(names) <= MAX_LISTED else f"{shown}, … ({len(names)} in all)"
