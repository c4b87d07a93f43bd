"""From a record to what training reads: the graph of the crystal and the labels of its force constants."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy import ndarray

from datamodules.perturbation import ResponseErrors, perturbed_response
from datamodules.records import Record
from mlrim.graph.crystal_graph import CUTOFF, SYMPREC, CrystalGraph, ResponseFeatures, build_graph, rigid_ion_response
from mlrim.graph.labels import (
    FoldedLabels,
    ForceConstantLabels,
    ModeArrays,
    ModeLabels,
    fold_labels,
    gamma_modes,
    wave_modes,
)
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.force_constants import PairForceConstants, fold
from mlrim.lattice.neighbours import Pairs, neighbour_pairs
from mlrim.rim.baselines import short_range_baseline
from mlrim.rim.charges import DEFAULT_SCALE, formal_charges

SAMPLE_VERSION = 4
"""Raised whenever samples made before would differ."""


@dataclass(frozen=True)
class SampleSettings:
    """Everything that a sample depends on besides its record.

    Attributes:
        baseline: name of the baseline that is subtracted, see `mlrim.rim.baselines`.
        label: level of theory that is learned.
        cutoff: Å.
        symprec: tolerance (Å) of the symmetry that saves work.
        wave_vectors: wave vectors kept for each crystal besides Γ.
        perturbations: long-range parts with errors that are kept for each crystal besides the exact one.
        errors: how large these errors are.
    """

    baseline: str = "rim"
    label: str = "dft"
    cutoff: float = CUTOFF
    symprec: float = SYMPREC
    wave_vectors: int = 4
    perturbations: int = 0
    errors: ResponseErrors = field(default_factory=ResponseErrors)


class LongRangePart(NamedTuple):
    """What a sample would be with another long-range part."""

    site_features: Float[ndarray, "sites 5"]
    site_tensors: Float[ndarray, "sites 3 3"]
    dipole: Float[ndarray, "environment 3 3"]
    pair_dipole: Float[ndarray, "pairs 3 3"]
    target: Float[ndarray, "entries 3 3"]
    unreached: Float[ndarray, "2"]
    gamma_target: Float[ndarray, "1 modes modes"]
    waves_target: Complex[ndarray, "qpoints modes modes"]


class Sample(NamedTuple):
    """One crystal for training; several wave vectors, of which a reader picks one."""

    graph: CrystalGraph
    folded: FoldedLabels
    gamma: ModeArrays
    waves: ModeArrays
    rigid: LongRangePart | None = None
    """With the rigid ions' long-range part, where that of the sample itself is from first principles."""
    perturbed: tuple[LongRangePart, ...] = ()
    """With the errors of a learned response, where that of the sample itself is from first principles."""


def make_sample(record: Record, settings: SampleSettings) -> Sample:
    """The sample of a record, float32.

    Raises:
        UserError: the record lacks the label or the baseline that the settings name.
    """
    rigid = _sample_with(record, settings, None)
    if record.born_charges is None or record.dielectric is None:
        return rigid
    response = ResponseFeatures(record.born_charges, record.dielectric)
    with_errors = [
        perturbed_response(response, record.crystal.numbers, settings.errors, record.id, draw)
        for draw in range(settings.perturbations)
    ]
    perturbed = tuple(_long_range_part(_sample_with(record, settings, one)) for one in with_errors)
    known = _sample_with(record, settings, response)
    return known._replace(rigid=_long_range_part(rigid), perturbed=perturbed)


def with_rigid_response(sample: Sample) -> Sample:
    """The sample as it is for a crystal whose Born charges and ε∞ nobody knows."""
    return sample if sample.rigid is None else _with_long_range(sample, sample.rigid)


def with_perturbed_response(sample: Sample, draw: int) -> Sample:
    """The sample as it is for a crystal whose Born charges and ε∞ are known with errors; `draw` of those kept."""
    return _with_long_range(sample, sample.perturbed[draw]) if sample.perturbed else sample


def _with_long_range(sample: Sample, part: LongRangePart) -> Sample:
    tensors = {name: torch.from_numpy(getattr(part, name)) for name in part._fields[:4]}
    return Sample(
        sample.graph._replace(**tensors),
        sample.folded._replace(target=part.target, unreached=part.unreached),
        sample.gamma._replace(target=part.gamma_target),
        sample.waves._replace(target=part.waves_target),
    )


