"""From a record to what the direct networks are trained on: the bare structure, and frequencies.

Squared frequencies are those of the total force constants at wave vectors of their supercell, where they are exact:
no Born charges, no interpolation, and no non-analytic term at Γ.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from datamodules.records import Record
from mlrim.graph.structure_graph import StructureGraph, batch_structures, build_structure_graph
from mlrim.lattice.commensurate import commensurate_matrices


class DirectLabels(NamedTuple):
    """What is known of a batch of crystals."""

    gamma: list[Float[Tensor, "_"]]
    """ω² at Γ of every crystal, ascending, three of them zero, eV/Å²/amu."""
    qpoints: Float[Tensor, "graphs waves 3"]
    """Other wave vectors, in reciprocal lattice vectors."""
    waves: list[Float[Tensor, "_ _"]]
    """ω² at these wave vectors, (waves, modes)."""


class LabelledStructure(NamedTuple):
    """A structure, or a batch of them, with its labels."""

    graph: StructureGraph
    labels: DirectLabels


class DirectSample(NamedTuple):
    """A structure with all its labels, float32."""

    graph: StructureGraph
    gamma: Float[Tensor, "modes"]
    qpoints: Float[Tensor, "waves 3"]
    waves: Float[Tensor, "waves modes"]


def make_direct_sample(record: Record, cutoff: float, wave_vectors: int, seed: int = 0) -> DirectSample:
    """The sample of a record.

    Args:
        cutoff: Å, of the graph.
        wave_vectors: most wave vectors besides Γ that are kept, drawn at random from those of the supercell.
    """
    dynamics = commensurate_matrices(record.compact(), record.supercell)
    squares = np.linalg.eigvalsh(dynamics.matrices)
    others = np.random.default_rng(seed).permutation(np.arange(1, len(squares)))[:wave_vectors]
    gamma = squares[0].copy()
    gamma[np.argsort(np.abs(gamma))[:3]] = 0.0
    return DirectSample(
        build_structure_graph(record.crystal, cutoff),
        torch.tensor(np.sort(gamma), dtype=torch.float32),
        torch.tensor(dynamics.qpoints[others], dtype=torch.float32),
        torch.tensor(squares[others], dtype=torch.float32),
    )


def chosen_waves(sample: DirectSample, count: int, generator: np.random.Generator | None) -> LabelledStructure:
    """The sample with `count` of its wave vectors, drawn at random or the first ones; Γ where it has no others."""
    known = len(sample.qpoints)
    if known == 0:
        qpoints, waves = sample.qpoints.new_zeros(count, 3), sample.gamma.repeat(count, 1)
    else:
        places = np.arange(count) % known if generator is None else generator.integers(known, size=count)
        qpoints, waves = sample.qpoints[places], sample.waves[places]
    return LabelledStructure(sample.graph, DirectLabels([sample.gamma], qpoints[None], [waves]))


def join_direct(samples: Sequence[LabelledStructure]) -> LabelledStructure:
    """One batch of several samples."""
    return LabelledStructure(
        batch_structures([sample.graph for sample in samples]),
        DirectLabels(
            [gamma for sample in samples for gamma in sample.labels.gamma],
            torch.cat([sample.labels.qpoints for sample in samples]),
            [waves for sample in samples for waves in sample.labels.waves],
        ),
    )
