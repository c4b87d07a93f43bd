"""Labels of silicon from LAMMPS that the experiment on data efficiency trains on, stored in benchmarks/data.

    python -m benchmarks.silicon_labels [lmp=lmp] [configurations=64] [noise=0.05]

Energies and forces of 1×1×1, 2×2×2 and 3×3×3 primitive cells (2, 16 and 54 atoms) with atoms displaced at random, the
Hessians of the displaced 1×1×1 cells, and the force constants of the perfect crystal: in the 3×3×3 cell, which are
labels, and in the 4×4×4 cell, which are the truth at any wave vector (the potential couples atoms within 7.6 Å at most,
and in the perfect crystal only within 4.6 Å).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from benchmarks.lammps_silicon import Lammps, evaluate, find_lammps, hessian, hessians, silicon
from datamodules.options import run_command
from mlrim.configuration import Above, AtLeast
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell

STORED = Path(__file__).parent / "data" / "silicon_stillinger_weber.npz"
SIZES = (1, 2, 3)
LABEL_SUPERCELL, EXACT_SUPERCELL = 3, 4


@dataclass
class Options:
    """How many labels, of which displacements."""

    lmp: str = "lmp"
    configurations: Annotated[int, AtLeast(1)] = 64
    noise: Annotated[float, Above(0)] = 0.05
    """Å, standard deviation of every component."""
    out: Path = STORED


class Displaced(NamedTuple):
    """Labelled configurations of one supercell; their order is random, so that any first few are a sample."""

    positions: Float[ndarray, "configurations atoms 3"]
    """Å"""
    energies: Float[ndarray, "configurations"]
    """eV"""
    forces: Float[ndarray, "configurations atoms 3"]
    """eV/Å"""


class SiliconLabels(NamedTuple):
    """Everything LAMMPS said of silicon."""

    displaced: dict[int, Displaced]
    """By the size of the supercell."""
    hessians: Float[ndarray, "configurations 6 6"]
    """Of the displaced 1×1×1 cells as the periodic cells they are, eV/Å²."""
    energy: float
    """Of the perfect primitive cell, eV."""
    label_force_constants: Float[ndarray, "2 _ 3 3"]
    """Of the perfect crystal in the 3×3×3 cell, compact, eV/Å²."""
    exact_force_constants: Float[ndarray, "2 _ 3 3"]
    """The same in the 4×4×4 cell."""


def repeated(size: int) -> Supercell:
    """size³ primitive cells."""
    return Supercell(silicon(), size * np.eye(3, dtype=int))


def make_labels(lammps: Lammps, configurations: int, noise: float) -> SiliconLabels:
    """Ask LAMMPS."""
    displaced = {size: _displaced(lammps, size, configurations, noise) for size in SIZES}
    small = [_with(silicon(), positions) for positions in displaced[1].positions]
    (perfect,) = evaluate(lammps, [silicon()])
    return SiliconLabels(
        displaced,
        np.array(hessians(lammps, small)),
        perfect.energy,
        force_constants(lammps, repeated(LABEL_SUPERCELL)),
        force_constants(lammps, repeated(EXACT_SUPERCELL)),
    )


def force_constants(lammps: Lammps, supercell: Supercell) -> Float[ndarray, "home images 3 3"]:
    """Compact force constants of the perfect crystal in a supercell, eV/Å²."""
    home = np.arange(supercell.crystal.n_atoms) * supercell.n_cells
    rows = hessian(lammps, supercell.to_crystal(), home.tolist())
    return rows.reshape(len(home), 3, supercell.n_atoms, 3).transpose(0, 2, 1, 3)


def _displaced(lammps: Lammps, size: int, configurations: int, noise: float) -> Displaced:
    cell = repeated(size).to_crystal()
    steps = noise * np.random.default_rng(size).normal(size=(configurations, *cell.positions.shape))
    crystals = [_with(cell, cell.positions + step) for step in steps]
    answers = evaluate(lammps, crystals)
    return Displaced(
        np.array([crystal.positions for crystal in crystals]),
        np.array([answer.energy for answer in answers]),
        np.array([answer.forces for answer in answers]),
    )


def _with(crystal: Crystal, positions: Float[ndarray, "atoms 3"]) -> Crystal:
    return Crystal(crystal.lattice, positions, crystal.numbers, crystal.masses)


def save_labels(labels: SiliconLabels, path: Path) -> None:
    """As one compressed file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{name}_{size}": array for size, part in labels.displaced.items() for name, array in _named(part)}
    others = {name: value for name, value in _named(labels) if name != "displaced"}
    np.savez_compressed(path, **arrays, **others)


def load_labels(path: Path = STORED) -> SiliconLabels:
    """Raises UserError when there is no such file."""
    if not path.is_file():
        raise UserError(f"{path} is not there; python -m benchmarks.silicon_labels makes it with LAMMPS")
    with np.load(path) as stored:
        arrays = dict(stored)
    return SiliconLabels(
        {size: Displaced(*(arrays[f"{name}_{size}"] for name in Displaced._fields)) for size in SIZES},
        arrays["hessians"],
        float(arrays["energy"]),
        arrays["label_force_constants"],
        arrays["exact_force_constants"],
    )


def _named(values: Displaced | SiliconLabels) -> list[tuple[str, ndarray]]:
    return list(values._asdict().items())


def run(options: Options) -> None:
    """Make the labels and store them."""
    save_labels(make_labels(find_lammps(options.lmp), options.configurations, options.noise), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    run_command("benchmarks.silicon_labels", Options, run)
