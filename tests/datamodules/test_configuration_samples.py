"""Samples of configurations: labels where they are known, and modes without translations and rotations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.configuration_samples import configuration_modes, labelled_configuration
from datamodules.molecules.shipped import reference, shipped_configurations
from mlrim.errors import UserError
from mlrim.graph.energy_labels import join_labelled
from tests.datamodules.test_configurations import configuration


def test_labels_of_a_cell_and_a_molecule_in_one_batch() -> None:
    cell, molecule = configuration(periodic=True), replace(configuration(seed=1), hessian=None, energy=None)
    batch = join_labelled([labelled_configuration(one, 3.0, torch.float64, 7) for one in (cell, molecule)])
    labels = batch.labels
    assert batch.graph.periodic.tolist() == [True, False]
    assert labels.has_hessian.tolist() == [True, False]
    assert labels.source.tolist() == [7, 7]
    assert labels.energy[0].item() == cell.energy
    assert labels.energy.isnan().tolist() == [False, True]
    np.testing.assert_array_equal(labels.stress[0].numpy(), cell.stress)
    assert labels.stress[1].isnan().all()
    np.testing.assert_array_equal(labels.forces.numpy(), np.concatenate([cell.forces, molecule.forces]))
    np.testing.assert_array_equal(labels.hessian[0].numpy(), cell.hessian)
    assert labels.rest[0].abs().max() == 0
    assert [tuple(vectors.shape) for vectors in labels.eigenvectors] == [(9, 6), (0, 0)]
    assert labelled_configuration(cell, 3.0).labels.hessian[0].dtype == torch.float32


def test_edges_are_those_within_the_cutoff() -> None:
    cell = configuration(periodic=True)
    sample = labelled_configuration(cell, 5.0)
    images = np.array(list(np.ndindex(7, 7, 7))) - 3
    points = (cell.positions[None] + (images @ cell.lattice)[:, None]).reshape(-1, 3)
    distances = np.linalg.norm(points[:, None] - cell.positions[None], axis=2)
    assert len(sample.graph.sender) == np.count_nonzero(distances < 5.0) - 3


@pytest.mark.parametrize("periodic", [False, True])
def test_modes_are_orthogonal_to_what_is_projected_out(periodic: bool) -> None:
    """Of a cell, translations; of a molecule rotations too."""
    one = configuration(periodic=periodic)
    frequencies, vectors = configuration_modes(one)
    root = np.sqrt(np.repeat(one.masses, 3))
    turn = np.cross(np.array([0.3, 0.5, -0.2]), one.positions - one.masses @ one.positions / one.masses.sum())
    assert len(frequencies) == (6 if periodic else 3)
    np.testing.assert_allclose(vectors.T @ (root * np.tile([1.0, 2.0, 3.0], 3)), 0, atol=1e-12)
    assert (np.abs(vectors.T @ (root * turn.ravel())).max() < 1e-12) == (not periodic)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(frequencies)), atol=1e-12)


@pytest.mark.parametrize("name", ["methane", "water"])
def test_frequencies_are_those_of_pyscf(name: str) -> None:
    rest = shipped_configurations(name)[0]
    found = labelled_configuration(rest, 4.0, torch.float64).labels.frequencies[0]
    np.testing.assert_allclose(found.numpy(), reference(name)["frequencies"], atol=1e-3)


def test_modes_need_a_hessian() -> None:
    with pytest.raises(UserError, match="not known"):
        configuration_modes(replace(configuration(), hessian=None))
