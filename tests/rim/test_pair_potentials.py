import numpy as np
import pytest

from mlrim.rim.pair_potentials import (
    AtomPairBuckingham,
    Buckingham,
    Morse,
    SpeciesInteraction,
    fumi_tosi,
    switch_factor,
)

POTENTIALS = {
    "born_mayer": Buckingham(821.6, 0.3242),
    "buckingham": Buckingham(22764.3, 0.149, 27.88),
    "fumi_tosi": fumi_tosi(0.1582, 3.17, 0.317, 72.4022, 145.4285),
    "pedone": Morse(0.042395, 1.379316, 3.618701, 22.0),
}


@pytest.mark.parametrize("name", POTENTIALS)
def test_derivatives_are_those_of_the_energy(name):
    distance, step = np.linspace(1.6, 6.0, 12), 1e-5
    ahead = POTENTIALS[name].derivatives(distance + step)
    behind = POTENTIALS[name].derivatives(distance - step)
    _, first, second = POTENTIALS[name].derivatives(distance)
    np.testing.assert_allclose(first, (ahead.value - behind.value) / (2 * step), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(second, (ahead.first - behind.first) / (2 * step), rtol=1e-7, atol=1e-8)


def test_values_are_the_published_formulas():
    r = 2.3
    assert Buckingham(821.6, 0.3242, 5.0).derivatives(np.array([r])).value[0] == pytest.approx(
        821.6 * np.exp(-r / 0.3242) - 5.0 / r**6
    )
    assert fumi_tosi(0.2, 2.7, 0.3, 7.0, 8.0).derivatives(np.array([r])).value[0] == pytest.approx(
        0.2 * np.exp((2.7 - r) / 0.3) - 7.0 / r**6 - 8.0 / r**8
    )
    assert Morse(0.04, 1.4, 3.6, 22.0).derivatives(np.array([r])).value[0] == pytest.approx(
        0.04 * ((1 - np.exp(-1.4 * (r - 3.6))) ** 2 - 1) + 22.0 / r**12
    )


def test_switch_is_smooth_at_both_ends():
    edges = np.array([4.0, 6.0])
    for side, values in ((-1e-9, [1.0, 0.0]), (1e-9, [1.0, 0.0])):
        factor, slope, curvature = switch_factor(edges + side, 6.0, 2.0)
        np.testing.assert_allclose(factor, values, atol=1e-12)
        np.testing.assert_allclose(slope, 0.0, atol=1e-12)
        np.testing.assert_allclose(curvature, 0.0, atol=1e-12)


def test_switch_derivatives_are_those_of_the_switch():
    distance, step = np.linspace(4.05, 5.95, 9), 1e-5
    ahead, behind = switch_factor(distance + step, 6.0, 2.0), switch_factor(distance - step, 6.0, 2.0)
    _, slope, curvature = switch_factor(distance, 6.0, 2.0)
    np.testing.assert_allclose(slope, (ahead.value - behind.value) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(curvature, (ahead.first - behind.first) / (2 * step), atol=1e-7)


def test_species_interaction_acts_between_listed_species_only():
    interaction = SpeciesInteraction(np.array([8, 12]), {(8, 12): Buckingham(821.6, 0.3242)}, 8.0, 0.0)
    i, j = np.array([0, 1, 0]), np.array([1, 0, 0])
    value = interaction.derivatives(i, j, np.full(3, 2.1)).value
    assert value[0] == value[1] == pytest.approx(821.6 * np.exp(-2.1 / 0.3242))
    assert value[2] == 0.0


def test_atom_pair_parameters_are_taken_from_the_matrices():
    amplitude, rho = np.array([[0.0, 800.0], [800.0, 0.0]]), np.full((2, 2), 0.3)
    interaction = AtomPairBuckingham(amplitude, rho, np.zeros((2, 2)), 6.0, 0.0)
    value = interaction.derivatives(np.array([0, 0]), np.array([1, 0]), np.array([2.0, 2.0])).value
    np.testing.assert_allclose(value, [800 * np.exp(-2.0 / 0.3), 0.0])
