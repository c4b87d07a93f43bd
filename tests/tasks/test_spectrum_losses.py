"""Losses of whole spectra, against frequencies worked out by hand."""

import pytest
import torch

from mlrim.tasks.spectrum_losses import level_spacing_loss, moment_loss, signed_root, sorted_loss
from mlrim.units import SQRT_EIGENVALUE_TO_CM1


def squares(*frequencies: float) -> torch.Tensor:
    """ω² (eV/Å²/amu) of signed frequencies in cm⁻¹, one wave vector."""
    values = torch.tensor([frequencies], dtype=torch.float64) / SQRT_EIGENVALUE_TO_CM1
    return values.sign() * values.square()


def test_signed_root_is_the_frequency_of_hard_modes() -> None:
    found = signed_root(squares(-500.0, 0.0, 400.0), 40.0)
    torch.testing.assert_close(found, torch.tensor([[-500.0, 0.0, 400.0]], dtype=torch.float64), rtol=1e-4, atol=1e-9)


def test_signed_root_has_a_finite_slope_at_zero() -> None:
    at = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(signed_root(at, 40.0).sum(), at)
    expected = SQRT_EIGENVALUE_TO_CM1**2 / 40.0  # d(ω²)/ω₀ in cm⁻¹
    assert float(slope) == pytest.approx(expected)


def test_sorted_loss_is_the_mean_shift() -> None:
    loss = sorted_loss(squares(100.0, 210.0, 330.0), squares(100.0, 200.0, 300.0), 1e-3, 1e6)
    assert float(loss) == pytest.approx(40 / 3, rel=1e-3)


def test_wild_errors_saturate() -> None:
    loss = sorted_loss(squares(5000.0), squares(100.0), 1e-3, 300.0)
    assert 290 < float(loss) < 300


def test_moments_do_not_see_the_order_and_vanish_for_equal_spectra() -> None:
    a, b = squares(100.0, 200.0, 300.0), squares(300.0, 100.0, 200.0)
    assert float(moment_loss(a, b, 1e-3, 5)) < 1e-9
    shifted = moment_loss(squares(110.0, 210.0, 310.0), a, 1e-3, 1)
    assert float(shifted) == pytest.approx(10.0, rel=1e-4)


def test_only_modes_with_degenerate_labels_are_pulled_together() -> None:
    label = squares(100.0, 100.0, 200.0)
    assert float(level_spacing_loss(squares(90.0, 120.0, 300.0), label, 1e-3, 0.1)) == pytest.approx(30.0, rel=1e-6)
    assert float(level_spacing_loss(squares(90.0, 90.0, 300.0), label, 1e-3, 0.1)) == 0


@pytest.mark.parametrize("frequency", [0.0, -30.0])
def test_gradients_are_finite_for_soft_modes(frequency: float) -> None:
    at = squares(frequency, 100.0, 100.0).requires_grad_()
    target = squares(10.0, 90.0, 120.0)
    total = sorted_loss(at, target, 40.0, 300.0) + moment_loss(at, target, 40.0, 4)
    (gradient,) = torch.autograd.grad(total, at)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
