"""Born charges, ε∞ and Raman tensors of a crystal, and where each of them is from.

In the order of trust: a BORN file, the record of a data set, a response model, and at last what the model of the force
constants has itself (the charges of its rigid ions or shells). Raman tensors that nobody knows are those of the
bond-polarisability model. Whatever they are, they are made to obey the symmetry of the crystal exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import neutralize_born_charges
from mlrim.lattice.symmetry import SpaceGroup, symmetrize_raman_tensors, symmetrize_site_tensors, symmetrize_tensor
from mlrim.predictors import Known, LongRange
from mlrim.shipped import NAME, shipped_model

if TYPE_CHECKING:
    from mlrim.checkpoint import LoadedModel
    from mlrim.models.response_predictor import NetworkAnswer
    from mlrim.uncertainty.calibrated import Errors, Uncertainty

NOTICED_EXCESS = 0.1
"""A sum of Born charges above this (e) is told."""
LIKELY = 0.5
"""Below this probability of being an insulator a crystal is told to be a metal."""


@runtime_checkable
class Answer(Protocol):
    """What one response network says of a crystal; the attributes are those of `LearnedResponse`."""

    @property
    def born_charges(self) -> Float[ndarray, "atoms 3 3"]:
        """In e."""
        ...

    @property
    def dielectric(self) -> Float[ndarray, "3 3"]:
        """Relative."""
        ...

    @property
    def raman_tensors(self) -> Float[ndarray, "atoms 3 3 3"] | None:
        """In Å²."""
        ...

    @property
    def insulator_probability(self) -> float:
        """From 0 to 1."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What to know."""
        ...


@dataclass(frozen=True, eq=False)
class LearnedResponse:
    """What one response network or the average of several says of a crystal.

    Attributes:
        born_charges: e; first index electric field, second displacement.
        dielectric: ε∞.
        raman_tensors: ∂α_ij/∂u_k, Å², indices atom, i, j, k; none when the model was not trained on them.
        insulator_probability: how sure the model is that the crystal has a gap.
        warnings: what to know about it.
        spread: standard deviation of the members of an ensemble: largest of Z* (e), relative of ε∞.
        errors: standard errors (68 %) where they were measured: typical component of Z* (e), eigenvalue of ε∞.
    """

    born_charges: Float[ndarray, "atoms 3 3"]
    dielectric: Float[ndarray, "3 3"]
    raman_tensors: Float[ndarray, "atoms 3 3 3"] | None
    insulator_probability: float = 1.0
    warnings: list[str] = field(default_factory=list)
    spread: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class ResponsePredictor(Protocol):
    """Predicts the response of crystals to an electric field."""

    @property
    def description(self) -> str:
        """The model in words."""
        ...

    def __call__(self, crystal: Crystal) -> LearnedResponse:
        """The response of one crystal."""
        ...


@dataclass(frozen=True, eq=False)
class Response:
    """The response that everything is calculated from; symmetric and neutral.

    Attributes:
        born_charges: e; first index electric field, second displacement.
        dielectric: ε∞; the unit tensor when the charges are screened already (`screened`).
        raman_tensors: ∂α_ij/∂u_k, Å², indices atom, i, j, k; none without any.
        sources: where `born_charges`, `dielectric` and `raman_tensors` are from, in words.
        screened: the charges stand for Z*/√ε∞, as those of rigid ions do.
        correction: largest change (e) of a Born charge that neutrality and symmetry demanded.
        insulator_probability: of the response model that was asked; none without one.
        spread: disagreement of the members of an ensemble.
        errors: of the response model, see `LearnedResponse`.
        warnings: what a reader should know.
    """

    born_charges: Float[ndarray, "atoms 3 3"] | None
    dielectric: Float[ndarray, "3 3"] | None
    raman_tensors: Float[ndarray, "atoms 3 3 3"] | None
    sources: dict[str, str]
    screened: bool = False
    correction: float = 0.0
    insulator_probability: float | None = None
    spread: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)

    @property
    def long_range(self) -> str:
        """The source of the long-range part in words."""
        return self.sources.get("born_charges", "none: no ionic charges")


