"""What each kind of model predicts, what the truth is, and what its networks were trained by.

One class for each kind of model, with the same methods; another kind is another class and a line in `KINDS`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from datamodules.direct_labels import density_labels, density_of_dynamics
from datamodules.direct_samples import DirectSettings, chosen_waves, join_direct, make_direct_sample
from datamodules.response_samples import LabelledResponse, join_responses, make_response_sample
from mlrim.checkpoint import LoadedModel
from mlrim.direct.answers import answer_of
from mlrim.graph.crystal_graph import CUTOFF
from mlrim.graph.crystal_scalars import SCALAR_UNITS, SCALARS
from mlrim.graph.frequency_bins import DENSITY_BINS, FrequencyBins, bins_from
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.units import SQRT_EIGENVALUE_TO_CM1, THZ_TO_CM1
from mlrim.vibrations.gamma import translation_overlaps

if TYPE_CHECKING:
    from datamodules.batching import LabelledGraph
    from datamodules.records import Record

Quantities = dict[str, Float[ndarray, "values"]]
"""Values of each quantity; NaN where one is not known."""
UNITS = {
    "frequency": "cm⁻¹",
    "density": "share of the states of a bin",
    **SCALAR_UNITS,
    "born_charge": "e",
    "dielectric": "1",
    "stability": "log-odds (truth: 1 stable, 0 not)",
}
MESH_SPACING = 0.06
"""Of wave vectors for densities and thermal functions, 1/Å without 2π."""


class Answer(NamedTuple):
    """What a network says of one record."""

    quantities: Quantities
    latent: Float[ndarray, "channels"]
    """Where the crystal is among others."""


@runtime_checkable
class Kind(Protocol):
    """One kind of model."""

    def truths(self, record: "Record") -> Quantities:
        """What is known of a record."""
        ...

    def answer(self, member: LoadedModel, record: "Record") -> Answer:
        """What a network says of it; in the same order."""
        ...

    def latent(self, member: LoadedModel, record: "Record") -> Float[ndarray, "channels"]:
        """Where the crystal is among others."""
        ...

    def batches(self, records: Iterator["Record"]) -> Iterator[Any]:
        """Batches of one crystal each, as in training."""
        ...

    def quantity_of(self, layer: str) -> str | None:
        """The quantity that one of the network's last layers gives, if one that is calibrated."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """The loss of training."""
        ...


class DirectKind:
    """Direct models: frequencies at Γ, density of states, single numbers, stability.

    Args:
        first: the network that is calibrated, in `eval` mode.
    """

    def __init__(self, first: LoadedModel) -> None:
        from mlrim.tasks.direct import DirectTask

        config = first.config
        self.settings = DirectSettings(
            cutoff=float(config["cutoff"]),
            density_bins=bins_from(config["density_bins"]),
            spectrum_bins=bins_from(config["spectrum_bins"]),
            label=str(first.metadata.get("label", "dft")),
        )
        self.task = DirectTask(first.model)  # type: ignore[arg-type]

    def truths(self, record: "Record") -> Quantities:
        """From the record's force constants, Born charges and ε∞."""
        sample = make_direct_sample(record, self.settings)
        density = sample.states.double().numpy().sum(axis=0) / (3 * record.crystal.n_atoms)
        gamma = sample.gamma.double().numpy()
        return {
            "frequency": optical_part(np.sign(gamma) * np.sqrt(np.abs(gamma))) * SQRT_EIGENVALUE_TO_CM1,
            "density": density,
            **{name: np.array([value]) for name, value in zip(SCALARS, sample.scalars.double().numpy(), strict=True)},
            "stability": sample.stable.double().numpy(),
        }

    def answer(self, member: LoadedModel, record: "Record") -> Answer:
        """The heads' answers."""
        found = answer_of(member.model, record.crystal)  # type: ignore[arg-type]
        quantities: Quantities = {}
        if found.gamma is not None:
            quantities["frequency"] = optical_part(found.gamma)
        if found.states is not None:
            quantities["density"] = found.states.sum(axis=0) / (3 * record.crystal.n_atoms)
        if found.scalars is not None and found.stability_logit is not None:
            quantities |= {name: np.array([value]) for name, value in found.scalars.items()}
            quantities["stability"] = np.array([found.stability_logit])
        return Answer(quantities, found.latent)

    def latent(self, member: LoadedModel, record: "Record") -> Float[ndarray, "channels"]:
        """The average of the atoms' scalars."""
        return answer_of(member.model, record.crystal).latent  # type: ignore[arg-type]

    def batches(self, records: Iterator["Record"]) -> Iterator[Any]:
        """Structures with all their labels and one wave vector."""
        generator = np.random.default_rng(0)
        for record in records:
            batch = join_direct([chosen_waves(make_direct_sample(record, self.settings), 1, generator)])
            yield batch._replace(graph=batch.graph.to(_dtype(self.task.model)))

    def quantity_of(self, layer: str) -> str | None:
        """By the head that the layer belongs to."""
        return {"modes": "frequency", "density": "density", "scalars": "entropy"}.get(layer.split(".")[0])

    def loss(self, batch: Any) -> Tensor:
        """The weighted sum of the heads' losses."""
        parts = self.task.loss_parts(batch)
        return torch.stack([self.task.weights[name] * part for name, part in parts.items()]).sum()


