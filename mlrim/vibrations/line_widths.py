"""Line widths of modes: one for all, one for each, or from a file. A width is a FWHM in cm⁻¹ everywhere.

The file is text; `#` begins a comment, columns are separated by blanks or commas. One column: a width for every
optical mode, ascending in frequency. Two columns: frequency and width (both cm⁻¹), in any order of rows; modes
between the listed frequencies get interpolated widths, modes outside them the width of the nearest.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError

FORMAT = "one width per mode, or two columns: frequency and width (FWHM, cm⁻¹); '#' begins a comment"


def mode_widths(
    widths: float | Sequence[float] | ndarray | str | Path, frequencies: Float[ndarray, "modes"]
) -> Float[ndarray, "modes"]:
    """FWHM of every mode (cm⁻¹) from a number, a list with one value per mode, or the path of a file.

    Raises:
        UserError: the file or the list does not fit the modes, or holds what cannot be a width.
    """
    if isinstance(widths, str | Path):
        return _from_file(Path(widths), frequencies)
    values = np.asarray(widths, dtype=float)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != len(frequencies)):
        raise UserError(
            f"{values.size} line widths for {len(frequencies)} optical modes; give one number for all, or one for each"
        )
    _check(values, "line widths")
    return np.broadcast_to(values, frequencies.shape).copy()


def _from_file(path: Path, frequencies: Float[ndarray, "modes"]) -> Float[ndarray, "modes"]:
    table = _read(path)
    if table.shape[1] == 1 and len(table) != len(frequencies):
        raise UserError(
            f"width file '{path}' has {len(table)} widths, but the structure has {len(frequencies)} optical modes; "
            "give one width per mode (ascending in frequency), or two columns: frequency and width"
        )
    _check(table[:, -1], f"width file '{path}'")
    if table.shape[1] == 1:
        values = np.empty(len(frequencies))
        values[np.argsort(frequencies, kind="stable")] = table[:, 0]
        return values
    listed, inverse = np.unique(table[:, 0], return_inverse=True)
    means = np.bincount(inverse, table[:, 1]) / np.bincount(inverse)
    return np.interp(frequencies, listed, means)


def _read(path: Path) -> Float[ndarray, "rows columns"]:
    if not path.is_file():
        raise UserError(f"width file '{path}' does not exist; give the path of a text file: {FORMAT}")
    rows: list[list[float]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"width file '{path}' is not a text file; expected: {FORMAT}") from error
    for number, line in enumerate(lines, start=1):
        columns = line.split("#")[0].replace(",", " ").split()
        try:
            row = [float(column) for column in columns]
        except ValueError as error:
            raise UserError(f"width file '{path}', line {number}: '{line.strip()}' is not numbers; {FORMAT}") from error
        if row and (len(row) > 2 or len(row) != len(rows[0] if rows else row)):
            raise UserError(f"width file '{path}', line {number}: {len(row)} columns; expected: {FORMAT}")
        rows += [row] if row else []
    if not rows:
        raise UserError(f"width file '{path}' holds no numbers; expected: {FORMAT}")
    return np.array(rows)


def _check(values: Float[ndarray, "*widths"], where: str) -> None:
    wrong = values[~((values > 0) & np.isfinite(values))]
    if wrong.size:
        raise UserError(f"{where}: a width must be a positive number (FWHM, cm⁻¹), got {wrong.flat[0]:g}")
