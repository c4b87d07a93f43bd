"""What a CRYSTAL output says about the vibrations at Γ, as it is printed there.

The output of a FREQCALC run (CRYSTAL17, CRYSTAL23) with INTENS, INTCPHF and INTRAMAN: the geometry of the force
constants, isotopic masses, modes with their irreps and activities, infrared and Raman intensities, Born charges and
the electronic dielectric tensor; and the files TENS_IR and TENS_RAMAN with the derivatives by Cartesian displacements.
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from datamodules.importers.registry import RejectedInput
from mlrim.lattice.crystal import Crystal

TENSOR_COMPONENTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""xx, xy, xz, yy, yz, zz: the order of CRYSTAL's symmetric tensors."""

FREQUENCY_PART = "CALCULATION OF PHONON FREQUENCIES AT THE GAMMA POINT"
NUMBER = re.compile(r"[-+]?\d*\.\d+(?:E[-+]\d+)?|\*{4,}")
LEVEL = re.compile(
    r"^\s*(\d+)-\s*(\d+)\s+(\S+)\s+(-?\d+\.\d{4}|\*+)\s*(-?\d+\.\d{4}|\*+)\s+\((.{3})\)\s+([AI])\s*\(\s*([\d.*]+)\)\s+([AI])",
    re.M,
)
INTERRUPTION = re.compile(r"(?: \d{3})?(?: themode)?(?:\s+-?\d\.\d{15}(?:E[-+]\d{3})?)+ *\n")
"""Numbers in full precision that another process prints into the rows of the table of normal modes."""
ATOM_ROW = re.compile(r"^\s+\d+\s+(\d+)\s+[A-Z]+\s+(\S+)\s+(\S+)\s+(\S+)\s*$", re.M)
AMPLITUDE_ROW = re.compile(r"^(?: AT\.\s*\d+ \S+)?\s+[XYZ]\s+(-?\d.*)$", re.M)
RAMAN_ROW = re.compile(r"^\s*(\d+)-\s*(\d+)\s+-?\d+\.\d+\s+\(.{3}\)\s*(.*)$", re.M)


@dataclass(frozen=True)
class PrintedLevel:
    """One line of the table of modes: a frequency with all modes that are degenerate by symmetry.

    Attributes:
        first: index of its first mode.
        degeneracy: number of modes.
        frequency: signed frequency, cm⁻¹.
        irrep: symbol as printed.
        infrared: printed as infrared-active.
        raman: printed as Raman-active.
        intensity: integrated infrared intensity of all its modes together, km/mol; NaN where it overflowed.
    """

    first: int
    degeneracy: int
    frequency: float
    irrep: str
    infrared: bool
    raman: bool
    intensity: float

    @property
    def members(self) -> slice:
        """Its modes."""
        return slice(self.first, self.first + self.degeneracy)


@dataclass(frozen=True, eq=False)
class CrystalOutput:
    """The numbers of a frequency calculation as printed.

    Attributes:
        version: name of the program, for example `CRYSTAL17`.
        fock_exchange: share of Fock exchange in the functional, per cent.
        functional: exchange and correlation functional.
        crystal: geometry of the force constants in the order of the modes, isotopic masses.
        n_operators: symmetry operators of the calculation.
        levels: table of the modes, by ascending signed frequency as printed.
        amplitudes: displacements of the modes as columns: classical amplitudes in bohr, or in any other unit.
        precise: the displacements have all their digits, not four decimals.
        mode_charges: Born charge vectors of the modes, e/√mₑ.
        born_charges: as printed, e; indices as printed.
        dielectric: ε∞.
        raman_powder: total, parallel and perpendicular intensity of every level, largest 1000; zero where not listed.
        raman_crystal: single-crystal intensities xx xy xz yy yz zz of every level, largest 1000.
    """

    version: str
    fock_exchange: float
    functional: str
    crystal: Crystal
    n_operators: int
    levels: list[PrintedLevel]
    amplitudes: Float[ndarray, "components modes"]
    precise: bool
    mode_charges: Float[ndarray, "modes 3"] | None
    born_charges: Float[ndarray, "atoms 3 3"] | None
    dielectric: Float[ndarray, "3 3"] | None
    raman_powder: Float[ndarray, "levels 3"] | None
    raman_crystal: Float[ndarray, "levels 6"] | None

    @property
    def frequencies(self) -> Float[ndarray, "modes"]:
        """Signed frequencies of all modes, cm⁻¹."""
        return np.repeat([level.frequency for level in self.levels], [level.degeneracy for level in self.levels])


