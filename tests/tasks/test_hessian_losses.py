import pytest
import torch

from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_labels import join_labelled
from mlrim.models.stillinger_weber import StillingerWeber
from mlrim.tasks.energy_evaluation import divide, evaluate, select_graphs
from mlrim.tasks.hessian_losses import (
    ENERGY_UNIT,
    FORCE_UNIT,
    FREQUENCY_UNIT,
    STRESS_UNIT,
    LossOptions,
    loss_terms,
    mode_terms,
    product_errors,
    total_loss,
)
from mlrim.tasks.hessian_metrics import graph_figures, predicted_frequencies
from mlrim.tasks.probes import ProbeMixture
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from tests.derivatives.energies import network
from tests.tasks.teacher import doubled, labelled, molecule, only, silicon, vibrations, weighted, without_hessian

MIXED = ProbeMixture(6, 0.4, 0.2, 0.2, 0.2)
NONE = ProbeMixture(0)
PLAIN = {"knee": 0.0, "softening": 0.0, "saturation": 1e6}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def terms_of(energy, batch, mixture=MIXED, seed=0, **options):
    evaluation = evaluate(energy, batch, mixture, generator(seed))
    return {name: float(value.detach()) for name, value in loss_terms(evaluation, LossOptions(**options)).items()}


@pytest.fixture(scope="module")
def mixed():
    return join_labelled(
        [
            labelled(silicon(0.1)),
            without_hessian(labelled(silicon(0.2, seed=1))),
            molecule(),
            labelled(doubled(silicon(0.1, seed=2))),
        ]
    )


def test_the_teacher_has_no_loss(mixed):
    terms = terms_of(StillingerWeber(), mixed, **PLAIN)
    assert max(terms.values()) < 2e-5
    assert float(terms_of(StillingerWeber(strength=22.0), mixed)["products"]) > 1e-3


