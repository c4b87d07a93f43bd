"""Errors of energies and of their derivatives as losses; labels that are not known leave no trace.

Every term is a mean over the graphs of a batch that have its label, in a unit that makes an error worth noticing about
one: 10 meV per atom, 0.1 eV/Å, 0.01 eV/Å³, 100 cm⁻¹.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlrim.configuration.types import Above, AtLeast
from mlrim.graph.energy_graph import EnergyGraph
from mlrim.graph.energy_labels import EnergyLabels, LabelledGraph
from mlrim.tasks.energy_evaluation import Evaluation
from mlrim.tasks.losses import saturated
from mlrim.tasks.probes import KINDS, NOTHING, Probes
from mlrim.units import SQRT_EIGENVALUE_TO_CM1

ENERGY_UNIT = 0.01
"""eV per atom"""
FORCE_UNIT = 0.1
"""eV/Å"""
STRESS_UNIT = 0.01
"""eV/Å³"""
FREQUENCY_UNIT = 100.0
"""cm⁻¹"""
SOFTEST = 100.0
"""cm⁻¹, lowest frequency at which errors of products are counted."""


@dataclass(frozen=True)
class LossOptions:
    """Weights and forms of the terms of the loss.

    Attributes:
        energy: weight of energies per atom.
        forces: weight of forces.
        stress: weight of stresses.
        modes: weight of products with modes, as errors of frequencies.
        mixing: of wrong mixing of modes relative to wrong frequencies; 0.2–1.
        products: weight of products with columns, Gaussian and Rademacher probes.
        form: of products with Gaussian and Rademacher probes: "square", whose mean over probes is the squared Frobenius
            norm of the error of the mass-weighted Hessian over its size, or "huber": linear where the norm of the
            product's error is above `knee`, so that wild labels do not dominate. Columns have the mean absolute error.
        knee: errors of energies, forces, stresses and products are squared below and linear above, in the units
            of the terms; 0 for absolute errors.
        reference: cm⁻¹; an error of a squared frequency counts as that of a mode of this frequency; none for the
            root-mean-square frequency of each graph.
        softening: cm⁻¹, see `mode_terms`.
        saturation: cm⁻¹, see `mode_terms`.
        sources: weight of each data set by its number; the rest have 1.
    """

    energy: Annotated[float, AtLeast(0)] = 0.1
    forces: Annotated[float, AtLeast(0)] = 1.0
    stress: Annotated[float, AtLeast(0)] = 0.1
    modes: Annotated[float, AtLeast(0)] = 1.0
    mixing: Annotated[float, AtLeast(0)] = 0.3
    products: Annotated[float, AtLeast(0)] = 1.0
    form: Literal["huber", "square"] = "huber"
    knee: Annotated[float, AtLeast(0)] = 0.1
    reference: Annotated[float, Above(0)] | None = None
    softening: Annotated[float, AtLeast(0)] = 40.0
    saturation: Annotated[float, Above(0)] = 300.0
    sources: list[float] = field(default_factory=list)


class GraphErrors(NamedTuple):
    """One number for each graph."""

    values: Float[Tensor, "graphs"]
    known: Bool[Tensor, "graphs"]


def loss_terms(evaluation: Evaluation, options: LossOptions) -> dict[str, Float[Tensor, ""]]:
    """All terms without their weights; zero where no graph of the batch has the label."""
    (graph, labels), probes = evaluation.batch, evaluation.probes
    errors = product_errors(evaluation)
    shift, mixing = mode_terms(errors, probes, evaluation.batch, options)
    found = {
        "energy": energy_errors(evaluation.energy, graph, labels, options.knee),
        "forces": force_errors(evaluation.forces, graph, labels, options.knee),
        "stress": stress_errors(evaluation.stress, labels, options.knee),
        "products": product_terms(errors, probes, evaluation.batch, options),
        "shift": shift,
        "mixing": mixing,
    }
    weights = source_weights(labels, options)
    return {name: (weights * values)[known].sum() / max(1, int(known.sum())) for name, (values, known) in found.items()}


def total_loss(terms: dict[str, Float[Tensor, ""]], options: LossOptions) -> Float[Tensor, ""]:
    """The weighted sum of the terms."""
    modes = terms["shift"] + options.mixing * terms["mixing"]
    rest = sum(getattr(options, name) * terms[name] for name in ("energy", "forces", "stress", "products"))
    return options.modes * modes + rest


def source_weights(labels: EnergyLabels, options: LossOptions) -> Float[Tensor, "graphs"]:
    """Weight of the data set that each graph is from."""
    weights = torch.ones_like(labels.energy)
    for number, weight in enumerate(options.sources):
        weights[labels.source == number] = weight
    return weights


def energy_errors(
    energy: Float[Tensor, "graphs"], graph: EnergyGraph, labels: EnergyLabels, knee: float
) -> GraphErrors:
    """Of energies per atom, in units of 10 meV."""
    known = labels.energy.isfinite()
    error = (energy - labels.energy.nan_to_num()) / graph.n_atoms / ENERGY_UNIT
    return GraphErrors(softened(error.square(), knee), known)


def force_errors(
    forces: Float[Tensor, "atoms 3"], graph: EnergyGraph, labels: EnergyLabels, knee: float
) -> GraphErrors:
    """Norm of the error of each atom's force, mean over the atoms whose force is known, in units of 0.1 eV/Å."""
    known = labels.forces.isfinite().all(1)
    error = (forces - labels.forces.nan_to_num()) / FORCE_UNIT
    of_atoms = known * softened(error.square().sum(1), knee)
    zero = of_atoms.new_zeros(len(graph.n_atoms))
    count = zero.index_add(0, graph.atom_graph, known.to(zero.dtype))
    return GraphErrors(zero.index_add(0, graph.atom_graph, of_atoms) / count.clamp(min=1), count > 0)