def parse_crystal_output(text: str) -> CrystalOutput:
    """The frequency calculation in the text of an output.

    Raises:
        RejectedInput: there is none, it did not end, or its parts do not fit together.
    """
    start = text.rfind(FREQUENCY_PART)
    if start < 0:
        raise RejectedInput("the output holds no frequency calculation at Γ")
    before, after = text[:start], text[start:]
    crystal = _crystal(before, after)
    levels = _levels(after, 3 * crystal.n_atoms)
    program = re.search(r"\*\s+(CRYSTAL\d\d)\s+\*", text)
    exchange = re.search(r"PERCENTAGE OF FOCK EXCHANGE\s+([\d.]+)", text)
    functional = re.search(r"FUNCTIONAL:(\S+)", text)
    operators = re.findall(r"\*{4}\s+(\d+) SYMMOPS", before)
    amplitudes, precise = _amplitudes(after, crystal.n_atoms)
    return CrystalOutput(
        version=program[1] if program else "CRYSTAL",
        fock_exchange=float(exchange[1]) if exchange else 0.0,
        functional=functional[1] if functional else "",
        crystal=crystal,
        n_operators=int(operators[-1]) if operators else 1,
        levels=levels,
        amplitudes=amplitudes,
        precise=precise,
        mode_charges=_mode_charges(after, 3 * crystal.n_atoms),
        born_charges=_born_charges(after, crystal.n_atoms),
        dielectric=_dielectric(before),
        raman_powder=_raman_table(after, "POLYCRYSTALLINE ISOTROPIC INTENSITIES", levels, 3),
        raman_crystal=_raman_table(after, "SINGLE CRYSTAL DIRECTIONAL INTENSITIES", levels, 6),
    )


def parse_dipole_derivatives(text: str, n_atoms: int) -> Float[ndarray, "atoms 3 3"]:
    """∂μ/∂u of a TENS_IR file (rows displacements, columns field), as [atom, field, displacement], e.

    Raises:
        RejectedInput: it is not for so many atoms.
    """
    return _rows(text, "TENS_IR", n_atoms, 3).transpose(0, 2, 1)


def parse_polarizability_derivatives(text: str, n_atoms: int) -> Float[ndarray, "atoms 3 3 3"]:
    """The rows of a TENS_RAMAN file (rows displacements, columns xx xy xz yy yz zz), atomic units.

    Returns:
        ∂α/∂u as [atom, field, field, displacement].

    Raises:
        RejectedInput: it is not for so many atoms.
    """
    rows = _rows(text, "TENS_RAMAN", n_atoms, 6)
    tensors = np.empty((n_atoms, 3, 3, 3))
    for column, (i, j) in enumerate(TENSOR_COMPONENTS):
        tensors[:, i, j] = tensors[:, j, i] = rows[:, :, column]
    return tensors


def _rows(text: str, name: str, n_atoms: int, columns: int) -> Float[ndarray, "atoms 3 columns"]:
    if "***" in text:
        raise RejectedInput(f"{name} holds numbers that overflowed their field (****)")
    numbers = _numbers(text)
    if len(numbers) != 3 * n_atoms * columns:
        raise RejectedInput(f"{name} holds {len(numbers)} numbers, {n_atoms} atoms need {3 * n_atoms * columns}")
    return numbers.reshape(n_atoms, 3, columns)


def _numbers(text: str) -> Float[ndarray, "numbers"]:
    """All decimal numbers of a text; NaN for those that overflowed their field (****)."""
    return np.array([np.nan if found[0] == "*" else float(found) for found in NUMBER.findall(text)])


def _crystal(before: str, after: str) -> Crystal:
    """The last geometry before the frequency calculation, with the isotopic masses of the latter."""
    lattice_text = _after(before, "DIRECT LATTICE VECTORS CARTESIAN COMPONENTS (ANGSTROM)", last=True)
    rows = _after(before, "CARTESIAN COORDINATES - PRIMITIVE CELL", last=True)
    if lattice_text is None or rows is None:
        raise RejectedInput("the output has no lattice vectors or coordinates before the frequency calculation")
    lattice = np.array([line.split() for line in lattice_text.splitlines()[2:5]], dtype=float)
    atoms = ATOM_ROW.findall(_first_rows(rows.split("Z(ANGSTROM)")[-1]))
    positions = np.array([atom[1:] for atom in atoms], dtype=float)
    numbers = np.array([int(atom[0]) % 100 for atom in atoms])
    masses = _masses(after)
    if len(atoms) == 0 or len(masses) != len(atoms):
        raise RejectedInput(f"the output has {len(atoms)} coordinates and {len(masses)} isotopic masses")
    return Crystal(lattice, positions, numbers, masses)


def _first_rows(text: str) -> str:
    """The rows of a table below its line of stars, up to the first line that is none."""
    lines = text.splitlines()[2:]
    stop = next((index for index, line in enumerate(lines) if not re.match(r"\s+\d+\s+\d+\s", line)), len(lines))
    return "\n".join(lines[:stop])


def _masses(after: str) -> Float[ndarray, "atoms"]:
    text = _after(after, "ATOMS ISOTOPIC MASS (AMU) FOR FREQUENCY CALCULATION") or ""
    body = text.split("INFORMATION", 1)[0]
    return np.array([float(mass) for mass in re.findall(r"\d+\s+[A-Z]+\s+(\d+\.\d+)", body)])