def load_response(
    paths: str | Sequence[str] | None, theory: str = "pbesol", classical: bool = False
) -> ResponsePredictor | None:
    """The response model in a checkpoint or exported folder, or several as an ensemble.

    Args:
        paths: `none` for no model; nothing for the one that comes with the package, where there is one.
        theory: level of theory that is asked for.
        classical: the force constants are those of a classical model, which is left alone unless a model is named.

    Raises:
        UserError: a checkpoint cannot be used.
    """
    from mlrim.checkpoint import load_model

    if paths == "none" or (paths is None and classical):
        return None
    if paths is None or paths == NAME:
        shipped = shipped_model("response")
        if shipped is None and paths == NAME:
            raise UserError(
                f"response={NAME} is the model that comes with mlrim, but this copy has none "
                "(mlrim/pretrained/response); give a checkpoint, or response=none"
            )
        return None if shipped is None else ResponseEnsemble([load_model(shipped, kind="response")], [NAME], theory)
    names = [paths] if isinstance(paths, str) else list(paths)
    if not names:
        raise UserError("response= names no model; give checkpoints or exported folders, or none")
    from mlrim.uncertainty.calibrated import is_calibrated, load_calibrated

    if len(names) == 1 and is_calibrated(names[0]):
        load_model(names[0], kind="response")
        members, uncertainty = load_calibrated(names[0])
        return ResponseEnsemble(members, names, theory, uncertainty)
    return ResponseEnsemble([load_model(name, kind="response") for name in names], names, theory)


@dataclass(frozen=True, eq=False)
class ResponseEnsemble:
    """One or several response networks; several are averaged."""

    members: "list[LoadedModel]"
    paths: list[str]
    theory: str
    uncertainty: "Uncertainty | None" = None

    @property
    def description(self) -> str:
        """Names the checkpoints and the level of theory."""
        names = ", ".join(Path(path).name for path in self.paths)
        return f"response model {names}" if len(self.paths) == 1 else f"{len(self.paths)} response models ({names})"

    def __call__(self, crystal: Crystal) -> LearnedResponse:
        """The average of the members; of a posterior its maximum."""
        from mlrim.models.response_predictor import predict_response, response_latent

        answers = [predict_response(member, crystal, self.theory) for member in self.members]
        if self.uncertainty is None:
            return averaged(answers)
        chosen = averaged(answers[:1] if self.uncertainty.method == "laplace" else answers)
        latent = response_latent(self.members[0], crystal, self.theory)
        return with_response_errors(chosen, answers, self.uncertainty.errors(latent, crystal.numbers))


def with_response_errors(
    chosen: LearnedResponse, answers: "Sequence[NetworkAnswer]", errors: "Errors"
) -> LearnedResponse:
    """The response with its errors, and a warning where the crystal is unlike those that were trained on."""
    from mlrim.direct.predictor import spread
    from mlrim.uncertainty.training_domain import domain_warnings

    born = np.array([answer.born_charges for answer in answers])
    eigenvalues = np.array([np.linalg.eigvalsh(answer.dielectric) for answer in answers])
    found = {
        "born_charges": errors.of("born_charge", chosen.born_charges, spread(born)),
        "dielectric": errors.of("dielectric", np.linalg.eigvalsh(chosen.dielectric), spread(eigenvalues)),
    }
    means = {name: float(values.mean()) for name, values in found.items() if values is not None}
    return replace(chosen, errors=means, warnings=[*chosen.warnings, *domain_warnings(errors.domain)])


def averaged(answers: Sequence[Answer]) -> LearnedResponse:
    """The mean of several answers, and how far they are apart.

    Raman tensors are averaged over the members that predict them.
    """
    born = np.array([answer.born_charges for answer in answers])
    dielectric = np.array([answer.dielectric for answer in answers])
    raman = [answer.raman_tensors for answer in answers if answer.raman_tensors is not None]
    spread = {}
    if len(answers) > 1:
        mean = dielectric.mean(axis=0)
        spread = {
            "born_charges": float(born.std(axis=0).max()),
            "dielectric": float(np.abs(dielectric.std(axis=0)).max() / np.abs(mean).max()),
        }
    return LearnedResponse(
        born.mean(axis=0),
        dielectric.mean(axis=0),
        np.mean(raman, axis=0) if raman else None,
        float(np.mean([answer.insulator_probability for answer in answers])),
        list(dict.fromkeys(warning for answer in answers for warning in answer.warnings)),
        spread,
    )


