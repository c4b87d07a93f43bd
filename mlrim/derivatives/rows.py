"""Force constants of a crystal from rows of its Hessian: only inequivalent atoms, and of these only some directions.

Four ways to the same numbers, by where a row is taken from:

1. `extended_row_constants`: the surroundings of the atom, unrolled; exact at every wave vector.
2. `supercell_row_constants`: a periodic supercell; exact at its wave vectors.
3. `bloch_constants`: dynamical matrices at the wave vectors of a supercell, from Bloch products; the same numbers with
   the memory of the home cell's surroundings only.
4. `displacement_constants`: central differences of an ASE calculator's forces in a supercell.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mlrim.derivatives.bloch import dynamical_matrices
from mlrim.derivatives.capabilities import Derivative, capabilities_of, require
from mlrim.derivatives.engine import Energy, differentiate
from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph, periodic_graph
from mlrim.graph.extended_graph import ExtendedGraph, atom_surroundings
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants, unfold
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetric_rows import Probe, Row, complete_force_constants, inequivalent_probes, without_zeros
from mlrim.lattice.symmetry import SpaceGroup, operations_of

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def extended_row_constants(
    energy: Energy,
    crystal: Crystal,
    group: SpaceGroup,
    cutoff: float,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    memory: float | None = None,
) -> PairForceConstants:
    """Φ_ij(R) of all pairs that the energy couples, eV/Å²; exact.

    Raises:
        UserError: the energy is not a sum of local ones, or has no second derivatives.
    """
    require(energy, Derivative.BLOCH)
    hops = capabilities_of(energy).hops
    if hops is None:
        raise UserError(f"the model `{capabilities_of(energy).name}` declares no number of hops for an extended graph")
    rows = []
    for probe in inequivalent_probes(group):
        surroundings = atom_surroundings(crystal, probe.atom, cutoff, hops, dtype).to(device)
        rows.append(_extended_row(energy, surroundings, probe, memory))
    return without_zeros(complete_force_constants(rows, group))


def _extended_row(energy: Energy, surroundings: ExtendedGraph, probe: Probe, memory: float | None) -> Row:
    values = _products(energy, surroundings.graph, 0, probe.directions, memory)
    return Row(probe, surroundings.origin.cpu().numpy(), surroundings.translation.cpu().numpy(), values)


def supercell_row_constants(
    energy: Energy,
    supercell: Supercell,
    group: SpaceGroup,
    cutoff: float,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    memory: float | None = None,
) -> PairForceConstants:
    """Φ_ij(R) on the shortest vectors of a supercell, eV/Å²; exact at its commensurate wave vectors."""
    graph = periodic_graph(supercell.to_crystal(), cutoff, dtype).to(device)
    images = {
        probe.atom: _products(energy, graph, probe.atom * supercell.n_cells, probe.directions, memory)
        for probe in inequivalent_probes(group, operations_of(supercell, group))
    }
    return _unfolded(images, supercell, group)


def displacement_constants(
    calculator: "Calculator", supercell: Supercell, group: SpaceGroup, step: float = 0.01
) -> PairForceConstants:
    """The same from central differences of forces; their error grows with the square of the step (Å)."""
    atoms = supercell.to_crystal().to_ase()
    atoms.calc = calculator
    images = {}
    for probe in inequivalent_probes(group, operations_of(supercell, group)):
        moved = probe.atom * supercell.n_cells
        values = []
        for direction in probe.directions:
            forces = []
            for sign in (1, -1):
                atoms.positions = supercell.positions
                atoms.positions[moved] += sign * step * direction
                forces.append(atoms.get_forces())
            values.append((forces[1] - forces[0]) / (2 * step))
        images[probe.atom] = np.array(values)
    return _unfolded(images, supercell, group)


def bloch_constants(
    energy: Energy, extended: ExtendedGraph, supercell: Supercell, memory: float | None = None
) -> PairForceConstants:
    """The same as `supercell_row_constants` from D(q) at the supercell's wave vectors.

    Raises:
        UserError: the energy is not a sum of local ones, or has no second derivatives.
    """
    qpoints = supercell.commensurate_qpoints
    chosen, weights = one_of_each_pair(qpoints)
    matrices = dynamical_matrices(energy, extended, qpoints[chosen], memory)
    return unfold(_transformed(matrices, qpoints[chosen], weights, supercell), supercell)


def one_of_each_pair(qpoints: Float[ndarray, "qpoints 3"]) -> tuple[ndarray, Float[ndarray, "half"]]:
    """Numbers of one of every pair ±q modulo reciprocal lattice vectors, and how many each stands for.

    >>> one_of_each_pair(np.array([[0.0, 0, 0], [1 / 3, 0, 0], [-1 / 3, 0, 0], [0.5, 0, 0]]))
    (array([0, 1, 3]), array([1., 2., 1.]))
    """
    opposite = np.abs((qpoints[:, None] + qpoints[None]) - np.round(qpoints[:, None] + qpoints[None])).max(axis=2)
    partner = np.argmin(opposite, axis=1)
    chosen = np.flatnonzero(np.arange(len(qpoints)) <= partner)
    return chosen, np.where(partner[chosen] == chosen, 1.0, 2.0)


def _transformed(
    matrices: ndarray, qpoints: Float[ndarray, "half 3"], weights: Float[ndarray, "half"], supercell: Supercell
) -> Float[ndarray, "atoms images 3 3"]:
    """Compact force constants whose Fourier transform at wave vectors are dynamical matrices."""
    crystal = supercell.crystal
    n_atoms, tau = crystal.n_atoms, crystal.fractional
    root_mass = np.sqrt(np.repeat(crystal.masses, 3))
    blocks = (matrices * root_mass[:, None] * root_mass).reshape(-1, n_atoms, 3, n_atoms, 3).transpose(0, 1, 3, 2, 4)
    home = np.exp(2j * np.pi * (qpoints @ tau.T))
    in_cells = blocks * (home[:, :, None] * home.conj()[:, None, :])[..., None, None]
    waves = np.exp(-2j * np.pi * qpoints @ supercell.shifts.T) * weights[:, None] / supercell.n_cells
    compact = np.einsum("qijab,qk->ijkab", in_cells, waves, optimize=True).real
    return np.ascontiguousarray(compact.reshape(n_atoms, supercell.n_atoms, 3, 3))


def _products(
    energy: Energy, graph: EnergyGraph, atom: int, directions: Float[ndarray, "directions 3"], memory: float | None
) -> Float[ndarray, "directions atoms 3"]:
    """The Hessian times displacements of one atom, eV/Å²."""
    derivatives = differentiate(energy, graph, memory=memory)
    vectors = derivatives.graph.positions.new_zeros(len(directions), *derivatives.graph.positions.shape)
    vectors[:, atom] = torch.tensor(directions).to(vectors)
    return derivatives.products(vectors).double().cpu().numpy()


def _unfolded(
    images: dict[int, Float[ndarray, "directions images 3"]], supercell: Supercell, group: SpaceGroup
) -> PairForceConstants:
    """Force constants from rows over the images of a supercell, each shared among equidistant vectors."""
    operations = operations_of(supercell, group)
    shortest = supercell.shortest_images()
    rows = []
    for probe in inequivalent_probes(group, operations):
        mine = shortest.pairs.i == probe.atom
        values = images[probe.atom][:, shortest.image[mine]] * shortest.weight[mine, None]
        rows.append(Row(probe, shortest.pairs.j[mine], shortest.pairs.shifts[mine], values))
    return complete_force_constants(rows, group, operations)
