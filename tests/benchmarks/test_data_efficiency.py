"""The parts of the experiments on data efficiency, on tiny sizes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import data_efficiency_ethanol, data_efficiency_silicon
from benchmarks.data_efficiency_ethanol import divided, shift_factors
from benchmarks.experiment_runs import ExperimentRuns
from benchmarks.lammps_silicon import find_lammps
from benchmarks.silicon_labels import load_labels, make_labels, repeated
from benchmarks.silicon_samples import ARMS, perfect_cells, predicted, training_set, truth, zone, zone_error
from benchmarks.small_potentials import Part, Samples, Training, train
from datamodules.configurations import Configuration
from mlrim.derivatives.bloch import dynamical_matrices, unroll
from mlrim.derivatives.engine import differentiate
from mlrim.errors import UserError
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.models.stillinger_weber import StillingerWeber

CUTOFF = 4.4
QPOINTS = np.random.default_rng(0).random((4, 3))


@pytest.fixture(scope="module")
def labels():
    return load_labels()


@pytest.fixture(scope="module")
def teacher():
    return StillingerWeber()


def exact(teacher, qpoints):
    crystal = repeated(1).crystal
    return dynamical_matrices(teacher, unroll(teacher, crystal, teacher.cutoff), qpoints)


def test_the_truth_is_the_potential_at_any_wave_vector(labels, teacher):
    np.testing.assert_allclose(truth(labels).dynamical_matrices(QPOINTS), exact(teacher, QPOINTS), atol=1e-8)


def test_force_constants_of_the_labels_are_exact_too(labels, teacher):
    dynamics = LatticeDynamics.from_supercell(labels.label_force_constants, repeated(3))
    np.testing.assert_allclose(dynamics.dynamical_matrices(QPOINTS), exact(teacher, QPOINTS), atol=1e-8)


def test_a_network_that_is_the_teacher_has_no_error(labels, teacher):
    qpoints = zone().commensurate_qpoints
    error = zone_error(predicted(teacher).dynamical_matrices(qpoints), truth(labels).dynamical_matrices(qpoints))
    assert error.frequency < 1e-3
    assert error.norm < 1e-6


def test_error_of_matrices_that_are_too_large_by_a_factor(labels):
    matrices = truth(labels).dynamical_matrices(QPOINTS)
    error = zone_error(1.21 * matrices, matrices)
    assert error.norm == pytest.approx(0.21)
    assert error.worst == pytest.approx(0.1 * truth(labels).frequencies(QPOINTS).max() * 33.35641, rel=1e-5)


@pytest.mark.parametrize("arm", ARMS)
def test_samples_hold_what_the_teacher_says(labels, teacher, arm):
    known = training_set(labels, arm, 2, 1, CUTOFF)
    for sample in [*known.displaced, *known.cells]:
        found = differentiate(teacher, sample.graph.to(torch.float64))
        forces = sample.labels.forces
        np.testing.assert_allclose(found.forces.numpy(), forces.numpy(), atol=2e-5)
        if len(sample.labels.hessian[0]):
            np.testing.assert_allclose(found.hessian()[0].numpy(), sample.labels.hessian[0].numpy(), atol=2e-4)
    sizes = {int(arm[0]) ** 3 * 2}
    assert {len(sample.graph.numbers) for sample in known.displaced} == sizes
    assert bool(known.cells) == arm.endswith("+ Hessian")


def test_energies_of_samples_count_from_the_perfect_crystal(labels, teacher):
    (sample,) = training_set(labels, "2×2×2", 1, 0, CUTOFF).displaced
    rest = differentiate(teacher, perfect_cells(labels, CUTOFF)[0].graph.to(torch.float64)).energy
    energy = differentiate(teacher, sample.graph.to(torch.float64)).energy
    assert sample.labels.energy.item() == pytest.approx((energy - 8 * rest).item(), abs=1e-4)


def test_cells_with_hessians_are_small(labels):
    sizes = [len(sample.graph.numbers) for sample in perfect_cells(labels, CUTOFF)]
    assert sizes[0] == 2
    assert set(sizes[1:]) == {6}


def test_every_batch_holds_as_many_samples_of_each_part(labels):
    known = training_set(labels, "1×1×1 + Hessian", 5, 0, CUTOFF)
    samples = Samples([Part(known.displaced, 2), Part(known.cells, 3)], steps=7)
    first, second = samples.draw(np.random.default_rng(0))
    assert (len(first), len(second)) == (14, 21)
    assert set(first) == set(range(5))
    assert set(second) == set(range(5, 5 + len(known.cells)))
    assert len(Samples([Part([], 2), Part(known.cells, 3)], steps=7).draw(np.random.default_rng(0))) == 1


@pytest.mark.slow
def test_training_on_hessians_teaches_the_zone_what_forces_of_two_atoms_do_not(labels):
    qpoints = zone().commensurate_qpoints
    errors = {}
    for arm in ("1×1×1", "1×1×1 + Hessian"):
        known = training_set(labels, arm, 4, 0, CUTOFF)
        parts = [Part(known.displaced, 2), Part(known.cells, 4)]
        model, _ = train(Training(channels=8, cutoff=CUTOFF, steps=150, learning_rate=5e-3), parts, seed=0)
        error = zone_error(predicted(model).dynamical_matrices(qpoints), truth(labels).dynamical_matrices(qpoints))
        errors[arm] = error.frequency
    assert errors["1×1×1 + Hessian"] < 0.3 * errors["1×1×1"]


@pytest.mark.skipif(shutil.which("lmp") is None, reason="no LAMMPS (lmp)")
def test_the_stored_labels_are_what_lammps_says_now(labels):
    made = make_labels(find_lammps(), len(labels.hessians), 0.05)
    for size, part in made.displaced.items():
        np.testing.assert_allclose(part.positions, labels.displaced[size].positions, atol=1e-12)
        np.testing.assert_allclose(part.forces, labels.displaced[size].forces, atol=1e-9)
        np.testing.assert_allclose(part.energies, labels.displaced[size].energies, atol=1e-9)
    np.testing.assert_allclose(made.hessians, labels.hessians, atol=1e-7)
    np.testing.assert_allclose(made.exact_force_constants, labels.exact_force_constants, atol=1e-7)


def test_labels_that_are_not_there_are_said_to_be_missing(tmp_path):
    with pytest.raises(UserError, match="silicon_labels makes it"):
        load_labels(tmp_path / "labels.npz")


def test_more_configurations_than_labels_are_refused(labels):
    options = data_efficiency_silicon.Options(configurations=[1000])
    with pytest.raises(UserError, match="need more than the"):
        data_efficiency_silicon.check(options, labels)
    with pytest.raises(UserError, match="none of"):
        data_efficiency_silicon.check(data_efficiency_silicon.Options(arms=["4×4×4"]), labels)


def test_an_experiment_goes_on_where_it_was(tmp_path):
    keys, asked = [{"arm": "a", "n": 1}, {"arm": "b", "n": 2}], []

    def measure(arm, n):
        asked.append(arm)
        if asked == ["a", "b"]:
            raise KeyboardInterrupt
        return {"value": n / 2}

    path = tmp_path / "runs.json"
    with pytest.raises(KeyboardInterrupt):
        ExperimentRuns(path, {"steps": 3}).run(keys, measure)
    resumed = ExperimentRuns(path, {"steps": 3})
    assert resumed.run(keys, measure)
    assert asked == ["a", "b", "b"]
    assert [row["value"] for row in resumed.rows] == [0.5, 1.0]
    assert not ExperimentRuns(path, {"steps": 4}).rows
    assert json.loads(path.read_text())["settings"] == {"steps": 3}


def test_no_run_is_started_when_time_is_up(tmp_path):
    runs = ExperimentRuns(tmp_path / "runs.json", {})
    assert not runs.run([{"arm": "a"}], lambda arm: {}, minutes=-1)


def test_shift_factors_of_power_laws():
    without = {count: 100.0 * count**-0.5 for count in (5, 10, 20, 40, 80)}
    hessians = {count: 100.0 * (5 * count) ** -0.5 for count in (4, 8)}
    assert list(shift_factors(without, hessians).values()) == pytest.approx([5.0, 5.0], rel=1e-5)
    assert shift_factors(without, {5: 1.0}) == {5: float("inf")}


def displaced_water(count, with_hessian):
    known = data_efficiency_ethanol.displaced(data_efficiency_ethanol.Options(molecule="water"))[:count]
    return [one if index < with_hessian else replace(one, hessian=None) for index, one in enumerate(known)]


def identities(configurations: list[Configuration]) -> set[str]:
    return {configuration.id for configuration in configurations}


@pytest.mark.parametrize("with_hessian", [4, 9, 12])
def test_held_out_configurations_are_not_trained_on(with_hessian):
    division = divided(displaced_water(12, with_hessian), held_out=5)
    assert len(division.held_out) == 5
    assert not identities(division.held_out) & identities([*division.with_hessian, *division.others])
    assert len(identities([*division.held_out, *division.with_hessian, *division.others])) == 12
    assert all(one.hessian is not None for one in division.with_hessian)


def test_ethanol_experiment_writes_its_table_and_figure(tmp_path, capsys):
    options = data_efficiency_ethanol.Options(
        molecule="water", configurations=[2], force_configurations=[2, 3], repeats=1, held_out=3, channels=2,
        steps=2, out=tmp_path,
    )  # fmt: skip
    data_efficiency_ethanol.run(options)
    rows = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [(row["arm"], row["configurations"]) for row in rows] == [("forces", 2), ("forces", 3), ("Hessians", 2)]
    assert all(np.isfinite(row["force_mae"]) for row in rows)
    assert "| 2 | " in capsys.readouterr().out
    assert (tmp_path / "water.svg").is_file()
    with pytest.raises(UserError, match="are asked for"):
        data_efficiency_ethanol.run(replace(options, configurations=[200]))