class DeltaKind:
    """Delta models: what follows from baseline, correction and the long-range part of the record.

    Args:
        first: the network that is calibrated, in `eval` mode.
    """

    bins: ClassVar[FrequencyBins] = DENSITY_BINS

    def __init__(self, first: LoadedModel) -> None:
        from datamodules.samples import SampleSettings
        from mlrim.tasks.delta import DeltaTask

        metadata = first.metadata
        cutoff, label = float(metadata.get("cutoff", CUTOFF)), str(metadata.get("label", "dft"))
        self.settings = SampleSettings(str(metadata.get("baseline", "rim")), label, cutoff)
        self.task = DeltaTask(first.model)  # type: ignore[arg-type]
        self.task.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]

    def truths(self, record: "Record") -> Quantities:
        """From the record's force constants, Born charges and ε∞."""
        density = density_labels(record, self.bins, MESH_SPACING, self.settings.label)
        dynamics = record.lattice_dynamics(self.settings.label)
        return {"frequency": optical_frequencies(dynamics), **density_quantities(density, record.crystal.n_atoms)}

    def answer(self, member: LoadedModel, record: "Record") -> Answer:
        """From the predicted force constants with the record's long-range part."""
        from mlrim.predictors import DeltaPredictor
        from mlrim.record_jobs import known_from_record

        known = known_from_record(record)
        predicted = DeltaPredictor(member, "member")(record.crystal, known)
        dipole = None
        if known.long_range is not None:
            dipole = DipoleInteraction(record.crystal, known.long_range.born_charges, known.long_range.dielectric)
        dynamics = LatticeDynamics(record.crystal, predicted.short_range, dipole)
        density = density_of_dynamics(dynamics, self.bins, MESH_SPACING)
        quantities = {
            "frequency": optical_frequencies(dynamics),
            **density_quantities(density, record.crystal.n_atoms),
        }
        return Answer(quantities, self.latent(member, record))

    def latent(self, member: LoadedModel, record: "Record") -> Float[ndarray, "channels"]:
        """The average of the atoms' scalars."""
        from mlrim.predictors import DeltaPredictor
        from mlrim.record_jobs import known_from_record

        return DeltaPredictor(member, "member").latent(record.crystal, known_from_record(record))

    def batches(self, records: Iterator["Record"]) -> Iterator["LabelledGraph"]:
        """Crystals with folded labels and one wave vector."""
        return (self._sample(record) for record in records)

    def _sample(self, record: "Record") -> "LabelledGraph":
        from datamodules.batching import LabelledGraph, join
        from datamodules.sample_cache import decode_sample, encode_sample
        from datamodules.samples import labels_of, make_sample

        sample = decode_sample(encode_sample(make_sample(record, self.settings)))  # in single precision
        return join([LabelledGraph(sample.graph, labels_of(sample, 0))])

    def quantity_of(self, layer: str) -> str | None:
        """The head gives force constants, whose frequencies are calibrated."""
        return "frequency"

    def loss(self, batch: Any) -> Tensor:
        """The loss of the task."""
        return self.task.training_step(batch, 0)


