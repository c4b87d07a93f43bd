"""A crystal as the tuple of tensors that networks read, and batches of such graphs.

There are three lists of neighbours. *Environment*: what every symmetry-inequivalent atom (a *site*) sees; messages
travel here. *Pairs*: one (i, j, R) of every orbit of equivalent pairs; the networks give these a block. *Edges*: all
directed pairs (i, j, R) within the cut-off, with the pair and the rotation that each block comes from.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from mlrim.graph.descriptors import coordination_numbers, soap_descriptor
from mlrim.graph.elements import element_indices
from mlrim.graph.orbits import (
    AtomOrbits,
    Operations,
    atom_orbits,
    identity_operation,
    pair_orbits,
    symmetry_operations,
)
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import dipole_blocks
from mlrim.lattice.force_constants import PairForceConstants
from mlrim.lattice.neighbours import Pairs, neighbour_pairs, pair_vectors

CUTOFF = 6.0
"""Å"""
SYMPREC = 1e-3
"""Å; tolerance within which atoms and pairs are treated as equivalent."""
N_SITE_FEATURES = 5
"""Rigid-ion charge, coordination, mean Born charge, mean 1/ε∞, and whether these two are from first principles or
learned from there, and not the rigid ions'."""


class CrystalGraph(NamedTuple):
    """One crystal or a batch of them; indices count through the batch."""

    element: Int[Tensor, "sites"]
    """Position among the 89 elements."""
    soap: Float[Tensor, "sites 256"]
    site_features: Float[Tensor, "sites 5"]
    site_tensors: Float[Tensor, "sites 3 3"]
    """Symmetric traceless part of the Born charges, e."""
    atom_site: Int[Tensor, "atoms"]
    """Site that each atom is equivalent to."""
    atom_rotation: Float[Tensor, "atoms 3 3"]
    """Carries the site's surroundings onto the atom's."""
    receiver: Int[Tensor, "environment"]
    """Site; ascending."""
    sender: Int[Tensor, "environment"]
    """Atom."""
    vector: Float[Tensor, "environment 3"]
    """From the site to the sender, Å."""
    baseline: Float[Tensor, "environment 3 3"]
    """Baseline block of the pair, eV/Å²."""
    dipole: Float[Tensor, "environment 3 3"]
    """Dipole–dipole block of the pair, eV/Å²."""
    pair_i: Int[Tensor, "pairs"]
    pair_j: Int[Tensor, "pairs"]
    pair_vector: Float[Tensor, "pairs 3"]
    pair_baseline: Float[Tensor, "pairs 3 3"]
    pair_dipole: Float[Tensor, "pairs 3 3"]
    edge_i: Int[Tensor, "edges"]
    edge_j: Int[Tensor, "edges"]
    edge_shift: Int[Tensor, "edges 3"]
    edge_pair: Int[Tensor, "edges"]
    edge_rotation: Float[Tensor, "edges 3 3"]
    """Carries the pair onto the edge."""
    edge_reversed: Bool[Tensor, "edges"]
    """The edge is equivalent to the reverse of its pair, so its block is the transpose."""
    n_atoms: Int[Tensor, "graphs"]

    @property
    def atom_graph(self) -> Int[Tensor, "atoms"]:
        """Graph that each atom belongs to."""
        graphs = torch.arange(len(self.n_atoms), device=self.n_atoms.device)
        return graphs.repeat_interleave(self.n_atoms, output_size=len(self.atom_site))

    def to(self, device: torch.device | str) -> "CrystalGraph":
        """The same graph on another device."""
        return type(self)(*(tensor.to(device, non_blocking=True) for tensor in self))

    def double(self) -> "CrystalGraph":
        """The same graph in float64."""
        return type(self)(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in self))


class ResponseFeatures(NamedTuple):
    """Born charges (e) and dielectric tensor whose dipole interaction is the long-range part, as features."""

    born_charges: Float[ndarray, "atoms 3 3"]
    dielectric: Float[ndarray, "3 3"]


def rigid_ion_response(charges: Float[ndarray, "atoms"]) -> ResponseFeatures:
    """The long-range part where nothing better is known: rigid ions, whose charges (e) stand for Z*/√ε∞."""
    return ResponseFeatures(charges[:, None, None] * np.eye(3), np.eye(3))


_SITE_INDICES = ("atom_site", "receiver")
_ATOM_INDICES = ("sender", "pair_i", "pair_j", "edge_i", "edge_j")
_PAIR_INDICES = ("edge_pair",)


def batch(graphs: Sequence[CrystalGraph]) -> CrystalGraph:
    """Join graphs into one."""
    offsets = {
        **dict.fromkeys(_SITE_INDICES, _starts([len(graph.element) for graph in graphs])),
        **dict.fromkeys(_ATOM_INDICES, _starts([len(graph.atom_site) for graph in graphs])),
        **dict.fromkeys(_PAIR_INDICES, _starts([len(graph.pair_i) for graph in graphs])),
    }
    columns = {}
    for name in CrystalGraph._fields:
        parts = [getattr(graph, name) for graph in graphs]
        if name in offsets:
            parts = [part + start for part, start in zip(parts, offsets[name], strict=True)]
        columns[name] = torch.cat(parts)
    return CrystalGraph(**columns)


def _starts(lengths: list[int]) -> list[int]:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int).tolist()


