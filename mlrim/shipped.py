"""The trained models that come with the package, as exported folders."""

from pathlib import Path

NAME = "mlrim"
"""What users call them: `ckpt=mlrim`."""


def shipped_model(kind: str) -> Path | None:
    """The folder of the trained model of a kind (`delta`, `response`); none in a copy without one."""
    folder = Path(__file__).parent / "pretrained" / kind
    return folder if (folder / "config.json").is_file() else None
