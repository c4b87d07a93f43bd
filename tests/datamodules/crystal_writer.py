"""A CRYSTAL frequency output of a crystal and its response, written here from a model: nothing of it is copied."""

from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import space_group, symmetrize_site_tensors
from mlrim.rim.library import published_rigid_ion_model
from mlrim.units import ATOMIC_MASS, BOHR, PLANCK, SPEED_OF_LIGHT, SQRT_EIGENVALUE_TO_CM1
from mlrim.vibrations.gamma import GammaMode, gamma_modes
from mlrim.vibrations.infrared import infrared_modes
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.raman import (
    differential_cross_sections,
    mode_raman_tensors,
    polarized_strengths,
    raman_invariants,
)

AMPLITUDE = np.sqrt(PLANCK / (4 * np.pi**2 * SPEED_OF_LIGHT * 100 * ATOMIC_MASS)) * 1e10 / BOHR
"""√(ħ/ω) for 1 amu and 1 cm⁻¹, bohr."""
COMPONENTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True, eq=False)
class Calculation:
    """What a calculation found, in this project's units and order of indices."""

    crystal: Crystal
    compact: ndarray
    born_charges: ndarray
    dielectric: ndarray
    raman_tensors: ndarray
    modes: list[GammaMode] = field(default_factory=list)

    @property
    def eigenvectors(self) -> ndarray:
        return np.hstack([mode.eigenvectors for mode in self.modes])

    @property
    def frequencies(self) -> ndarray:
        return np.concatenate([np.full(mode.degeneracy, mode.frequency_cm1) for mode in self.modes])

    @property
    def normal_modes(self) -> NormalModes:
        return NormalModes(self.frequencies, self.eigenvectors, self.crystal.masses, self.crystal.volume)


def rigid_ion_calculation(crystal: Crystal, seed: int = 0) -> Calculation:
    """Modes of a rigid-ion model at Γ; a response that is random but has the symmetry of the crystal."""
    generator = np.random.default_rng(seed)
    supercell = Supercell(crystal, np.eye(3, dtype=np.int64))
    compact = published_rigid_ion_model("lewis_catlow", crystal).supercell_force_constants(supercell)
    group = space_group(crystal)
    born = symmetrize_site_tensors(generator.normal(size=(crystal.n_atoms, 3, 3)) + 2 * np.eye(3), group)
    raman = generator.normal(size=(crystal.n_atoms, 3, 3, 3))
    raman = symmetric_raman_tensors(raman + raman.transpose(0, 2, 1, 3), group)
    modes = gamma_modes(LatticeDynamics.from_supercell(compact, supercell)).modes
    return Calculation(crystal, compact, born - born.mean(axis=0), np.diag([2.5, 2.5, 2.7]), raman, modes)


def symmetric_raman_tensors(tensors: ndarray, group: object) -> ndarray:
    """Averaged one operation after the other, translation taken out."""
    total = np.zeros_like(tensors)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):  # type: ignore[attr-defined]
        for atom, image in enumerate(permutation):
            moved = np.tensordot(rotation, tensors[atom], axes=(1, 0))
            moved = np.moveaxis(np.tensordot(rotation, moved, axes=(1, 1)), 0, 1)
            total[image] += np.moveaxis(np.tensordot(rotation, moved, axes=(1, 2)), 0, 2)
    total /= len(group.cartesian)  # type: ignore[attr-defined]
    return total - total.mean(axis=0)


