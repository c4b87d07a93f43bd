"""B factors, heat capacities, entropies and Debye temperatures of simple crystals from stored force constants.

    python -m benchmarks.thermal_motion data/phonondb

prints the table of docs/neutrons.md: harmonic, at 298.15 K, on meshes of 0.02 1/Å refined at Γ.
"""

import sys

import numpy as np

from datamodules.store import RecordStore
from mlrim.lattice.qpath import mesh_shape
from mlrim.lattice.symmetry import space_group
from mlrim.vibrations.debye import debye_temperature
from mlrim.vibrations.density_of_states import mesh_modes, refined_at_gamma
from mlrim.vibrations.displacements import mean_square_displacements
from mlrim.vibrations.thermal import formula_units, thermal_properties

CRYSTALS = {
    "mp-1265": "MgO",
    "mp-22862": "NaCl",
    "mp-2741": "CaF2",
    "mp-2133": "ZnO",
    "mp-1143": "Al2O3",
    "mp-2657": "TiO2 (rutile)",
}
ROOM = np.array([298.15])


def row(store: RecordStore, identifier: str) -> str:
    """One line of the table."""
    dynamics = store[identifier].lattice_dynamics()
    crystal = dynamics.crystal
    modes = refined_at_gamma(dynamics, mesh_modes(dynamics, mesh_shape(crystal, 0.02)))
    motion = mean_square_displacements(modes, crystal, space_group(crystal), ROOM)
    factors = dict(zip(crystal.symbols, motion.b_factors[0], strict=True))
    unit = thermal_properties(modes.frequencies, modes.weights, ROOM).per(formula_units(crystal))
    named = ", ".join(f"{symbol} {value:.3g}" for symbol, value in factors.items())
    theta = debye_temperature(modes.frequencies, modes.weights)
    return f"{CRYSTALS[identifier]} | {named} | {unit.heat_capacity[0]:.1f} | {unit.entropy[0]:.1f} | {theta:.0f}"


def main(path: str) -> None:
    """Print the table."""
    store = RecordStore(path)
    print("crystal | B (Å²) | C_v (J/K/mol) | S (J/K/mol) | Debye temperature (K)")
    for identifier in CRYSTALS:
        print(row(store, identifier))


if __name__ == "__main__":
    main(*sys.argv[1:])