def test_products_are_those_of_dense_matrices(mixed):
    student = StillingerWeber(epsilon=2.5, strength=19.0)
    evaluation = evaluate(student, mixed, MIXED, generator())
    errors = product_errors(evaluation)
    (graph, labels), probes = evaluation.batch, evaluation.probes
    first = 0
    for number, hessian in enumerate(differentiate(student, graph).hessian()):
        atoms = slice(first, first + int(graph.n_atoms[number]))
        masses, first = labels.masses[atoms], atoms.stop
        part = errors[:, atoms].flatten(1)
        if not len(labels.hessian[number]):
            assert part.abs().max() == 0
            continue
        drawn = (probes.vectors[:, atoms] * masses.sqrt()[:, None]).flatten(1)
        expected = drawn @ weighted(hessian - labels.hessian[number], masses)
        torch.testing.assert_close(part, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", ["gaussian", "rademacher"])
def test_dense_probes_are_an_unbiased_estimate_of_the_frobenius_norm(kind):
    batch = labelled(doubled(silicon(0.1)))
    student = StillingerWeber(strength=25.0)
    (found,) = differentiate(student, batch.graph).hessian()
    error = weighted(found - batch.labels.hessian[0], batch.labels.masses)
    scale = SQRT_EIGENVALUE_TO_CM1**2 / 600 / FREQUENCY_UNIT
    estimates = torch.tensor(
        [
            terms_of(student, batch, only(kind, 100), seed, form="square", reference=300.0)["products"]
            for seed in range(12)
        ]
    )
    deviation = float(estimates.std() / 12**0.5)
    assert deviation < 0.04 * float(estimates.mean())
    assert float(estimates.mean()) == pytest.approx(float((scale * error).square().sum()) / 12, abs=4 * deviation)


def test_columns_give_the_mean_absolute_error_of_the_matrix():
    batch = labelled(silicon(0.1))
    student = StillingerWeber(strength=25.0)
    (found,) = differentiate(student, batch.graph).hessian()
    error = weighted(found - batch.labels.hessian[0], batch.labels.masses)
    scale = SQRT_EIGENVALUE_TO_CM1**2 / 600 / FREQUENCY_UNIT
    estimate = terms_of(student, batch, only("columns", 3000), reference=300.0)["products"]
    assert estimate == pytest.approx(float((scale * error).abs().sum()) / 6, rel=0.03)


def test_errors_of_products_count_at_the_frequencies_of_each_graph():
    soft, stiff = (labelled(silicon(0.1, masses=(mass, mass))) for mass in (200.0, 2.0))
    student = StillingerWeber(strength=25.0)

    def product_error(sample, reference):
        return terms_of(student, sample, only("rademacher", 50), reference=reference, knee=0.0)["products"]

    for sample in (soft, stiff):
        own = float(sample.labels.frequencies[0].square().mean().sqrt())
        assert own > 100.0
        assert product_error(sample, None) == pytest.approx(product_error(sample, own), rel=1e-6)
    together = product_error(join_labelled([soft, stiff]), None)
    assert product_error(soft, None) < together < product_error(stiff, None)


def test_the_shift_of_a_mode_is_the_first_order_change_of_its_frequency():
    """A teacher that is a little stiffer: what the loss says and what its eigenvalues do."""
    batch = labelled(silicon())
    masses, exact = batch.labels.masses, batch.labels.frequencies[0]
    student = StillingerWeber(epsilon=2.1683 * (1 + 1e-4), strength=21.0 * (1 + 1e-4))
    changed = vibrations(differentiate(student, batch.graph).hessian()[0], masses)[0]
    expected = float((changed - exact).abs().mean())
    assert expected > 0.01
    shift = FREQUENCY_UNIT * terms_of(student, batch, only("modes", 3), **PLAIN)["shift"]
    assert shift == pytest.approx(expected, rel=2e-3)


def test_mixing_is_the_rest_of_the_row_in_the_basis_of_the_label():
    batch = labelled(doubled(silicon(0.1)))
    student = network()
    evaluation = evaluate(student, batch, only("modes", 9), generator())
    shift, mixing = mode_terms(product_errors(evaluation), evaluation.probes, batch, LossOptions(**PLAIN))
    (found,) = differentiate(student, batch.graph).hessian()
    basis, omega = batch.labels.eigenvectors[0], batch.labels.frequencies[0].abs()
    error = basis.T @ weighted(found - batch.labels.hessian[0], batch.labels.masses) @ basis
    matrix = SQRT_EIGENVALUE_TO_CM1**2 * error / (omega[:, None] + omega) / FREQUENCY_UNIT
    diagonal = matrix.diagonal()
    rows = (matrix.square().sum(1) - diagonal.square()).sqrt()
    assert float(shift.values.detach()) == pytest.approx(float(diagonal.abs().mean()), rel=1e-3)
    assert float(mixing.values.detach()) == pytest.approx(float(rows.mean()), rel=1e-3)


def test_wild_errors_of_modes_saturate():
    batch = labelled(silicon())
    wild = terms_of(StillingerWeber(epsilon=1e6), batch, only("modes", 3), saturation=50.0)
    assert wild["shift"] == pytest.approx(50.0 / FREQUENCY_UNIT, rel=1e-3)


def test_energies_forces_and_stresses_count_in_their_units():
    batch = labelled(silicon(0.1))
    student = StillingerWeber(epsilon=2.3)
    result = differentiate(student, batch.graph, stress=True)
    labels = batch.labels
    terms = terms_of(student, batch, NONE, **PLAIN)
    assert terms["energy"] == pytest.approx(float((result.energy - labels.energy).abs()) / 2 / ENERGY_UNIT, rel=1e-3)
    forces = (result.forces - labels.forces).norm(dim=1).mean() / FORCE_UNIT
    assert terms["forces"] == pytest.approx(float(forces), rel=1e-3)
    stress = (result.stress - labels.stress).square().mean().sqrt() / STRESS_UNIT
    assert terms["stress"] == pytest.approx(float(stress), rel=1e-3)
    assert terms["products"] == terms["shift"] == terms["mixing"] == 0


def test_small_errors_count_by_their_square_when_there_is_a_knee():
    batch = labelled(silicon(0.1))
    sharp, round_ = (terms_of(StillingerWeber(epsilon=2.17), batch, knee=knee)["energy"] for knee in (0.0, 50.0))
    assert round_ == pytest.approx(sharp**2 / 100, rel=1e-3)


def test_unknown_labels_leave_no_trace(mixed):
    """The gradient of a batch is that of its known labels, whatever else stands in it."""
    labels = mixed.labels
    some = mixed._replace(
        labels=labels._replace(
            energy=torch.tensor([torch.nan, -8.0, torch.nan, torch.nan], dtype=torch.float64),
            forces=torch.where(torch.arange(len(labels.forces))[:, None] < 3, labels.forces, torch.nan),
            stress=torch.full_like(labels.stress, torch.nan),
        )
    )
    student = network()
    loss = total_loss(loss_terms(evaluate(student, some, ProbeMixture(), generator()), LossOptions()), LossOptions())
    gradients = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients if gradient is not None)
    assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
    terms = terms_of(student, some, NONE)
    assert terms["stress"] == 0
    alone = select_graphs(some, torch.tensor([False, True, False, False]))
    assert terms["energy"] == pytest.approx(terms_of(student, alone, NONE)["energy"])
    first = select_graphs(some, torch.tensor([True, False, False, False]))
    both = (terms_of(student, part, NONE)["forces"] for part in (first, alone))
    assert terms["forces"] == pytest.approx(sum(both) / 2)


