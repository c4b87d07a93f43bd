"""Frequency bins as networks see them, and what follows from states in them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.graph.frequency_bins import FrequencyBins
from mlrim.units import BOLTZMANN_J_PER_K_MOL, KELVIN_PER_THZ, THZ_TO_CM1

KELVIN_PER_CM1 = KELVIN_PER_THZ / THZ_TO_CM1
LARGEST_EXPONENT = 500.0
"""ħω/kT beyond which a mode is frozen to every digit."""


class ThermalFunctions(NamedTuple):
    """Harmonic thermal properties of the states in the bins, per mole of cells."""

    free_energy: Float[Tensor, "*batch temperatures"]
    """kJ/mol"""
    entropy: Float[Tensor, "*batch temperatures"]
    """J/K/mol"""
    heat_capacity: Float[Tensor, "*batch temperatures"]
    """J/K/mol; at high temperature k times the number of states."""
    zero_point_energy: Float[Tensor, "*batch"]
    """kJ/mol"""


class FrequencyGrid(nn.Module):
    """Bins of frequencies from zero; see `FrequencyBins` for the arguments."""

    edges: Tensor
    """cm⁻¹, one more than bins."""

    def __init__(self, bins: int, highest: float, bend: float) -> None:
        super().__init__()
        edges = torch.tensor(FrequencyBins(bins, highest, bend).edges, dtype=torch.float32)
        self.register_buffer("edges", edges, persistent=False)

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def centres(self) -> Float[Tensor, "bins"]:
        """cm⁻¹"""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def widths(self) -> Float[Tensor, "bins"]:
        """cm⁻¹"""
        return self.edges.diff()

    def distance(
        self, states: Float[Tensor, "graphs bins"], others: Float[Tensor, "graphs bins"]
    ) -> Float[Tensor, "graphs"]:
        """Wasserstein distance of two densities of states, each normalised to one, cm⁻¹."""
        cumulative = [(part / part.sum(-1, keepdim=True)).cumsum(-1) for part in (states, others)]
        return ((cumulative[0] - cumulative[1]).abs() * self.centres.diff(append=self.edges[-1:])).sum(-1)

    def mean_frequency(self, states: Float[Tensor, "graphs bins"]) -> Float[Tensor, "graphs"]:
        """cm⁻¹"""
        return (states * self.centres).sum(-1) / states.sum(-1)

    def thermal(
        self, states: Float[Tensor, "graphs bins"], temperatures: Float[Tensor, "temperatures"]
    ) -> ThermalFunctions:
        """Thermal properties of so many states in the bins; temperatures in K, above zero.

        Source of the formulas: Born and Huang, Dynamical Theory of Crystal Lattices.
        """
        quantum = self.centres * KELVIN_PER_CM1
        x = (quantum / temperatures[:, None]).clamp(max=LARGEST_EXPONENT)
        occupation = 1 / torch.expm1(x)
        logarithm = torch.log(-torch.expm1(-x))
        boltzmann = BOLTZMANN_J_PER_K_MOL
        zero_point = (states * quantum).sum(-1) * boltzmann / 2e3
        free = boltzmann * temperatures * (states @ logarithm.mT) / 1e3 + zero_point[..., None]
        entropy = boltzmann * (states @ (x * occupation - logarithm).mT)
        heat_capacity = boltzmann * (states @ (x.square() * occupation * (occupation + 1)).mT)
        return ThermalFunctions(free, entropy, heat_capacity, zero_point)
