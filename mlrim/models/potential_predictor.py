"""A potential applied to a crystal: its short-range force constants, by one of several ways that agree.

| method | force constants from | exact at |
|---|---|---|
| extended | rows of the Hessian of an atom's surroundings, as far as the potential reaches | every wave vector |
| supercell | rows of the Hessian of a periodic supercell | the wave vectors of the supercell |
| bloch | products with plane waves at the wave vectors of that supercell; little memory | the same |
| finite_displacements | central differences of forces in that supercell | the same, but for the differences |

Extended graphs of networks with several layers hold thousands of atoms. In a periodic supercell the states of all atoms
are right however small it is; only force constants that reach further than half of it are folded back, and those of
trained networks are small. `auto` takes the first unless it needs too much memory or ten times as many atoms.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy import ndarray
from torch import nn

from mlrim.derivatives.bloch import dynamical_matrices, unroll
from mlrim.derivatives.capabilities import Derivative, capabilities_of
from mlrim.derivatives.engine import Energy, differentiate
from mlrim.derivatives.rows import (
    bloch_constants,
    displacement_constants,
    extended_row_constants,
    supercell_row_constants,
)
from mlrim.errors import UserError
from mlrim.graph.energy_graph import periodic_graph
from mlrim.graph.extended_graph import ExtendedGraph
from mlrim.lattice.compact_supercells import compact_supercell, image_distance
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import pair_vectors
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetric_rows import inequivalent_probes
from mlrim.lattice.symmetry import SpaceGroup, operations_of, space_group
from mlrim.potentials.settings import PotentialSettings

WORTH_UNROLLING = 10
"""Surroundings of an atom may hold so many times the atoms of the supercell; those at their rim have few neighbours."""
BOUNDARY = 0.9
"""Pairs longer than this share of half the distance of images are at the boundary of a supercell."""


@dataclass(frozen=True, eq=False)
class PotentialPhonons:
    """What an energy says about the vibrations of a crystal; every part is made once, when it is asked for.

    Attributes:
        energy: declares its capabilities and its `cutoff`, Å; its parameters decide on the precision.
        crystal: primitive cell.
        settings: how force constants are made.
        basis: a supercell whose wave vectors must be exact; the supercells of `settings` are multiples of it.
    """

    energy: Energy
    crystal: Crystal
    settings: PotentialSettings = field(default_factory=PotentialSettings)
    basis: Supercell | None = None

    @cached_property
    def group(self) -> SpaceGroup:
        """Space group of the crystal."""
        return space_group(self.crystal)

    @cached_property
    def extended(self) -> ExtendedGraph:
        """The home cell and all that its energies depend on."""
        return unroll(self.energy, self.crystal, cutoff_of(self.energy), self._dtype).to(self._device)

    @cached_property
    def supercell(self) -> Supercell:
        """The supercell of all methods but `extended`."""
        settings = self.settings
        if self.basis is not None:
            return Supercell(self.crystal, _multiple(self.basis, settings.min_length, settings.max_atoms))
        return compact_supercell(self.crystal, self.group, settings.min_length, settings.max_atoms)

    @cached_property
    def method(self) -> str:
        """The way that is taken."""
        if self.settings.method != "auto":
            return self.settings.method
        capabilities = capabilities_of(self.energy)
        if Derivative.BLOCH not in capabilities.derivatives or capabilities.hops is None:
            return "supercell"
        reach = 2 * capabilities.hops * cutoff_of(self.energy)
        atoms = self.crystal.n_atoms * 4 / 3 * np.pi * reach**3 / self.crystal.volume
        if atoms > WORTH_UNROLLING * self.supercell.n_atoms:
            return "supercell"
        return "extended" if atoms * self._memory_per_atom <= self.settings.memory else "supercell"

    @property
    def _memory_per_atom(self) -> float:
        """GiB that second derivatives of the energy take for each atom more, counted on one and two cells."""
        one, two = (self._memory(Supercell(self.crystal, np.diag([multiple, 1, 1]))) for multiple in (1, 2))
        return (two - one) / self.crystal.n_atoms

    def _memory(self, supercell: Supercell) -> float:
        """GiB that one product with the Hessian of a cell goes through."""
        graph = periodic_graph(supercell.to_crystal(), cutoff_of(self.energy), self._dtype).to(self._device)
        much = float(2**20)
        return much / differentiate(self.energy, graph, memory=much).chunk

    @cached_property
    def description(self) -> str:
        """The way in words, with what decides on its accuracy."""
        if self.method == "extended":
            hops = capabilities_of(self.energy).hops
            reach = f"{hops} × {cutoff_of(self.energy):g} Å"
            return f"force constants from extended graphs ({reach} around each atom), exact at every wave vector"
        ways = {
            "supercell": "rows of the Hessian",
            "bloch": "Bloch products",
            "finite_displacements": f"displacements of {self.settings.displacement:g} Å",
        }
        size = f"{self.supercell.n_atoms} atoms, {image_distance(self.supercell.lattice):.1f} Å from image to image"
        return (
            f"force constants from {ways[self.method]} in a supercell of {size}: exact at its wave vectors; at its "
            f"boundary they are up to {self.boundary:.1e} eV/Å²"
        )

    @property
    def boundary(self) -> float:
        """Largest force constant (eV/Å²) where the supercell ends; it is taken for that of the nearest images."""
        pairs, blocks = self.force_constants
        lengths = np.linalg.norm(pair_vectors(self.crystal, pairs), axis=1)
        far = lengths > BOUNDARY * image_distance(self.supercell.lattice) / 2
        return float(np.abs(blocks[far]).max(initial=0.0))

    @cached_property
    def force_constants(self) -> PairForceConstants:
        """Φ_ij(R), eV/Å²; permutation symmetry and sum rule as exact as the derivatives.

        Raises:
            UserError: the energy does not support the method.
        """
        precision = (cutoff_of(self.energy), self._dtype, self._device)
        if self.method == "extended":
            return extended_row_constants(self.energy, self.crystal, self.group, *precision)
        if self.method == "supercell":
            return supercell_row_constants(self.energy, self.supercell, self.group, *precision)
        if self.method == "bloch":
            return bloch_constants(self.energy, self.extended, self.supercell)
        from mlrim.potentials.calculators import PotentialCalculator

        calculator = PotentialCalculator(self.energy)
        return displacement_constants(calculator, self.supercell, self.group, self.settings.displacement)

    @property
    def n_products(self) -> int:
        """Number of rows that symmetry leaves to be calculated."""
        used = None if self.method == "extended" else operations_of(self.supercell, self.group)
        return sum(len(probe.directions) for probe in inequivalent_probes(self.group, used))

    def dynamical_matrices(
        self, qpoints: Float[ndarray, "qpoints 3"]
    ) -> Complex[ndarray, "qpoints components components"]:
        """D(q) of the energy alone by Bloch products, eV/Å²/amu: the lean way to a few wave vectors.

        Raises:
            UserError: the energy is not a sum of local ones.
        """
        return dynamical_matrices(self.energy, self.extended, qpoints)

    @property
    def _dtype(self) -> torch.dtype:
        return precision_of(self.energy)[0]

    @property
    def _device(self) -> torch.device:
        return precision_of(self.energy)[1]


def cutoff_of(energy: object) -> float:
    """Cut-off of an energy, Å.

    Raises:
        UserError: it has none.
    """
    cutoff = getattr(energy, "cutoff", None)
    if cutoff is None:
        raise UserError(f"{type(energy).__name__} must have an attribute `cutoff`, the range of its pairs in Å")
    return float(cutoff)


def precision_of(energy: object) -> tuple[torch.dtype, torch.device]:
    """Dtype and device of the parameters; float64 on the processor for energies without any."""
    parameters = energy.parameters() if isinstance(energy, nn.Module) else iter(())
    found = next((parameter for parameter in parameters if parameter.is_floating_point()), None)
    return (torch.float64, torch.device("cpu")) if found is None else (found.dtype, found.device)


def _multiple(basis: Supercell, min_length: float, max_atoms: int) -> ndarray:
    """The matrix of the smallest multiple of a supercell that is thick enough, or of the largest that is allowed."""
    heights = 1 / np.linalg.norm(np.linalg.inv(basis.lattice).T, axis=1)
    for length in np.linspace(max(min_length, heights.min()), heights.min(), 40):
        multiples = np.maximum(1, np.ceil(length / heights - 1e-6)).astype(np.int64)
        if basis.n_atoms * multiples.prod() <= max_atoms:
            return basis.matrix @ np.diag(multiples)
    return basis.matrix
