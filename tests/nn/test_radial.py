import torch

from mlrim.nn.radial import RadialBasis, smooth_switch


def test_switch_and_basis_reach_zero_with_two_continuous_derivatives() -> None:
    for function in (lambda r: smooth_switch(r, 5.0, 6.0), lambda r: RadialBasis(8, 6.0).double()(r).sum(-1)):
        r = torch.tensor([6.0 - 1e-5], dtype=torch.float64, requires_grad=True)
        value = function(r).sum()
        (first,) = torch.autograd.grad(value, r, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), r)
        assert abs(float(value.detach())) < 1e-12
        assert abs(float(first.detach())) < 1e-6
        assert abs(float(second.detach())) < 0.1
        assert float(function(torch.tensor([6.5], dtype=torch.float64)).abs().sum()) == 0


def test_switch_is_one_before_it_starts() -> None:
    assert torch.equal(smooth_switch(torch.tensor([0.5, 5.0]), 5.0, 6.0), torch.ones(2))
