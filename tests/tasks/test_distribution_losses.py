"""Errors of densities and spectra against numbers worked out by hand."""

import pytest
import torch
from scipy.stats import entropy

from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.tasks.distribution_losses import density_loss, spectral_information_similarity, spectrum_loss


@pytest.fixture
def grid() -> FrequencyGrid:
    return FrequencyGrid(40, 400.0, 1e6).double()  # bins 10 cm⁻¹ wide


def peak(place: int) -> torch.Tensor:
    states = torch.zeros(1, 40, dtype=torch.float64)
    states[0, place] = 6.0
    return states


def test_wasserstein_is_the_shift_of_a_peak(grid: FrequencyGrid) -> None:
    assert float(density_loss(peak(12), peak(10), grid, "wasserstein")) == pytest.approx(20.0, rel=1e-4)


def test_cumulative_grows_with_the_root_of_the_shift(grid: FrequencyGrid) -> None:
    near, far = (float(density_loss(peak(place), peak(10), grid, "cumulative")) for place in (12, 18))
    assert near == pytest.approx((100 * 20) ** 0.5, rel=1e-3)
    assert far / near == pytest.approx(2.0, rel=1e-3)


def test_mse_does_not_see_how_far_a_peak_has_moved(grid: FrequencyGrid) -> None:
    losses = [float(density_loss(peak(place), peak(10), grid, "mse")) for place in (12, 30)]
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] == pytest.approx(100 * (100 * 2 / 10) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("kind", ["wasserstein", "cumulative", "mse"])
def test_equal_densities_have_no_error_whatever_their_size(grid: FrequencyGrid, kind: str) -> None:
    states = torch.rand(2, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(density_loss(states, 3 * states, grid, kind).max()) < 0.2


def test_similarity_is_that_of_the_divergences() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.rand(1, 30, dtype=torch.float64, generator=generator) + 0.1 for _ in range(2))
    first, second = first / first.sum(), second / second.sum()
    divergence = entropy(first[0], second[0]) + entropy(second[0], first[0])
    found = float(spectral_information_similarity(first, second))
    assert found == pytest.approx(1 / (1 + divergence), rel=1e-3)
    assert float(spectral_information_similarity(first, 2 * first)) == pytest.approx(1)


def test_spectrum_loss_sees_distance_where_spectra_do_not_overlap(grid: FrequencyGrid) -> None:
    near, far = (float(spectrum_loss(peak(place), peak(10), grid)) for place in (14, 30))
    assert far - near == pytest.approx(1.6, rel=0.01)
