"""Dynamical matrices against phonopy, and the long-range recipe against the two that count twice."""

import lzma
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.file_IO import parse_BORN, parse_FORCE_SETS
from phonopy.interface.vasp import read_vasp

from mlrim.lattice.crystal import Crystal
from mlrim.lattice.detection import point_group_rotations
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import PairForceConstants, with_self_blocks
from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors
from mlrim.lattice.qpath import mesh_shape, path_through, regular_mesh, standard_path
from mlrim.lattice.supercell import Supercell
from mlrim.units import THZ_TO_CM1
from tests.lattice.crystals import random_crystal, rocksalt, rutile
from tests.vibrations.prototypes import prototype, symmetric_dynamics

BENCHMARKS = {"MgO": "1265-mgo", "ZnO": "2133-zno", "TiO2": "2657-tio2", "Al2O3": "1143-al2o3"}


def sodium_chloride() -> tuple[Crystal, PairForceConstants, DipoleInteraction]:
    """NaCl as a rigid ion: q = Z*/√ε∞ = 0.738, Born–Mayer ρ = 0.24 Å with A from zero pressure (no phonon fit)."""
    a, charge, rho = 5.64, 0.738, 0.24
    crystal = rocksalt(a, (11, 17))
    # zero pressure: the Coulomb slope −α q² k / r₀² per pair of ions balances six neighbours
    coulomb_slope = 1.7475645946331822 * charge**2 * 14.3996454784 / (a / 2) ** 2
    strength = coulomb_slope * rho / 6 * np.exp(a / 2 / rho)
    pairs = neighbour_pairs(crystal, a / 2 + 0.1)
    vectors = pair_vectors(crystal, pairs)
    r = np.linalg.norm(vectors, axis=1)
    slope, curvature = -strength / rho * np.exp(-r / rho), strength / rho**2 * np.exp(-r / rho)
    radial = vectors[:, :, None] * vectors[:, None, :] / r[:, None, None] ** 2
    transverse = np.eye(3) - radial
    blocks = -(curvature[:, None, None] * radial + (slope / r)[:, None, None] * transverse)
    charges = charge * np.array([1.0, -1.0])[:, None, None] * np.eye(3)
    return crystal, with_self_blocks(pairs, blocks, 2), DipoleInteraction(crystal, charges, np.eye(3))


def off_grid_path(crystal: Crystal) -> np.ndarray:
    """Wave vectors on Γ–X and Γ–L that no small supercell contains."""
    fractions = np.linspace(0.04, 0.47, 11)[:, None]
    return np.concatenate([fractions * [0.5, 0.5, 0.0] * 2, fractions * [0.5, 0.5, 0.5] * 2])


@pytest.mark.parametrize("cells", [2, 3])
def test_subtracting_then_adding_the_dipole_term_is_exact(cells):
    crystal, short_range, dipole = sodium_chloride()
    exact = LatticeDynamics(crystal, short_range, dipole)
    supercell = Supercell(crystal, cells * np.eye(3, dtype=int))
    remade = LatticeDynamics.from_supercell(exact.folded(supercell), supercell, dipole.born_charges, dipole.dielectric)
    qpoints = off_grid_path(crystal)
    error = np.abs(remade.frequencies(qpoints) - exact.frequencies(qpoints)) * THZ_TO_CM1
    assert error.max() < 0.01


@pytest.mark.parametrize("cells", [2, 3])
def test_adding_the_dipole_term_without_subtracting_it_counts_it_twice(cells):
    crystal, short_range, dipole = sodium_chloride()
    exact = LatticeDynamics(crystal, short_range, dipole)
    supercell = Supercell(crystal, cells * np.eye(3, dtype=int))
    whole = LatticeDynamics.from_supercell(exact.folded(supercell), supercell)
    doubled = LatticeDynamics(crystal, whole.short_range, dipole)
    qpoints = off_grid_path(crystal)
    error = np.abs(doubled.frequencies(qpoints) - exact.frequencies(qpoints)) * THZ_TO_CM1
    assert error.mean() > 20
    without = np.abs(whole.frequencies(qpoints) - exact.frequencies(qpoints)) * THZ_TO_CM1
    assert without[:, -1].mean() > 30  # the longitudinal branch falls onto the transverse one


