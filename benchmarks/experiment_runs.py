"""The runs of an experiment in one JSON file, so that a stopped experiment goes on where it was."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = Mapping[str, Any]
"""What distinguishes a run."""


@dataclass
class ExperimentRuns:
    """What was measured, run by run.

    Attributes:
        path: of the JSON file.
        settings: what all runs have in common; a file with other settings is started anew.
    """

    path: Path
    settings: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.path.is_file():
            stored = json.loads(self.path.read_text())
            if stored["settings"] == json.loads(json.dumps(self.settings)):
                self.rows = stored["runs"]

    def run(self, keys: Iterable[Key], measure: Callable[..., Mapping[str, Any]], minutes: float | None = None) -> bool:
        """Measure what is missing and write it down run by run; whether all is there.

        Args:
            minutes: no run is started after so long.
        """
        start = time.monotonic()
        for key in keys:
            if self.found(key) is not None:
                continue
            if minutes is not None and time.monotonic() - start > 60 * minutes:
                return False
            self.rows.append({**key, **measure(**key)})
            self.write()
            shown = {name: value for name, value in self.rows[-1].items() if not isinstance(value, list)}
            print("  ".join(f"{name} {_shown(value)}" for name, value in shown.items()), flush=True)
        return True

    def found(self, key: Key) -> dict[str, Any] | None:
        """The run of a key, where there is one."""
        return next((row for row in self.rows if all(row[name] == value for name, value in key.items())), None)

    def write(self) -> None:
        """Replace the file at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"settings": self.settings, "runs": self.rows}, indent=1, ensure_ascii=False))
        part.replace(self.path)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
