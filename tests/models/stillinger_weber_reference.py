"""Makes data/stillinger_weber.json: energies, forces and Hessians of silicon from LAMMPS, with its own parameters.

    python -m tests.models.stillinger_weber_reference --lmp /usr/bin/lmp

Made with the Debian package `lammps` (29 Sep 2021). Atoms are displaced at random; Hessians are five-point differences
of forces.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.lammps_silicon import evaluate, find_lammps, hessian, silicon
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell

REFERENCE = Path(__file__).parent / "data" / "stillinger_weber.json"


def displaced(repeats: int, noise: float, seed: int) -> Crystal:
    """Repeated primitive cells, slightly sheared and stretched too, atoms displaced."""
    random = np.random.default_rng(seed)
    crystal = Supercell(silicon(), repeats * np.eye(3, dtype=int)).to_crystal()
    strain = np.eye(3) + np.tril(0.02 * random.normal(size=(3, 3)))
    positions = crystal.positions @ strain + noise * random.normal(size=crystal.positions.shape)
    return Crystal(crystal.lattice @ strain, positions, crystal.numbers)


CASES = {
    "primitive cell": lambda: silicon(5.4),
    "two atoms": lambda: displaced(1, 0.15, 1),
    "sixteen atoms": lambda: displaced(2, 0.15, 2),
}


def main() -> None:
    """Write the reference for all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lmp", default="lmp", help="the LAMMPS executable")
    lammps = find_lammps(parser.parse_args().lmp)
    cases = {}
    for name, make in CASES.items():
        crystal = make()
        (answer,) = evaluate(lammps, [crystal])
        cases[name] = {
            "lattice": crystal.lattice.tolist(),
            "positions": crystal.positions.tolist(),
            "energy": answer.energy,
            "forces": answer.forces.tolist(),
            "hessian": np.round(hessian(lammps, crystal), 9).tolist(),
        }
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(json.dumps({"lammps": lammps.version(), "cases": cases}))


if __name__ == "__main__":
    main()