def output_text(one: Calculation, decimals: int = 4) -> str:
    """The output; `decimals` of the displacements is four in real ones."""
    crystal = one.crystal
    rows = "\n".join(" ".join(f"{value:20.12E}" for value in vector) for vector in crystal.lattice)
    atoms = "\n".join(
        f"{index:5d}{number:6d} {symbol.upper():3}" + "".join(f"{value:20.12E}" for value in position)
        for index, (number, symbol, position) in enumerate(
            zip(crystal.numbers, crystal.symbols, crystal.positions, strict=True), 1
        )
    )
    masses = "".join(
        f"{index:5d} {symbol.upper():2}{mass:12.4f}"
        for index, (symbol, mass) in enumerate(zip(crystal.symbols, crystal.masses, strict=True), 1)
    )
    return "\n".join(
        [
            " *                               CRYSTAL17                                     *",
            " (EXCHANGE)[CORRELATION] FUNCTIONAL:(PERDEW-BURKE-ERNZERHOF)[PERDEW-BURKE-ERNZERHOF]",
            " HYBRID EXCHANGE - PERCENTAGE OF FOCK EXCHANGE    25.0000",
            " DIRECT LATTICE VECTORS CARTESIAN COMPONENTS (ANGSTROM)\n          X    Y    Z",
            rows,
            "\n CARTESIAN COORDINATES - PRIMITIVE CELL\n" + " " + "*" * 79,
            " *      ATOM          X(ANGSTROM)         Y(ANGSTROM)         Z(ANGSTROM)\n" + " " + "*" * 79,
            atoms,
            "\n" + _dielectric_text(one),
            " * CALCULATION OF PHONON FREQUENCIES AT THE GAMMA POINT.                       *",
            " ATOMS ISOTOPIC MASS (AMU) FOR FREQUENCY CALCULATION\n",
            masses,
            "\n INFORMATION CONCERNING THE SCF+GRADIENT CALCULATIONS",
            _born_text(one),
            _level_text(one),
            _raman_text(one),
            _mode_text(one, decimals),
        ]
    )


def dipole_file(one: Calculation) -> str:
    """TENS_IR: rows displacements, columns fields."""
    return _table(one.born_charges.transpose(0, 2, 1).reshape(-1, 3))


def polarizability_file(one: Calculation) -> str:
    """TENS_RAMAN: rows displacements, columns xx xy xz yy yz zz, bohr²."""
    tensors = one.raman_tensors / BOHR**2
    return _table(np.stack([tensors[:, i, j, :] for i, j in COMPONENTS], axis=-1).reshape(-1, 6))


def printed_infrared(one: Calculation) -> ndarray:
    """km/mol of every level."""
    intensities = infrared_modes(one.normal_modes, one.born_charges).intensities
    return _per_level(one, intensities) * [not mode.acoustic for mode in one.modes]


def printed_raman(one: Calculation) -> tuple[ndarray, ndarray]:
    """Powder (total, parallel, perpendicular) and single-crystal intensities of every level."""
    active = np.concatenate(
        [np.full(mode.degeneracy, mode.irrep.raman and not mode.acoustic) for mode in one.modes]
    ).astype(float)
    tensors = mode_raman_tensors(one.normal_modes, one.raman_tensors) * active[:, None, None]
    invariants = raman_invariants(tensors)
    strengths = [invariants.parallel, invariants.crossed]
    strengths += [polarized_strengths(tensors, np.eye(3)[j], np.eye(3)[i]) for i, j in COMPONENTS]
    seen = [
        _per_level(one, differential_cross_sections(one.frequencies, strength, 514.0, 298.0)) for strength in strengths
    ]
    powder, crystal = np.column_stack([seen[0] + seen[1], *seen[:2]]), np.column_stack(seen[2:])
    return powder * 1000 / powder[:, 0].max(), crystal * 1000 / crystal.max()


def _per_level(one: Calculation, values: ndarray) -> ndarray:
    stops = np.cumsum([mode.degeneracy for mode in one.modes])
    return np.array([part.sum() for part in np.split(values, stops[:-1])])


def _table(rows: ndarray) -> str:
    return "\n".join("".join(f"{value:16.10f}" for value in row) for row in rows) + "\n"


def _dielectric_text(one: Calculation) -> str:
    names = "XYZ"
    rows = [
        f"  0.000   {names[i]}{names[j]}{10.0:13.4f}{0.0:13.4f}{one.dielectric[i, j]:13.4f}{0.0:13.4f}{1.0:13.4f}"
        for i, j in COMPONENTS
    ]
    title = " POLARIZABILITY (ALPHA), DIELECTRIC (EPSILON) AND FIRST-ORDER ELECTRIC"
    head = "  FR.(eV) COMP.   ALPHA(Re,Im)           EPSILON(Re,Im)                CHI(1)"
    return "\n".join([title, " SUSCEPTIBILITY (CHI(1)) TENSORS\n", head, *rows, "\n DIELECTRIC TENSOR\n"])


