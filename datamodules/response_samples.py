"""From a record to what the response network is trained on: a graph, and the labels that are known."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from datamodules.records import Record
from datamodules.samples import baseline_of, scaled_formal_charges
from mlrim.graph.crystal_graph import CUTOFF, CrystalGraph
from mlrim.graph.response_graph import ResponseGraph, batch_responses, build_response_graph, theory_index
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import unfold
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import translation_overlaps

MAX_DIELECTRIC = 30.0
"""Larger trace(ε∞)/3 means a metal, or nearly one."""
MAX_BORN_CHARGE = 10.0
"""e; larger components mean the same."""
LEAST_SUSCEPTIBILITY = 0.01
"""Where ε∞ − 1 is smaller, the level of theory knows no polarisable electrons."""

SOFTEST = 20.0
"""cm⁻¹: Raman lines of softer modes are not learned."""


class ResponseLabels(NamedTuple):
    """What is known of a batch of crystals; what is not known is masked, and zero."""

    born_charges: Float[Tensor, "atoms 3 3"]
    born_known: Bool[Tensor, "graphs"]
    log_susceptibility: Float[Tensor, "graphs 3 3"]
    """ln(ε∞ − 1)"""
    dielectric_known: Bool[Tensor, "graphs"]
    metal: Float[Tensor, "graphs"]
    """One for metals and what is nearly one, zero for insulators; NaN where Born charges or ε∞ are not known."""
    raman_tensors: Float[Tensor, "atoms 3 3 3"]
    """Å²"""
    raman_known: Bool[Tensor, "graphs"]
    frequencies: list[Float[Tensor, "_"]]
    """Of the optical modes of every crystal, cm⁻¹; none where its Raman lines are not known."""
    displacements: list[Float[Tensor, "_ _ 3"]]
    """Of these modes, 1/√amu."""
    powder: list[Float[Tensor, "_"]]
    """Relative powder intensities of these modes, degenerate ones sharing theirs; NaN where not known."""


class LabelledResponse(NamedTuple):
    """A crystal, or a batch of them, with its labels."""

    graph: ResponseGraph
    labels: ResponseLabels


def make_response_sample(record: Record, cutoff: float = CUTOFF) -> LabelledResponse:
    """The sample of a record, float32.

    Raises:
        UserError: the record's level of theory is none that the network tells apart.
    """
    graph = build_response_graph(
        record.crystal,
        baseline_of(record, "rim"),
        scaled_formal_charges(record),
        theory_index(record.theory),
        raman_prior(record),
        record.features.get("soap"),
        record.features.get("coordination"),
        cutoff,
    )
    return LabelledResponse(graph, labels_of_record(record))


def raman_prior(record: Record) -> Float[np.ndarray, "atoms 3 3 3"]:
    """Raman tensors of the bond-polarisability model, Å²; zero for records that have no Raman labels."""
    if record.raman_tensors is None and "raman_total" not in record.spectra:
        return np.zeros((record.crystal.n_atoms, 3, 3, 3))
    from mlrim.rim.bond_polarizability import bond_polarizability_tensors

    return bond_polarizability_tensors(record.crystal)


def labels_of_record(record: Record) -> ResponseLabels:
    """What a record knows of its crystal's response."""
    n_atoms = record.crystal.n_atoms
    metallic = is_metallic(record)
    born = None if metallic else record.born_charges
    polarizable = (
        record.dielectric is not None and np.linalg.eigvalsh(record.dielectric).min() > 1 + LEAST_SUSCEPTIBILITY
    )
    dielectric = record.dielectric if polarizable and not metallic else None
    raman = record.raman_tensors
    modes = raman_modes(record)
    return ResponseLabels(
        _float(np.zeros((n_atoms, 3, 3)) if born is None else born),
        torch.tensor([born is not None]),
        _float(np.zeros((3, 3)) if dielectric is None else log_susceptibility(dielectric))[None],
        torch.tensor([dielectric is not None]),
        torch.tensor([_metal_label(record, metallic)]),
        _float(np.zeros((n_atoms, 3, 3, 3)) if raman is None else raman),
        torch.tensor([raman is not None]),
        *([_float(part)] for part in modes),
    )