class ResponseKind:
    """Response models: Born charges and the eigenvalues of ε∞.

    Args:
        first: the network that is calibrated, in `eval` mode.
    """

    def __init__(self, first: LoadedModel) -> None:
        from mlrim.tasks.response import ResponseTask

        self.cutoff = float(first.metadata.get("cutoff", CUTOFF))
        self.task = ResponseTask(first.model)  # type: ignore[arg-type]
        self.task.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]

    def truths(self, record: "Record") -> Quantities:
        """The record's own."""
        born, dielectric = record.born_charges, record.dielectric
        size = 9 * record.crystal.n_atoms
        return {
            "born_charge": np.full(size, np.nan) if born is None else born.ravel(),
            "dielectric": np.full(3, np.nan) if dielectric is None else np.linalg.eigvalsh(dielectric),
        }

    def answer(self, member: LoadedModel, record: "Record") -> Answer:
        """Z* of every atom, row by row, and the eigenvalues of ε∞."""
        from mlrim.graph.response_graph import THEORIES, theory_index
        from mlrim.models.response_predictor import predict_response

        found = predict_response(member, record.crystal, THEORIES[theory_index(record.theory)])
        quantities = {"born_charge": found.born_charges.ravel(), "dielectric": np.linalg.eigvalsh(found.dielectric)}
        return Answer(quantities, self.latent(member, record))

    def latent(self, member: LoadedModel, record: "Record") -> Float[ndarray, "channels"]:
        """The average of the atoms' scalars."""
        from mlrim.graph.response_graph import THEORIES, theory_index
        from mlrim.models.response_predictor import response_latent

        return response_latent(member, record.crystal, THEORIES[theory_index(record.theory)])

    def batches(self, records: Iterator["Record"]) -> Iterator[LabelledResponse]:
        """Crystals with the labels there are."""
        return (join_responses([self._sample(record)]) for record in records)

    def _sample(self, record: "Record") -> LabelledResponse:
        return make_response_sample(record, self.cutoff)

    def quantity_of(self, layer: str) -> str | None:
        """By the head that the layer belongs to."""
        return "dielectric" if layer.startswith("dielectric") else "born_charge"

    def loss(self, batch: Any) -> Tensor:
        """The loss of the task."""
        return self.task.training_step(batch, 0)


KINDS: dict[str, type] = {"direct": DirectKind, "delta": DeltaKind, "response": ResponseKind}
"""The kinds of models whose errors can be calibrated."""


def optical_part(frequencies: Float[ndarray, "modes"]) -> Float[ndarray, "optical"]:
    """Frequencies at Γ in their order without the three that are exactly zero.

    >>> optical_part(np.array([-5.0, 0, 0, 0, 7.0])).tolist()
    [-5.0, 7.0]
    """
    kept = np.argsort(np.abs(frequencies), kind="stable")[3:]
    return frequencies[np.sort(kept)]


def optical_frequencies(dynamics: LatticeDynamics) -> Float[ndarray, "optical"]:
    """Optical frequencies at Γ without the macroscopic field, cm⁻¹, ascending."""
    squares, vectors = np.linalg.eigh(dynamics.dynamical_matrices(np.zeros((1, 3)))[0].real)
    overlaps = translation_overlaps(vectors, dynamics.crystal.masses)
    return THZ_TO_CM1 * np.delete(frequencies_from_eigenvalues(squares), np.argsort(overlaps)[-3:])


def density_quantities(density: Any, n_atoms: int) -> Quantities:
    """Shares of the states in every bin, and the single numbers."""
    scalars = zip(SCALARS, density.scalars, strict=True)
    return {"density": density.states.sum(axis=0) / (3 * n_atoms), **{n: np.array([value]) for n, value in scalars}}


def _dtype(model: torch.nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def _array(tensor: Tensor) -> ndarray:
    return np.asarray(tensor.cpu().double().numpy())
