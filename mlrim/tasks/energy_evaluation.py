"""What an energy says of labelled graphs: every derivative that has a label, from one evaluation of each graph."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from mlrim.derivatives.engine import Energy, differentiate
from mlrim.graph.energy_labels import EnergyLabels, LabelledGraph, join_labelled
from mlrim.tasks.probes import ProbeMixture, Probes, draw_probes


class Evaluation(NamedTuple):
    """Results for a batch that losses can be differentiated through; zero where there is no label."""

    batch: LabelledGraph
    """The graphs in the order of the results."""
    energy: Float[Tensor, "graphs"]
    """eV"""
    forces: Float[Tensor, "atoms 3"]
    """eV/Å"""
    stress: Float[Tensor, "graphs 3 3"]
    """eV/Å³"""
    probes: Probes
    products: Float[Tensor, "probes atoms 3"]
    """The Hessian times each probe, eV/Å for Å."""


def evaluate(energy: Energy, batch: LabelledGraph, mixture: ProbeMixture, generator: Generator) -> Evaluation:
    """Evaluate an energy on a batch such that a loss of all its labels can be differentiated.

    Graphs that need different derivatives are evaluated apart, so that those without a Hessian do not pay for products,
    and molecules may stand beside crystals with stresses.
    """
    parts = divide(batch)
    ordered = parts[0] if len(parts) == 1 else join_labelled(parts)
    probes = draw_probes(mixture, ordered, generator)
    vectors = probes.vectors.split([len(part.graph.numbers) for part in parts], dim=1)
    found = [_evaluate_part(energy, part, some) for part, some in zip(parts, vectors, strict=True)]
    values, forces, stress, products = zip(*found, strict=True)
    return Evaluation(ordered, torch.cat(values), torch.cat(forces), torch.cat(stress), probes, torch.cat(products, 1))


def divide(batch: LabelledGraph) -> list[LabelledGraph]:
    """The batch in parts of graphs that are alike in whether their Hessian and their stress are known."""
    labels = batch.labels
    kind = 2 * labels.has_hessian + stress_known(labels).int()
    return [select_graphs(batch, kind == value) for value in torch.unique(kind)]


def stress_known(labels: EnergyLabels) -> Bool[Tensor, "graphs"]:
    """Graphs whose stress is known."""
    return labels.stress.isfinite().flatten(1).all(1)


def select_graphs(batch: LabelledGraph, chosen: Bool[Tensor, "graphs"]) -> LabelledGraph:
    """Some graphs of a batch, in its order."""
    if bool(chosen.all()):
        return batch
    graph, labels = batch
    atoms = chosen[graph.atom_graph]
    edges = atoms[graph.receiver]
    number = torch.cumsum(atoms, 0) - 1
    fewer = graph._replace(
        numbers=graph.numbers[atoms],
        positions=graph.positions[atoms],
        cell=graph.cell[chosen],
        receiver=number[graph.receiver[edges]],
        sender=number[graph.sender[edges]],
        shift=graph.shift[edges],
        n_atoms=graph.n_atoms[chosen],
        periodic=graph.periodic[chosen],
        counted=graph.counted[atoms],
    )
    kept = labels._replace(
        energy=labels.energy[chosen],
        forces=labels.forces[atoms],
        stress=labels.stress[chosen],
        masses=labels.masses[atoms],
        hessian=_kept(labels.hessian, chosen),
        rest=_kept(labels.rest, chosen),
        eigenvectors=_kept(labels.eigenvectors, chosen),
        frequencies=_kept(labels.frequencies, chosen),
        source=labels.source[chosen],
    )
    return LabelledGraph(fewer, kept)


def _kept(values: Sequence[Tensor], chosen: Bool[Tensor, "graphs"]) -> list[Tensor]:
    return [value for value, keep in zip(values, chosen.tolist(), strict=True) if keep]


def _evaluate_part(
    energy: Energy, part: LabelledGraph, vectors: Float[Tensor, "probes atoms 3"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Energy, forces, stress and products of graphs that are alike in what is known of them."""
    graph, labels = part
    with_stress, with_hessian = bool(stress_known(labels).any()), bool(labels.has_hessian.any())
    result = differentiate(energy, graph, training=True, stress=with_stress)
    return (
        result.energy,
        result.forces if bool(labels.forces.isfinite().any()) else torch.zeros_like(graph.positions),
        result.stress if with_stress else torch.zeros_like(graph.cell),
        result.products(vectors) if with_hessian and len(vectors) else torch.zeros_like(vectors),
    )