def _metal_label(record: Record, metallic: bool) -> float:
    known = record.born_charges is not None and record.dielectric is not None
    return float(metallic) if known or metallic else float("nan")


def is_metallic(record: Record) -> bool:
    """Whether ε∞ or Born charges are so large that the compound is a metal, or nearly one."""
    born, dielectric = record.born_charges, record.dielectric
    large = born is not None and float(np.abs(born).max()) > MAX_BORN_CHARGE
    return large or (dielectric is not None and float(np.trace(dielectric)) / 3 > MAX_DIELECTRIC)


def log_susceptibility(dielectric: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """ln(ε∞ − 1) of a symmetric tensor with eigenvalues above one."""
    values, vectors = np.linalg.eigh((dielectric + dielectric.T) / 2)
    return (vectors * np.log(values - 1)) @ vectors.T


class RamanModes(NamedTuple):
    """Optical modes at Γ and their powder intensities; empty where nothing is known."""

    frequencies: Float[np.ndarray, "modes"]
    displacements: Float[np.ndarray, "modes atoms 3"]
    powder: Float[np.ndarray, "modes"]


def raman_modes(record: Record) -> RamanModes:
    """Stable optical modes of a record with Raman labels, and the intensities printed for them."""
    n_atoms = record.crystal.n_atoms
    printed = record.spectra.get("raman_total")
    if (printed is None and record.raman_tensors is None) or "dft" not in record.force_constants:
        return RamanModes(np.zeros(0), np.zeros((0, n_atoms, 3)), np.zeros(0))
    dynamics = LatticeDynamics(record.crystal, unfold(record.compact(), record.supercell), None)
    modes = dynamics.modes(np.zeros((1, 3)))
    vectors = modes.eigenvectors[0].real
    acoustic = np.argsort(-translation_overlaps(vectors, record.crystal.masses))[:3]
    kept = np.setdiff1d(np.arange(3 * n_atoms), acoustic)
    frequencies = modes.frequencies[0, kept] * THZ_TO_CM1
    powder = np.full(len(kept), np.nan) if printed is None else np.asarray(printed)[kept]
    stable = frequencies > SOFTEST
    displacements = vectors[:, kept].T.reshape(len(kept), n_atoms, 3) / np.sqrt(record.crystal.masses)[:, None]
    return RamanModes(frequencies[stable], displacements[stable], powder[stable])


def join_responses(samples: Sequence[LabelledResponse]) -> LabelledResponse:
    """One batch of several samples."""
    columns = zip(*(sample.labels for sample in samples), strict=True)
    joined: list[Any] = [_joined(column) for column in columns]
    return LabelledResponse(batch_responses([sample.graph for sample in samples]), ResponseLabels(*joined))


def _joined(column: Sequence[Any]) -> Tensor | list[Tensor]:
    if isinstance(column[0], list):
        return [tensor for tensors in column for tensor in tensors]
    return torch.cat(list(column))


def _float(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def arrays_of(sample: LabelledResponse) -> dict[str, np.ndarray]:
    """A sample as named arrays, for storage."""
    named = {f"crystal.{name}": tensor.numpy() for name, tensor in sample.graph.crystal._asdict().items()}
    named |= {f"graph.{name}": getattr(sample.graph, name).numpy() for name in ResponseGraph._fields[1:]}
    for name, value in sample.labels._asdict().items():
        named[f"labels.{name}"] = (value[0] if isinstance(value, list) else value).numpy()
    return named


def sample_of(arrays: dict[str, np.ndarray]) -> LabelledResponse:
    """The sample in named arrays."""
    parts: dict[str, dict[str, Tensor]] = {"crystal": {}, "graph": {}, "labels": {}}
    for key, array in arrays.items():
        prefix, _, name = key.partition(".")
        parts[prefix][name] = torch.from_numpy(array)
    lists = ("frequencies", "displacements", "powder")
    labels: dict[str, Any] = {name: [value] if name in lists else value for name, value in parts["labels"].items()}
    return LabelledResponse(ResponseGraph(CrystalGraph(**parts["crystal"]), **parts["graph"]), ResponseLabels(**labels))
