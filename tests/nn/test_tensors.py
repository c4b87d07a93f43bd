import torch

from mlrim.nn.tensors import (
    matrix_product,
    matrix_times_vector,
    rotate_matrices,
    rotate_vectors,
    traceless,
    vector_product,
)


def test_products_turn_with_their_factors() -> None:
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    rotations = rotation.expand(2, 3, 3).contiguous()
    v, w = torch.randn(2, 2, 3, 5, dtype=torch.float64)
    t, s = (traceless(torch.randn(2, 3, 3, 5, dtype=torch.float64)) for _ in range(2))
    turned_v, turned_w = rotate_vectors(rotations, v), rotate_vectors(rotations, w)
    turned_t, turned_s = rotate_matrices(rotations, t), rotate_matrices(rotations, s)
    torch.testing.assert_close(turned_t, torch.einsum("ab,nbcx,dc->nadx", rotation, t, rotation))
    product = rotate_vectors(rotations, matrix_times_vector(t, v))
    torch.testing.assert_close(matrix_times_vector(turned_t, turned_v), product)
    torch.testing.assert_close(vector_product(turned_v, turned_w), rotate_matrices(rotations, vector_product(v, w)))
    torch.testing.assert_close(matrix_product(turned_t, turned_s), rotate_matrices(rotations, matrix_product(t, s)))


def test_traceless_leaves_no_trace_and_no_antisymmetric_part() -> None:
    for shape in ((4, 3, 3), (4, 3, 3, 2)):
        matrix = traceless(torch.randn(shape, dtype=torch.float64))
        assert matrix.diagonal(dim1=1, dim2=2).sum(-1).abs().max() < 1e-12
        torch.testing.assert_close(matrix, matrix.transpose(1, 2))
