"""Errors of predicted force constants: on folded blocks, and as frequencies in the basis of first-principles modes."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlrim.graph.crystal_graph import CrystalGraph
from mlrim.graph.labels import ForceConstantLabels, ModeLabels
from mlrim.units import SQRT_EIGENVALUE_TO_CM1


def fold_blocks(
    blocks: Float[Tensor, "edges 3 3"], graph: CrystalGraph, labels: ForceConstantLabels
) -> Float[Tensor, "entries 3 3"]:
    """Sum the blocks that coincide in the label's supercell; on-site blocks follow from the sum rule."""
    folded = torch.zeros_like(labels.target).index_add(0, labels.edge_entry, blocks)
    return folded.index_add(0, labels.self_entry, on_site_blocks(blocks, graph))


def on_site_blocks(blocks: Float[Tensor, "edges 3 3"], graph: CrystalGraph) -> Float[Tensor, "atoms 3 3"]:
    """Φ_ii(0) = −Σ of all other blocks of atom i."""
    return blocks.new_zeros(len(graph.atom_site), 3, 3).index_add(0, graph.edge_i, -blocks)


def block_loss(
    error: Float[Tensor, "entries 3 3"], target: Float[Tensor, "entries 3 3"], power: float, floor: float
) -> Float[Tensor, ""]:
    """Mean absolute error of components, weighted by the magnitude of the target's block, eV/Å².

    Args:
        power: weight = (r.m.s. component + floor)^power; 0 for no weights.
        floor: eV/Å²; 1e-2 is the size of blocks at the edge of the cut-off.
    """
    weight = (target.square().mean((1, 2)).sqrt() + floor) ** power
    return (error.abs().mean((1, 2)) * weight).sum() / weight.sum()


def mode_errors(
    blocks: Float[Tensor, "edges 3 3"], graph: CrystalGraph, modes: ModeLabels
) -> Float[Tensor, "graphs modes modes"] | Complex[Tensor, "graphs modes modes"]:
    """Error of the dynamical matrix in the basis of the labels' modes, eV/Å²/amu: U† (D_predicted − D_label) U."""
    matrix = _matrices_at(blocks, graph, modes)
    return modes.basis.mH @ matrix @ modes.basis - modes.target


def _matrices_at(
    blocks: Float[Tensor, "edges 3 3"], graph: CrystalGraph, modes: ModeLabels
) -> Float[Tensor, "graphs components components"] | Complex[Tensor, "graphs components components"]:
    n_graphs, n_components = modes.basis.shape[:2]
    n_atoms = n_components // 3
    place = _places(graph)
    row = graph.atom_graph * n_atoms + place
    slot = row[graph.edge_i] * n_atoms + place[graph.edge_j]
    diagonal = row * n_atoms + place
    empty = blocks.new_zeros(n_graphs * n_atoms * n_atoms, 3, 3)
    on_site = empty.index_add(0, diagonal, on_site_blocks(blocks, graph))
    if not modes.basis.is_complex():
        return _as_matrices(on_site.index_add(0, slot, blocks), n_graphs, n_atoms)
    qpoint = modes.qpoint[graph.atom_graph[graph.edge_i]]
    angle = (2 * math.pi * (graph.edge_shift * qpoint).sum(-1))[:, None, None]
    real = on_site.index_add(0, slot, blocks * angle.cos())
    imaginary = empty.index_add(0, slot, blocks * angle.sin())
    return torch.complex(_as_matrices(real, n_graphs, n_atoms), _as_matrices(imaginary, n_graphs, n_atoms))


def _places(graph: CrystalGraph) -> Int[Tensor, "atoms"]:
    """Number of every atom within its own crystal."""
    first = torch.cumsum(graph.n_atoms, 0) - graph.n_atoms
    return torch.arange(len(graph.atom_site), device=first.device) - first[graph.atom_graph]


def _as_matrices(
    blocks: Float[Tensor, "slots 3 3"], n_graphs: int, n_atoms: int
) -> Float[Tensor, "graphs components components"]:
    separate = blocks.view(n_graphs, n_atoms, n_atoms, 3, 3)
    return separate.permute(0, 1, 3, 2, 4).reshape(n_graphs, 3 * n_atoms, 3 * n_atoms)


class ModeLoss(NamedTuple):
    """Frequency errors, cm⁻¹, averaged over modes and then over crystals."""

    diagonal: Float[Tensor, ""]
    """What first-order perturbation theory makes of the error: the shifts of the frequencies."""
    mixing: Float[Tensor, ""]
    """Norm of the rest of each row: wrong mixing of modes."""


def mode_loss(
    errors: Float[Tensor, "graphs modes modes"] | Complex[Tensor, "graphs modes modes"],
    modes: ModeLabels,
    softening: float,
    saturation: float = math.inf,
) -> ModeLoss:
    """Frequency errors |U†ΔD U|_mn / (|ω_m| + |ω_n| + ω₀), cm⁻¹; no eigensolver is differentiated.

    Args:
        softening: ω₀, cm⁻¹; keeps soft modes from dominating.
        saturation: s, cm⁻¹; an error x of one element counts as x / √(1 + x²/s²), so that wild labels do not dominate.
    """
    omega = modes.eigenvalues.abs().sqrt()
    width = omega[:, :, None] + omega[:, None, :] + softening / SQRT_EIGENVALUE_TO_CM1
    scaled = errors / width * SQRT_EIGENVALUE_TO_CM1
    square = scaled.real.square() + scaled.imag.square() if scaled.is_complex() else scaled.square()
    square = saturated(square, saturation)
    diagonal_square = square.diagonal(dim1=1, dim2=2)
    off_diagonal = square - torch.diag_embed(diagonal_square)
    shifts = (diagonal_square + 1e-6).sqrt()
    rows = (off_diagonal.sum(-1) + 1e-6).sqrt()
    counts = modes.known.sum(1).clamp(min=1)
    return ModeLoss(*(((part * modes.known).sum(1) / counts).mean() for part in (shifts, rows)))


def saturated(square: Float[Tensor, "*shape"], saturation: float) -> Float[Tensor, "*shape"]:
    """The square of x / √(1 + x²/s²) from the square of x: never above s²."""
    return square / (1 + square / saturation**2)
