"""Where force constants come from: the classical models by name, or a trained checkpoint.

Every predictor answers one question: what are the short-range force constants of this crystal, and which Born
charges and ε∞ would it use if nobody knows better ones?
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants, add, unfold
from mlrim.lattice.supercell import Supercell
from mlrim.potentials.settings import PotentialSettings
from mlrim.shipped import NAME, shipped_model

if TYPE_CHECKING:
    from torch import nn

    from mlrim.checkpoint import LoadedModel
    from mlrim.direct.predictor import DirectPredictor
    from mlrim.lattice.dipole import DipoleInteraction
    from mlrim.uncertainty.calibrated import Uncertainty

CLASSICAL = ("rim", "shell", "fitted")
"""Names that stand for a classical model instead of a checkpoint; `fitted` needs known force constants."""


class LongRange(NamedTuple):
    """Born charges (e) and ε∞, and where they are from."""

    born_charges: Float[ndarray, "atoms 3 3"]
    dielectric: Float[ndarray, "3 3"]
    source: str


class Known(NamedTuple):
    """What is known about a crystal besides its structure, from a BORN file or a record of a data set."""

    long_range: LongRange | None = None
    force_constants: Mapping[str, Float[ndarray, "atoms images 3 3"]] | None = None
    supercell: Supercell | None = None
    features: Mapping[str, ndarray] | None = None
    """Descriptors that were computed before."""
    raman_tensors: Float[ndarray, "atoms 3 3 3"] | None = None
    """∂α_ij/∂u_k, Å²."""
    raman_source: str = ""


@dataclass(frozen=True, eq=False)
class ForceConstantPrediction:
    """Short-range force constants and the long-range part that goes with them.

    Attributes:
        short_range: everything but the dipole interaction, eV/Å².
        long_range: Born charges and ε∞ to use unless better ones are known; none for a crystal without ions.
        warnings: what the model has to say about this crystal.
        notes: how the force constants were made.
        members: short-range force constants of each of several networks, whose disagreement says how sure they are.
        latent: where the crystal is among those that the networks were trained on.
    """

    short_range: PairForceConstants
    long_range: LongRange | None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    members: list[PairForceConstants] = field(default_factory=list)
    latent: Float[ndarray, "channels"] | None = None


@runtime_checkable
class Predictor(Protocol):
    """Predicts the force constants of crystals."""

    @property
    def description(self) -> str:
        """The model in words."""
        ...

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """The force constants of one crystal."""
        ...


@runtime_checkable
class EnergyPredictor(Predictor, Protocol):
    """Predicts force constants as derivatives of an energy."""

    @property
    def energy(self) -> "nn.Module":
        """The energy itself."""
        ...

    @property
    def metadata(self) -> dict[str, Any]:
        """What was recorded with it: `background`, `elements` …"""
        ...


def require_energy(predictor: Predictor, option: str) -> EnergyPredictor:
    """The predictor, if it has an energy.

    Raises:
        UserError: it has none, and the option needs one.
    """
    if isinstance(predictor, EnergyPredictor):
        return predictor
    raise UserError(
        f"{option} needs a model with an energy, and {predictor.description} has none: it gives force constants for "
        "the structure as it is. Leave the option out, or give the checkpoint of a potential"
    )


def load_any_predictor(ckpt: str, potential: PotentialSettings | None = None) -> "Predictor | DirectPredictor":
    """The predictor of force constants, or of vibrations without any, that a name or a path stands for.

    Args:
        potential: how force constants are made if the checkpoint holds an energy.

    Raises:
        UserError: there is no such model, or the checkpoint cannot be used.
    """
    from mlrim.shipped import DIRECT

    if ckpt == DIRECT:
        return load_direct(str(shipped_direct()), DIRECT)
    if ckpt in (NAME, *CLASSICAL) or not Path(ckpt).exists():
        return load_predictor(ckpt, potential)
    from mlrim.checkpoint import kind_of_model

    return load_direct(ckpt, ckpt) if kind_of_model(ckpt) == "direct" else load_predictor(ckpt, potential)


def refuse_born(predictor: "Predictor | DirectPredictor", born: str | None) -> None:
    """Raise UserError for Born charges that a model has no use for."""
    from mlrim.direct.predictor import DirectPredictor

    if born is not None and isinstance(predictor, DirectPredictor):
        raise UserError(
            f"born={born} is of no use to {predictor.description}: its frequencies are those without macroscopic "
            "field. Leave it out, or give a model of force constants (ckpt=mlrim)"
        )


def load_direct(path: str, name: str) -> "DirectPredictor":
    """A direct model with what is known of its errors, where that is known.

    Args:
        name: of the model in descriptions.

    Raises:
        UserError: the checkpoint cannot be used.
    """
    from mlrim.checkpoint import load_model
    from mlrim.direct.predictor import DirectPredictor
    from mlrim.uncertainty.calibrated import is_calibrated, load_calibrated

    if is_calibrated(path):
        members, uncertainty = load_calibrated(path)
        return DirectPredictor(members, name, uncertainty)
    return DirectPredictor([load_model(path, kind="direct")], name)


def load_predictor(ckpt: str, potential: PotentialSettings | None = None) -> Predictor:
    """The predictor that a name or the path of a checkpoint stands for.

    Args:
        potential: how force constants are made if the checkpoint holds an energy.

    Raises:
        UserError: there is no such model, or the checkpoint cannot be used.
    """
    if ckpt == "rim":
        return RigidIonPredictor()
    if ckpt == "shell":
        return ShellPredictor()
    if ckpt == "fitted":
        return FittedPredictor()
    from mlrim.checkpoint import POTENTIALS, load_model

    if ckpt == NAME:
        return DeltaPredictor(load_model(shipped_delta(), kind="delta"), NAME)
    if not Path(ckpt).exists() and not ckpt.endswith(".ckpt") and "/" not in ckpt:
        from mlrim.configuration.problems import did_you_mean

        hint = did_you_mean(ckpt, (NAME, *CLASSICAL))
        raise UserError(
            f"ckpt={ckpt} is neither {NAME} (the trained model that comes with it), nor a classical model "
            f"({', '.join(CLASSICAL)}), nor an existing file.{hint}"
        )
    from mlrim.uncertainty.calibrated import is_calibrated, load_calibrated

    loaded = load_model(ckpt, kind=("delta", *POTENTIALS))
    if is_calibrated(ckpt):
        members, uncertainty = load_calibrated(ckpt)
        return CalibratedDelta([DeltaPredictor(member, ckpt) for member in members], ckpt, uncertainty)
    if loaded.kind in POTENTIALS:
        return PotentialPredictor(loaded, ckpt, potential or PotentialSettings())
    return DeltaPredictor(loaded, ckpt)


def shipped_direct() -> Path:
    """The direct model that comes with the package.

    Raises:
        UserError: this copy has none.
    """
    folder = shipped_model("direct")
    if folder is None:
        raise UserError(
            "ckpt=direct is the direct model that comes with mlrim, but this copy has none (mlrim/pretrained/direct). "
            "Get a complete copy, or train a model (python train.py experiment=direct_multitask) and give its "
            "checkpoint"
        )
    return folder


def shipped_delta() -> Path:
    """The trained correction that comes with the package.

    Raises:
        UserError: this copy has none.
    """
    folder = shipped_model("delta")
    if folder is None:
        raise UserError(
            f"ckpt={NAME} is the trained model that comes with mlrim, but this copy has none (mlrim/pretrained/delta). "
            "Get a complete copy, train a model (python train.py experiment=delta_phonondb) and give its checkpoint, "
            "or use the classical model: ckpt=rim"
        )
    return folder


@dataclass(frozen=True)
class RigidIonPredictor:
    """The rigid-ion model with scaled formal charges and the transferable short range."""

    description: str = "rigid-ion model"

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """Force constants of the pair potentials; the ions' charges are the long-range part."""
        charges, warnings = rigid_ion_charges(crystal, known)
        return ForceConstantPrediction(rigid_ion_baseline(crystal, charges), as_long_range(charges), warnings)


