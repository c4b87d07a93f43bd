"""The screened repulsion of nuclei against LAMMPS, and how it ends."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mlrim.nn.element_tables import radii_by_number
from mlrim.nn.known_derivatives import ORDERS
from mlrim.nn.repulsion import SCREENING_LENGTH, NuclearRepulsion, faded_repulsion_derivatives, repulsion_derivatives
from mlrim.units import COULOMB_EV_ANGSTROM

REFERENCE = json.loads((Path(__file__).parent / "data" / "zbl_reference.json").read_text())
ROWS = np.array(REFERENCE["rows"])
NUMBERS = torch.tensor(ROWS[:, :2].T.astype(int))
OXYGEN = torch.full((2, 400), 8)


@pytest.fixture
def lammps():
    """Distances, energies and forces as they are with the exact constants: lengths and charges are rescaled."""
    stretch = SCREENING_LENGTH / REFERENCE["length"]
    strength = COULOMB_EV_ANGSTROM / REFERENCE["coulomb"]
    distance, energy, force = (torch.tensor(column) for column in ROWS[:, 2:].T)
    return distance * stretch, energy * strength / stretch, force * strength / stretch**2


def test_energies_and_forces_are_those_of_lammps(lammps):
    distance, energy, force = lammps
    for order, expected in ((0, energy), (1, -force)):
        torch.testing.assert_close(repulsion_derivatives(order, distance, NUMBERS), expected, rtol=1e-8, atol=0)


def test_the_screening_length_of_lammps_is_ours_rounded():
    np.testing.assert_allclose(SCREENING_LENGTH, REFERENCE["length"], rtol=1e-5)


def test_bare_nuclei_repel_each_other_by_coulombs_law():
    distance = torch.tensor([1e-6], dtype=torch.float64)
    numbers = torch.tensor([[26], [17]])
    expected = 26 * 17 * COULOMB_EV_ANGSTROM / distance
    torch.testing.assert_close(repulsion_derivatives(0, distance, numbers), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("order", range(ORDERS))
def test_derivatives_are_those_of_one_another(order):
    touching, step = torch.full((400,), 1.32, dtype=torch.float64), 1e-4
    distance = torch.linspace(0.2, 1.6, 400, dtype=torch.float64)

    def values(shift):
        return faded_repulsion_derivatives(order, distance + shift, OXYGEN, touching)

    slope = (8 * (values(step) - values(-step)) - (values(2 * step) - values(-2 * step))) / (12 * step)
    expected = faded_repulsion_derivatives(order + 1, distance, OXYGEN, touching)
    torch.testing.assert_close(slope, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_it_ends_smoothly_where_covalent_spheres_touch():
    touching = 2 * radii_by_number()[8]
    left = 1e-3
    near = torch.tensor([touching - left, touching, touching + left, 5.0], dtype=torch.float64)
    at = torch.full((4,), touching, dtype=torch.float64)
    height = repulsion_derivatives(0, near[1:2], OXYGEN[:, :1])
    for order in range(ORDERS + 1):  # 35 (1 − x)⁴ near the end
        values = faded_repulsion_derivatives(order, near, OXYGEN[:, :4], at)
        expected = height * 35 * (-1) ** order * math.perm(4, order) * left ** (4 - order) / touching**4
        torch.testing.assert_close(values[:1], expected, rtol=3e-2, atol=0)
        assert not values[1:].any()


def test_it_is_whole_where_nuclei_meet():
    repulsion = NuclearRepulsion().double()
    distance = torch.tensor([0.01], dtype=torch.float64)
    silicon = torch.tensor([14])
    expected = repulsion_derivatives(0, distance, torch.tensor([[14], [14]]))
    torch.testing.assert_close(repulsion(distance, silicon, silicon), expected, rtol=1e-6, atol=0)
