"""Bins of frequency and their thermal properties, against sums over modes and exact limits."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.units import BOLTZMANN_J_PER_K_MOL, THZ_TO_CM1
from mlrim.vibrations.thermal import thermal_properties


@pytest.fixture
def grid() -> FrequencyGrid:
    return FrequencyGrid(64, 4000.0, 500.0).double()


@pytest.fixture
def states(grid: FrequencyGrid) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, len(grid.centres), dtype=torch.float64, generator=generator)


def test_bins_cover_everything_and_widen(grid: FrequencyGrid) -> None:
    assert float(grid.edges[0]) == 0
    assert float(grid.edges[-1]) == pytest.approx(4000)
    assert (grid.widths.diff() > 0).all()
    assert float(grid.widths[-1] / grid.widths[0]) > 5


def test_thermal_properties_are_those_of_the_modes(grid: FrequencyGrid, states: torch.Tensor) -> None:
    temperatures = np.array([30.0, 300.0, 2000.0])
    found = grid.thermal(states, torch.tensor(temperatures))
    for index, weights in enumerate(states.numpy()):
        modes = grid.centres.numpy()[:, None] / THZ_TO_CM1  # every bin as a wave vector with one mode
        exact = thermal_properties(modes, weights, temperatures)
        total = weights.sum()
        np.testing.assert_allclose(found.free_energy[index], exact.free_energy * total, rtol=1e-6)
        np.testing.assert_allclose(found.entropy[index], exact.entropy * total, rtol=1e-6)
        np.testing.assert_allclose(found.heat_capacity[index], exact.heat_capacity * total, rtol=1e-6)
        assert float(found.zero_point_energy[index]) == pytest.approx(exact.zero_point_energy * total, rel=1e-6)


def test_heat_capacity_tends_to_k_for_every_state(grid: FrequencyGrid, states: torch.Tensor) -> None:
    hot = grid.thermal(states, torch.tensor([1e6], dtype=torch.float64)).heat_capacity[:, 0]
    torch.testing.assert_close(hot, BOLTZMANN_J_PER_K_MOL * states.sum(-1), rtol=1e-5, atol=0)
    cold = grid.thermal(states, torch.tensor([0.05], dtype=torch.float64))
    assert float(cold.heat_capacity.max()) < 1e-6
    torch.testing.assert_close(cold.free_energy[:, 0], cold.zero_point_energy, rtol=1e-6, atol=0)


def test_distance_is_the_earth_movers(grid: FrequencyGrid, states: torch.Tensor) -> None:
    found = grid.distance(states[:1], states[1:2])
    centres = grid.centres.numpy()
    exact = wasserstein_distance(centres, centres, states[0].numpy(), states[1].numpy())
    assert float(found) == pytest.approx(exact, rel=1e-6)


def test_mean_frequency_of_one_bin_is_its_centre(grid: FrequencyGrid) -> None:
    one = torch.zeros(1, len(grid.centres), dtype=torch.float64)
    one[0, 20] = 6
    assert float(grid.mean_frequency(one)) == pytest.approx(float(grid.centres[20]))
