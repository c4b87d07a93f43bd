import torch

from mlrim.nn.neighbour_sums import DirectionalSum, sum_over_neighbours


def test_directional_sum_is_the_plain_sum_of_outer_products_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    receiver = torch.tensor([0, 0, 2, 2, 2])
    tensors = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    messages = torch.randn(5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, 3, 3, 4, generator=generator, dtype=torch.float64)
    plain = sum_over_neighbours(tensors[..., None] * messages[:, None, None, :], receiver, 4)
    fast = DirectionalSum(tensors, receiver, 4)(messages)
    torch.testing.assert_close(fast, plain)
    expected, found = (torch.autograd.grad((out * weights).sum(), messages)[0] for out in (plain, fast))
    torch.testing.assert_close(found, expected)