@dataclass(frozen=True)
class ShellPredictor:
    """The shell model, its shells eliminated exactly."""

    description: str = "shell model"

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """Force constants of the shell model without their dipole part, and its own Z* and ε∞."""
        from mlrim.rim.shell import default_shell_model

        model = default_shell_model(crystal)
        long_range = LongRange(model.born_charges, model.dielectric, "shell model")
        return ForceConstantPrediction(model.short_range_force_constants(), long_range)


@dataclass(frozen=True)
class FittedPredictor:
    """A rigid-ion model fitted to the known force constants of every single crystal: a bound, not a prediction."""

    description: str = "rigid-ion model fitted to each crystal"

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """Force constants of the fitted pair potentials; charges are fitted too where no Born charges are known.

        Raises:
            UserError: no force constants are known.
        """
        from mlrim.rim.fitting import fit_rigid_ion

        if known.force_constants is None or "dft" not in known.force_constants or known.supercell is None:
            raise UserError(
                f"ckpt=fitted needs the force constants of {crystal.reduced_formula}: it is for evaluate.py, or for "
                "predict.py with data=…"
            )
        born, dielectric = (None, None) if known.long_range is None else known.long_range[:2]
        compact = np.asarray(known.force_constants["dft"], dtype=float)
        fit = fit_rigid_ion(crystal, compact, known.supercell, born_charges=born, dielectric=dielectric)
        return ForceConstantPrediction(fit.model.short_range_force_constants(), as_long_range(fit.model.charges))


