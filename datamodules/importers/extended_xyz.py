"""Extended XYZ files, one configuration per frame, read by ASE.

Labels are found by their names: with the prefix that the user gives, else those that begin with REF_ or DFT_, else
those without; prefixes are not mixed, so that all labels are from one calculation. Units are ASE's: eV, Å, stress in
eV/Å³ and positive under tension, virial = −volume · stress in eV. A frame that cannot be read is rejected by itself.
"""

import bz2
import gzip
import io
import lzma
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray

from datamodules.configurations import LABELS, Configuration, composition
from datamodules.extended_xyz import COLUMNS, POLARIZABILITY, TEXTS
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput, relative_name
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal

ENDINGS = (".xyz", ".extxyz")
OPENERS: dict[str, Callable[[Path], Any]] = {
    ".xz": lzma.open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
    "": lambda path: path.open("rb"),
}
PREFIXES = ("ref_", "dft_", "")
NAMES = {
    "energy": ("free_energy", "energy", "total_energy", "potential_energy"),
    "forces": ("forces", "force"),
    "stress": ("stress",),
    "virial": ("virial", "virials"),
}
"""Names of what may have a prefix, best first; the free energy is what forces are the derivatives of."""
MOST_ASYMMETRIC = 1e-3
"""Largest antisymmetric part of a stress or Hessian, relative to its largest component, that counts as rounding."""
SEPARATOR = ":"
NOT_STATED = "not stated"


def find_frames(path: Path | None) -> list[Input]:
    """The frames of a file, or of all *.xyz and *.extxyz files (also .xz, .gz, .bz2) of a folder.

    Raises:
        UserError: there are no such files, or a file that cannot be read.
    """
    assert path is not None
    files = sorted(file for file in path.rglob("*") if _is_xyz(file)) if path.is_dir() else [path]
    inputs = [
        Input(f"{relative_name(file, path)}{SEPARATOR}{number:06d}", file)
        for file in files
        for number in range(len(_frames_of(file)))
    ]
    if not inputs:
        raise UserError(f"there are no frames in *.xyz or *.extxyz files at {path}")
    return inputs


def read_frame(source: Input, options: ImportOptions) -> Configuration:
    """The configuration of one frame.

    Raises:
        RejectedInput: a frame that cannot be read, has no label, or is periodic in one or two directions.
    """
    atoms = _parsed(_text(source))
    if not len(atoms) or (atoms.numbers == 0).any():
        raise RejectedInput("there are atoms of no element (X) in it" if len(atoms) else "there are no atoms in it")
    values = _values(atoms)
    labels = _labels(values, atoms, options.prefix)
    if not labels:
        raise RejectedInput(f"it has no energy, forces or other labels; there are {', '.join(values) or 'no values'}")
    file, _, number = source.name.rpartition(SEPARATOR)
    texts = {name: str(values.pop(name)) for name in TEXTS if name in values}
    details = {
        name: value if isinstance(value, str) else float(value)
        for name, value in values.items()
        if isinstance(value, str | int | float | np.number) and not _is_label(name)
    }
    formula = composition(atoms.numbers)
    periodic = bool(atoms.pbc.any())
    return Configuration(
        id=texts.get("id", f"{file}-{number}"),
        group=texts.get("group", _reduced(atoms) if periodic else formula),
        source=texts.get("source", file),
        theory=texts.get("theory", NOT_STATED),
        licence=texts.get("licence", NOT_STATED),
        formula=formula,
        numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions,
        masses=atoms.get_masses(),
        lattice=atoms.cell.array if periodic else None,
        details=details,
        **labels,
    )


def _labels(values: dict[str, Any], atoms: Atoms, prefix: str | None) -> dict[str, Any]:
    """The labels of a frame in the units of `Configuration`."""
    stated = _with_prefix(values, prefix)
    periodic = _periodic_cell(atoms)
    found: dict[str, Any] = {}
    if "energy" in stated:
        found["energy"] = float(_numbers("energy", stated["energy"], ()))
    if "forces" in stated:
        found["forces"] = _numbers("forces", stated["forces"], (len(atoms), 3))
    if periodic and (stress := _stress(stated, atoms.get_volume())) is not None:
        found["stress"] = stress
    for name, shape in _columns(len(atoms)).items():
        if name in values:
            found[name] = _numbers(name, values[name], None).reshape(shape)
    if "hessian" in found:
        found["hessian"] = _symmetric("hessian", found["hessian"])
    if "dipole" in values and not periodic:
        found["dipole"] = _numbers("dipole", values["dipole"], (3,))
    if POLARIZABILITY in values:
        found["polarizability"] = _numbers(POLARIZABILITY, values[POLARIZABILITY], (3, 3))
    return found


def _columns(atoms: int) -> dict[str, tuple[int, ...]]:
    shapes = ((3 * atoms, 3 * atoms), (atoms, 3, 3), (atoms, 3, 3, 3))
    return dict(zip(COLUMNS, shapes, strict=True))


def _with_prefix(values: dict[str, Any], prefix: str | None) -> dict[str, Any]:
    """Energy, forces, stress and virial under the first prefix of which there is any of them."""
    lower = {name.lower(): value for name, value in values.items()}
    for start in PREFIXES if prefix is None else (prefix.lower(),):
        found: dict[str, Any] = {}
        for quantity, names in NAMES.items():
            present = [name for name in names if start + name in lower]
            if present:
                found[quantity] = lower[start + present[0]]
        if found:
            return found
    return {}


