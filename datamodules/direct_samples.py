"""From a record to what the direct networks are trained on: the bare structure, and what is known of its vibrations.

Squared frequencies are those of the total force constants at wave vectors of their supercell, where they are exact:
no Born charges, no interpolation, and no non-analytic term at Γ. A label that is not known is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from datamodules.direct_labels import UNSTABLE_THZ, density_labels, spectra_labels
from datamodules.records import Record
from mlrim.graph.frequency_bins import DENSITY_BINS, SPECTRUM_BINS, FrequencyBins
from mlrim.graph.structure_graph import StructureGraph, batch_structures, build_structure_graph
from mlrim.lattice.commensurate import commensurate_matrices
from mlrim.units import SQRT_EIGENVALUE_TO_THZ


@dataclass(frozen=True)
class DirectSettings:
    """Everything that a sample depends on besides its record.

    Attributes:
        label: level of theory that is learned.
        cutoff: of the graph, Å.
        wave_vectors: most wave vectors besides Γ that are kept, drawn at random from those of the supercell.
        density_bins: of densities of states.
        spectrum_bins: of spectra.
        line_width: FWHM of the Lorentzian lines of spectra, cm⁻¹.
        mesh_spacing: distance of the wave vectors that densities of states are made from, 1/Å without 2π.
    """

    label: str = "dft"
    cutoff: float = 5.0
    wave_vectors: int = 8
    density_bins: FrequencyBins = DENSITY_BINS
    spectrum_bins: FrequencyBins = SPECTRUM_BINS
    line_width: float = 20.0
    mesh_spacing: float = 0.06


class DirectLabels(NamedTuple):
    """What is known of a batch of crystals; what is not known is NaN."""

    gamma: list[Float[Tensor, "_"]]
    """ω² at Γ of every crystal, ascending, three of them zero, eV/Å²/amu."""
    qpoints: Float[Tensor, "graphs waves 3"]
    """Other wave vectors, in reciprocal lattice vectors."""
    waves: list[Float[Tensor, "_ _"]]
    """ω² at these wave vectors, (waves, modes)."""
    states: Float[Tensor, "atoms bins"]
    """Density of states of every atom, three states in all."""
    scalars: Float[Tensor, "graphs scalars"]
    """See `mlrim.graph.crystal_scalars`."""
    stable: Float[Tensor, "graphs"]
    """One without imaginary modes at the wave vectors of the supercell, else zero."""
    infrared: Float[Tensor, "graphs bins"]
    """Infrared spectrum as shares of one."""
    infrared_intensity: Float[Tensor, "graphs"]
    """km per mole of atoms."""
    raman: Float[Tensor, "graphs bins"]
    """Raman spectrum as shares of one."""
    regular: Bool[Tensor, "graphs"]
    """Whether frequencies, densities and spectra are learned and tested on; else stability or Raman spectra alone."""


class LabelledStructure(NamedTuple):
    """A structure, or a batch of them, with its labels."""

    graph: StructureGraph
    labels: DirectLabels


class DirectSample(NamedTuple):
    """A structure with all its labels, float32; the fields are those of `DirectLabels`, of one crystal."""

    graph: StructureGraph
    gamma: Float[Tensor, "modes"]
    qpoints: Float[Tensor, "waves 3"]
    waves: Float[Tensor, "waves modes"]
    states: Float[Tensor, "atoms bins"]
    scalars: Float[Tensor, "scalars"]
    stable: Float[Tensor, "1"]
    infrared: Float[Tensor, "bins"]
    infrared_intensity: Float[Tensor, "1"]
    raman: Float[Tensor, "bins"]


def make_direct_sample(record: Record, settings: DirectSettings, seed: int = 0) -> DirectSample:
    """The sample of a record.

    Args:
        seed: of the choice of wave vectors.

    Raises:
        UserError: the record has no force constants of the level that is learned.
    """
    dynamics = commensurate_matrices(record.compact(settings.label), record.supercell)
    squares = np.linalg.eigvalsh(dynamics.matrices)
    others = np.random.default_rng(seed).permutation(np.arange(1, len(squares)))[: settings.wave_vectors]
    gamma = squares[0].copy()
    gamma[np.argsort(np.abs(gamma))[:3]] = 0.0
    lowest = min(squares[1:].min(initial=0.0), gamma.min())
    stable = lowest >= -((UNSTABLE_THZ / SQRT_EIGENVALUE_TO_THZ) ** 2)
    density = density_labels(record, settings.density_bins, settings.mesh_spacing, settings.label)
    spectra = spectra_labels(record, settings.spectrum_bins, settings.line_width, settings.label)
    return DirectSample(
        build_structure_graph(record.crystal, settings.cutoff),
        _float(np.sort(gamma)),
        _float(dynamics.qpoints[others]),
        _float(squares[others]),
        _float(density.states),
        _float(density.scalars),
        _float([stable]),
        _float(spectra.infrared),
        _float([spectra.infrared_intensity]),
        _float(spectra.raman),
    )


def spectra_alone(sample: DirectSample) -> DirectSample:
    """The sample of another level of theory, of which nothing is kept but its Raman spectrum."""
    forgotten = {name: torch.full_like(getattr(sample, name), torch.nan) for name in DirectSample._fields[1:-1]}
    return sample._replace(**forgotten)  # type: ignore[arg-type]


def chosen_waves(
    sample: DirectSample, count: int, generator: np.random.Generator | None, regular: bool = True
) -> LabelledStructure:
    """The sample with `count` of its wave vectors, drawn at random or the first ones; Γ where it has no others."""
    known = len(sample.qpoints)
    if known == 0:
        qpoints, waves = sample.qpoints.new_zeros(count, 3), sample.gamma.repeat(count, 1)
    else:
        places = np.arange(count) % known if generator is None else generator.integers(known, size=count)
        qpoints, waves = sample.qpoints[places], sample.waves[places]
    labels = DirectLabels(
        [sample.gamma],
        torch.nan_to_num(qpoints)[None],
        [waves],
        sample.states,
        sample.scalars[None],
        sample.stable,
        sample.infrared[None],
        sample.infrared_intensity,
        sample.raman[None],
        torch.tensor([regular]),
    )
    return LabelledStructure(sample.graph, labels)


def join_direct(samples: Sequence[LabelledStructure]) -> LabelledStructure:
    """One batch of several samples."""
    columns = zip(*(sample.labels for sample in samples), strict=True)
    joined: list[Any] = [
        [one for part in column for one in part] if isinstance(column[0], list) else torch.cat(column)
        for column in columns
    ]
    return LabelledStructure(batch_structures([sample.graph for sample in samples]), DirectLabels(*joined))


def _float(values: object) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
