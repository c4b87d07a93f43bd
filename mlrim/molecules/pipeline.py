"""From a molecule to its vibrations: the story that predict.py tells of a structure without a lattice.

geometry → relaxed in the energy of a model → Hessian by automatic differentiation → modes without translations and
rotations, irreps, activities → thermochemistry of the gas, spectra → a folder of files.

Intensities need the derivatives of dipole and polarisability, which an energy does not have: they are taken from the
file or record of the molecule, and are absent otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mlrim.derivatives.engine import Energy, differentiate
from mlrim.errors import UserError
from mlrim.molecules.relaxation import MolecularRelaxation, graph_for, largest_force, relax_molecule
from mlrim.molecules.structures import InputMolecule
from mlrim.potentials.settings import RelaxationSettings
from mlrim.report.molecule.prediction import IMAGINARY, MoleculePrediction
from mlrim.spectra.molecules import gas_spectra
from mlrim.spectra.settings import SpectraSettings
from mlrim.vibrations.ideal_gas import ideal_gas
from mlrim.vibrations.molecular_spectra import DipoleDerivatives, symmetric_derivatives
from mlrim.vibrations.molecular_symmetry import TOLERANCE, molecular_point_group
from mlrim.vibrations.molecules import MolecularVibrations, molecular_vibrations

Stage = Callable[[str], object]
"""Is told in words what is being calculated."""
DISPLACEMENT = 0.1
"""How far the farthest atom is moved along an imaginary mode that is followed, Å."""
MOST_FOLLOWED = 5
"""Imaginary modes are followed this often before the search is given up."""
LARGE_CHANGE = 0.05
"""Derivatives that symmetry changes by more than this share of the largest are of another geometry."""
LARGE_MOVE = 0.1
"""Derivatives are doubtful where the relaxation moves atoms by more than this, Å."""
LARGE_EXTERNAL = 50.0
"""Translations and rotations above this (cm⁻¹) mean that the geometry is no stationary point."""


@runtime_checkable
class EnergyPredictor(Protocol):
    """A model with an energy: what molecules need."""

    @property
    def description(self) -> str:
        """The model in words."""
        ...

    @property
    def energy(self) -> Energy:
        """Energies of graphs, eV, with a `cutoff` (Å)."""
        ...

    @property
    def metadata(self) -> dict[str, Any]:
        """What was recorded with the model."""
        ...


@dataclass(frozen=True)
class MoleculeSettings:
    """What is calculated.

    Attributes:
        relaxation: whether and how the geometry is relaxed, and what is done about imaginary modes.
        temperatures: K.
        tolerance: distance (Å) within which symmetric images must meet an atom.
        spectra: settings of the spectra.
    """

    relaxation: RelaxationSettings = field(default_factory=RelaxationSettings)
    temperatures: Float[ndarray, "temperatures"] = field(default_factory=lambda: np.array([0.0, 298.15]))
    tolerance: float = TOLERANCE
    spectra: SpectraSettings = field(default_factory=SpectraSettings)


class Stationary(NamedTuple):
    """A geometry with its energy, largest force and vibrations."""

    positions: Float[ndarray, "atoms 3"]
    energy: float
    residual: float
    vibrations: MolecularVibrations
    relaxation: MolecularRelaxation | None


def silently(stage: str) -> None:
    """Tells nobody."""


def predict_molecule(
    molecule: InputMolecule, predictor: object, settings: MoleculeSettings, stage: Stage = silently
) -> MoleculePrediction:
    """Predict everything about one molecule.

    Args:
        predictor: a model with an energy.
        stage: is told what is being calculated.

    Raises:
        UserError: the model has no energy, or reaches from no atom to another, or a mode is imaginary and that is
            refused.
    """
    model = require_energy(predictor, molecule)
    require_pairs(molecule, cutoff_of(model.energy))
    found, notes, warnings = stationary_point(molecule, model.energy, settings, stage)
    warnings += [*element_warnings(molecule, model), *connection_warnings(molecule, cutoff_of(model.energy))]
    warnings += background_warnings(model)
    stage("spectra and thermochemistry")
    derivatives, changes = symmetric_derivatives(molecule.derivatives, found.vibrations.group)
    warnings += derivative_warnings(molecule.derivatives, changes, found)
    spectra = gas_spectra(found.vibrations, derivatives, settings.spectra)
    return MoleculePrediction(
        name=molecule.name,
        source=molecule.source,
        model=model.description,
        numbers=molecule.numbers,
        positions=found.positions,
        energy=found.energy,
        residual=found.residual,
        relaxation=found.relaxation,
        vibrations=found.vibrations,
        derivatives=derivatives,
        gas=ideal_gas(found.vibrations, settings.temperatures),
        infrared=spectra.infrared,
        raman=spectra.raman,
        checks={f"{name}_derivatives_changed_by_symmetry": change for name, change in changes.items()},
        absent=spectra.absent,
        notes=[*molecule.notes, *notes],
        warnings=list(dict.fromkeys([*molecule.warnings, *warnings, *spectra.warnings])),
    )


def require_energy(predictor: object, molecule: InputMolecule) -> EnergyPredictor:
    """The predictor, if it has an energy.

    Raises:
        UserError: it only has force constants of crystals.
    """
    if isinstance(predictor, EnergyPredictor):
        return predictor
    name = getattr(predictor, "description", type(predictor).__name__)
    raise UserError(
        f"'{molecule.source}' is a molecule (no lattice), and ckpt= is a model of crystals ({name}); molecules need a "
        "model of energies: a checkpoint of train.py experiment=hessian_… (for a crystal, give a file with its lattice)"
    )


def require_pairs(molecule: InputMolecule, cutoff: float) -> None:
    """Raise UserError unless some atoms are near enough to feel each other."""
    distances = np.linalg.norm(molecule.positions[:, None] - molecule.positions[None], axis=2)
    nearest = float(distances[np.triu_indices(len(distances), 1)].min())
    if nearest >= cutoff:
        raise UserError(
            f"'{molecule.source}': the nearest atoms are {nearest:.1f} Å apart, farther than the model reaches "
            f"({cutoff:g} Å); check the units, positions are in Å"
        )


def stationary_point(
    molecule: InputMolecule, energy: Energy, settings: MoleculeSettings, stage: Stage
) -> tuple[Stationary, list[str], list[str]]:
    """The geometry whose vibrations are asked for, with notes and warnings.

    Raises:
        UserError: a mode is imaginary and that is refused.
    """
    notes: list[str] = []
    start = symmetrized(molecule, molecule.positions, settings.tolerance, notes)
    policy = settings.relaxation.imaginary
    found = vibrating(molecule, energy, start, settings, stage)
    for attempt in range(MOST_FOLLOWED if policy == "follow" and relaxes(settings) else 0):
        lowest = found.vibrations.modes[0] if found.vibrations.modes else None
        if lowest is None or lowest.frequency_cm1 > IMAGINARY:
            break
        stage(f"following an imaginary mode ({attempt + 1})")
        notes.append(f"moved along the imaginary {lowest.irrep.symbol} mode at {-lowest.frequency_cm1:.1f}i cm⁻¹")
        vector = lowest.eigenvectors[:, 0].reshape(-1, 3) / np.sqrt(molecule.masses)[:, None]
        moved = found.positions + DISPLACEMENT * vector / np.linalg.norm(vector, axis=1).max()
        found = vibrating(molecule, energy, moved, settings, stage)
    imaginary = [mode for mode in found.vibrations.modes if mode.frequency_cm1 < IMAGINARY]
    if imaginary and policy == "error":
        raise UserError(
            f"'{molecule.source}': {imaginary_text(found.vibrations)}; start from another geometry, or take it as it "
            "is (imaginary=warn), or follow the mode to a minimum (imaginary=follow)"
        )
    return found, notes, stationary_warnings(found, settings)


def relaxes(settings: MoleculeSettings) -> bool:
    """Whether the geometry is relaxed; it is, unless that is switched off."""
    return settings.relaxation.relax != "none"


def symmetrized(
    molecule: InputMolecule, positions: Float[ndarray, "atoms 3"], tolerance: float, notes: list[str]
) -> Float[ndarray, "atoms 3"]:
    """Positions moved onto the point group found within the tolerance."""
    group = molecular_point_group(molecule.numbers, positions, molecule.masses, tolerance)
    if group.deviation > 1e-9:
        notes.append(f"moved atoms by up to {group.deviation:.1e} Å onto the point group {group.symbol}")
    return group.positions + molecule.masses @ positions / molecule.masses.sum()


def vibrating(
    molecule: InputMolecule,
    energy: Energy,
    start: Float[ndarray, "atoms 3"],
    settings: MoleculeSettings,
    stage: Stage,
) -> Stationary:
    """Relax a geometry if that is wanted, and find its vibrations."""
    relaxation = None
    if relaxes(settings):
        stage("relaxing the geometry")
        options = settings.relaxation
        relaxation = relax_molecule(energy, molecule.numbers, start, cutoff_of(energy), options.fmax, options.max_steps)
        start = symmetrized(molecule, relaxation.positions, settings.tolerance, [])
    stage("Hessian")
    value, forces, hessian = energy_forces_hessian(energy, molecule.numbers, start)
    vibrations = molecular_vibrations(molecule.numbers, start, hessian, molecule.masses, settings.tolerance)
    return Stationary(start, value, largest_force(forces), vibrations, relaxation)


def energy_forces_hessian(
    energy: Energy, numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"]
) -> tuple[float, Float[ndarray, "atoms 3"], Float[ndarray, "components components"]]:
    """Energy (eV), forces (eV/Å) and Hessian (eV/Å²) of a molecule from one evaluation."""
    result = differentiate(energy, graph_for(energy, numbers, positions, cutoff_of(energy)))
    hessian = result.hessian()[0].double().cpu().numpy()
    return result.energy.item(), result.forces.double().cpu().numpy(), hessian


def cutoff_of(energy: Energy) -> float:
    """Distance (Å) of pairs that an energy sees."""
    return float(getattr(energy, "cutoff"))  # noqa: B009  (a Callable has no such attribute for the type checker)


def imaginary_text(vibrations: MolecularVibrations) -> str:
    """Says which modes are imaginary."""
    names = [
        f"{mode.irrep.symbol} at {-mode.frequency_cm1:.1f}i cm⁻¹"
        for mode in vibrations.modes
        if mode.frequency_cm1 < IMAGINARY
    ]
    return f"{len(names)} imaginary frequenc{'y' if len(names) == 1 else 'ies'} ({', '.join(names[:4])})"


def stationary_warnings(found: Stationary, settings: MoleculeSettings) -> list[str]:
    """What is wrong with a geometry as a minimum."""
    warnings = []
    if found.residual > 2 * settings.relaxation.fmax:
        what = "did not converge" if found.relaxation is not None else "was switched off"
        warnings.append(
            f"the largest force is {found.residual:.2g} eV/Å: the relaxation {what}, and frequencies off the minimum "
            "are those of no real vibration"
        )
    if any(mode.frequency_cm1 < IMAGINARY for mode in found.vibrations.modes):
        warnings.append(
            f"{imaginary_text(found.vibrations)}: the geometry is no minimum of this model; imaginary modes are left "
            "out of the thermochemistry and of spectra"
        )
    external = float(np.abs(found.vibrations.external_cm1).max())
    if external > LARGE_EXTERNAL:
        warnings.append(f"translations and rotations had up to {external:.0f} cm⁻¹ before they were projected out")
    return warnings


def derivative_warnings(derivatives: DipoleDerivatives, changes: dict[str, float], found: Stationary) -> list[str]:
    """Says that derivatives of dipole and polarisability do not belong to the geometry."""
    known = {"dipole": derivatives.dipole, "polarizability": derivatives.polarizability}
    sizes = {name: float(np.abs(values).max()) for name, values in known.items() if values is not None}
    warnings = [
        f"the point group {found.vibrations.group.symbol} changes the {name} derivatives by up to "
        f"{100 * change / sizes[name]:.0f} %: they are of another geometry or order of atoms"
        for name, change in changes.items()
        if change > LARGE_CHANGE * sizes[name]
    ]
    moved = 0.0 if found.relaxation is None else found.relaxation.moved
    if changes and moved > LARGE_MOVE:
        warnings.append(f"intensities are rough: the derivatives are of the start, {moved:.2g} Å from the minimum")
    return warnings


def element_warnings(molecule: InputMolecule, model: EnergyPredictor) -> list[str]:
    """Says that the model was not trained on an element."""
    seen = {int(number) for number in model.metadata.get("elements") or []}
    unseen = [symbol for symbol, n in zip(molecule.symbols, molecule.numbers, strict=True) if seen and n not in seen]
    if not unseen:
        return []
    names = ", ".join(dict.fromkeys(unseen))
    return [f"the potential was trained without {names}: what it says about this molecule is a guess"]


def connection_warnings(molecule: InputMolecule, cutoff: float) -> list[str]:
    """Says that parts of the molecule do not feel each other in the model."""
    distances = np.linalg.norm(molecule.positions[:, None] - molecule.positions[None], axis=2)
    parts, _ = connected_components(coo_array(distances < cutoff), directed=False)
    if parts == 1:
        return []
    return [f"the molecule falls into {parts} parts farther apart than the model reaches ({cutoff:g} Å)"]


def background_warnings(model: EnergyPredictor) -> list[str]:
    """Says that the model was trained on what is left of crystals without known parts of their energy."""
    background = model.metadata.get("background") or []
    if not background:
        return []
    return [
        f"the model was trained on crystals without their {' and '.join(map(str, background))} part, which is not put "
        "back for molecules: these frequencies are no prediction; train on molecules (experiment=hessian_molecules)"
    ]