def _sample_with(record: Record, settings: SampleSettings, response: ResponseFeatures | None) -> Sample:
    supercell = record.supercell
    baseline = baseline_of(record, settings.baseline, response)
    total = record.compact(settings.label)
    charges = scaled_formal_charges(record)
    long_range = rigid_ion_response(charges) if response is None else response
    dipoles = DipoleInteraction(record.crystal, long_range.born_charges, long_range.dielectric)
    target = total - fold(baseline, supercell) - dipoles.folded(supercell)
    graph = build_graph(
        record.crystal,
        baseline,
        charges,
        response,
        record.features.get("soap"),
        record.features.get("coordination"),
        settings.cutoff,
        settings.symprec,
    )
    edges = Pairs(*(part.numpy() for part in (graph.edge_i, graph.edge_j, graph.edge_shift)))
    return Sample(
        graph,
        fold_labels(target, supercell, edges),
        gamma_modes(total, target, supercell),
        wave_modes(total, target, supercell, _wave_vectors(record, settings.wave_vectors)),
    )


def _long_range_part(sample: Sample) -> LongRangePart:
    graph = sample.graph
    return LongRangePart(
        graph.site_features.numpy(),
        graph.site_tensors.numpy(),
        graph.dipole.numpy(),
        graph.pair_dipole.numpy(),
        sample.folded.target,
        sample.folded.unreached,
        sample.gamma.target,
        sample.waves.target,
    )


def scaled_formal_charges(record: Record) -> Float[ndarray, "atoms"]:
    """Rigid-ion charges of a record's atoms, e; from its features where they are stored."""
    stored = record.features.get("charge")
    return DEFAULT_SCALE * (formal_charges(record.crystal).charges if stored is None else stored)


def baseline_of(record: Record, name: str, response: ResponseFeatures | None = None) -> PairForceConstants:
    """Short-range force constants of a baseline for a record.

    Args:
        response: Born charges and ε∞ whose dipole interaction is taken out of stored or fitted force constants.
    """
    if name == "rim" and "charge" in record.features:
        from mlrim.rim.rigid_ion import RigidIonModel
        from mlrim.rim.transfer import transferable_short_range

        charges = scaled_formal_charges(record)
        short_range = transferable_short_range(record.crystal, charges)
        return RigidIonModel(record.crystal, charges, *short_range).short_range_force_constants()
    levels = {level: record.compact(level) for level in record.force_constants if level == name or name == "fitted"}
    return short_range_baseline(
        name,
        record.crystal,
        force_constants=levels,
        supercell=record.supercell,
        born_charges=None if response is None else response.born_charges,
        dielectric=None if response is None else response.dielectric,
    )


def count_edges(record: Record, cutoff: float) -> int:
    """Directed pairs of a record within a cut-off (Å)."""
    return len(neighbour_pairs(record.crystal, cutoff).i)


def labels_of(sample: Sample, wave: int) -> ForceConstantLabels:
    """The labels of a sample with one of its wave vectors, as tensors."""
    folded = sample.folded
    return ForceConstantLabels(
        torch.from_numpy(folded.edge_entry),
        torch.from_numpy(folded.self_entry),
        torch.from_numpy(folded.target),
        torch.from_numpy(folded.unreached)[None],
        _mode_tensors(sample.gamma, 0),
        _mode_tensors(sample.waves, wave),
    )


def _mode_tensors(modes: ModeArrays, index: int) -> ModeLabels:
    parts = (torch.from_numpy(np.ascontiguousarray(column[index : index + 1])) for column in modes)
    qpoint, basis, eigenvalues, target = parts
    return ModeLabels(qpoint, basis, eigenvalues, target, known=torch.ones(eigenvalues.shape, dtype=torch.bool))


def _wave_vectors(record: Record, count: int) -> Float[ndarray, "qpoints 3"]:
    """Some commensurate wave vectors besides Γ, one of each pair ±q, chosen by the record's id; or Γ alone."""
    qpoints = record.supercell.commensurate_qpoints[1:]
    if len(qpoints) == 0:
        return np.zeros((1, 3))
    folded = np.round((np.stack([qpoints, -qpoints]) + 1e-9) % 1, 6)
    smaller = [tuple(min(pair.tolist())) for pair in folded.transpose(1, 0, 2)]
    _, distinct = np.unique(np.array(smaller), axis=0, return_index=True)
    generator = np.random.default_rng(list(record.id.encode()))
    chosen = generator.permutation(np.sort(distinct))[:count]
    return qpoints[chosen]