def _is_label(name: str) -> bool:
    endings = (*(name for names in NAMES.values() for name in names), *LABELS)
    return any(name.lower().endswith(ending) for ending in endings)


def _stress(stated: dict[str, Any], volume: float) -> Float[ndarray, "3 3"] | None:
    """Stress from itself or from the virial; raises RejectedInput where both are given and differ."""
    stress = _tensor("stress", stated["stress"]) if "stress" in stated else None
    virial = -_tensor("virial", stated["virial"]) / volume if "virial" in stated else None
    if stress is not None and virial is not None:
        difference = np.abs(stress - virial).max()
        if difference > MOST_ASYMMETRIC * max(np.abs(stress).max(), np.abs(virial).max()):
            raise RejectedInput(
                f"stress and −virial/volume differ by {difference:.2g} eV/Å³: one of them has another sign or unit "
                "(stress in eV/Å³, positive under tension; virial in eV)"
            )
    return virial if stress is None else stress


def _tensor(name: str, value: Any) -> Float[ndarray, "3 3"]:
    """A symmetric tensor of nine numbers, or of six in Voigt's order xx yy zz yz xz xy."""
    numbers = _numbers(name, value, None)
    if numbers.size == 6:
        return voigt_6_to_full_3x3_stress(numbers.ravel())
    if numbers.size != 9:
        raise RejectedInput(f"{name} has {numbers.size} numbers; six or nine are allowed")
    return _symmetric(name, numbers.reshape(3, 3))


def _symmetric(name: str, matrix: Float[ndarray, "rows rows"]) -> Float[ndarray, "rows rows"]:
    if np.abs(matrix - matrix.T).max() > MOST_ASYMMETRIC * np.abs(matrix).max():
        raise RejectedInput(f"{name} is not symmetric")
    return (matrix + matrix.T) / 2


def _numbers(name: str, value: Any, shape: tuple[int, ...] | None) -> ndarray:
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise RejectedInput(f"{name} is no number: {value}") from error
    if shape is not None and numbers.shape != shape:
        raise RejectedInput(f"{name} has the shape {numbers.shape}, not {shape}")
    return numbers


def _periodic_cell(atoms: Atoms) -> bool:
    """Whether the frame is a crystal; raises RejectedInput for slabs and chains, and for a crystal without a cell."""
    if not atoms.pbc.any():
        return False
    if not atoms.pbc.all():
        flags = " ".join("FT"[int(flag)] for flag in atoms.pbc)
        raise RejectedInput(
            f'pbc="{flags}": slabs and chains are not supported; give pbc="T T T" with vacuum in the cell, or "F F F"'
        )
    if atoms.cell.rank < 3:
        raise RejectedInput("it is periodic and has no cell (Lattice)")
    return True


def _values(atoms: Atoms) -> dict[str, Any]:
    """Everything that the frame says of itself and its atoms, by name."""
    results = {} if atoms.calc is None else atoms.calc.results
    arrays = {name: value for name, value in atoms.arrays.items() if name not in ("numbers", "positions", "masses")}
    return {**atoms.info, **arrays, **results}


def _reduced(atoms: Atoms) -> str:
    return Crystal.from_ase(atoms).reduced_formula


def _parsed(text: str) -> Atoms:
    first = text.split("\n", 1)[0].strip()
    if not first.isdigit():
        raise RejectedInput(f"its first line is no number of atoms: '{first[:40]}'; the rest of the file is not read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (atoms,) = ase.io.iread(io.StringIO(text), index=":", format="extxyz")
            return atoms
    except Exception as error:  # ASE raises whatever its parser stumbles over
        raise RejectedInput(f"the frame cannot be read ({type(error).__name__}: {error})") from error


def _text(source: Input) -> str:
    assert source.path is not None
    frames = _frames_of(source.path)
    number = int(source.name.rpartition(SEPARATOR)[2])
    if number >= len(frames):
        raise RejectedInput(f"{source.path} has only {len(frames)} frames now")
    return frames[number]


def _fingerprint(source: Input) -> bytes:
    return _text(source).encode()


def _frames_of(path: Path) -> tuple[str, ...]:
    try:
        status = path.stat()
        return _frames(path, status.st_mtime_ns, status.st_size)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error


@lru_cache(maxsize=2)
def _frames(path: Path, changed: int, size: int) -> tuple[str, ...]:
    opener = OPENERS.get(path.suffix, OPENERS[""])
    with opener(path) as file:
        return tuple(_split(file.read().decode().splitlines()))


def _split(lines: list[str]) -> Iterator[str]:
    """The lines of every frame as one text; what follows a line that is no number of atoms is one last text."""
    start = 0
    while start < len(lines):
        count = lines[start].strip()
        if not count:
            start += 1
            continue
        stop = start + 2 + int(count) if count.isdigit() else len(lines)
        yield "\n".join(lines[start:stop]) + "\n"
        start = stop


def _is_xyz(path: Path) -> bool:
    plain = path.with_suffix("") if path.suffix in OPENERS and path.suffix else path
    return path.is_file() and plain.suffix in ENDINGS


EXTENDED_XYZ = Importer(
    "extxyz",
    "extended XYZ files (*.xyz, *.extxyz, also compressed) with energies, forces, stresses or Hessians",
    True,
    find_frames,
    read_frame,
    content="configurations",
    fingerprint=_fingerprint,
)
