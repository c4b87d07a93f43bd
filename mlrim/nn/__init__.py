"""Equivariant building blocks on Cartesian tensors: scalars, vectors and symmetric traceless matrices."""
