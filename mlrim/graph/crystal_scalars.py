"""Single numbers of a crystal that direct networks learn: their names, units and conditions."""

SCALARS = ("highest_frequency", "entropy", "free_energy", "heat_capacity")
"""In the order of every array that holds them."""
SCALAR_UNITS = {
    "highest_frequency": "cm⁻¹",
    "entropy": "J/K per mole of atoms",
    "free_energy": "kJ per mole of atoms",
    "heat_capacity": "J/K per mole of atoms",
}
SCALAR_TEMPERATURE = 300.0
"""Of the thermal functions, K."""
