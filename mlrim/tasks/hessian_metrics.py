"""Figures of merit of an energy's derivatives that a person would quote."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mlrim.derivatives.engine import EnergyDerivatives
from mlrim.graph.energy_labels import EnergyLabels
from mlrim.tasks.metrics import wavenumbers
from mlrim.units import SQRT_EIGENVALUE_TO_CM1

FIGURES = ("mae", "norm", "forces", "energy")
"""Mean absolute error of the frequencies (cm⁻¹); norm of the error of the mass-weighted Hessian over the norm of the
total one; mean absolute error of force components (meV/Å) and of the energy per atom (meV)."""
EV_TO_MEV = 1e3


class GraphFigures(NamedTuple):
    """Of one graph, as far as its labels are known."""

    values: dict[str, Float[Tensor, ""]]
    """Some of `FIGURES`."""
    parity: dict[str, tuple[Tensor, Tensor]]
    """Labels and predictions by quantity."""


def graph_figures(result: EnergyDerivatives, labels: EnergyLabels) -> Iterator[GraphFigures]:
    """The figures of every graph of a batch."""
    sizes = result.graph.n_atoms.tolist()
    with_hessian = bool(labels.has_hessian.any())
    hessians = result.hessian() if with_hessian else labels.hessian
    with_forces = bool(labels.forces.isfinite().any())
    forces = result.forces if with_forces else labels.forces
    for number, size in enumerate(sizes):
        first = sum(sizes[:number])
        atoms = slice(first, first + size)
        figures = GraphFigures({}, {})
        _add_energy(figures, result.energy[number], labels.energy[number], size)
        _add_forces(figures, forces[atoms], labels.forces[atoms])
        if len(labels.hessian[number]):
            _add_hessian(figures, hessians[number], labels, number, labels.masses[atoms])
        yield figures


def _add_energy(figures: GraphFigures, found: Tensor, exact: Tensor, size: int) -> None:
    if bool(exact.isfinite()):
        figures.values["energy"] = EV_TO_MEV * (found - exact).abs() / size
        figures.parity["energy per atom (eV)"] = (exact.reshape(1) / size, found.reshape(1) / size)


def _add_forces(figures: GraphFigures, found: Float[Tensor, "atoms 3"], exact: Float[Tensor, "atoms 3"]) -> None:
    known = exact.isfinite()
    if bool(known.any()):
        figures.values["forces"] = EV_TO_MEV * (found - exact)[known].abs().mean()
        figures.parity["force (eV/Å)"] = (exact[known], found[known])


def _add_hessian(
    figures: GraphFigures,
    found: Float[Tensor, "components components"],
    labels: EnergyLabels,
    number: int,
    masses: Float[Tensor, "atoms"],
) -> None:
    exact, rest = labels.hessian[number], labels.rest[number]
    basis, frequencies = labels.eigenvectors[number], labels.frequencies[number]
    figures.values["norm"] = relative_norm(found - exact, exact + rest, masses)
    figures.parity["Hessian (eV/Å²)"] = (exact.flatten(), found.flatten())
    if len(frequencies):
        predicted = predicted_frequencies(found - exact, masses, basis, frequencies)
        exact_frequencies = frequencies.double().sort().values
        figures.values["mae"] = (predicted - exact_frequencies).abs().mean()
        figures.parity["frequency (cm⁻¹)"] = (exact_frequencies, predicted)


def relative_norm(
    error: Float[Tensor, "components components"],
    total: Float[Tensor, "components components"],
    masses: Float[Tensor, "atoms"],
) -> Float[Tensor, ""]:
    """Norm of the error of a mass-weighted Hessian over that of the total one."""
    roots = masses.double().sqrt().repeat_interleave(3)
    weights = roots[:, None] * roots
    return (error.double() / weights).norm() / (total.double() / weights).norm().clamp(min=1e-12)


def predicted_frequencies(
    error: Float[Tensor, "components components"],
    masses: Float[Tensor, "atoms"],
    basis: Float[Tensor, "components modes"],
    frequencies: Float[Tensor, "modes"],
) -> Float[Tensor, "modes"]:
    """Frequencies of the label's total Hessian plus an error, cm⁻¹, ascending, imaginary ones negative.

    Args:
        error: of the Hessian, eV/Å².
        basis: eigenvectors of the label's total mass-weighted Hessian, without translations.
        frequencies: of these, cm⁻¹.
    """
    roots = masses.double().sqrt().repeat_interleave(3)
    basis, frequencies = basis.double(), frequencies.double() / SQRT_EIGENVALUE_TO_CM1
    change = basis.T @ (error.double() / (roots[:, None] * roots)) @ basis
    matrix = torch.diag(frequencies * frequencies.abs()) + (change + change.T) / 2
    return wavenumbers(torch.linalg.eigvalsh(matrix))
