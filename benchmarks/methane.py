"""Vibrations of a molecule by a trained potential, at its own relaxed geometry, beside PySCF's own harmonic analysis.

    python -m benchmarks.methane ckpt=outputs/methane/checkpoints/best.ckpt molecule=methane

The potential starts from the reference geometry stretched by 2 %. PySCF's frequencies are those of its own
`harmonic_analysis` (datamodules/molecules/data/reference.json). Intensities of the potential are those of its modes
with the reference's derivatives of dipole and polarisability. PySCF's are obtained another way: along every normal mode
of `harmonic_analysis` the molecule is displaced, and dipole and polarisability are calculated there anew (where PySCF
is installed).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from datamodules.configurations import Configuration
from datamodules.molecules.shipped import reference, shipped_configurations
from datamodules.options import run_command
from mlrim.errors import UserError
from mlrim.molecules.pipeline import MoleculeSettings, predict_molecule
from mlrim.molecules.relaxation import best_turn
from mlrim.molecules.structures import InputMolecule
from mlrim.predictors import load_predictor
from mlrim.report.molecule.prediction import MoleculePrediction
from mlrim.vibrations.molecular_spectra import DipoleDerivatives, infrared_intensities, raman_activities
from mlrim.vibrations.molecules import MolecularVibrations, molecular_vibrations

STRETCHED = 1.02
STEP = 0.01
"""Displacement along a normal coordinate, Å √amu."""
KM_PER_MOL_PER_DEBYE2 = 42.2561
"""Intensity of 1 (D/Å)²/amu, as quantum-chemistry programs print it."""
DEBYE_PER_ANGSTROM = 4.80320


@dataclass
class Options:
    """The potential, the molecule, and a file for the figures (JSON)."""

    ckpt: str
    molecule: str = "methane"
    out: Path | None = None


class Line(NamedTuple):
    """One frequency (cm⁻¹) with its intensities, summed over degenerate modes; none where they are not known."""

    irrep: str
    activity: str
    frequency: float
    infrared: float | None
    raman: float | None
    depolarization: float | None


def main(options: Options) -> None:
    """Print the table, and write the figures."""
    configuration = shipped_configurations(options.molecule)[0]
    prediction = predicted(options.ckpt, configuration)
    model = lines_of(prediction)
    theirs = pyscf_lines(configuration, options.molecule)
    ours = analysed_lines(configuration)
    print(table(model, theirs))
    print(f"\n{geometry_line(prediction, configuration)}")
    print(f"PySCF's Hessian through our analysis: {difference_line(ours, theirs)}")
    if options.out is not None:
        content = {"potential": model, "pyscf": theirs, "our analysis of the reference": ours}
        text = json.dumps({name: [line._asdict() for line in lines] for name, lines in content.items()}, indent=1)
        options.out.write_text(text + "\n", encoding="utf-8")


def predicted(ckpt: str, configuration: Configuration) -> MoleculePrediction:
    """The prediction from a stretched start."""
    centre = configuration.masses @ configuration.positions / configuration.masses.sum()
    start = centre + STRETCHED * (configuration.positions - centre)
    molecule = InputMolecule(
        configuration.group, configuration.id, configuration.numbers, start, configuration.masses, [], [],
        known(configuration),
    )  # fmt: skip
    return predict_molecule(molecule, load_predictor(ckpt), MoleculeSettings())


def known(configuration: Configuration) -> DipoleDerivatives:
    """The derivatives that the reference holds."""
    return DipoleDerivatives(
        configuration.dipole_derivatives, configuration.polarizability_derivatives, configuration.theory
    )


def lines_of(prediction: MoleculePrediction) -> list[Line]:
    """The lines of a prediction."""
    return lines(prediction.vibrations, prediction.derivatives)


def analysed_lines(configuration: Configuration) -> list[Line]:
    """The reference's Hessian and derivatives through this project's analysis."""
    assert configuration.hessian is not None
    vibrations = molecular_vibrations(
        configuration.numbers, configuration.positions, configuration.hessian, configuration.masses
    )
    return lines(vibrations, known(configuration))


def lines(vibrations: MolecularVibrations, derivatives: DipoleDerivatives) -> list[Line]:
    """One line for every frequency."""
    count = len(vibrations.modes)
    infrared = raman = ratios = np.full(count, np.nan)
    if derivatives.dipole is not None:
        infrared = infrared_intensities(vibrations, derivatives.dipole)
    if derivatives.polarizability is not None:
        invariants = raman_activities(vibrations, derivatives.polarizability)
        raman, ratios = invariants.activity, invariants.depolarization_ratio
    return [
        Line(mode.irrep.symbol, mode.activity, mode.frequency_cm1, *map(or_none, values))
        for mode, *values in zip(vibrations.modes, infrared, raman, ratios, strict=True)
    ]


def pyscf_lines(configuration: Configuration, name: str) -> list[Line]:
    """PySCF's frequencies, degenerate ones together, with intensities by displacing along its normal modes."""
    frequencies = np.asarray(reference(name)["frequencies"])
    levels = np.split(np.arange(len(frequencies)), np.flatnonzero(np.diff(frequencies) > 0.1) + 1)
    infrared, raman = pyscf_intensities(configuration)
    return [
        Line(
            "", "", float(frequencies[level].mean()), *(or_none(part[level].sum()) for part in (infrared, raman)), None
        )
        for level in levels
    ]


