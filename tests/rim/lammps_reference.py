"""Makes data/lammps_reference.json: energies, forces and Hessians of rigid-ion crystals from LAMMPS.

    python -m tests.rim.lammps_reference --lmp /usr/bin/lmp

Made with the Debian package `lammps` (20220106). Choices that bring LAMMPS to double precision:

* Its real-space Coulomb term uses a polynomial for erfc that is good to 1e-7 only. The Ewald parameter is therefore so
  large that this term vanishes (erfc(2.6 · 1.9) < 1e-11) and the reciprocal sum carries everything.
* Its constant e²/(4πε₀) is 14.399645 eV Å instead of CODATA's 14.3996454784: charges are scaled by the root of the
  ratio.
* The Hessian is a five-point difference of forces (steps 0.002 and 0.004 Å, error of fourth order), because the Debian
  package lacks `dynamical_matrix`.
* Pair potentials are truncated near 9 Å, at a distance that no pair crosses, without a shift, as our models do with
  `switch_width=0`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.rim.library import LIBRARY, PotentialSet
from mlrim.rim.pair_potentials import Buckingham
from mlrim.units import COULOMB_EV_ANGSTROM
from tests.rim.crystals import fluorite, low_symmetry, rocksalt

REFERENCE = Path(__file__).parent / "data" / "lammps_reference.json"
LAMMPS_COULOMB = 14.399645
STEP = 0.002
EWALD_PARAMETER = 2.6


def conventional(crystal: Crystal, seed: int) -> Crystal:
    """The cubic cell of a face-centred crystal, atoms displaced at random by 0.05 Å."""
    matrix = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    cell = Supercell(crystal, matrix).to_crystal()
    noise = np.random.default_rng(seed).normal(scale=0.05, size=cell.positions.shape)
    return Crystal(np.abs(np.round(cell.lattice, 12)), cell.positions + noise, cell.numbers)


CASES = {
    "NaCl": ("fumi_tosi", lambda: conventional(rocksalt("NaCl", 5.62), 1)),
    "MgO": ("lewis_catlow", lambda: conventional(rocksalt("MgO", 4.21), 2)),
    "CaF2": ("catlow_fluorite", lambda: conventional(fluorite(5.49), 3)),
    "triclinic MgO": ("ball_grimes", low_symmetry),
}


def pair_lines(entry: PotentialSet, symbols: list[str]) -> list[str]:
    """Pair coefficients of style born/coul/long: A, ρ, σ = 0, C, and D with the opposite sign."""
    lines = []
    for low in range(len(symbols)):
        for high in range(low, len(symbols)):
            first, second = symbols[low], symbols[high]
            potential = entry.pairs.get((first, second)) or entry.pairs.get((second, first)) or Buckingham(0.0, 1.0)
            lines.append(
                f"pair_coeff {low + 1} {high + 1} {potential.amplitude!r} {potential.rho!r} 0.0 "
                f"{potential.dispersion6!r} {-potential.dispersion8!r}"
            )
    return lines


def data_file(crystal: Crystal, entry: PotentialSet) -> str:
    """LAMMPS data of style charge."""
    symbols = list(dict.fromkeys(crystal.symbols))
    scale = np.sqrt(COULOMB_EV_ANGSTROM / LAMMPS_COULOMB)
    lattice = crystal.lattice
    lines = ["", f"{crystal.n_atoms} atoms", f"{len(symbols)} atom types"]
    lines += [f"0.0 {float(lattice[k, k])!r} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    lines += [f"{float(lattice[1, 0])!r} {float(lattice[2, 0])!r} {float(lattice[2, 1])!r} xy xz yz", "", "Masses", ""]
    lines += [f"{index + 1} {float(crystal.masses[crystal.symbols.index(s)])!r}" for index, s in enumerate(symbols)]
    lines += ["", "Atoms # charge", ""]
    for index, (symbol, position) in enumerate(zip(crystal.symbols, crystal.positions, strict=True)):
        x, y, z = (float(value) for value in position)
        lines.append(
            f"{index + 1} {symbols.index(symbol) + 1} {float(entry.charges[symbol] * scale)!r} {x!r} {y!r} {z!r}"
        )
    return "\n".join(lines) + "\n"


def header(crystal: Crystal, entry: PotentialSet, gewald: float, cutoff: float) -> list[str]:
    """Everything before the first run; the reciprocal sum is cut where its terms are 1e-16."""
    reach = 2 * gewald * 6.2
    kmax = [int(np.ceil(reach * np.linalg.norm(row) / (2 * np.pi))) for row in crystal.lattice]
    symbols = list(dict.fromkeys(crystal.symbols))
    return [
        "units metal",
        "atom_style charge",
        "atom_modify map array sort 0 0",
        "box tilt large",
        "read_data crystal.data",
        f"pair_style born/coul/long {cutoff} 4.0",
        *pair_lines(entry, symbols),
        "pair_modify table 0 shift no",
        "kspace_style ewald 1e-12",
        f"kspace_modify gewald {gewald} kmax/ewald {kmax[0]} {kmax[1]} {kmax[2]}",
        "neighbor 0.5 bin",
        "thermo_style custom step pe",
        "thermo_modify format float %.17g",
    ]


def run(lmp: str, folder: Path, lines: list[str], crystal: Crystal, entry: PotentialSet) -> str:
    """LAMMPS's standard output for these commands."""
    (folder / "crystal.data").write_text(data_file(crystal, entry))
    (folder / "in.lmp").write_text("\n".join(lines) + "\n")
    command = [lmp, "-in", "in.lmp", "-log", "log.lammps", "-screen", "none"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "log.lammps").read_text()