def stress_errors(stress: Float[Tensor, "graphs 3 3"], labels: EnergyLabels, knee: float) -> GraphErrors:
    """Root-mean-square error of the components, in units of 0.01 eV/Å³."""
    known = labels.stress.isfinite().flatten(1).all(1)
    error = (stress - labels.stress.nan_to_num()) / STRESS_UNIT
    return GraphErrors(softened(error.square().mean((1, 2)), knee), known)


def product_errors(evaluation: Evaluation) -> Float[Tensor, "probes atoms 3"]:
    """M^(−1/2) (H − H_label) v of every probe v, eV/Å²/amu; zero where the Hessian is not known."""
    (graph, labels), vectors = evaluation.batch, evaluation.probes.vectors
    wanted = [
        torch.einsum("ab,pb->pa", hessian, part.flatten(1)).reshape(part.shape) if len(hessian) else part
        for hessian, part in zip(labels.hessian, vectors.split(graph.n_atoms.tolist(), dim=1), strict=True)
    ]
    known = labels.has_hessian[graph.atom_graph]
    error = (evaluation.products - torch.cat(wanted, dim=1)) * known[:, None]
    return error / labels.masses.sqrt()[:, None]


def product_terms(
    errors: Float[Tensor, "probes atoms 3"], probes: Probes, batch: LabelledGraph, options: LossOptions
) -> GraphErrors:
    """Errors of mass-weighted products with columns, Gaussian and Rademacher probes, in units of 100 cm⁻¹.

    Squared norms for Gaussian and Rademacher probes (softened or not), sums of absolute components for columns; mean
    over the probes. What an error of ω² means for ω is that of a mode at the frequency `reference`.
    """
    graph = batch.graph
    scale = SQRT_EIGENVALUE_TO_CM1**2 / (2 * FREQUENCY_UNIT) / reference_frequencies(batch.labels, options)
    scaled = errors * scale[graph.atom_graph][:, None]
    square = _sum_over_atoms(scaled.square().sum(2), graph)
    dense = square if options.form == "square" else softened(square, options.knee)
    absolute = _sum_over_atoms(scaled.abs().sum(2), graph)
    values = torch.where(probes.kinds == KINDS.index("columns"), absolute, dense)
    counted = probes.kinds > KINDS.index("modes")
    count = counted.sum(0)
    return GraphErrors((values * counted).sum(0) / count.clamp(min=1), count > 0)


