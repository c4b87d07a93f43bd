"""What energies are trained on, against finite differences of the potential that made the data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.morse import MorsePotential

from datamodules.build import BuildOptions, build
from datamodules.energy_cache import EnergyCache, ensure_energy_samples
from datamodules.energy_samples import (
    EnergySettings,
    Reading,
    cell_sample,
    crystal_energies,
    displaced_sample,
    make_energy_samples,
)
from datamodules.records import Record
from datamodules.samples import SampleSettings, make_sample
from datamodules.store import RecordStore
from mlrim.errors import UserError
from mlrim.graph.energy_graph import edge_vectors
from mlrim.graph.energy_labels import LabelledGraph
from mlrim.lattice.commensurate_cells import dense_hessian
from mlrim.rim.background import background_of
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from tests.datamodules.archives import rocksalt_archives

READING = Reading(cutoff=5.0)
EVERYTHING = EnergySettings(displaced=10, max_cells=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    folder = tmp_path_factory.mktemp("energies")
    rocksalt_archives(folder / "archives", 2)
    build(BuildOptions("phonondb", folder / "set", folder / "archives", workers=1, features=False, quiet=True))
    return RecordStore(folder / "set")


@pytest.fixture(scope="module")
def record(store: RecordStore) -> Record:
    """Rocksalt from a Morse potential, in a supercell of 2×2×1 cubes."""
    return next(record for record in store if record.supercell.n_cells == 16)


def morse_hessian(sample: LabelledGraph, nearest: float, step: float = 1e-3) -> np.ndarray:
    """Finite differences of the forces in the cell of a sample."""
    graph = sample.graph
    atoms = Atoms(
        graph.numbers.numpy(), graph.positions.double().numpy(), cell=graph.cell[0].double().numpy(), pbc=True
    )
    atoms.calc = MorsePotential(epsilon=0.8, rho0=4.0, r0=nearest, rcut1=4.0, rcut2=4.8)
    rows = []
    for component in range(3 * len(atoms)):
        pull = np.zeros(3 * len(atoms))
        pull[component] = step
        forces = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions += sign * pull.reshape(-1, 3)
            forces.append(moved.get_forces().reshape(-1))
        rows.append((forces[1] - forces[0]) / (2 * step))
    return np.array(rows)


def test_labels_and_what_is_not_learned_add_up_to_the_hessian_of_the_potential(record: Record) -> None:
    """In cells of one, two and four primitive cells, none of which the potential was ever evaluated in."""
    energies = crystal_energies(record, replace(EVERYTHING, background=("dipole", "rim")))
    sizes = [len(cell.target[0]) // 2 for cell in energies.cells]
    assert sizes[0] == 1
    assert {1, 2, 4} == set(sizes)
    nearest = float(np.linalg.norm(record.crystal.lattice, axis=1).min() / np.sqrt(2))
    for index in range(len(sizes)):
        sample = cell_sample(energies, index, READING)
        total = (sample.labels.hessian[0] + sample.labels.rest[0]).numpy()
        expected = morse_hessian(sample, nearest)
        np.testing.assert_allclose(total, expected, atol=2e-3 * np.abs(expected).max())
        assert np.abs(sample.labels.rest[0].numpy()).max() > 0.1


def test_modes_are_those_of_the_total_hessian_without_translations(record: Record) -> None:
    for index in range(3):
        graph, labels = cell_sample(crystal_energies(record, EVERYTHING), index, READING)
        masses = np.repeat(labels.masses.double().numpy(), 3)
        vectors, frequencies = labels.eigenvectors[0].double().numpy(), labels.frequencies[0].double().numpy()
        assert vectors.shape == (3 * len(graph.numbers), 3 * len(graph.numbers) - 3)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(vectors.shape[1]), atol=1e-5)
        np.testing.assert_allclose(
            (vectors * np.sqrt(masses)[:, None]).reshape(-1, 3, vectors.shape[1]).sum(0), 0, atol=1e-4
        )
        total = (labels.hessian[0] + labels.rest[0]).double().numpy() / np.sqrt(masses[:, None] * masses)
        squares = np.sign(frequencies) * (frequencies / SQRT_EIGENVALUE_TO_CM1) ** 2
        np.testing.assert_allclose(vectors.T @ total @ vectors, np.diag(squares), atol=1e-5)


def test_primitive_cells_have_the_label_that_corrections_have(record: Record) -> None:
    """Another route to the same numbers: the sample that corrections to a baseline are trained on."""
    delta = make_sample(record, SampleSettings(baseline="rim"))
    energies = crystal_energies(record, EnergySettings(background=("dipole", "rim")))
    hessian = cell_sample(energies, 0, READING).labels.hessian[0].double().numpy()
    basis = delta.gamma.basis[0]
    np.testing.assert_allclose(basis.T @ hessian @ basis, delta.gamma.target[0], atol=1e-5)


def test_records_without_born_charges_use_rigid_ions(record: Record) -> None:
    unknown = replace(record, born_charges=None, dielectric=None)
    delta = make_sample(unknown, SampleSettings(baseline="none"))
    hessian = cell_sample(crystal_energies(unknown, EnergySettings()), 0, READING).labels.hessian[0].double().numpy()
    basis = delta.gamma.basis[0]
    np.testing.assert_allclose(basis.T @ hessian @ basis, delta.gamma.target[0], atol=1e-5)
    known = cell_sample(crystal_energies(record, EnergySettings()), 0, READING).labels.hessian[0].numpy()
    assert np.abs(hessian - known).max() > 0.1


@pytest.mark.parametrize("background", [(), ("dipole",), ("dipole", "smeared"), ("dipole", "rim")])
def test_forces_of_displaced_supercells_are_the_linear_response_of_the_target(record: Record, background) -> None:
    """To first order; what is left are third derivatives times 0.01 Å."""
    settings = replace(EVERYTHING, background=background)
    energies = crystal_energies(record, settings)
    supercell = record.supercell
    parts = background_of(background, record.crystal, record.born_charges, record.dielectric)
    target = dense_hessian(record.compact() - parts.folded(supercell), supercell)
    assert len(energies.displaced.forces) == len(record.displacements) == 2
    for index, displacement in enumerate(energies.displaced.displacements):
        forces = displaced_sample(energies, index, READING).labels.forces.numpy()
        expected = -target @ displacement.reshape(-1)
        assert np.linalg.norm(forces.reshape(-1) - expected) < 0.06 * np.linalg.norm(expected)


def test_displaced_supercells_are_displaced(record: Record) -> None:
    energies = crystal_energies(record, EVERYTHING)
    sample = displaced_sample(energies, 0, READING)
    moved = sample.graph.positions.numpy() - record.supercell.positions
    np.testing.assert_allclose(moved, record.displacements[0], atol=1e-5)
    assert not sample.labels.has_hessian
    assert bool(sample.labels.energy.isnan().all() and sample.labels.stress.isnan().all())
    assert not bool(sample.labels.forces.isnan().any())


def test_graphs_hold_all_pairs_of_the_small_cell(record: Record) -> None:
    """Counted image by image over a block of cells."""
    for sample in make_energy_samples(record, EnergySettings(), READING):
        positions, cell = sample.graph.positions.double().numpy(), sample.graph.cell[0].double().numpy()
        shifts = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), -1).reshape(-1, 3) @ cell
        vectors = positions[None, :, None] + shifts[None, None] - positions[:, None, None]
        lengths = np.linalg.norm(vectors, axis=-1)
        assert ((lengths < READING.cutoff) & (lengths > 1e-3)).sum() == len(sample.graph.receiver)
        assert float(edge_vectors(sample.graph).norm(dim=1).max()) < READING.cutoff


def test_reference_structures_are_stationary_and_unstressed_when_told(record: Record) -> None:
    energies = crystal_energies(record, EnergySettings())
    told = cell_sample(energies, 0, Reading(5.0, stationary=True, unstressed=True)).labels
    assert not bool(told.forces.any())
    assert not bool(told.stress.any())
    silent = cell_sample(energies, 0, Reading(5.0, stationary=False, unstressed=False)).labels
    assert bool(silent.forces.isnan().all())
    assert bool(silent.stress.isnan().all())


def test_limits_choose_the_cells(record: Record) -> None:
    def sizes(**changes) -> list[int]:
        cells = crystal_energies(record, replace(EnergySettings(), **changes)).cells
        return [len(cell.target[0]) // 2 for cell in cells]

    assert sizes(max_cells=1) == sizes(wave_cells=0) == sizes(max_cell_atoms=2) == [1]
    assert max(sizes(max_cells=2, wave_cells=9)) == max(sizes(max_cell_atoms=4, wave_cells=9)) == 2
    assert len(sizes(wave_cells=2)) == 3


def test_an_unknown_background_is_refused(record: Record) -> None:
    with pytest.raises(UserError, match="dipole, smeared, rim"):
        crystal_energies(record, EnergySettings(background=("shell",)))


def test_samples_are_read_as_they_were_made(store: RecordStore) -> None:
    cache = ensure_energy_samples(store, store.ids, EVERYTHING, workers=0, quiet=True)
    for row, record in enumerate(store):
        made, stored = crystal_energies(record, EVERYTHING), cache[row]
        shape = cache.shapes[row]
        assert [2 * cells for cells in shape.cells] == [len(cell.target[0]) for cell in made.cells]
        assert (shape.n_displaced, shape.n_images) == made.displaced.forces.shape[:2]
        for index in range(len(made.cells)):
            assert_same(cell_sample(stored, index, READING), cell_sample(made, index, READING))
        for index in range(shape.n_displaced):
            assert_same(displaced_sample(stored, index, READING), displaced_sample(made, index, READING))


def assert_same(found: LabelledGraph, expected: LabelledGraph) -> None:
    """But for the signs of eigenvectors, and which of degenerate ones they are."""
    torch.testing.assert_close(found.graph, expected.graph)
    for name in ("forces", "stress", "masses", "hessian", "rest", "frequencies"):
        one, other = getattr(found.labels, name), getattr(expected.labels, name)
        torch.testing.assert_close(one, other, atol=3e-5, rtol=1e-5, equal_nan=True)


def test_processes_make_the_same_samples_and_what_changes_makes_others(store: RecordStore) -> None:
    alone = ensure_energy_samples(store, store.ids, EnergySettings(wave_cells=1), workers=0, quiet=True)
    data = (alone.folder / "samples.bin").read_bytes()
    for file in alone.folder.iterdir():
        file.unlink()
    alone.folder.rmdir()
    together = ensure_energy_samples(store, store.ids, EnergySettings(wave_cells=1), workers=2, quiet=True)
    assert together.folder == alone.folder
    assert (together.folder / "samples.bin").read_bytes() == data
    changed = [
        ensure_energy_samples(store, store.ids, settings, workers=0, quiet=True).folder
        for settings in (
            EnergySettings(),
            EnergySettings(background=()),
            EnergySettings(max_cells=2),
            EnergySettings(displaced=1),
        )
    ]
    assert len({together.folder, *changed}) == 5
    assert isinstance(together, EnergyCache)


@pytest.mark.slow
def test_real_forces_are_the_linear_response_of_the_target(shared_data: Path, tmp_path: Path) -> None:
    """phonondb: displacements of 0.01 Å; the rest is anharmonicity and noise of the calculations."""
    folder = shared_data / "data" / "phonondb"
    select = "materials-id-1265-*,materials-id-22862-*,materials-id-2657-*,materials-id-1143-*"
    build(BuildOptions("phonondb", tmp_path / "set", folder, workers=1, select=select, features=False, quiet=True))
    left = {}
    for record in RecordStore(tmp_path / "set"):
        energies = crystal_energies(record, EVERYTHING)
        supercell = record.supercell
        parts = background_of(["dipole"], record.crystal, record.born_charges, record.dielectric)
        target = dense_hessian(record.compact() - parts.folded(supercell), supercell)
        forces = energies.displaced.forces.reshape(len(energies.displaced.forces), -1)
        expected = -energies.displaced.displacements.reshape(len(forces), -1) @ target
        left[record.formula] = np.linalg.norm(forces - expected) / np.linalg.norm(expected)
    assert len(left) == 4
    assert max(left.values()) < 0.02
