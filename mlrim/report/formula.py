"""Chemical formulas as chemists write them."""

from math import gcd

from mlrim.lattice.crystal import Crystal
from mlrim.rim.charges import pauling_electronegativity


def chemical_formula(crystal: Crystal) -> str:
    """Reduced composition, elements by ascending electronegativity, for example `SiO2`."""
    divisor = gcd(*crystal.composition.values())
    values = dict(zip(crystal.symbols, pauling_electronegativity(crystal.numbers).tolist(), strict=True))
    ordered = sorted(crystal.composition.items(), key=lambda item: values[item[0]])
    return "".join(f"{symbol}{count // divisor if count > divisor else ''}" for symbol, count in ordered)
