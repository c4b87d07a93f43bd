"""Algebra of Cartesian tensors with channels: vectors (sites, 3, channels) and matrices (sites, 3, 3, channels)."""

import torch
from jaxtyping import Float
from torch import Tensor


def traceless(matrices: Float[Tensor, "sites 3 3 *channels"]) -> Float[Tensor, "sites 3 3 *channels"]:
    """Symmetric part without its trace."""
    symmetric = (matrices + matrices.transpose(1, 2)) / 2
    trace = symmetric[:, 0, 0] + symmetric[:, 1, 1] + symmetric[:, 2, 2]
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
    if matrices.ndim == 4:
        return symmetric - identity[:, :, None] * (trace / 3)[:, None, None]
    return symmetric - identity * (trace / 3)[:, None, None]


def rotate_vectors(
    rotations: Float[Tensor, "atoms 3 3"], vectors: Float[Tensor, "atoms 3 channels"]
) -> Float[Tensor, "atoms 3 channels"]:
    """R v for every channel."""
    return torch.bmm(rotations, vectors)


def rotate_matrices(
    rotations: Float[Tensor, "atoms 3 3"], matrices: Float[Tensor, "atoms 3 3 channels"]
) -> Float[Tensor, "atoms 3 3 channels"]:
    """R t Rᵀ for every channel; t must be symmetric."""
    shape = matrices.shape
    half = torch.bmm(rotations, matrices.reshape(len(matrices), 3, -1)).view(shape)
    return torch.bmm(rotations, half.transpose(1, 2).reshape(len(matrices), 3, -1)).view(shape)


def matrix_times_vector(
    matrices: Float[Tensor, "sites 3 3 channels"], vectors: Float[Tensor, "sites 3 channels"]
) -> Float[Tensor, "sites 3 channels"]:
    """t v, channel by channel."""
    return (matrices * vectors[:, None]).sum(2)


def vector_product(
    left: Float[Tensor, "sites 3 channels"], right: Float[Tensor, "sites 3 channels"]
) -> Float[Tensor, "sites 3 3 channels"]:
    """Symmetric traceless part of u vᵀ, channel by channel."""
    return traceless(left[:, :, None] * right[:, None, :])


def matrix_product(
    left: Float[Tensor, "sites 3 3 channels"], right: Float[Tensor, "sites 3 3 channels"]
) -> Float[Tensor, "sites 3 3 channels"]:
    """Symmetric traceless part of t s, channel by channel."""
    return traceless((left[:, :, :, None] * right[:, None]).sum(2))


def bounded(values: Float[Tensor, "sites *shape channels"]) -> Float[Tensor, "sites *shape channels"]:
    """Vectors or matrices divided by √(1 + mean squared norm of their channels)."""
    axes = tuple(range(1, values.ndim - 1))
    square = (values * values).sum(axes, keepdim=True).mean(-1, keepdim=True)
    return values * torch.rsqrt(1 + square)