@dataclass(frozen=True)
class DeltaPredictor:
    """A trained correction added to the baseline that it was trained on."""

    loaded: "LoadedModel"
    path: str

    @property
    def description(self) -> str:
        """Names the checkpoint and its baseline."""
        return f"{self.baseline} + ML correction ({Path(self.path).name})"

    @property
    def baseline(self) -> str:
        """Name of the baseline of the correction."""
        return str(self.loaded.metadata.get("baseline", "rim"))

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """Baseline plus correction; without known Born charges those of the rigid ions."""
        from mlrim.graph.crystal_graph import ResponseFeatures
        from mlrim.models.predictor import predict_delta

        charges, warnings = rigid_ion_charges(crystal, known)
        response = None if known.long_range is None else ResponseFeatures(*known.long_range[:2])
        baseline = self.baseline_of(crystal, known, charges)
        correction = predict_delta(self.loaded, crystal, baseline, response, charges)
        return ForceConstantPrediction(add(baseline, correction), as_long_range(charges), warnings)

    def baseline_of(self, crystal: Crystal, known: Known, charges: Float[ndarray, "atoms"]) -> PairForceConstants:
        """The force constants that are corrected, eV/Å²."""
        if self.baseline == "rim":
            return rigid_ion_baseline(crystal, charges)
        return stored_baseline(self.baseline, crystal, known)

    def latent(self, crystal: Crystal, known: Known) -> Float[ndarray, "channels"]:
        """Where a crystal is among others to the network."""
        from mlrim.graph.crystal_graph import ResponseFeatures
        from mlrim.models.predictor import delta_latent

        charges, _ = rigid_ion_charges(crystal, known)
        response = None if known.long_range is None else ResponseFeatures(*known.long_range[:2])
        return delta_latent(self.loaded, crystal, self.baseline_of(crystal, known, charges), response, charges)


@dataclass(frozen=True, eq=False)
class CalibratedDelta:
    """Several corrections to one baseline, whose errors were measured."""

    networks: list[DeltaPredictor]
    path: str
    uncertainty: "Uncertainty"

    @property
    def description(self) -> str:
        """Names the folder, its baseline, and how many networks there are."""
        kind = f"{self.uncertainty.method} of {len(self.networks)}"
        return f"{self.networks[0].baseline} + ML correction ({Path(self.path).name}, {kind})"

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """The mean of an ensemble, or of a posterior the force constants of its maximum, with those of all members."""
        answers = [network(crystal, known) for network in self.networks]
        first = answers[0]
        short_range = first.short_range
        if self.uncertainty.method == "ensemble":
            short_range = mean_of([answer.short_range for answer in answers])
        latent = self.networks[0].latent(crystal, known)
        members = [answer.short_range for answer in answers]
        return replace(first, short_range=short_range, members=members, latent=latent)


def mean_of(parts: list[PairForceConstants]) -> PairForceConstants:
    """The mean of force constants on the same pairs."""
    return parts[0]._replace(blocks=np.mean([part.blocks for part in parts], axis=0))


@dataclass(frozen=True, eq=False)
class PotentialPredictor:
    """An energy, whose second derivatives are the force constants, and the background that it was trained on top of."""

    loaded: "LoadedModel"
    path: str
    settings: PotentialSettings = field(default_factory=PotentialSettings)

    @property
    def description(self) -> str:
        """Names the checkpoint and its background."""
        return " + ".join([*self.background, f"potential ({Path(self.path).name})"])

    @property
    def metadata(self) -> dict[str, Any]:
        """What was recorded with the checkpoint."""
        return self.loaded.metadata

    @property
    def background(self) -> list[str]:
        """The parts of the energy that were not learned; see `mlrim.rim.background`."""
        return [str(name) for name in self.metadata.get("background", [])]

    @cached_property
    def energy(self) -> "nn.Module":
        """The energy, in the precision of the settings."""
        return self.loaded.model.double() if self.settings.precision == "double" else self.loaded.model.float()

    def __call__(self, crystal: Crystal, known: Known) -> ForceConstantPrediction:
        """Second derivatives of the energy plus the short-ranged background.

        Where the dipole interaction is part of the background it goes with the Born charges, those of the rigid ions if
        none are known. An energy without background holds everything; the dipole interaction of known Born charges is
        then taken out in a supercell, and what is added back changes wave vectors between those of it only.
        """
        from mlrim.models.potential_predictor import PotentialPhonons

        phonons = PotentialPhonons(self.energy, crystal, self.settings, known.supercell)
        short_range, long_range, warnings = phonons.force_constants, None, unseen_elements(crystal, self.metadata)
        if self.background:
            charges, about_charges = rigid_ion_charges(crystal, known)
            if "rim" in self.background:
                short_range = add(short_range, rigid_ion_baseline(crystal, charges))
            if "dipole" in self.background:
                long_range = as_long_range(charges)
            used = known.long_range or long_range
            if "smeared" in self.background and used is not None:
                short_range = add(short_range, smearing_of(crystal, used))
            warnings += about_charges if "rim" in self.background or known.long_range is None else []
        if "dipole" not in self.background and known.long_range is not None:
            short_range = add(short_range, minus_dipoles(crystal, known.long_range, known.supercell))
        return ForceConstantPrediction(short_range, long_range, warnings, [phonons.description])