def test_rigid_ion_sodium_chloride_has_the_published_frequencies():
    crystal, short_range, dipole = sodium_chloride()
    dynamics = LatticeDynamics(crystal, short_range, dipole)
    frequencies = dynamics.frequencies(np.zeros((1, 3)), np.array([1.0, 0, 0]))[0] * THZ_TO_CM1
    assert frequencies[3:5] == pytest.approx([156.4, 156.4], abs=0.5)
    assert frequencies[5] == pytest.approx(259.4, abs=0.8)


def phonopy_from(crystal: Crystal, dynamics: LatticeDynamics, supercell: Supercell) -> Phonopy:
    """phonopy with the total force constants of our supercell, in its own order."""
    phonon = Phonopy(crystal.to_phonopy(), supercell_matrix=supercell.matrix, primitive_matrix="P")
    fractional = phonon.supercell.positions @ np.linalg.inv(crystal.lattice)
    difference = fractional[:, None] - crystal.fractional[None]
    residue = np.linalg.norm(difference - np.round(difference), axis=-1)
    atoms = residue.argmin(axis=1)
    shifts = np.round(difference[np.arange(len(atoms)), atoms]).astype(np.int64)
    compact = dynamics.folded(supercell)
    rows = []
    for row in phonon.primitive.p2s_map:
        images = supercell.image_index(atoms, shifts - shifts[row])
        rows.append(compact[atoms[row], images])
    phonon.force_constants = np.array(rows)
    return phonon


@pytest.mark.parametrize("seed", [0, 1])
def test_frequencies_at_any_wave_vector_are_phonopys_for_a_triclinic_crystal(seed):
    crystal = random_crystal(seed)
    pairs = neighbour_pairs(crystal, 5.0)
    vectors = pair_vectors(crystal, pairs)
    weights = np.exp(-np.linalg.norm(vectors, axis=1))[:, None, None]
    blocks = -weights * (np.eye(3) + vectors[:, :, None] * vectors[:, None, :])
    dynamics = LatticeDynamics(crystal, with_self_blocks(pairs, blocks, 4))
    supercell = Supercell(crystal, np.array([[2, 1, 0], [0, 2, 0], [1, 0, 2]]))
    phonon = phonopy_from(crystal, dynamics, supercell)
    qpoints = np.random.default_rng(seed).normal(size=(20, 3))
    phonon.run_qpoints(qpoints)
    ours = LatticeDynamics.from_supercell(dynamics.folded(supercell), supercell).frequencies(qpoints)
    np.testing.assert_allclose(ours, phonon.qpoints.frequencies, rtol=2e-6, atol=1e-5)


def archive_texts(folder: Path, name: str) -> dict[str, str]:
    """The files of one archive of the Kyoto phonon database."""
    archive = next(folder.glob(f"*-{name}-*.tar.lzma"))
    with lzma.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
        members = {Path(member.name).name: tar.extractfile(member) for member in tar if member.isfile()}
        return {key: value.read().decode() for key, value in members.items() if value}


def read_benchmark(folder: Path, name: str, scratch: Path) -> tuple[Phonopy, dict]:
    """phonopy's own reading of one archive."""
    texts = archive_texts(folder, name)
    for key, text in texts.items():
        (scratch / key).write_text(text)
    settings = dict(line.split("=", 1) for line in texts["phonopy.conf"].splitlines() if "=" in line)
    settings = {key.strip(): value.split() for key, value in settings.items()}
    size = np.array(settings["DIM"], dtype=int)
    axis = [float(Fraction(entry)) for entry in settings.get("PRIMITIVE_AXIS", list("100010001"))]
    phonon = Phonopy(
        read_vasp(str(scratch / "POSCAR-unitcell")),
        supercell_matrix=np.diag(size) if len(size) == 3 else size.reshape(3, 3),
        primitive_matrix=np.array(axis).reshape(3, 3),
    )
    phonon.dataset = parse_FORCE_SETS(filename=str(scratch / "FORCE_SETS"))
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    charges = parse_BORN(phonon.primitive, filename=str(scratch / "BORN"))
    charges["factor"] = 14.399652
    return phonon, charges