def _born_text(one: Calculation) -> str:
    blocks = [" ATOMIC BORN CHARGE TENSOR (UNITS OF e, ELECTRON CHARGE).\n DYNAMIC CHARGE = 1/3 * TRACE .\n"]
    for index, tensor in enumerate(one.born_charges, 1):
        blocks.append(f" ATOM {index:3d} X  DYNAMIC CHARGE {np.trace(tensor) / 3:12.6f}\n\n       1    2    3")
        blocks += [
            f"{row:4d}  " + "".join(f"{value:12.4E}" for value in values) for row, values in enumerate(tensor, 1)
        ]
        blocks.append("")
    return "\n".join([*blocks, " +++ SYMMETRY ADAPTION OF VIBRATIONAL MODES +++\n"])


def _level_text(one: Calculation) -> str:
    lines = ["    MODES         EIGV          FREQUENCIES     IRREP  IR   INTENS    RAMAN", "   (HARTREE**2)  (CM**-1)"]
    start = 1
    for mode, intensity in zip(one.modes, printed_infrared(one), strict=True):
        stop, frequency = start + mode.degeneracy - 1, 0.0 if mode.acoustic else mode.frequency_cm1
        symbol, flags = mode.irrep.symbol.replace("T", "F"), "IA"
        lines.append(
            f"{start:5d}-{stop:4d} {0.0:13.4E}{frequency:12.4f}{frequency / 33.35641:10.4f}  ({symbol:3.3})   "
            f"{flags[mode.irrep.infrared]} ({intensity:9.2f})   {flags[mode.irrep.raman]}"
        )
        start = stop + 1
    return "\n".join([*lines, ""])


def _raman_text(one: Calculation) -> str:
    powder, crystal = printed_raman(one)
    parts = []
    for title, values in (
        ("POLYCRYSTALLINE ISOTROPIC INTENSITIES (ARBITRARY UNITS)", powder),
        ("SINGLE CRYSTAL DIRECTIONAL INTENSITIES (ARBITRARY UNITS)", crystal),
    ):
        parts.append(f"\n  --\n  {title}\n\n    MODES    FREQUENCIES      I\n  " + "-" * 60)
        start = 1
        for mode, row in zip(one.modes, values, strict=True):
            if mode.irrep.raman and not mode.acoustic:
                stop, symbol = start + mode.degeneracy - 1, mode.irrep.symbol.replace("T", "F")
                numbers = "".join(f"{value:8.2f}" for value in row)
                parts.append(f"{start:5d}-{stop:4d} {mode.frequency_cm1:13.4f} ({symbol:3.3}) {numbers}")
            start += mode.degeneracy
    return "\n".join([" <RAMAN><RAMAN>", *parts, "\n <RAMAN><RAMAN>\n"])


def _mode_text(one: Calculation, decimals: int) -> str:
    amplitudes = one.eigenvectors / np.sqrt(np.repeat(one.crystal.masses, 3))[:, None]
    optical = np.concatenate([np.full(mode.degeneracy, not mode.acoustic) for mode in one.modes])
    amplitudes = amplitudes * np.where(optical, AMPLITUDE / np.sqrt(np.abs(np.where(optical, one.frequencies, 1))), 1)
    parts = ["\n NORMAL MODES NORMALIZED TO CLASSICAL AMPLITUDES (IN BOHR)\n"]
    for first in range(0, amplitudes.shape[1], 6):
        columns = amplitudes[:, first : first + 6]
        parts.append(" FREQ(CM**-1)" + "".join(f"{value:10.2f}" for value in one.frequencies[first : first + 6]) + "\n")
        for row, values in enumerate(columns):
            atom, axis = divmod(row, 3)
            label = f" AT.{atom + 1:4d} {one.crystal.symbols[atom].upper():3}" if axis == 0 else " " * 12
            parts.append(f"{label}{'XYZ'[axis]}" + "".join(f"{value:{6 + decimals}.{decimals}f}" for value in values))
        parts.append("")
    return "\n".join([*parts, " " + "*" * 79, " VIBRATIONAL TEMPERATURES (K)", ""])


def squares(frequencies: ndarray) -> ndarray:
    """Signed squares of frequencies, in which errors do not depend on how soft a mode is."""
    return np.sign(frequencies) * (frequencies / SQRT_EIGENVALUE_TO_CM1) ** 2
