"""Every infrared and Raman intensity that CRYSTAL printed, computed again from its eigenvectors, Z* and Raman tensors.

    python -m benchmarks.crystal_spectra [path=../shared/data/raman_pbe0] [select=*ZnO_*] [symmetry=false]

One line for every calculation: the largest error of an infrared intensity, of a powder intensity (total, parallel,
perpendicular) and of a single-crystal intensity (xx xy xz yy yz zz), in per cent of the strongest of its table, and
how many modes have the irreducible representation and the activities that were printed. Eigenvectors are those
printed, made orthonormal and symmetry-adapted (`datamodules.importers.crystal_modes`); Born charges are those printed,
Raman tensors those of TENS_RAMAN, both as they are; intensities come from `mlrim.vibrations.infrared` and `raman`.
Like CRYSTAL, only modes that are Raman-active by symmetry are given Raman intensities.

Infrared intensities are compared with their own value as well. Four decimals of a displacement do not suffice for one
per cent of a faint line, so that outputs which print their modes with all digits as well are counted apart.
"""

import fnmatch
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from benchmarks.crystal_irreps import SymmetryAgreement, raman_active_modes, symmetry_agreement
from datamodules.importers.crystal_modes import acoustic_modes, eigenvectors
from datamodules.importers.crystal_output import (
    MAX_BORN_CHARGE,
    OUTPUT,
    find_crystal_outputs,
    polarizability_derivatives,
    printed_spectra,
    read_files,
)
from datamodules.importers.crystal_text import TENSOR_COMPONENTS, CrystalOutput, parse_crystal_output
from datamodules.importers.registry import RejectedInput
from mlrim.vibrations.infrared import infrared_modes
from mlrim.vibrations.irreps import point_group_action
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.raman import (
    differential_cross_sections,
    mode_raman_tensors,
    polarized_strengths,
    raman_invariants,
)

PATH = Path("../shared/data/raman_pbe0")
LASER_NM = 514.0
TEMPERATURE = 298.0
SYMPREC = 1e-5
INFRARED_LIMIT = 0.01
RAMAN_LIMIT = 0.02
PRINTED = 0.005
"""km/mol; half a unit of the last decimal of an infrared intensity."""


