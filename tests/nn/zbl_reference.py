"""Makes data/zbl_reference.json: screened repulsion of pairs of nuclei from LAMMPS's pair style zbl.

    python -m tests.nn.zbl_reference --lmp /usr/bin/lmp

Made with the Debian package `lammps` (20220106). Its constants e²/(4πε₀) = 14.399645 eV Å and 0.46850 Å (0.88534 Bohr
radii) are rounded; they are stored beside its numbers. Its own fading begins far behind the last distance.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

REFERENCE = Path(__file__).parent / "data" / "zbl_reference.json"
COULOMB, LENGTH = 14.399645, 0.46850
PAIRS = [(1, 1), (1, 8), (14, 14), (12, 8), (79, 6), (92, 92)]
DISTANCES = [0.05, 0.2, 0.5, 0.8, 1.1, 1.4, 1.8, 2.3]


def energy_and_force(lmp: str, first: int, second: int, distance: float) -> tuple[float, float]:
    """Of two nuclei: eV, and eV/Å that pushes them apart."""
    commands = [
        "units metal", "atom_style atomic", "boundary f f f", "region box block -40 40 -40 40 -40 40",
        "create_box 2 box", "create_atoms 1 single 0 0 0", f"create_atoms 2 single {distance!r} 0 0", "mass * 1.0",
        "pair_style zbl 20.0 21.0", f"pair_coeff 1 1 {first} {first}", f"pair_coeff 2 2 {second} {second}",
        f"pair_coeff 1 2 {first} {second}", "thermo_style custom step pe", "thermo_modify format float %.17g",
        "dump forces all custom 1 forces.dump id fx", "dump_modify forces format float %.17g sort id", "run 0",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.lmp").write_text("\n".join(commands) + "\n")
        subprocess.run(
            [lmp, "-in", "in.lmp", "-log", "log.lammps", "-screen", "none"], cwd=folder, check=True, capture_output=True
        )
        log = (Path(folder) / "log.lammps").read_text().splitlines()
        row = next(index for index, line in enumerate(log) if line.split()[:1] == ["Step"])
        forces = (Path(folder) / "forces.dump").read_text().splitlines()[-1]
        return float(log[row + 1].split()[1]), float(forces.split()[1])


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lmp", default="lmp")
    lmp = parser.parse_args().lmp
    rows = []
    for first, second in PAIRS:
        for distance in DISTANCES:
            energy, force = energy_and_force(lmp, first, second, distance)
            rows.append([first, second, distance, energy, force])
    content = {"coulomb": COULOMB, "length": LENGTH, "columns": ["Z", "Z", "Å", "eV", "eV/Å"], "rows": rows}
    REFERENCE.write_text(json.dumps(content, indent=None, separators=(", ", ": ")) + "\n")


if __name__ == "__main__":
    main()