def build_graph(
    crystal: Crystal,
    baseline: PairForceConstants,
    charges: Float[ndarray, "atoms"],
    response: ResponseFeatures | None = None,
    soap: Float[ndarray, "atoms 256"] | None = None,
    coordination: Float[ndarray, "atoms"] | None = None,
    cutoff: float = CUTOFF,
    symprec: float | None = SYMPREC,
    dtype: torch.dtype = torch.float32,
    with_pairs: bool = True,
) -> CrystalGraph:
    """The graph of a primitive crystal.

    Args:
        baseline: short-range force constants of the classical model; pairs it does not list are zero.
        charges: rigid-ion charges, e.
        response: Born charges and ε∞ from first principles or from a model that learned them, where known; else those
            of the rigid ions are taken.
        soap: descriptors, where they were computed before.
        coordination: coordination numbers, where they were computed before.
        cutoff: Å.
        symprec: tolerance (Å) of the symmetry that saves work; none to evaluate every atom and pair.
        dtype: of the floating-point tensors.
        with_pairs: whether the lists of pairs and edges are made; networks that give atoms their results, not
            pairs, do without.
    """
    pairs = neighbour_pairs(crystal, cutoff)
    operations = identity_operation(crystal.n_atoms) if symprec is None else symmetry_operations(crystal, symprec)
    orbits = atom_orbits(operations)
    sites, atom_site = np.unique(orbits.representative, return_inverse=True)
    vectors = pair_vectors(crystal, pairs)
    blocks = _blocks_on_pairs(baseline, pairs)
    long_range = rigid_ion_response(charges) if response is None else response
    dipoles = dipole_blocks(vectors, pairs, *long_range)
    seen = np.isin(pairs.i, sites)
    features, tensors = _site_features(crystal, charges, long_range, response is not None, coordination)
    arrays = {
        "element": element_indices(crystal.numbers[sites]),
        "soap": soap_descriptor(crystal, sites) if soap is None else np.asarray(soap)[sites],
        "site_features": features[sites],
        "site_tensors": tensors[sites],
        "atom_site": atom_site.reshape(-1),
        "atom_rotation": _atom_rotations(orbits, operations.cartesian),
        "receiver": np.searchsorted(sites, pairs.i[seen]),
        "sender": pairs.j[seen],
        "vector": vectors[seen],
        "baseline": blocks[seen],
        "dipole": dipoles[seen],
        **_pair_arrays(pairs, vectors, blocks, dipoles, operations, with_pairs),
        "n_atoms": np.array([crystal.n_atoms]),
    }
    return CrystalGraph(**{name: _tensor(array, dtype) for name, array in arrays.items()})


def _pair_arrays(
    pairs: Pairs,
    vectors: Float[ndarray, "edges 3"],
    blocks: Float[ndarray, "edges 3 3"],
    dipoles: Float[ndarray, "edges 3 3"],
    operations: Operations,
    wanted: bool,
) -> dict[str, ndarray]:
    if not wanted:
        pairs, vectors, blocks, dipoles = Pairs(*(part[:0] for part in pairs)), vectors[:0], blocks[:0], dipoles[:0]
    edges = pair_orbits(pairs, operations)
    representatives, edge_pair = np.unique(edges.representative, return_inverse=True)
    return {
        "pair_i": pairs.i[representatives],
        "pair_j": pairs.j[representatives],
        "pair_vector": vectors[representatives],
        "pair_baseline": blocks[representatives],
        "pair_dipole": dipoles[representatives],
        "edge_i": pairs.i,
        "edge_j": pairs.j,
        "edge_shift": pairs.shifts,
        "edge_pair": edge_pair.reshape(-1),
        "edge_rotation": operations.cartesian[edges.operation].transpose(0, 2, 1),
        "edge_reversed": edges.reversed,
    }


def _tensor(array: ndarray, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _atom_rotations(orbits: AtomOrbits, cartesian: Float[ndarray, "operations 3 3"]) -> Float[ndarray, "atoms 3 3"]:
    return cartesian[orbits.operation].transpose(0, 2, 1)


def _site_features(
    crystal: Crystal,
    charges: Float[ndarray, "atoms"],
    response: ResponseFeatures,
    first_principles: bool,
    coordination: Float[ndarray, "atoms"] | None,
) -> tuple[Float[ndarray, "atoms 5"], Float[ndarray, "atoms 3 3"]]:
    coordination = coordination_numbers(crystal) if coordination is None else coordination
    features = np.zeros((crystal.n_atoms, N_SITE_FEATURES))
    features[:, 0], features[:, 1] = charges, np.asarray(coordination) / 6 - 1
    born = (response.born_charges + response.born_charges.transpose(0, 2, 1)) / 2
    mean = np.trace(born, axis1=1, axis2=2) / 3
    features[:, 2] = mean
    features[:, 3] = 3 / np.trace(response.dielectric)
    features[:, 4] = first_principles
    return features, born - mean[:, None, None] * np.eye(3)


def _blocks_on_pairs(force_constants: PairForceConstants, pairs: Pairs) -> Float[ndarray, "pairs 3 3"]:
    """The blocks of some force constants on the pairs of a list; zero where they have none."""
    if len(pairs.i) == 0:
        return np.zeros((0, 3, 3))
    listed = force_constants.pairs
    rows = np.concatenate([_rows(pairs), _rows(listed)])
    _, key = np.unique(rows, axis=0, return_inverse=True)
    key = key.reshape(-1)
    total = np.zeros((key.max() + 1, 3, 3))
    np.add.at(total, key[len(pairs.i) :], force_constants.blocks)
    return total[key[: len(pairs.i)]]


def _rows(pairs: Pairs) -> Int[ndarray, "pairs 5"]:
    return np.column_stack([pairs.i, pairs.j, pairs.shifts])