def pyscf_intensities(configuration: Configuration) -> tuple[Float[ndarray, "modes"], Float[ndarray, "modes"]]:
    """Infrared intensity (km/mol) and Raman activity (Å⁴/amu) of every mode; NaN where PySCF is not installed."""
    assert configuration.hessian is not None
    try:
        displacements = pyscf_normal_modes(configuration)
    except UserError:
        nothing = np.full(len(configuration.hessian) - 6, np.nan)
        return nothing, nothing
    dipoles, tensors = zip(*(slopes(configuration, displacement) for displacement in displacements), strict=True)
    charges = np.linalg.norm(dipoles, axis=1)
    mean = np.trace(tensors, axis1=1, axis2=2) / 3
    anisotropy = 1.5 * (np.sum(np.square(tensors), axis=(1, 2)) - 3 * mean**2)
    return KM_PER_MOL_PER_DEBYE2 * (DEBYE_PER_ANGSTROM * charges) ** 2, 45 * mean**2 + 7 * anisotropy


def pyscf_normal_modes(configuration: Configuration) -> Float[ndarray, "modes atoms 3"]:
    """Displacements per unit of the normal coordinates of PySCF's harmonic analysis, 1/√amu, ascending frequency."""
    from datamodules.molecules.quantum_chemistry import Calculation
    from mlrim.units import BOHR, HARTREE

    calculation = Calculation(configuration.numbers, configuration.positions)
    from pyscf.hessian import thermo

    n = configuration.n_atoms
    assert configuration.hessian is not None
    blocks = configuration.hessian.reshape(n, 3, n, 3).transpose(0, 2, 1, 3) * BOHR**2 / HARTREE
    found = thermo.harmonic_analysis(calculation.molecule, blocks, imaginary_freq=False, mass=configuration.masses)
    return np.asarray(found["norm_mode"])[np.argsort(found["freq_wavenumber"])]


def slopes(
    configuration: Configuration, displacement: Float[ndarray, "atoms 3"]
) -> tuple[Float[ndarray, "3"], Float[ndarray, "3 3"]]:
    """Change of the dipole (e/√amu) and of the polarisability (Å²/√amu) along one normal coordinate."""
    from datamodules.molecules.quantum_chemistry import Calculation

    ahead, behind = (
        Calculation(configuration.numbers, configuration.positions + sign * STEP * displacement) for sign in (1, -1)
    )
    dipole = (ahead.dipole - behind.dipole) / (2 * STEP)
    return dipole, (ahead.polarizability() - behind.polarizability()) / (2 * STEP)


def table(model: Sequence[Line], theirs: Sequence[Line]) -> str:
    """Both side by side, matched in ascending order.

    Raises:
        UserError: they do not have the same number of frequencies.
    """
    if len(model) != len(theirs):
        raise UserError(f"the potential has {len(model)} different frequencies and the reference {len(theirs)}")
    rows = [
        "| irrep | active in | potential (cm⁻¹) | PySCF (cm⁻¹) | difference | IR potential (km/mol) | IR PySCF "
        "| Raman potential (Å⁴/amu) | Raman PySCF |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for ours, other in zip(model, theirs, strict=True):
        cells = [
            ours.irrep,
            ours.activity.replace("+", ", "),
            f"{ours.frequency:.1f}",
            f"{other.frequency:.1f}",
            f"{ours.frequency - other.frequency:+.1f}",
            *(shown(value) for value in (ours.infrared, other.infrared, ours.raman, other.raman)),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def geometry_line(prediction: MoleculePrediction, configuration: Configuration) -> str:
    """How far the relaxed geometry is from the reference's, and where the vibrations' mean error is."""
    turn = best_turn(prediction.positions, configuration.positions)
    ours = (prediction.positions - prediction.positions.mean(axis=0)) @ turn.T
    theirs = configuration.positions - configuration.positions.mean(axis=0)
    away = float(np.linalg.norm(ours - theirs, axis=1).max())
    return (
        f"{prediction.vibrations.group.symbol}, {prediction.vibrations.representation}; largest force left "
        f"{prediction.residual:.1e} eV/Å; atoms {1e3 * away:.2f} mÅ from the reference's equilibrium"
    )


def difference_line(ours: Sequence[Line], theirs: Sequence[Line]) -> str:
    """Largest differences of frequencies and intensities."""
    largest: dict[str, float] = {}
    for name, field in (("cm⁻¹", "frequency"), ("km/mol", "infrared"), ("Å⁴/amu", "raman")):
        pairs: list[tuple[Any, Any]] = [
            (getattr(a, field), getattr(b, field)) for a, b in zip(ours, theirs, strict=True)
        ]
        largest[name] = max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=np.nan)
    return "differences of at most " + ", ".join(f"{value:.2g} {name}" for name, value in largest.items())


def or_none(value: float) -> float | None:
    """The number, or none where there is none."""
    return float(value) if np.isfinite(value) else None


def shown(value: float | None) -> str:
    """An intensity in the table."""
    return "" if value is None else "0" if abs(value) < 1e-3 else f"{value:.1f}"


if __name__ == "__main__":
    run_command("benchmarks.methane", Options, main)
