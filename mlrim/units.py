"""Every physical constant and conversion of the project, once (CODATA 2018).

Internal units: eV, Å, amu, e, THz (ordinary frequency; negative means imaginary); cm⁻¹ for output.
"""

import math

ELEMENTARY_CHARGE = 1.602176634e-19
"""C"""
PLANCK = 6.62607015e-34
"""J s"""
BOLTZMANN = 1.380649e-23
"""J/K"""
SPEED_OF_LIGHT = 299792458.0
"""m/s"""
AVOGADRO = 6.02214076e23
"""1/mol"""
ATOMIC_MASS = 1.66053906660e-27
"""kg"""
VACUUM_PERMITTIVITY = 8.8541878128e-12
"""F/m"""
BOHR = 0.529177210903
"""Å"""

COULOMB_EV_ANGSTROM = ELEMENTARY_CHARGE / (4 * math.pi * VACUUM_PERMITTIVITY) * 1e10
"""e²/(4πε₀) in eV Å.

>>> round(COULOMB_EV_ANGSTROM, 7)
14.3996455
"""

HARTREE = COULOMB_EV_ANGSTROM / BOHR
"""e²/(4πε₀ a₀) in eV.

>>> round(HARTREE, 6)
27.211386
"""

SQRT_EIGENVALUE_TO_THZ = math.sqrt(ELEMENTARY_CHARGE / ATOMIC_MASS) * 1e10 / (2 * math.pi) / 1e12
"""√(eV/Å²/amu) in THz.

>>> round(SQRT_EIGENVALUE_TO_THZ, 6)
15.633304
"""

THZ_TO_CM1 = 1e12 / (SPEED_OF_LIGHT * 100)
"""THz in cm⁻¹.

>>> round(THZ_TO_CM1, 7)
33.3564095
"""

THZ_TO_MEV = PLANCK * 1e12 / ELEMENTARY_CHARGE * 1e3
"""THz in meV (h ν).

>>> round(THZ_TO_MEV, 6), round(THZ_TO_CM1 / THZ_TO_MEV, 8)
(4.135668, 8.06554394)
"""

SQRT_EIGENVALUE_TO_CM1 = SQRT_EIGENVALUE_TO_THZ * THZ_TO_CM1
"""√(eV/Å²/amu) in cm⁻¹.

>>> round(SQRT_EIGENVALUE_TO_CM1, 4)
521.4709
"""

KELVIN_PER_THZ = PLANCK * 1e12 / BOLTZMANN
"""h ν / k_B for 1 THz, in K.

>>> round(KELVIN_PER_THZ, 4), round(KELVIN_PER_THZ / THZ_TO_CM1, 9)
(47.9924, 1.438776878)
"""

EV_TO_KJ_PER_MOL = ELEMENTARY_CHARGE * AVOGADRO / 1e3
"""eV per cell in kJ/mol.

>>> round(EV_TO_KJ_PER_MOL, 4)
96.4853
"""

BOLTZMANN_J_PER_K_MOL = BOLTZMANN * AVOGADRO
"""Gas constant, J/K/mol.

>>> round(BOLTZMANN_J_PER_K_MOL, 5)
8.31446
"""

NEUTRON_MASS = 1.67492749804e-27
"""kg"""

HBAR_OVER_2_AMU = PLANCK / (2 * math.pi) / (2 * ATOMIC_MASS * 2 * math.pi * 1e12) * 1e20
"""ħ/(2 m ω) for 1 amu and ω = 2π·1 THz, in Å²: the mean-square displacement of an oscillator at rest.

>>> round(HBAR_OVER_2_AMU, 6)
0.505379
"""

RECOIL_MEV_ANGSTROM2 = (PLANCK / (2 * math.pi)) ** 2 / (2 * ATOMIC_MASS) / ELEMENTARY_CHARGE * 1e23
"""ħ²/2m for 1 amu in meV Å²: recoil energy of a free atom at Q = 1 Å⁻¹.

>>> round(RECOIL_MEV_ANGSTROM2, 5)
2.09008
"""

NEUTRON_MEV_ANGSTROM2 = RECOIL_MEV_ANGSTROM2 * ATOMIC_MASS / NEUTRON_MASS
"""ħ²/2m of a neutron in meV Å²: its energy is this times k².

>>> round(NEUTRON_MEV_ANGSTROM2, 5)
2.07212
"""

CHARGE_TO_DEBYE_PER_ANGSTROM = ELEMENTARY_CHARGE * SPEED_OF_LIGHT * 1e11
"""e in D/Å.

>>> round(CHARGE_TO_DEBYE_PER_ANGSTROM, 7)
4.8032047
"""

PLASMA_FREQUENCY_SQUARED_CM2 = (
    ELEMENTARY_CHARGE**2 / (VACUUM_PERMITTIVITY * ATOMIC_MASS) * 1e30 / (2 * math.pi * SPEED_OF_LIGHT * 100) ** 2
)
"""e²/(ε₀ Å³ amu) as the square of a wavenumber, cm⁻²: oscillator strength per volume to squared plasma frequency.

>>> round(PLASMA_FREQUENCY_SQUARED_CM2 / 1e7, 8), round(math.sqrt(PLASMA_FREQUENCY_SQUARED_CM2), 4)
(4.92064255, 7014.7292)
>>> round(PLASMA_FREQUENCY_SQUARED_CM2 / THZ_TO_CM1**2, 4)
44224.5297
"""

OSCILLATOR_STRENGTH_TO_KM_PER_MOL = (
    AVOGADRO * ELEMENTARY_CHARGE**2 / (12 * VACUUM_PERMITTIVITY * SPEED_OF_LIGHT**2 * ATOMIC_MASS) / 1e3
)
"""e²/amu in km/mol: integrated molar absorption (napierian) of freely turning or randomly oriented oscillators.

>>> round(OSCILLATOR_STRENGTH_TO_KM_PER_MOL, 4)
974.8801
>>> round(OSCILLATOR_STRENGTH_TO_KM_PER_MOL / CHARGE_TO_DEBYE_PER_ANGSTROM**2, 5)
42.25606
"""

KM_PER_MOL_TO_LITRE_PER_MOL_CM2 = 100.0
"""km/mol in L mol⁻¹ cm⁻², the unit of an integrated molar absorption coefficient."""

CONDUCTIVITY_PER_CM1 = 2 * math.pi * SPEED_OF_LIGHT * VACUUM_PERMITTIVITY
"""2πc ε₀ in S/cm per cm⁻¹: optical conductivity of ε₂ = 1 at a wavenumber of 1 cm⁻¹.

>>> round(1 / CONDUCTIVITY_PER_CM1, 4)
59.9585
"""

AMU_PER_ANGSTROM3_TO_G_PER_CM3 = ATOMIC_MASS * 1e27
"""amu/Å³ in g/cm³.

>>> round(AMU_PER_ANGSTROM3_TO_G_PER_CM3, 7)
1.6605391
"""

EV_PER_CUBIC_ANGSTROM_TO_GPA = ELEMENTARY_CHARGE * 1e21
"""eV/Å³ in GPa.

>>> round(EV_PER_CUBIC_ANGSTROM_TO_GPA, 6)
160.217663
"""
