"""Lattice dynamics from an energy: three ways that agree.

1. `bloch_products`: the Hessian of the extended graph times a plane wave, for any wave vector and with little memory;
   a complex column of D(q) takes two real products, D(q) of n atoms 6·n.
2. `extended_force_constants`: all of that Hessian, as force constants on pairs, which give D(q) at any number of q.
3. `supercell_force_constants`: rows of the Hessian of a periodic supercell, exact at commensurate wave vectors; for
   energies that have no extended graph it is the only way.
"""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy import ndarray
from torch import Tensor

from mlrim.derivatives.capabilities import Derivative, capabilities_of, require
from mlrim.derivatives.engine import Energy, EnergyDerivatives, differentiate
from mlrim.errors import UserError
from mlrim.graph.energy_graph import periodic_graph
from mlrim.graph.extended_graph import ExtendedGraph, extended_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import Pairs
from mlrim.lattice.supercell import Supercell


def unroll(energy: Energy, crystal: Crystal, cutoff: float, dtype: torch.dtype = torch.float64) -> ExtendedGraph:
    """The extended graph that an energy needs, as far as its declared number of hops reaches.

    Raises:
        UserError: the energy is not a sum of local ones.
    """
    require(energy, Derivative.BLOCH)
    hops = capabilities_of(energy).hops
    if hops is None:
        raise UserError(f"the model `{capabilities_of(energy).name}` declares no number of hops for an extended graph")
    return extended_graph(crystal, cutoff, hops, dtype)


def bloch_products(
    derivatives: EnergyDerivatives,
    extended: ExtendedGraph,
    qpoint: Float[ndarray, "3"],
    vectors: Complex[Tensor, "probes home 3"],
) -> Complex[Tensor, "probes home 3"]:
    """Φ(q) times complex amplitudes e of the home cell's atoms, eV/Å²; atom b moves by e exp(iq·r_b).

    Φ(q) = Σ_ab H_ab exp(iq·(r_b − r_a)) over all pairs of atoms of the extended graph, whose H is the Hessian of the
    home cell's energy: the sum over translations has become one over the atom that a pair starts from.

    Args:
        derivatives: `differentiate(energy, extended.graph)`, which serves all wave vectors.
        qpoint: in primitive reciprocal vectors, without 2π.
    """
    positions = derivatives.graph.positions
    angles = torch.from_numpy(2 * np.pi * (extended.fractional @ np.asarray(qpoint, dtype=float)))
    phase = torch.polar(torch.ones_like(angles), angles).to(positions.device, vectors.dtype)[:, None]
    waves = vectors[:, extended.origin] * phase
    real, imaginary = derivatives.products(torch.cat([waves.real, waves.imag]).to(positions.dtype)).chunk(2)
    answer = torch.complex(real, imaginary) * phase.conj()
    return torch.zeros_like(vectors).index_add(1, extended.origin, answer.to(vectors.dtype))


def dynamical_matrices(
    energy: Energy, extended: ExtendedGraph, qpoints: Float[ndarray, "qpoints 3"], memory: float | None = None
) -> Complex[ndarray, "qpoints components components"]:
    """Mass-weighted D(q) by Bloch products, eV/Å²/amu, in the atom-phase convention; made Hermitian.

    Raises:
        UserError: the energy is not a sum of local ones, or has no second derivatives.
    """
    require(energy, Derivative.BLOCH)
    derivatives = differentiate(energy, extended.graph, memory=memory)
    size = 3 * extended.crystal.n_atoms
    dtype = torch.complex128 if extended.graph.positions.dtype == torch.float64 else torch.complex64
    unit = torch.eye(size, dtype=dtype, device=extended.graph.positions.device).reshape(size, -1, 3)
    root_mass = np.sqrt(np.repeat(extended.crystal.masses, 3))
    matrices = np.empty((len(qpoints), size, size), dtype=complex)
    for index, qpoint in enumerate(np.asarray(qpoints, dtype=float)):
        columns = bloch_products(derivatives, extended, qpoint, unit).reshape(size, size)
        matrices[index] = columns.T.cpu().numpy() / (root_mass[:, None] * root_mass[None, :])
    return (matrices + matrices.conj().transpose(0, 2, 1)) / 2


def extended_force_constants(
    energy: Energy, extended: ExtendedGraph, memory: float | None = None
) -> PairForceConstants:
    """Φ_ij(R) on all pairs that the energy couples, eV/Å², from the full Hessian of the extended graph."""
    require(energy, Derivative.BLOCH)
    derivatives = differentiate(energy, extended.graph, memory=memory)
    origin, translation = extended.origin.cpu().numpy(), extended.translation.cpu().numpy()
    n_atoms, n_home = len(origin), extended.crystal.n_atoms
    spread = 2 * translation.max(axis=0, initial=0) - 2 * translation.min(axis=0, initial=0) + 1
    total = np.zeros((n_home, n_home, *spread, 3, 3))
    step = max(1, derivatives.chunk // 3)
    for atoms in np.array_split(np.arange(n_atoms), math.ceil(n_atoms / step)):
        components = torch.from_numpy((3 * atoms[:, None] + np.arange(3)).reshape(-1)).to(extended.origin.device)
        rows = derivatives.rows(components).cpu().double().numpy().reshape(len(atoms), 3, n_atoms, 3)
        relative = translation[None, :] - translation[atoms, None]
        np.add.at(
            total,
            (origin[atoms][:, None], origin[None, :], *np.moveaxis(relative % spread, -1, 0)),
            rows.transpose(0, 2, 1, 3),
        )
    found = np.nonzero(np.abs(total).max(axis=(-2, -1)))
    shifts = np.stack(found[2:], axis=1)
    return PairForceConstants(
        Pairs(found[0], found[1], np.where(shifts > spread // 2, shifts - spread, shifts)), total[found]
    )


def supercell_force_constants(
    energy: Energy,
    supercell: Supercell,
    cutoff: float,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    memory: float | None = None,
) -> Float[ndarray, "atoms images 3 3"]:
    """Force constants of the home cell's atoms in a periodic supercell, compact and in canonical order, eV/Å²."""
    graph = periodic_graph(supercell.to_crystal(), cutoff, dtype).to(device)
    home = torch.arange(supercell.crystal.n_atoms, device=device) * supercell.n_cells
    components = (3 * home[:, None] + torch.arange(3, device=device)).reshape(-1)
    rows = differentiate(energy, graph, memory=memory).rows(components).double().cpu().numpy()
    return rows.reshape(len(home), 3, supercell.n_atoms, 3).transpose(0, 2, 1, 3)
