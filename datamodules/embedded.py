"""Crystals that the program makes itself: rigid-ion and shell models with published parameters.

    python -m datamodules.build source=embedded out=data/embedded

Every crystal is one structure type with one compound of one parameter set of `mlrim.rim.library`. Rigid-ion crystals
are relaxed to the equilibrium of their own model; their long-range physics is that of point charges in vacuum, Z* = q
and ε∞ = 1. Shell-model crystals keep the experimental structure; their Z* and ε∞ are those of the shells. The
transferable rigid-ion rule that serves as baseline knows nothing of these parameters, so there is something to learn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal as from_space_group
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize

from datamodules.importers.phonopy_records import symmetrized_response
from datamodules.importers.registry import Importer, ImportOptions, Input
from datamodules.quality import commensurate_frequencies, dielectric_quality, force_constant_quality
from datamodules.records import Record
from mlrim import __version__
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell, suggest_supercell_matrix
from mlrim.lattice.symmetry import space_group
from mlrim.rim.library import LIBRARY, published_rigid_ion_model, published_shell_model
from mlrim.rim.rigid_ion import RigidIonModel

SWITCH_WIDTH = 2.0
"""Å; the pair potentials fade over this range before their cut-off, so that energies are smooth in the lattice."""
SUPERCELL_LENGTH, SUPERCELL_ATOMS = 9.0, 120
SYMPREC = 1e-4
"""Å; relaxed structures are symmetric to about 1e-6 Å."""


@dataclass(frozen=True)
class StructureType:
    """A structure type.

    Attributes:
        counts: formula units of the elements, in order.
        build: makes its primitive cell from the elements and the lattice parameter a (Å).
    """

    counts: tuple[int, ...]
    build: Callable[[tuple[str, ...], float], Atoms]


@dataclass(frozen=True)
class EmbeddedCrystal:
    """One crystal of the embedded data set.

    Attributes:
        structure: structure type, a key of `STRUCTURES`.
        elements: elements in the order of the structure type.
        length: lattice parameter a (Å) at which the relaxation starts, or the experimental one for shell models.
        parameters: set in `mlrim.rim.library`.
    """

    structure: str
    elements: tuple[str, ...]
    length: float
    parameters: str

    @property
    def name(self) -> str:
        """For example `rocksalt-MgO`, with `-shell` for shell models."""
        suffix = "-shell" if LIBRARY[self.parameters].shells else ""
        counts = STRUCTURES[self.structure].counts
        formula = "".join(
            f"{element}{count if count > 1 else ''}" for element, count in zip(self.elements, counts, strict=True)
        )
        return f"{self.structure}-{formula}{suffix}"


def find_embedded(_: Path | None) -> list[Input]:
    """All crystals of the embedded data set."""
    return [Input(name, None) for name in sorted(CRYSTALS)]


def read_embedded(source: Input, options: ImportOptions) -> Record:
    """Make one record: structure, relaxation, force constants, Z*, ε∞."""
    embedded = CRYSTALS[source.name]
    start = Crystal.from_ase(STRUCTURES[embedded.structure].build(embedded.elements, embedded.length))
    crystal, compact, supercell, born_charges, dielectric = _modelled(embedded, start)
    group = space_group(crystal, SYMPREC)
    quality = force_constant_quality(compact, compact, supercell) | dielectric_quality(born_charges, dielectric)
    born_charges, dielectric = symmetrized_response(born_charges, dielectric, group)
    kind = "shell model" if LIBRARY[embedded.parameters].shells else "rigid ions"
    return Record(
        id=source.name,
        formula=crystal.reduced_formula,
        source=f"{embedded.structure} structure; {LIBRARY[embedded.parameters].source}",
        theory=f"{kind}, {embedded.parameters}",
        licence="BSD-3-Clause",
        importer_version=__version__,
        crystal=crystal,
        supercell_matrix=supercell.matrix,
        space_group=group.number,
        crystal_system=group.crystal_system,
        point_group=group.point_group,
        symprec=SYMPREC,
        force_constants={"dft": compact.astype(np.float32)},
        born_charges=born_charges,
        dielectric=dielectric,
        gamma_frequencies=commensurate_frequencies(compact, supercell)[0],
        quality=quality,
    )


def _modelled(
    embedded: EmbeddedCrystal, start: Crystal
) -> tuple[Crystal, Float[ndarray, "atoms images 3 3"], Supercell, Float[ndarray, "atoms 3 3"], Float[ndarray, "3 3"]]:
    """Structure, total force constants in a supercell, Z* and ε∞ of the model."""
    if LIBRARY[embedded.parameters].shells:
        shell_model = published_shell_model(embedded.parameters, start, SWITCH_WIDTH)
        supercell = _supercell(start)
        return start, shell_model.folded(supercell), supercell, shell_model.born_charges, shell_model.dielectric
    crystal = relaxed(start, lambda cell: published_rigid_ion_model(embedded.parameters, cell, SWITCH_WIDTH))
    model = published_rigid_ion_model(embedded.parameters, crystal, SWITCH_WIDTH)
    supercell = _supercell(crystal)
    born_charges = model.charges[:, None, None] * np.eye(3)
    return crystal, model.supercell_force_constants(supercell), supercell, born_charges, np.eye(3)


def relaxed(start: Crystal, model_of: Callable[[Crystal], RigidIonModel]) -> Crystal:
    """Positions and cell at the minimum of a rigid-ion model's energy, within the symmetry of the start.

    Raises:
        RuntimeError: the minimisation ends with forces above 1e-4 eV/Å.
    """
    group = space_group(start, SYMPREC)

    def cell(variables: Float[ndarray, "variables"]) -> Crystal:
        strain, moved = variables[:9].reshape(3, 3), variables[9:].reshape(-1, 3)
        deformation = np.eye(3) + strain
        return Crystal(start.lattice @ deformation, (start.positions + moved) @ deformation, start.numbers)

    def energy(variables: Float[ndarray, "variables"]) -> tuple[float, Float[ndarray, "variables"]]:
        now = cell(variables)
        value, forces, stress = model_of(now).energy_forces_stress()
        deformation = np.eye(3) + variables[:9].reshape(3, 3)
        slope = now.volume * np.linalg.inv(deformation).T @ stress
        slope = np.mean(group.cartesian @ slope @ group.cartesian.swapaxes(1, 2), axis=0)
        pull = np.zeros_like(forces)
        for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
            pull[permutation] += (forces @ deformation.T) @ rotation.T / len(group.cartesian)
        return value, -np.concatenate([-(slope + slope.T).reshape(-1) / 2, pull.reshape(-1)])

    result = minimize(energy, np.zeros(9 + 3 * start.n_atoms), jac=True, method="BFGS", options={"gtol": 1e-6})
    if np.abs(result.jac).max() > 1e-4:
        raise RuntimeError(f"no equilibrium found ({result.message}, largest force {np.abs(result.jac).max():.2g})")
    return cell(result.x)


def _supercell(crystal: Crystal) -> Supercell:
    return Supercell(crystal, suggest_supercell_matrix(crystal, SUPERCELL_LENGTH, SUPERCELL_ATOMS))


def _cubic(name: str) -> Callable[[tuple[str, ...], float], Atoms]:
    return lambda elements, length: bulk("".join(elements), name, a=length)


def _wurtzite(elements: tuple[str, ...], length: float) -> Atoms:
    return bulk("".join(elements), "wurtzite", a=length, c=1.6 * length)


def _general(
    number: int,
    sites: list[tuple[float, float, float]],
    ratio: float = 1.0,
    gamma: float = 90,
    setting: int = 1,
) -> Callable[[tuple[str, ...], float], Atoms]:
    """A structure type from its space group (and origin choice), one site per element, c/a and γ."""

    def build(elements: tuple[str, ...], length: float) -> Atoms:
        cell = [length, length, ratio * length, 90, 90, gamma]
        return from_space_group(elements, sites, spacegroup=number, setting=setting, cellpar=cell, primitive_cell=True)

    return build


STRUCTURES: dict[str, StructureType] = {
    "rocksalt": StructureType((1, 1), _cubic("rocksalt")),
    "zincblende": StructureType((1, 1), _cubic("zincblende")),
    "wurtzite": StructureType((1, 1), _wurtzite),
    "fluorite": StructureType((1, 2), _general(225, [(0, 0, 0), (0.25, 0.25, 0.25)])),
    "antifluorite": StructureType((2, 1), _general(225, [(0.25, 0.25, 0.25), (0, 0, 0)])),
    "rutile": StructureType((1, 2), _general(136, [(0, 0, 0), (0.305, 0.305, 0)], 0.65)),
    "anatase": StructureType((1, 2), _general(141, [(0, 0, 0), (0, 0, 0.208)], 2.5)),
    "corundum": StructureType((2, 3), _general(167, [(0, 0, 0.352), (0.306, 0, 0.25)], 2.73, 120)),
    "perovskite": StructureType((1, 1, 3), _general(221, [(0.5, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0)])),
    "spinel": StructureType(
        (1, 2, 4),
        _general(227, [(0.125, 0.125, 0.125), (0.5, 0.5, 0.5), (0.2625, 0.2625, 0.2625)], setting=2),
    ),
}

_DIVALENT = {"Mg": 4.21, "Ca": 4.81, "Sr": 5.16, "Ba": 5.51, "Zn": 4.28, "Ni": 4.18}
_TETRAVALENT = {"Ti": 4.6, "Ce": 5.2, "Sn": 4.75}
_TRIVALENT = {
    "Al": (4.76, "lewis_catlow"),
    "Fe": (5.03, "lewis_catlow_iron_iii"),
    "Ti": (5.15, "lewis_catlow_titanium_iii"),
}
_PEROVSKITES = {("Sr", "Ti"): 3.9, ("Sr", "Sn"): 4.05, ("Ba", "Ti"): 4.1, ("Ba", "Sn"): 4.2}

_ALL = (
    *(EmbeddedCrystal("rocksalt", (metal, "O"), a, "lewis_catlow") for metal, a in _DIVALENT.items()),
    *(EmbeddedCrystal("zincblende", (metal, "O"), 1.08 * a, "lewis_catlow") for metal, a in _DIVALENT.items()),
    *(
        EmbeddedCrystal("wurtzite", (metal, "O"), 0.76 * a, "lewis_catlow")
        for metal, a in _DIVALENT.items()
        if metal != "Sr"  # becomes flat, as in hexagonal boron nitride
    ),
    EmbeddedCrystal("rocksalt", ("Fe", "O"), 4.3, "lewis_catlow_iron_ii"),
    EmbeddedCrystal("zincblende", ("Fe", "O"), 4.65, "lewis_catlow_iron_ii"),
    EmbeddedCrystal("wurtzite", ("Fe", "O"), 3.3, "lewis_catlow_iron_ii"),
    *(EmbeddedCrystal("rutile", (metal, "O"), a, "lewis_catlow") for metal, a in _TETRAVALENT.items()),
    *(EmbeddedCrystal("anatase", (metal, "O"), 0.82 * a, "lewis_catlow") for metal, a in _TETRAVALENT.items()),
    EmbeddedCrystal("fluorite", ("Ce", "O"), 5.41, "lewis_catlow"),
    EmbeddedCrystal("fluorite", ("Sn", "O"), 4.94, "lewis_catlow"),
    *(EmbeddedCrystal("corundum", (metal, "O"), a, name) for metal, (a, name) in _TRIVALENT.items()),
    *(EmbeddedCrystal("perovskite", (*metals, "O"), a, "lewis_catlow") for metals, a in _PEROVSKITES.items()),
    *(EmbeddedCrystal("spinel", (metal, "Al", "O"), 8.1, "lewis_catlow") for metal in ("Mg", "Zn", "Ni")),
    EmbeddedCrystal("antifluorite", ("Na", "O"), 5.55, "pedone"),
    EmbeddedCrystal("rocksalt", ("Na", "Cl"), 5.64, "fumi_tosi"),
    EmbeddedCrystal("zincblende", ("Na", "Cl"), 6.1, "fumi_tosi"),
    EmbeddedCrystal("fluorite", ("Ca", "F"), 5.46, "catlow_fluorite"),
    EmbeddedCrystal("rutile", ("Ca", "F"), 5.5, "catlow_fluorite"),
    EmbeddedCrystal("rocksalt", ("Mg", "O"), 4.212, "magnesia_shell"),
    EmbeddedCrystal("fluorite", ("Ca", "F"), 5.463, "catlow_fluorite_shell"),
    EmbeddedCrystal("corundum", ("Al", "O"), 4.759, "bush_alumina"),
    EmbeddedCrystal("fluorite", ("Zr", "O"), 5.09, "bush_zirconia"),
    EmbeddedCrystal("rutile", ("Zr", "O"), 5.0, "bush_zirconia"),
)
CRYSTALS: dict[str, EmbeddedCrystal] = {crystal.name: crystal for crystal in _ALL}
"""The embedded data set by name: crystals that are stable in their model at the wave vectors of their supercell."""

EMBEDDED = Importer(
    "embedded", "crystals of rigid-ion and shell models, made by the program", False, find_embedded, read_embedded
)
