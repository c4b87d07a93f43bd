"""Make a folder to publish from a checkpoint: `python -m mlrim.export RUN/checkpoints/best.ckpt FOLDER [--half]`.

The folder holds `model.safetensors` and `config.json`; predict.py and training take it wherever they take a checkpoint.
"""

import argparse
import sys

from mlrim.checkpoint import export_model, load_model
from mlrim.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, write the folder, say where it is; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mlrim.export", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a file *.ckpt that train.py wrote, or an exported folder")
    parser.add_argument("folder", help="the folder to make")
    parser.add_argument("--half", action="store_true", help="half-precision weights: half the size")
    given = parser.parse_args(arguments)
    try:
        folder = export_model(load_model(given.checkpoint), given.folder, given.half)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
