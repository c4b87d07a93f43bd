"""phononwebsite.json holds what the viewer needs, with the phases and masses that it does not add itself."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mlrim.lattice.qpath import path_through
from mlrim.lattice.supercell import Supercell
from mlrim.report.path_modes import kept_points, path_modes
from mlrim.report.phononwebsite import phononwebsite, write_phononwebsite
from mlrim.units import SQRT_EIGENVALUE_TO_THZ, THZ_TO_CM1
from mlrim.vibrations.dispersion import Dispersion
from tests.report.predictions import given_prediction


@pytest.fixture(scope="module")
def prediction():
    return given_prediction("rutile")


@pytest.fixture(scope="module")
def content(prediction, tmp_path_factory):
    path = tmp_path_factory.mktemp("website") / "phononwebsite.json"
    write_phononwebsite(prediction, path)
    return json.loads(path.read_text(encoding="utf-8"))


def vectors(content) -> np.ndarray:
    """Complex displacements by wave vector, band, atom, axis."""
    parts = np.array(content["vectors"])
    return parts[..., 0] + 1j * parts[..., 1]


def viewer_displacements(content, place, band, cells) -> np.ndarray:
    """What the viewer draws at time zero: vectors times the phase of the cell, and nothing else."""
    phases = np.exp(2j * np.pi * (np.array(cells) @ content["qpoints"][place]))
    return (phases[:, None, None] * vectors(content)[place, band]).real


def test_every_field_has_its_shape(content, prediction):
    size, points = prediction.dynamics.crystal.n_atoms, len(content["qpoints"])
    assert content["natoms"] == size == len(content["atom_types"]) == len(content["atom_numbers"])
    assert np.array(content["vectors"]).shape == (points, 3 * size, size, 3, 2)
    assert np.array(content["eigenvalues"]).shape == (points, 3 * size)
    np.testing.assert_allclose(
        np.array(content["atom_pos_red"]) @ content["lattice"], content["atom_pos_car"], atol=1e-6
    )


@pytest.mark.parametrize("unstable", [False, True])
def test_eigenvalues_are_wavenumbers_and_imaginary_ones_negative(unstable):
    prediction = given_prediction("rutile", unstable=unstable)
    expected = prediction.dispersion.frequencies * THZ_TO_CM1
    assert (expected.min() < -1) == unstable
    np.testing.assert_allclose(phononwebsite(prediction)["eigenvalues"], expected, atol=1e-3)


def test_no_two_wave_vectors_share_a_distance_although_two_directions_meet_at_gamma(content):
    assert np.all(np.diff(content["distances"]) > 0)
    at_gamma = np.flatnonzero(np.all(np.abs(content["qpoints"]) < 1e-9, axis=1))
    values = np.array(content["eigenvalues"])[at_gamma]
    assert np.abs(values - values[0]).max() > 1, "the directions differ by their LO modes"


def test_segments_cover_the_path_and_their_ends_have_names(content, prediction):
    breaks = content["line_breaks"]
    assert breaks[0][0] == 0
    assert breaks[-1][1] == len(content["qpoints"])
    assert all(first[1] == second[0] for first, second in pairwise(breaks))
    assert len(breaks) == len(prediction.dispersion.path.segments)
    labelled = {index for index, _ in content["highsym_qpts"]}
    assert labelled == {0, *(stop - 1 for _, stop in breaks)}
    assert content["highsym_qpts"][0][1] == "Γ"


@pytest.mark.parametrize("kind", ["rutile", "quartz"])
def test_acoustic_modes_near_gamma_move_neighbours_in_phase(kind):
    """A sound wave is one plane wave through all atoms: exp(2πi q·r) with r their places, not their cells."""
    prediction = given_prediction(kind)
    first = np.array([0.02, 0.01, 0.015])
    shown = on_path(prediction, [first, 2 * first])
    cells = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (2, -1, 3)])
    for band in np.argsort(np.abs(shown["eigenvalues"][0]))[:3]:
        moved = np.exp(2j * np.pi * (cells @ first))[:, None, None] * vectors(shown)[0, band]
        wave = np.exp(2j * np.pi * ((cells[:, None, :] + shown["atom_pos_red"]) @ first))
        common = (moved / wave[:, :, None]).reshape(-1, 3)
        assert np.abs(common - common.mean(axis=0)).max() < 0.02 * np.abs(common).max()


def test_modes_at_the_zone_boundary_are_modes_of_the_supercell():
    """What the viewer draws obeys Φ u = m ω² u with the force constants of a supercell, which know no phases."""
    prediction = given_prediction("quartz")
    dynamics, crystal = prediction.dynamics, prediction.dynamics.crystal
    boundary = np.array([0.5, 0.0, 0.0])
    shown = on_path(prediction, [boundary, boundary + [0, 0.1, 0]])
    supercell = Supercell(crystal, np.diag([2, 1, 1]))
    force_constants = dynamics.folded(supercell)
    shifts = np.array([supercell.shifts[s % supercell.n_cells] for s in range(supercell.n_atoms)])
    atoms = np.arange(supercell.n_atoms) // supercell.n_cells
    for band, frequency in enumerate(shown["eigenvalues"][0]):
        drawn = viewer_displacements(shown, 0, band, shifts)[np.arange(len(atoms)), atoms]
        home = viewer_displacements(shown, 0, band, [(0, 0, 0)])[0]
        forces = np.einsum("isab,sb->ia", force_constants, drawn)
        eigenvalue = np.sign(frequency) * (frequency / THZ_TO_CM1 / SQRT_EIGENVALUE_TO_THZ) ** 2
        expected = eigenvalue * crystal.masses[:, None] * home
        assert np.abs(forces - expected).max() < 2e-3 * np.abs(force_constants).max()


def on_path(prediction, ends) -> dict:
    """The file of a straight path between two wave vectors."""
    path = path_through(prediction.dynamics.crystal, [tuple(ends)], [("a", "b")])
    return phononwebsite(
        replace(prediction, dispersion=Dispersion(path, prediction.dynamics.frequencies(path.qpoints)))
    )


def test_light_atoms_are_given_their_larger_displacement(prediction):
    """Uniform translation in mass-weighted vectors is √m; the file must hold one and the same vector."""
    crystal = prediction.dynamics.crystal
    modes = path_modes(prediction.dynamics, prediction.dispersion.path, 10**7)
    matrices = prediction.dynamics.dynamical_matrices(
        prediction.dispersion.path.qpoints[:5], prediction.dispersion.path.directions[:5]
    )
    weighted = modes.displacements[:5] * np.sqrt(crystal.masses)[:, None]
    columns = weighted.reshape(5, -1, 3 * crystal.n_atoms).transpose(0, 2, 1)
    for matrix, column in zip(matrices, columns, strict=True):
        values = np.einsum("im,ij,jm->m", column.conj(), matrix, column) / np.einsum("im,im->m", column.conj(), column)
        residual = matrix @ column - column * values
        assert np.abs(residual).max() < 1e-8 * np.abs(matrix).max()


def test_large_cells_keep_the_ends_of_segments_and_stay_small(prediction):
    path = prediction.dispersion.path
    ends = {index for segment in path.segments for index in (segment.start, segment.stop - 1)}
    kept = kept_points(path, len(ends) + 3)
    assert ends <= set(kept.tolist())
    assert len(kept) == len(ends) + 3
    assert kept_points(path, 2).tolist() == sorted(ends)[:2]
    assert len(kept_points(path, 0)) == 0
    few = phononwebsite(prediction, most_numbers=18 * 36 * (len(ends) + 3))
    assert len(few["qpoints"]) == len(ends) + 3
    assert few["line_breaks"][-1][1] == len(few["qpoints"])
