"""Raman tensors of the bond-polarisability model against first principles, five-fold, and the fit that is stored.

    python -m benchmarks.bond_polarizability data/raman_pbe0
    python -m benchmarks.bond_polarizability data/raman_pbe0 --store     # refit mlrim/rim/bond_polarizability.yaml

Two references are printed with it: all modes of the same strength, and the textbook's model, whose parameters depend
on the length of a bond relative to the covalent radii but not on the elements.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.raman_cases import Predictor, RamanCase, Row, cross_validate, load_cases, report
from mlrim.evaluation.spectra import cosine, lines_spectrum, powder_grid, powder_spectrum, spectral_displacements
from mlrim.rim import bond_polarizability
from mlrim.rim.bond_polarizability import (
    BondPolarizability,
    bond_polarizability_tensors,
    fit_bond_polarizability,
    write_parameters,
)
from mlrim.vibrations.raman import raman_lines

ACTIVE = 1e-4
"""Lines of less than this share of the largest activity count as silent."""
SOURCE = (
    "{} compounds of raman_pbe0 (PBE0 TZVP, CRYSTAL17, coupled-perturbed Kohn-Sham; Scientific Data 2024, "
    "doi 10.1038/s41597-024-02924-x, CC BY 4.0)"
)


def fit(cases: Sequence[RamanCase]) -> BondPolarizability:
    """Parameters from all these compounds, modes weighted as in a spectrum."""
    return fit_bond_polarizability(
        [case.crystal for case in cases],
        [case.raman_tensors for case in cases],
        [spectral_displacements(case.modes) for case in cases],
        [case.dielectric for case in cases],
        source=SOURCE.format(len(cases)),
    )


def train(cases: Sequence[RamanCase]) -> Predictor:
    """The model with parameters from these compounds."""
    parameters = fit(cases)
    return lambda case: bond_polarizability_tensors(case.crystal, parameters)


def train_with_dielectric(cases: Sequence[RamanCase]) -> Predictor:
    """The same with the magnitude that ε∞ suggests."""
    parameters = fit(cases)
    return lambda case: bond_polarizability_tensors(case.crystal, parameters, case.dielectric)


def train_textbook(cases: Sequence[RamanCase]) -> Predictor:
    """The model with three parameters for all bonds: every other coefficient is held at zero."""
    full = fit(cases)
    equations = bond_polarizability.NormalEquations.zero()
    for case in cases:
        basis = bond_polarizability.basis_tensors(case.crystal, full.lowest, full.highest)
        equations += bond_polarizability.normal_equations(basis, case.raman_tensors, spectral_displacements(case.modes))
    constant = np.arange(3) * bond_polarizability.TERMS
    reduced = bond_polarizability.NormalEquations(
        equations.matrix[np.ix_(constant, constant)], equations.vector[constant]
    )
    coefficients = np.zeros((3, bond_polarizability.TERMS))
    coefficients[:, 0] = reduced.solution(bond_polarizability.RIDGE)
    parameters = replace(full, coefficients=coefficients)
    return lambda case: bond_polarizability_tensors(case.crystal, parameters)


def equal_strengths(case: RamanCase) -> float:
    """Cosine with the spectrum in which all modes that scatter at all scatter alike."""
    lines = raman_lines(case.modes, case.raman_tensors)
    activity = lines.invariants.activity
    equal = np.where(activity > ACTIVE * activity.max(), lines.degeneracies, 0.0)
    grid = powder_grid(case.modes)
    return cosine(lines_spectrum(lines.frequencies, equal, grid), powder_spectrum(case.modes, case.raman_tensors, grid))


def main() -> None:
    """Measure, print, and store when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="five-fold partitions to average over")
    parser.add_argument("--out", type=Path, help="CSV file for the rows of the first partition")
    parser.add_argument("--store", action="store_true", help="fit to all compounds and store the parameters")
    arguments = parser.parse_args()

    cases = load_cases(arguments.data)
    print(f"all active modes alike: median cosine {np.median([equal_strengths(case) for case in cases]):.3f}")
    report("three parameters for all bonds", cross_validate(cases, train_textbook))
    by_seed = [cross_validate(cases, train, seed) for seed in range(arguments.seeds)]
    report("bond-polarisability model", by_seed[0])
    report("with magnitudes by ε∞", cross_validate(cases, train_with_dielectric))
    medians = [np.median([row["spectrum_cosine"] for row in rows]) for rows in by_seed]
    print(f"median cosine of {arguments.seeds} partitions: {', '.join(f'{median:.3f}' for median in medians)}")
    if arguments.out:
        write_rows(by_seed[0], arguments.out)
    if arguments.store:
        write_parameters(fit(cases), Path(bond_polarizability.__file__).with_suffix(".yaml"))


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """One line per compound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: str(row["id"])))


if __name__ == "__main__":
    main()
