"""Densities of states, spectra and single numbers of the direct network: what holds for any weights; float64."""

import numpy as np
import pytest
import torch

from mlrim.graph.structure_graph import SiteOccupancy, batch_structures, build_structure_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.models.direct import DirectModel, DirectOutput
from tests.graph.crystals import random_crystal, random_orthogonal, rock_salt, rotated


@pytest.fixture(scope="module")
def model() -> DirectModel:
    torch.manual_seed(1)
    sizes = {"edge_features": 16, "update_hidden": 32, "head_hidden": 32}
    bins = {"density_bins": (48, 4000.0, 500.0), "spectrum_bins": (40, 4000.0, 500.0)}
    return DirectModel(scalars=24, vectors=8, matrices=6, **sizes, **bins).double()


def answers(model: DirectModel, *crystals: Crystal) -> DirectOutput:
    graphs = [build_structure_graph(crystal, 5.0, dtype=torch.float64) for crystal in crystals]
    with torch.no_grad():
        return model(batch_structures(graphs))


def per_crystal(found: DirectOutput) -> dict[str, torch.Tensor]:
    """What does not depend on the order of the atoms or the choice of cell."""
    return {
        "density": found.states.mean(0, keepdim=True),
        "infrared": found.infrared.shares,
        "intensity": found.infrared.intensity,
        "raman": found.raman.shares,
        "numbers": found.scalars.values,
        "stability": found.scalars.stability_logit,
        "latent": found.latent,
    }


def assert_equal(first: DirectOutput, second: DirectOutput, rtol: float = 1e-9) -> None:
    expected = per_crystal(second)
    for name, value in per_crystal(first).items():
        torch.testing.assert_close(value, expected[name], rtol=rtol, atol=1e-12, msg=name)


def test_three_positive_states_for_every_atom(model: DirectModel) -> None:
    found = answers(model, random_crystal(np.random.default_rng(0))).states
    assert float(found.min()) > 0
    torch.testing.assert_close(found.sum(-1), torch.full((5,), 3.0, dtype=torch.float64))


def test_density_rises_with_the_square_of_the_frequency(model: DirectModel) -> None:
    grid = model.density.grid
    found = answers(model, random_crystal(np.random.default_rng(0))).states.sum(0) / grid.widths
    assert found[0] < 0.05 * found.max()
    with torch.no_grad():  # nothing learned, so that only the form that is built in is left
        flat = DirectModel(["density"], 8, 4, 4, 1, 8, 8, 16, 16, density_bins=(4000, 4000.0, 1e5)).double()
        for parameter in flat.density.parameters():
            parameter.zero_()
    bins = answers(flat, rock_salt()).states.sum(0)
    assert float(bins[3] / bins[1]) == pytest.approx((3.5 / 1.5) ** 2, rel=0.03)


def test_spectra_are_positive_and_sum_to_one(model: DirectModel) -> None:
    found = answers(model, random_crystal(np.random.default_rng(0)), rock_salt())
    for spectrum in (found.infrared, found.raman):
        assert float(spectrum.shares.min()) > 0
        torch.testing.assert_close(spectrum.shares.sum(-1), torch.ones(2, dtype=torch.float64))
        assert bool((spectrum.intensity > 0).all())


@pytest.mark.parametrize("determinant", [1, -1])
def test_nothing_depends_on_orientation_order_or_origin(model: DirectModel, determinant: int) -> None:
    generator = np.random.default_rng(2)
    crystal = random_crystal(generator)
    order = generator.permutation(5)
    moved = Crystal(crystal.lattice, crystal.positions[order] + 0.7, crystal.numbers[order], crystal.masses[order])
    turned = rotated(moved, random_orthogonal(generator, determinant))
    assert_equal(answers(model, turned), answers(model, crystal))


def test_a_supercell_is_the_same_crystal(model: DirectModel) -> None:
    crystal = random_crystal(np.random.default_rng(4), 3)
    supercell = Supercell(crystal, np.diag([1, 2, 1])).to_crystal()
    assert_equal(answers(model, supercell), answers(model, crystal))


def test_results_do_not_depend_on_the_batch(model: DirectModel) -> None:
    crystals = [random_crystal(np.random.default_rng(seed), n_atoms) for seed, n_atoms in ((0, 5), (1, 2), (2, 4))]
    together, first = answers(model, *crystals), 0
    for index, crystal in enumerate(crystals):
        alone, last = answers(model, crystal), first + crystal.n_atoms
        torch.testing.assert_close(together.states[first:last], alone.states, rtol=1e-10, atol=1e-14)
        for name in ("infrared", "raman"):
            torch.testing.assert_close(getattr(together, name).shares[index], getattr(alone, name).shares[0])
        torch.testing.assert_close(together.scalars.values[index], alone.scalars.values[0], rtol=1e-10, atol=1e-14)
        first = last


def test_shared_sites_count_by_their_shares(model: DirectModel) -> None:
    crystal = rock_salt()
    cation, anion = crystal.numbers
    twice = SiteOccupancy(np.array([cation, cation, anion]), np.array([0.25, 0.75, 1.0]), np.array([0, 0, 1]))
    mixed = SiteOccupancy(np.array([cation, 38, anion]), np.array([0.5, 0.5, 1.0]), np.array([0, 0, 1]))
    graphs = [build_structure_graph(crystal, 5.0, shares, torch.float64) for shares in (twice, mixed)]
    with torch.no_grad():
        same, other = (model(graph) for graph in graphs)
    assert_equal(same, answers(model, crystal))
    assert float((other.states - same.states).abs().max()) > 1e-3


def test_only_the_heads_that_are_asked_for_are_there() -> None:
    small = DirectModel(["density"], 8, 4, 4, 1, 8, 8, 16, 16).double()
    found = answers(small, rock_salt())
    assert found.states is not None
    assert (found.blocks, found.infrared, found.raman, found.scalars) == (None, None, None, None)
    assert not any(name.startswith(("modes", "infrared", "raman", "scalars")) for name, _ in small.named_parameters())
