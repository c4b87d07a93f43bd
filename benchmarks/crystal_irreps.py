"""The symmetry analysis that CRYSTAL prints, and whether this project's says the same of every mode.

A symbol alone proves little: CRYSTAL writes F for T, leaves out the subscript where only one representation of its
kind has modes, and has its own choice of axes where two are possible (B1 and B2 of mmm, for example). It prints the
characters of its representations as well, with the operators of every class. Two representations are the same when
their characters are, operator by operator; that is what is counted. Symbols are compared as they stand, T for F.
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from datamodules.importers.crystal_modes import eigenvectors, force_constants
from datamodules.importers.crystal_text import CrystalOutput
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import symmetrize_compact
from mlrim.lattice.supercell import Supercell
from mlrim.vibrations.gamma import GammaMode, GammaModes, gamma_modes
from mlrim.vibrations.irreps import PointGroupAction, point_group_action

CLASS = re.compile(r"^ ([A-Z]+\d?'*)\s*\|((?:\s*\d+;)+)\s*$", re.M)
ROW = re.compile(r"^ (?:RP|RD|P|D)?\s+([A-Z]\w?[gu]?[\"']*\w?)\s*\|((?:\s+-?\d+\.\d\d)+)\s*$", re.M)
OPERATOR = re.compile(r"^\s+\d+\s+\d+((?:\s+-?\d\.\d\d){12})\s*$", re.M)
SAME_CHARACTER = 0.02
"""Characters are printed with two decimals."""


@dataclass(frozen=True, eq=False)
class PrintedSymmetry:
    """Operators and characters as printed.

    Attributes:
        rotations: Cartesian, shape (operators, 3, 3).
        classes: the operators of every class, by its symbol.
        characters: of every representation, by its symbol, for the classes by theirs.
    """

    rotations: Float[ndarray, "operators 3 3"]
    classes: dict[str, list[int]]
    characters: dict[str, dict[str, float]]


@dataclass(frozen=True)
class SymmetryAgreement:
    """How many lines of the table of modes agree in what.

    Attributes:
        levels: lines compared.
        degeneracies: with the same degeneracy.
        irreps: with the same characters for every printed class.
        symbols: with the same symbol, T for F.
        infrared: with the same infrared activity.
        raman: with the same Raman activity.
    """

    levels: int
    degeneracies: int
    irreps: int
    symbols: int
    infrared: int
    raman: int

    @property
    def complete(self) -> bool:
        """Degeneracy, representation and both activities agree for every line."""
        return self.levels == self.degeneracies == self.irreps == self.infrared == self.raman


def parse_symmetry(text: str, lattice: Float[ndarray, "3 3"]) -> PrintedSymmetry:
    """Operators, classes and characters in the text of an output; lattice vectors as rows, Å."""
    operators = text[text.rfind("SYMMOPS - TRANSLATORS") :].split("DIRECT LATTICE VECTORS", 1)[0]
    fractional = np.array([row.split()[:9] for row in OPERATOR.findall(operators)], dtype=float).reshape(-1, 3, 3)
    rotations = lattice.T @ fractional @ np.linalg.inv(lattice.T)
    table = text[text.find("CLASS  | GROUP OPERATORS") :].split("BORN CHARGE VECTOR", 1)[0]
    classes = {name: [int(number) - 1 for number in re.findall(r"\d+", row)] for name, row in CLASS.findall(table)}
    return PrintedSymmetry(rotations, {"E": [0], **classes}, _characters(table))


def symmetry_agreement(output: CrystalOutput, text: str, symprec: float = 1e-5) -> SymmetryAgreement:
    """Compare the printed symmetry of every level with that of the force constants made from the printed modes."""
    crystal = output.crystal
    printed = parse_symmetry(text, crystal.lattice)
    supercell = Supercell(crystal, np.eye(3, dtype=np.int64))
    vectors = eigenvectors(output, point_group_action(crystal, symprec))
    compact = symmetrize_compact(force_constants(vectors, output.frequencies, crystal.masses), supercell)
    found = gamma_modes(LatticeDynamics.from_supercell(compact, supercell), symprec)
    partners = _partners(output, vectors, found)
    operators = _matched_operators(printed.rotations, found.action)
    same = np.array(
        [
            (
                level.degeneracy == mode.degeneracy,
                _same_irrep(printed, level.irrep, mode, operators),
                level.irrep.replace("F", "T") == mode.irrep.symbol,
                level.infrared == mode.irrep.infrared,
                level.raman == mode.irrep.raman,
            )
            for level, mode in zip(output.levels, partners, strict=True)
        ]
    )
    return SymmetryAgreement(len(same), *(int(count) for count in same.sum(axis=0)))


def raman_active_modes(vectors: Float[ndarray, "components modes"], action: PointGroupAction) -> Bool[ndarray, "modes"]:
    """Modes that lie in a representation which occurs in the symmetric square of the vector's."""
    active = np.zeros(vectors.shape[1], dtype=bool)
    for irrep in action.irreps:
        if irrep.raman:
            active |= np.sum((action.isotypic_basis(irrep).T @ vectors) ** 2, axis=0) > 0.5
    return active


def _characters(table: str) -> dict[str, dict[str, float]]:
    characters: dict[str, dict[str, float]] = {}
    for block in table.split("IRREP/CLA")[1:]:
        names = block.splitlines()[0].split()
        for symbol, values in ROW.findall(block):
            numbers = [float(value) for value in values.split()]
            characters.setdefault(symbol, {}).update(zip(names, numbers, strict=True))
    return characters


def _partners(output: CrystalOutput, vectors: Float[ndarray, "components modes"], found: GammaModes) -> list[GammaMode]:
    """The mode of this project's analysis that has the largest overlap with every printed level."""
    overlaps = [
        [np.sum((mode.eigenvectors.T @ vectors[:, level.members]) ** 2) / mode.degeneracy for mode in found.modes]
        for level in output.levels
    ]
    return [found.modes[index] for index in np.argmax(overlaps, axis=1)]


def _matched_operators(rotations: Float[ndarray, "operators 3 3"], action: PointGroupAction) -> list[int]:
    """For every printed operator the index of the same rotation in the point group."""
    difference = np.abs(rotations[:, None] - action.rotations[None]).max(axis=(-1, -2))
    if len(rotations) != len(action.rotations) or difference.min(axis=1).max() > 1e-2:
        raise ValueError(f"{len(rotations)} printed operators are not the {len(action.rotations)} of the point group")
    return [int(index) for index in np.argmin(difference, axis=1)]


def _same_irrep(printed: PrintedSymmetry, symbol: str, mode: GammaMode, operators: list[int]) -> bool:
    characters = printed.characters.get(symbol)
    if not characters:
        return False
    return all(
        abs(mode.irrep.characters[operators[operator]] - value) < SAME_CHARACTER
        for name, value in characters.items()
        for operator in printed.classes[name]
    )