def informed(known: Known, learned: LearnedResponse | None, description: str) -> Known:
    """What is known, completed by what a response model predicts; known quantities are never replaced."""
    if learned is None:
        return known
    if known.long_range is None:
        known = known._replace(long_range=LongRange(learned.born_charges, learned.dielectric, description))
    if known.raman_tensors is None and learned.raman_tensors is not None:
        known = known._replace(raman_tensors=learned.raman_tensors, raman_source=description)
    return known


def complete_response(
    crystal: Crystal,
    group: SpaceGroup,
    known: Known,
    own: LongRange | None,
    learned: LearnedResponse | None = None,
) -> Response:
    """The response that is used, made symmetric and neutral.

    Args:
        known: from a BORN file, a record, or (see `informed`) a response model.
        own: what the model of the force constants brings along.
        learned: what the response model said, for its warnings.

    Raises:
        UserError: ε∞ is not positive definite.
    """
    long_range = known.long_range or own
    warnings = [] if learned is None else metal_warnings(learned)
    probability = None if learned is None else learned.insulator_probability
    spread = {} if learned is None else learned.spread
    used = (
        learned is not None and known.long_range is not None and known.long_range.born_charges is learned.born_charges
    )
    errors = learned.errors if learned is not None and used else {}
    if long_range is None:
        tensors, source = _raman(crystal, group, known, None)
        return Response(
            None,
            None,
            tensors,
            {"raman_tensors": source},
            insulator_probability=probability,
            spread=spread,
            warnings=warnings,
        )
    born = symmetrize_site_tensors(long_range.born_charges, group)
    excess = float(np.abs(born.sum(axis=0)).max())
    if excess > NOTICED_EXCESS:
        warnings.append(f"Born charges summed to {excess:.2f} e per cell before they were made neutral")
    neutral = neutralize_born_charges(born)
    dielectric = symmetrize_tensor(long_range.dielectric, group)
    if np.linalg.eigvalsh(dielectric).min() <= 0:
        raise UserError(f"ε∞ from {long_range.source} is not positive definite: {dielectric.tolist()}")
    screened = bool(np.array_equal(long_range.dielectric, np.eye(3)))
    tensors, source = _raman(crystal, group, known, None if screened else dielectric)
    sources = {
        "raman_tensors": source,
        "born_charges": long_range.source,
        "dielectric": "one, because the charges are screened already" if screened else long_range.source,
    }
    correction = float(np.abs(neutral - long_range.born_charges).max())
    return Response(neutral, dielectric, tensors, sources, screened, correction, probability, spread, warnings, errors)


def metal_warnings(learned: LearnedResponse) -> list[str]:
    """The warnings of a response model; one more where the crystal is likely to be a metal."""
    consequence = "a metal has no LO–TO splitting and no infrared spectrum of its own"
    if learned.insulator_probability < LIKELY:
        probability = f"probability of a gap {learned.insulator_probability:.2f}"
        return [*learned.warnings, f"the response model takes this for a metal ({probability}): {consequence}"]
    return list(learned.warnings)


def _raman(
    crystal: Crystal, group: SpaceGroup, known: Known, dielectric: Float[ndarray, "3 3"] | None
) -> tuple[Float[ndarray, "atoms 3 3 3"], str]:
    """Raman tensors and their source: known ones, or those of the bond-polarisability model, scaled by ε∞."""
    if known.raman_tensors is not None:
        return symmetrize_raman_tensors(np.asarray(known.raman_tensors, dtype=float), group), known.raman_source
    from mlrim.rim.bond_polarizability import bond_polarizability_tensors

    tensors = bond_polarizability_tensors(crystal, dielectric=dielectric)
    return symmetrize_raman_tensors(tensors, group), "bond-polarisability model"