def _levels(after: str, n_modes: int) -> list[PrintedLevel]:
    table = _after(after, "MODES         EIGV          FREQUENCIES     IRREP")
    if table is None:
        raise RejectedInput("the output has no table of modes; did the calculation end?")
    table = table.split("\n \n", 1)[0].split("<RAMAN>", 1)[0].split("NORMAL MODES", 1)[0]
    levels = []
    for first, last, _, frequency, _, irrep, infrared, intensity, raman in LEVEL.findall(table):
        value = np.nan if "*" in intensity else float(intensity)
        count = int(last) - int(first) + 1
        levels.append(
            PrintedLevel(int(first) - 1, count, float(frequency), irrep.strip(), infrared == "A", raman == "A", value)
        )
    if sum(level.degeneracy for level in levels) != n_modes:
        raise RejectedInput(f"the table of modes lists {sum(level.degeneracy for level in levels)} of {n_modes} modes")
    return levels


def _amplitudes(after: str, n_atoms: int) -> tuple[Float[ndarray, "components modes"], bool]:
    """Displacements of the modes: with all digits (and true) where the run prints them so, else from their table."""
    text = _after(after, "NORMAL MODES NORMALIZED TO CLASSICAL AMPLITUDES (IN BOHR)")
    if text is None:
        raise RejectedInput("the output has no normal modes; did the calculation end?")
    n_modes = 3 * n_atoms
    parts = text.split("\n ****", 1)[0].split("FREQ(CM**-1)")
    precise = _numbers(parts[0].split("themode", 1)[1])[: n_modes**2] if "themode" in parts[0] else np.zeros(0)
    if len(precise) == n_modes**2:
        return precise.reshape(n_modes, n_modes).T, True
    tables = [INTERRUPTION.sub("", part) for part in parts[1:]]
    columns = [[_numbers(row) for row in AMPLITUDE_ROW.findall(table)] for table in tables]
    if not columns or any(len(rows) != n_modes or len({len(row) for row in rows}) != 1 for rows in columns):
        raise RejectedInput("the normal modes are incomplete")
    amplitudes = np.hstack([np.array(rows) for rows in columns])
    if amplitudes.shape != (n_modes, n_modes) or not np.isfinite(amplitudes).all():
        raise RejectedInput(f"there are {amplitudes.shape[1]} normal modes of {n_modes}")
    return amplitudes, False


def _mode_charges(after: str, n_modes: int) -> Float[ndarray, "modes 3"] | None:
    text = _after(after, "BORN CHARGE VECTOR IN THE BASIS OF NORMAL MODES")
    if text is None:
        return None
    rows = re.findall(r"^\s*\d+\s+(-?\d\.\d{5}E.\d+)\s*(-?\d\.\d{5}E.\d+)\s*(-?\d\.\d{5}E.\d+)\s*$", text, re.M)
    return np.array(rows, dtype=float) if len(rows) == n_modes else None


def _born_charges(after: str, n_atoms: int) -> Float[ndarray, "atoms 3 3"] | None:
    text = _after(after, "ATOMIC BORN CHARGE TENSOR")
    if text is None:
        return None
    body = text.split("+++", 1)[0]
    rows = re.findall(r"^\s*[123]\s+(-?\d\.\d{4}E.\d+)\s*(-?\d\.\d{4}E.\d+)\s*(-?\d\.\d{4}E.\d+)\s*$", body, re.M)
    return np.array(rows, dtype=float).reshape(n_atoms, 3, 3) if len(rows) == 3 * n_atoms else None


def _dielectric(before: str) -> Float[ndarray, "3 3"] | None:
    text = _after(before, "POLARIZABILITY (ALPHA), DIELECTRIC (EPSILON)", last=True)
    if text is None:
        return None
    rows = re.findall(r"^\s+0\.000\s+([XYZ])([XYZ])\s+(.*)$", text.split("DIELECTRIC TENSOR", 1)[0], re.M)
    tensor = np.full((3, 3), np.nan)
    for first, second, values in rows:
        i, j = "XYZ".index(first), "XYZ".index(second)
        tensor[i, j] = tensor[j, i] = _numbers(values)[2]
    return tensor if np.isfinite(tensor).all() else None


def _raman_table(
    after: str, title: str, levels: list[PrintedLevel], columns: int
) -> Float[ndarray, "levels columns"] | None:
    """Intensities of all levels, zero for those that are not listed; none when the table is missing or empty."""
    text = _after(after, title)
    if text is None:
        return None
    body = text.split("---\n", 1)[-1].split("\n --", 1)[0].split("<RAMAN>", 1)[0].split("\n  --", 1)[0]
    listed = {int(row[0]) - 1: _numbers(row[2]) for row in RAMAN_ROW.findall(body)}
    if not listed or any(len(values) != columns for values in listed.values()):
        return None
    return np.array([listed.get(level.first, np.zeros(columns)) for level in levels])


def _after(text: str, title: str, last: bool = False) -> str | None:
    """What follows the first (or last) place where a title is printed."""
    place = text.rfind(title) if last else text.find(title)
    return None if place < 0 else text[place + len(title) :]