def test_data_sets_have_weights():
    one, other = labelled(silicon(0.1)), labelled(silicon(0.1, seed=1))
    other = other._replace(labels=other.labels._replace(source=torch.tensor([1])))
    student = StillingerWeber(epsilon=2.3)
    both = join_labelled([one, other])
    apart = [terms_of(student, part, NONE)["forces"] for part in (one, other)]
    found = terms_of(student, both, NONE, sources=[2.0, 0.5])["forces"]
    assert found == pytest.approx((2.0 * apart[0] + 0.5 * apart[1]) / 2)


def test_graphs_are_evaluated_apart_only_where_they_need_other_derivatives(mixed):
    parts = divide(mixed)
    assert sorted(len(part.graph.n_atoms) for part in parts) == [1, 1, 2]
    assert sum(len(part.graph.receiver) for part in parts) == len(mixed.graph.receiver)
    student = network()
    together = differentiate(student, mixed.graph)
    evaluation = evaluate(student, mixed, NONE, generator())
    assert sorted(evaluation.energy.tolist()) == pytest.approx(sorted(together.energy.tolist()), rel=1e-12)


def test_gradient_of_the_loss_is_that_of_finite_differences():
    batch = join_labelled([labelled(silicon(0.1)), without_hessian(labelled(silicon(0.1, seed=3)))])
    student = StillingerWeber(epsilon=2.4, strength=19.0)

    def loss():
        evaluation = evaluate(student, batch, MIXED, generator())
        options = LossOptions(stress=1.0, energy=1.0)
        return total_loss(loss_terms(evaluation, options), options)

    for parameter in (student.epsilon, student.strength):
        (gradient,) = torch.autograd.grad(loss(), parameter)
        with torch.no_grad():
            parameter += 1e-5
            above = loss().detach()
            parameter -= 2e-5
            below = loss().detach()
            parameter += 1e-5
        assert float(gradient) == pytest.approx(float(above - below) / 2e-5, rel=1e-5)


def test_figures_are_errors_of_frequencies_norms_forces_and_energies():
    batch = labelled(doubled(silicon(0.1)))
    student = StillingerWeber(epsilon=2.3)
    (figures,) = graph_figures(differentiate(student, batch.graph), batch.labels)
    ratio = 2.3 / 2.1683
    frequencies = batch.labels.frequencies[0]
    assert float(figures.values["norm"]) == pytest.approx(ratio - 1, rel=1e-6)
    assert float(figures.values["mae"]) == pytest.approx(float(frequencies.abs().mean()) * (ratio**0.5 - 1), rel=1e-4)
    assert float(figures.values["energy"]) == pytest.approx(
        1e3 * (ratio - 1) * float(batch.labels.energy.abs()) / 4, rel=1e-6
    )
    assert float(figures.values["forces"]) == pytest.approx(
        1e3 * (ratio - 1) * float(batch.labels.forces.abs().mean()), rel=1e-6
    )


def test_frequencies_of_a_wrong_hessian_contain_the_part_that_is_not_learned():
    batch = labelled(silicon())
    total, masses = batch.labels.hessian[0], batch.labels.masses
    rest = 0.3 * total
    (found,) = differentiate(StillingerWeber(epsilon=1.5), batch.graph).hessian()
    predicted = predicted_frequencies(
        found - (total - rest), masses, batch.labels.eigenvectors[0], batch.labels.frequencies[0]
    )
    torch.testing.assert_close(predicted, vibrations(found + rest, masses)[0].sort().values, atol=1e-5, rtol=0)