def read_forces(path: Path, n_atoms: int) -> np.ndarray:
    rows = np.loadtxt(path, skiprows=9).reshape(n_atoms, 4)
    return rows[np.argsort(rows[:, 0]), 1:]


def set_command(atom: int, position: dict[str, float]) -> str:
    """Put an atom in place; all coordinates, because LAMMPS wraps atoms into a tilted cell."""
    return f"set atom {atom + 1} " + " ".join(f"{axis} {value!r}" for axis, value in position.items())


def cutoff_in_a_gap(crystal: Crystal) -> float:
    """A distance near 9 Å that no pair crosses while the Hessian is made."""
    pairs = neighbour_pairs(crystal, 9.6)
    distance = np.sort(np.linalg.norm(pair_vectors(crystal, pairs), axis=1))
    distance = distance[distance > 8.4]
    widest = int(np.argmax(np.diff(distance)))
    assert distance[widest + 1] - distance[widest] > 6 * STEP
    return round(float(distance[widest] + distance[widest + 1]) / 2, 6)


def reference(lmp: str, crystal: Crystal, entry: PotentialSet) -> dict:
    """Energy (eV), forces (eV/Å) and Hessian (eV/Å²) of one crystal."""
    cutoff = cutoff_in_a_gap(crystal)
    dump = 'write_dump all custom {name} id fx fy fz modify sort id format float "%.17g"'
    lines = [*header(crystal, entry, EWALD_PARAMETER, cutoff), "run 0", dump.format(name="f.dump")]
    for atom in range(crystal.n_atoms):
        here = dict(zip("xyz", crystal.positions[atom].tolist(), strict=True))
        for axis, letter in enumerate("xyz"):
            for multiple in (-2, -1, 1, 2):
                value = here[letter] + multiple * STEP
                moved = here | {letter: value}
                lines += [set_command(atom, moved), "run 0 post no"]
                lines += [dump.format(name=f"f_{atom}_{axis}_{multiple}.dump")]
        lines += [set_command(atom, here)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = run(lmp, folder, lines, crystal, entry)
        rows = log.splitlines()
        energy = float(rows[next(k for k, row in enumerate(rows) if "PotEng" in row) + 1].split()[1])
        forces = read_forces(folder / "f.dump", crystal.n_atoms)
        hessian = np.zeros((crystal.n_atoms, 3, crystal.n_atoms, 3))
        for atom in range(crystal.n_atoms):
            for axis in range(3):
                f = {m: read_forces(folder / f"f_{atom}_{axis}_{m}.dump", crystal.n_atoms) for m in (-2, -1, 1, 2)}
                hessian[atom, axis] = -(8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * STEP)
    return {"cutoff": cutoff, "energy": energy, "forces": forces.tolist(), "hessian": np.round(hessian, 9).tolist()}


def main() -> None:
    """Write the reference for all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lmp", default="lmp", help="the LAMMPS executable")
    arguments = parser.parse_args()
    cases = {}
    for name, (parameters, make) in CASES.items():
        crystal = make()
        cases[name] = {
            "parameters": parameters,
            "lattice": crystal.lattice.tolist(),
            "positions": crystal.positions.tolist(),
            "numbers": crystal.numbers.tolist(),
            **reference(arguments.lmp, crystal, LIBRARY[parameters]),
        }
    version = subprocess.run([arguments.lmp, "-h"], check=True, capture_output=True, text=True).stdout
    line = next(row for row in version.splitlines() if "Massively Parallel" in row)
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(json.dumps({"lammps": line.strip(), "cases": cases}))


if __name__ == "__main__":
    main()