@dataclass(frozen=True, eq=False)
class InfraredComparison:
    """Infrared intensities of the optical lines of one calculation.

    Attributes:
        printed: km/mol, all modes of a line together.
        computed: the same, computed.
        precise: the modes were printed with all their digits.
    """

    printed: Float[ndarray, "lines"]
    computed: Float[ndarray, "lines"]
    precise: bool

    @property
    def error(self) -> float:
        """Largest error as a share of the strongest line; zero where no line is printed as more than nothing."""
        strongest = self.printed.max(initial=0.0)
        return float(np.abs(self.computed - self.printed).max() / strongest) if strongest > 0 else 0.0

    @property
    def relative_errors(self) -> Float[ndarray, "strong"]:
        """Errors as shares of the own intensity, beyond the decimals of the latter, of all lines with one."""
        excess = np.maximum(np.abs(self.computed - self.printed) - PRINTED, 0.0)
        return (excess / np.maximum(self.printed, PRINTED))[self.printed > 0]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was found for one calculation; none where it cannot be compared, for one of the reasons.

    Attributes:
        name: the folder of the calculation.
        atoms: in the primitive cell.
        infrared: infrared intensities.
        powder: largest error of a powder intensity, share of the strongest.
        crystal: largest error of a single-crystal intensity, share of the strongest.
        symmetry: agreement of representations and activities.
        unusable: why something could not be compared.
    """

    name: str
    atoms: int
    infrared: InfraredComparison | None
    powder: float | None
    crystal: float | None
    symmetry: SymmetryAgreement | None
    unusable: tuple[str, ...]


def compare(name: str, files: dict[str, str], symmetry: bool = True) -> Comparison:
    """Compute the intensities of one calculation and compare them with what was printed.

    Args:
        files: texts of the calculation, as `read_files` gives them.
        symmetry: also compare representations and activities.

    Raises:
        RejectedInput: there is no complete frequency calculation.
    """
    output = parse_crystal_output(files[OUTPUT])
    action = point_group_action(output.crystal, SYMPREC)
    vectors = eigenvectors(output, action)
    modes = NormalModes(output.frequencies, vectors, output.crystal.masses, output.crystal.volume)
    infrared, no_infrared = compare_infrared(output, modes)
    active = raman_active_modes(vectors, action) & _optical_modes(modes)
    powder, crystal, no_raman = compare_raman(output, modes, active, files.get("TENS_RAMAN"))
    agreement = symmetry_agreement(output, files[OUTPUT], SYMPREC) if symmetry else None
    reasons = tuple(reason for reason in (no_infrared, no_raman) if reason)
    return Comparison(name, output.crystal.n_atoms, infrared, powder, crystal, agreement, reasons)


def compare_infrared(output: CrystalOutput, modes: NormalModes) -> tuple[InfraredComparison | None, str]:
    """Infrared intensities, or why there are none to compare."""
    born_charges = output.born_charges
    if born_charges is None:
        return None, "infrared: no Born charges (they overflowed their field)"
    largest = float(np.abs(born_charges).max())
    if largest > MAX_BORN_CHARGE:
        return None, f"infrared: |Z*| = {largest:.3g} e is no Born charge of an insulator"
    printed = np.array([level.intensity for level in output.levels])
    if not np.isfinite(printed).all():
        return None, "infrared: intensities overflowed their field"
    computed = _per_level(output, infrared_modes(modes, born_charges).intensities)
    optical = _optical_levels(output, modes)
    return InfraredComparison(printed[optical], computed[optical], output.precise), ""


def compare_raman(
    output: CrystalOutput, modes: NormalModes, active: Bool[ndarray, "modes"], tensor_file: str | None
) -> tuple[float | None, float | None, str]:
    """Errors of powder and single-crystal intensities, or why there are none to compare.

    Args:
        active: modes that are Raman-active by symmetry.
        tensor_file: text of TENS_RAMAN.
    """
    if output.raman_powder is None or output.raman_crystal is None:
        return None, None, "Raman: no intensities (no mode is Raman-active)"
    if tensor_file is None:
        return None, None, "Raman: no TENS_RAMAN"
    try:
        tensors = polarizability_derivatives(tensor_file, output.crystal.n_atoms)
    except RejectedInput as error:
        return None, None, f"Raman: {error}"
    amplitudes = mode_raman_tensors(modes, tensors) * active[:, None, None]
    powder, crystal = powder_intensities(output, amplitudes), crystal_intensities(output, amplitudes)
    printed = printed_spectra(output)
    expected = np.column_stack([printed[name] for name in ("raman_total", "raman_parallel", "raman_perpendicular")])
    powder_error = np.abs(powder - _per_level(output, expected)).max() / 1000
    crystal_error = np.abs(crystal - _per_level(output, printed["raman_crystal"])).max() / 1000
    return float(powder_error), float(crystal_error), ""


def powder_intensities(output: CrystalOutput, amplitudes: Float[ndarray, "modes 3 3"]) -> Float[ndarray, "levels 3"]:
    """Total, parallel and perpendicular intensity of every line, the largest total 1000."""
    invariants = raman_invariants(amplitudes)
    parallel, crossed = (_scattered(output, values) for values in (invariants.parallel, invariants.crossed))
    intensities = np.column_stack([parallel + crossed, parallel, crossed])
    return intensities * 1000 / intensities[:, 0].max()


def crystal_intensities(output: CrystalOutput, amplitudes: Float[ndarray, "modes 3 3"]) -> Float[ndarray, "levels 6"]:
    """Intensities xx xy xz yy yz zz of every line, the largest of all 1000."""
    axes = np.eye(3)
    strengths = [polarized_strengths(amplitudes, axes[j], axes[i]) for i, j in TENSOR_COMPONENTS]
    intensities = np.column_stack([_scattered(output, values) for values in strengths])
    return intensities * 1000 / intensities.max()


def _scattered(output: CrystalOutput, strengths: Float[ndarray, "modes"]) -> Float[ndarray, "levels"]:
    """What all modes of a line scatter at the temperature and laser of the calculations."""
    sections = differential_cross_sections(output.frequencies, strengths, LASER_NM, TEMPERATURE)
    return _per_level(output, sections)


def _optical_modes(modes: NormalModes) -> Bool[ndarray, "modes"]:
    optical = np.ones(len(modes.frequencies), dtype=bool)
    optical[acoustic_modes(modes.eigenvectors, modes.masses)] = False
    return optical


def _optical_levels(output: CrystalOutput, modes: NormalModes) -> Bool[ndarray, "levels"]:
    optical = _optical_modes(modes)
    return np.array([bool(optical[level.members].all()) for level in output.levels])


def _per_level(output: CrystalOutput, values: Float[ndarray, "modes *columns"]) -> Float[ndarray, "levels *columns"]:
    return np.array([values[level.members].sum(axis=0) for level in output.levels])


def compare_all(path: Path, select: str = "*", symmetry: bool = True) -> list[Comparison]:
    """All calculations whose name matches a pattern."""
    inputs = [source for source in find_crystal_outputs(path) if fnmatch.fnmatchcase(source.name, select)]
    return [compare(source.name, read_files(source), symmetry) for source in inputs]


def line(one: Comparison) -> str:
    """One calculation as a line of the table."""
    errors = (one.infrared.error if one.infrared else None, one.powder, one.crystal)
    cells = [f"{one.name.removeprefix('calc-'):60.60}", f"{one.atoms:4d}"]
    cells += ["      -" if error is None else f"{100 * error:7.3f}" for error in errors]
    if one.symmetry:
        kept = one.symmetry
        counts = (kept.irreps, kept.infrared, kept.raman, kept.symbols)
        cells += [f"{count}/{kept.levels}".rjust(8) for count in counts]
    return " ".join(cells)


def summary(comparisons: list[Comparison]) -> list[str]:
    """What all calculations say together."""
    infrared = [one.infrared for one in comparisons if one.infrared is not None]
    lines = []
    if infrared:
        errors = np.array([one.error for one in infrared])
        lines.append(_share("infrared, of the strongest line", errors, INFRARED_LIMIT))
        lines += [
            _against_themselves(f"infrared, every line against itself, modes with {digits}", chosen)
            for digits, chosen in (
                ("all digits", [one for one in infrared if one.precise]),
                ("four decimals", [one for one in infrared if not one.precise]),
            )
        ]
    for name in ("powder", "crystal"):
        errors = np.array([error for one in comparisons if (error := getattr(one, name)) is not None])
        if len(errors):
            lines.append(_share(f"Raman, {name}, of the strongest line", errors, RAMAN_LIMIT))
    kept = [one.symmetry for one in comparisons if one.symmetry is not None]
    if kept:
        levels = sum(one.levels for one in kept)
        counts = {name: sum(getattr(one, name) for one in kept) for name in ("irreps", "infrared", "raman", "symbols")}
        lines.append(
            f"symmetry of {levels} lines: same representation {counts['irreps']}, same infrared activity "
            f"{counts['infrared']}, same Raman activity {counts['raman']}, same symbol (T for F) {counts['symbols']}"
        )
    return lines


def _against_themselves(what: str, infrared: list[InfraredComparison]) -> str:
    relative = np.concatenate([np.zeros(0), *(one.relative_errors for one in infrared)])
    within = int(np.sum(relative <= INFRARED_LIMIT))
    return f"{what}: {within} of {len(relative)} lines within {INFRARED_LIMIT:.0%}"


def _share(what: str, errors: Float[ndarray, "compounds"], limit: float) -> str:
    return (
        f"{what}: {np.sum(errors <= limit)} of {len(errors)} calculations within {limit:.0%}; "
        f"median {100 * np.median(errors):.3f} %, largest {100 * errors.max():.3f} %"
    )


def main() -> None:
    """Measure and print."""
    words = dict(word.split("=", 1) for word in sys.argv[1:])
    path, select = Path(words.get("path", PATH)), words.get("select", "*")
    comparisons = compare_all(path, select, words.get("symmetry", "true") == "true")
    print(
        f"{'largest error, % of the strongest line':60} atoms     IR  powder crystal   irreps       IR    Raman  symbol"
    )
    for one in comparisons:
        print(line(one))
    print("\nnot compared:")
    for one in comparisons:
        for reason in one.unusable:
            print(f"  {one.name.removeprefix('calc-')}: {reason}")
    print()
    print("\n".join(summary(comparisons)))


if __name__ == "__main__":
    main()