@pytest.mark.parametrize("name", BENCHMARKS)
def test_dft_dispersions_with_dipole_term_are_phonopys(name, shared_data, tmp_path):
    phonon, charges = read_benchmark(shared_data / "data" / "phonondb", BENCHMARKS[name], tmp_path)
    primitive = phonon.primitive
    crystal = Crystal(primitive.cell, primitive.positions, primitive.numbers, primitive.masses)
    matrix = np.round(phonon.supercell.cell @ np.linalg.inv(crystal.lattice)).astype(np.int64).T
    supercell = Supercell(crystal, matrix)
    dynamics = LatticeDynamics.from_supercell(
        canonical(phonon, crystal, supercell),
        supercell,
        charges["born"],
        (charges["dielectric"] + charges["dielectric"].T) / 2,
    )
    phonon.nac_params = charges
    path = standard_path(crystal, 0.02)
    away = np.linalg.norm(path.qpoints, axis=1) > 1e-8
    for qpoints, tolerance in ((supercell.commensurate_qpoints[1:], 0.05), (path.qpoints[away], 1.0)):
        phonon.run_qpoints(qpoints)
        error = np.abs(dynamics.frequencies(qpoints) - phonon.qpoints.frequencies) * THZ_TO_CM1
        assert error.max() < tolerance


def canonical(phonon: Phonopy, crystal: Crystal, supercell: Supercell) -> np.ndarray:
    """phonopy's force constants in canonical order."""
    difference = (phonon.supercell.positions @ np.linalg.inv(crystal.lattice))[:, None] - crystal.fractional[None]
    residue = np.linalg.norm(difference - np.round(difference), axis=-1)
    atoms = residue.argmin(axis=1)
    shifts = np.round(difference[np.arange(len(atoms)), atoms]).astype(np.int64)
    compact = np.zeros((crystal.n_atoms, supercell.n_atoms, 3, 3))
    for row in phonon.primitive.p2s_map:
        compact[atoms[row], supercell.image_index(atoms, shifts - shifts[row])] = phonon.force_constants[row]
    return compact


def test_path_of_a_rocksalt_crystal_visits_its_special_points():
    path = standard_path(rocksalt(4.2), 0.02)
    assert {"Γ", "X", "L", "K", "W"} <= {name for ends in path.labels for name in ends} | {"W"}
    for segment, (first, _) in zip(path.segments, path.labels, strict=True):
        if first == "Γ":
            np.testing.assert_allclose(path.qpoints[segment.start], 0, atol=1e-12)
    assert np.all(np.diff(path.distances) >= -1e-12)


def test_path_directions_point_along_the_segments():
    crystal = rutile()
    path = path_through(crystal, [(np.zeros(3), np.array([0, 0, 0.5]))], [("Γ", "Z")], 0.01)
    np.testing.assert_allclose(path.directions, np.broadcast_to([0, 0, 1.0], path.directions.shape), atol=1e-12)


def test_reduced_mesh_averages_like_the_full_mesh():
    crystal, short_range, dipole = sodium_chloride()
    dynamics = LatticeDynamics(crystal, short_range, dipole)
    reduced, full = (regular_mesh(crystal, (4, 4, 4), symmetry) for symmetry in (True, False))
    assert len(reduced.qpoints) < len(full.qpoints) < 64
    moments = [mesh.weights @ (dynamics.frequencies(mesh.qpoints) ** 2).sum(axis=1) for mesh in (reduced, full)]
    assert moments[0] == pytest.approx(moments[1], rel=1e-10)
    assert len(reduced.mapping) == 64


def test_a_mesh_without_the_symmetry_of_the_crystal_is_reduced_by_what_it_has() -> None:
    crystal = prototype("fluorite")
    dynamics = symmetric_dynamics(crystal)
    mesh = regular_mesh(crystal, (2, 3, 4))
    full = np.stack(np.meshgrid(*map(np.arange, (4, 3, 2)), indexing="ij"), axis=-1).reshape(-1, 3)[:, ::-1]
    expected = dynamics.frequencies(full / np.array([2.0, 3.0, 4.0]))
    assert dynamics.frequencies(mesh.qpoints)[mesh.mapping] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["fluorite", "corundum", "anatase", "wurtzite", "baddeleyite"])
def test_the_chosen_mesh_has_the_symmetry_of_the_crystal(name: str) -> None:
    crystal = prototype(name)
    sheared = Crystal(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ crystal.lattice, crystal.positions, crystal.numbers)
    for one in (crystal, sheared):
        shape = np.array(mesh_shape(one, 0.05))
        turned = point_group_rotations(one).swapaxes(1, 2) * shape[:, None] / shape[None, :]
        assert np.abs(turned - np.round(turned)).max() < 1e-9
        assert np.all(np.linalg.norm(one.reciprocal, axis=1) / shape <= 0.05)
