"""What a network that predicts force constants is compared with: folded blocks, and modes at wave vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from numpy import ndarray
from torch import Tensor

from mlrim.lattice.neighbours import Pairs
from mlrim.lattice.supercell import Supercell


class ModeLabels(NamedTuple):
    """First-principles modes at one wave vector of every crystal, padded to the largest crystal of the batch."""

    qpoint: Float[Tensor, "graphs 3"]
    """In primitive reciprocal vectors."""
    basis: Float[Tensor, "graphs components modes"] | Complex[Tensor, "graphs components modes"]
    """Eigenvectors in the convention exp(iq·R), divided by √mass, 1/√amu; zero where padded."""
    eigenvalues: Float[Tensor, "graphs modes"]
    """ω², eV/Å²/amu."""
    target: Float[Tensor, "graphs modes modes"] | Complex[Tensor, "graphs modes modes"]
    """What the network must add to the dynamical matrix, in this basis, eV/Å²/amu."""
    known: Bool[Tensor, "graphs modes"]
    """False where padded."""


class ForceConstantLabels(NamedTuple):
    """Labels of one crystal or of a batch."""

    edge_entry: Int[Tensor, "edges"]
    """Entry that each edge of the graph is folded into."""
    self_entry: Int[Tensor, "atoms"]
    """Entry of every on-site block."""
    target: Float[Tensor, "entries 3 3"]
    """Label minus dipole interaction minus baseline, in the supercell of the label, eV/Å²."""
    unreached: Float[Tensor, "graphs 2"]
    """Σ|target| over the components of all images that no edge reaches, and the number of these components."""
    gamma: ModeLabels
    """Optical modes at Γ."""
    wave: ModeLabels
    """All modes at another wave vector of the supercell (at Γ where the supercell has no other)."""

    def to(self, device: torch.device | str) -> "ForceConstantLabels":
        """The same labels on another device."""
        return type(self)(
            self.edge_entry.to(device),
            self.self_entry.to(device),
            self.target.to(device),
            self.unreached.to(device),
            ModeLabels(*(tensor.to(device) for tensor in self.gamma)),
            ModeLabels(*(tensor.to(device) for tensor in self.wave)),
        )


def batch_labels(labels: Sequence[ForceConstantLabels]) -> ForceConstantLabels:
    """Join the labels of several crystals."""
    starts = np.concatenate([[0], np.cumsum([len(label.target) for label in labels])[:-1]]).tolist()
    return ForceConstantLabels(
        edge_entry=torch.cat([label.edge_entry + start for label, start in zip(labels, starts, strict=True)]),
        self_entry=torch.cat([label.self_entry + start for label, start in zip(labels, starts, strict=True)]),
        target=torch.cat([label.target for label in labels]),
        unreached=torch.cat([label.unreached for label in labels]),
        gamma=_batch_modes([label.gamma for label in labels]),
        wave=_batch_modes([label.wave for label in labels]),
    )


def _batch_modes(parts: Sequence[ModeLabels]) -> ModeLabels:
    n_modes = max(part.eigenvalues.shape[1] for part in parts)
    n_components = max(part.basis.shape[1] for part in parts)
    first = parts[0]
    basis = first.basis.new_zeros(len(parts), n_components, n_modes)
    eigenvalues = first.eigenvalues.new_zeros(len(parts), n_modes)
    target = first.target.new_zeros(len(parts), n_modes, n_modes)
    known = torch.zeros(len(parts), n_modes, dtype=torch.bool)
    for index, part in enumerate(parts):
        components, modes = part.basis.shape[1:]
        basis[index, :components, :modes] = part.basis[0]
        eigenvalues[index, :modes] = part.eigenvalues[0]
        target[index, :modes, :modes] = part.target[0]
        known[index, :modes] = True
    return ModeLabels(torch.cat([part.qpoint for part in parts]), basis, eigenvalues, target, known)


class FoldedLabels(NamedTuple):
    """How the edges of a crystal fold onto its supercell, and the target there (NumPy, float64)."""

    edge_entry: Int[ndarray, "edges"]
    self_entry: Int[ndarray, "atoms"]
    target: Float[ndarray, "entries 3 3"]
    unreached: Float[ndarray, "2"]


def fold_labels(target: Float[ndarray, "atoms images 3 3"], supercell: Supercell, edges: Pairs) -> FoldedLabels:
    """Keep the images that some edge or an on-site block reaches; sum up the rest."""
    n_atoms, n_images = target.shape[:2]
    atoms = np.arange(n_atoms)
    of_edges = edges.i * n_images + supercell.image_index(edges.j, edges.shifts)
    on_site = atoms * n_images + supercell.image_index(atoms, np.zeros((n_atoms, 3), dtype=np.int64))
    reached, entry = np.unique(np.concatenate([of_edges, on_site]), return_inverse=True)
    entry = entry.reshape(-1)
    flat = target.reshape(-1, 3, 3)
    rest = np.delete(flat, reached, axis=0)
    return FoldedLabels(
        entry[: len(of_edges)],
        entry[len(of_edges) :],
        flat[reached],
        np.array([np.abs(rest).sum(), rest.size], dtype=float),
    )


class ModeArrays(NamedTuple):
    """Modes of one crystal at some wave vectors (NumPy)."""

    qpoints: Float[ndarray, "qpoints 3"]
    basis: Complex[ndarray, "qpoints components modes"] | Float[ndarray, "qpoints components modes"]
    eigenvalues: Float[ndarray, "qpoints modes"]
    target: Complex[ndarray, "qpoints modes modes"] | Float[ndarray, "qpoints modes modes"]


def gamma_modes(
    total: Float[ndarray, "atoms images 3 3"], target: Float[ndarray, "atoms images 3 3"], supercell: Supercell
) -> ModeArrays:
    """Optical modes at Γ: the eigenvectors orthogonal to the three uniform translations.

    Args:
        total: label without the non-analytic term, eV/Å².
        target: the part of it that the network must give, eV/Å².
    """
    masses = supercell.crystal.masses
    roots = np.sqrt(np.repeat(masses, 3))
    translations = np.tile(np.eye(3), (len(masses), 1)) * roots[:, None] / np.sqrt(masses.sum())
    optical = np.linalg.svd(translations)[0][:, 3:]
    matrix, part = (_matrix_at(array, supercell, np.zeros(3)).real for array in (total, target))
    weighted = matrix / (roots[:, None] * roots)
    eigenvalues, vectors = np.linalg.eigh(optical.T @ (weighted + weighted.T) / 2 @ optical)
    basis = optical @ vectors / roots[:, None]
    return ModeArrays(np.zeros((1, 3)), basis[None], eigenvalues[None], (basis.T @ part @ basis)[None])


def wave_modes(
    total: Float[ndarray, "atoms images 3 3"],
    target: Float[ndarray, "atoms images 3 3"],
    supercell: Supercell,
    qpoints: Float[ndarray, "qpoints 3"],
) -> ModeArrays:
    """All modes at wave vectors of the supercell; arguments as for `gamma_modes`."""
    roots = np.sqrt(np.repeat(supercell.crystal.masses, 3))
    parts = []
    for qpoint in qpoints:
        weighted = _matrix_at(total, supercell, qpoint) / (roots[:, None] * roots)
        eigenvalues, vectors = np.linalg.eigh((weighted + weighted.conj().T) / 2)
        basis = vectors / roots[:, None]
        parts.append((basis, eigenvalues, basis.conj().T @ _matrix_at(target, supercell, qpoint) @ basis))
    return ModeArrays(np.asarray(qpoints), *(np.stack(column) for column in zip(*parts, strict=True)))


def _matrix_at(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, qpoint: Float[ndarray, "3"]
) -> Complex[ndarray, "components components"]:
    """Σ_R Φ_ij(R) exp(2πi q·R)."""
    n_atoms = supercell.crystal.n_atoms
    phases = np.exp(2j * np.pi * supercell.shifts @ qpoint)
    blocks = compact.reshape(n_atoms, n_atoms, supercell.n_cells, 3, 3)
    return np.einsum("ijkab,k->iajb", blocks, phases).reshape(3 * n_atoms, 3 * n_atoms)