def reference_frequencies(labels: EnergyLabels, options: LossOptions) -> Float[Tensor, "graphs"]:
    """Frequency at which errors of ω² are counted for each graph, cm⁻¹; 100 cm⁻¹ at least."""
    if options.reference is not None:
        return torch.full_like(labels.energy, options.reference)
    squares = [values.square().mean() if len(values) else values.new_zeros(()) for values in labels.frequencies]
    return torch.stack(squares).sqrt().clamp(min=SOFTEST)


def mode_terms(
    errors: Float[Tensor, "probes atoms 3"], probes: Probes, batch: LabelledGraph, options: LossOptions
) -> tuple[GraphErrors, GraphErrors]:
    """Frequency errors (Uᵀ M^(−1/2) ΔH M^(−1/2) e_m)_n / (|ω_n| + |ω_m| + ω₀), in units of 100 cm⁻¹.

    The element n = m is what first-order perturbation theory makes of the error: a shift of the frequency. The norm of
    the others is the wrong mixing of mode m with others. An error x counts as x / √(1 + x²/s²).

    Args:
        errors: see `product_errors`.
        options: with the softening ω₀ and the saturation s, cm⁻¹.

    Returns:
        Shift and mixing of each graph, mean over its probes.
    """
    parts = zip(
        errors.split(batch.graph.n_atoms.tolist(), dim=1), probes.modes.T,
        batch.labels.eigenvectors, batch.labels.frequencies, strict=True,
    )  # fmt: skip
    pairs = [_mode_pair(part.flatten(1), modes, basis, omega, options) for part, modes, basis, omega in parts]
    shift, mixing = (torch.stack(column) for column in zip(*pairs, strict=True))
    known = (probes.modes != NOTHING).any(0)
    return GraphErrors(shift, known), GraphErrors(mixing, known)


FLOOR = 1e-10
"""Squared error that is added below roots, in units of (100 cm⁻¹)²."""


def _mode_pair(
    errors: Float[Tensor, "probes components"],
    modes: Int[Tensor, "probes"],
    basis: Float[Tensor, "_ modes"],
    frequencies: Float[Tensor, "modes"],
    options: LossOptions,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Shift and mixing of one graph, mean over the probes that are modes; zero where there are none."""
    drawn = modes != NOTHING
    if not bool(drawn.any()):
        return errors.new_zeros(()), errors.new_zeros(())
    errors, modes, omega = errors[drawn], modes[drawn], frequencies.abs()
    width = omega + omega[modes][:, None] + options.softening
    scaled = errors @ basis * (SQRT_EIGENVALUE_TO_CM1**2 / FREQUENCY_UNIT) / width
    square = saturated(scaled.square(), options.saturation / FREQUENCY_UNIT)
    own = torch.nn.functional.one_hot(modes, len(frequencies)).bool()
    shifts, mixings = square[own], square.masked_fill(own, 0.0).sum(1)
    return (shifts + FLOOR).sqrt().mean(), (mixings + FLOOR).sqrt().mean()


def softened(square: Float[Tensor, "*shape"], knee: float) -> Float[Tensor, "*shape"]:
    """The root of a square, rounded: square / (2·knee) below the knee, root − knee / 2 above it.

    >>> softened(torch.tensor([0.0, 1.0, 16.0]), 2.0)
    tensor([0.0000, 0.2500, 3.0000])
    """
    knee = max(knee, 1e-5)
    return torch.where(square < knee**2, square / (2 * knee), square.clamp(min=knee**2).sqrt() - knee / 2)


def _sum_over_atoms(values: Float[Tensor, "probes atoms"], graph: EnergyGraph) -> Float[Tensor, "probes graphs"]:
    return values.new_zeros(len(values), len(graph.n_atoms)).index_add(1, graph.atom_graph, values)