def unseen_elements(crystal: Crystal, metadata: Mapping[str, Any]) -> list[str]:
    """A warning if a network was not trained on all elements of a crystal."""
    seen = metadata.get("elements")
    unseen = [] if not seen else sorted(set(crystal.numbers.tolist()) - {int(number) for number in seen})
    if not unseen:
        return []
    names = ", ".join(chemical_symbols[number] for number in unseen)
    return [f"the potential was trained without {names}: what it says about this crystal is a guess"]


def minus_dipoles(crystal: Crystal, long_range: LongRange, supercell: Supercell | None) -> PairForceConstants:
    """Minus the dipole interaction as a supercell sees it, on its shortest vectors, eV/Å²."""
    from mlrim.lattice.supercell import suggest_supercell_matrix

    cell = Supercell(crystal, suggest_supercell_matrix(crystal) if supercell is None else supercell.matrix)
    return unfold(-symmetric_dipoles(crystal, long_range).folded(cell), cell)


def smearing_of(crystal: Crystal, long_range: LongRange) -> PairForceConstants:
    """What Gaussian charges instead of points change at short distance, eV/Å²."""
    from mlrim.rim.background import short_range_background

    return short_range_background(["smeared"], crystal, symmetric_dipoles(crystal, long_range))


def symmetric_dipoles(crystal: Crystal, long_range: LongRange) -> "DipoleInteraction":
    """The dipole interaction of Born charges and ε∞ made symmetric and neutral."""
    from mlrim.lattice.dipole import DipoleInteraction, neutralize_born_charges
    from mlrim.lattice.symmetry import space_group, symmetrize_site_tensors, symmetrize_tensor

    group = space_group(crystal)
    born = neutralize_born_charges(symmetrize_site_tensors(long_range.born_charges, group))
    return DipoleInteraction(crystal, born, symmetrize_tensor(long_range.dielectric, group))


def rigid_ion_charges(crystal: Crystal, known: Known) -> tuple[Float[ndarray, "atoms"], list[str]]:
    """Scaled formal charges (e), from the stored features where they are there, and what to know about them."""
    from mlrim.rim.charges import DEFAULT_SCALE, formal_charges, scaled_charges

    if known.features is not None and "charge" in known.features:
        return DEFAULT_SCALE * np.asarray(known.features["charge"], dtype=float), []
    formal = formal_charges(crystal)
    return scaled_charges(formal), [formal.warning] if formal.warning else []


def rigid_ion_baseline(crystal: Crystal, charges: Float[ndarray, "atoms"]) -> PairForceConstants:
    """Short-range force constants of the rigid-ion model with these charges."""
    from mlrim.rim.rigid_ion import RigidIonModel
    from mlrim.rim.transfer import transferable_short_range

    return RigidIonModel(crystal, charges, *transferable_short_range(crystal, charges)).short_range_force_constants()


def stored_baseline(name: str, crystal: Crystal, known: Known) -> PairForceConstants:
    """A baseline by name; see `mlrim.rim.baselines`."""
    from mlrim.rim.baselines import short_range_baseline

    long_range = known.long_range
    return short_range_baseline(
        name,
        crystal,
        force_constants=known.force_constants,
        supercell=known.supercell,
        born_charges=None if long_range is None else long_range.born_charges,
        dielectric=None if long_range is None else long_range.dielectric,
    )


def as_long_range(charges: Float[ndarray, "atoms"]) -> LongRange | None:
    """Ionic charges as Born charges in vacuum (that is Z*/√ε∞); none when every atom is neutral."""
    if np.abs(charges).max() < 1e-12:
        return None
    return LongRange(charges[:, None, None] * np.eye(3), np.eye(3), "rigid-ion charges, q = Z*/√ε∞")
