"""The trained models that come with the package, as exported folders."""

from pathlib import Path

NAME = "mlrim"
"""What users call them: `ckpt=mlrim`."""
DIRECT = "direct"
"""What they call the one without force constants: `ckpt=direct`."""


def shipped_model(kind: str) -> Path | None:
    """The folder of the trained model of a kind (`delta`, `response`, `direct`); none in a copy without one."""
    folder = Path(__file__).parent / "pretrained" / kind
    return folder if any((folder / name).is_file() for name in ("config.json", "uncertainty.json")) else None
