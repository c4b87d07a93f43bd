import pytest
import torch

from mlrim.graph.energy_labels import join_labelled
from mlrim.tasks.probes import NO_MODE, ProbeCounts, draw_probes
from tests.tasks.teacher import doubled, labelled, molecule, silicon, weighted, without_hessian


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch():
    return join_labelled([labelled(silicon()), without_hessian(labelled(silicon(0.1))), labelled(doubled(silicon()))])


def only(**counts):
    return ProbeCounts(**({"modes": 0, "rademacher": 0} | counts))


def test_graphs_without_a_hessian_stay_at_rest(batch):
    probes = draw_probes(ProbeCounts(1, 1, 1, 1), batch, generator())
    assert probes.vectors.shape == (4, 8, 3)
    assert probes.vectors[:, 2:4].abs().max() == 0
    assert probes.known.tolist() == [[True, False, True]] * 4
    assert (probes.vectors.abs().sum(2) > 0).any(1).all()


def test_modes_are_eigenvectors_of_the_mass_weighted_hessian(batch):
    probes = draw_probes(only(modes=3), batch, generator())
    last = batch.labels.hessian[2]
    masses = batch.labels.masses[4:]
    matrix = weighted(last, masses)
    for number, row in enumerate(probes.vectors[:, 4:]):
        weighted_probe = (row * masses.sqrt()[:, None]).flatten()
        mode = probes.modes[number, 2]
        assert weighted_probe.norm().item() == pytest.approx(1)
        value = weighted_probe @ matrix @ weighted_probe
        torch.testing.assert_close(matrix @ weighted_probe, value * weighted_probe, atol=1e-8, rtol=0)
        torch.testing.assert_close(weighted_probe, batch.labels.eigenvectors[2][:, mode])
    assert len(set(probes.modes[:, 2].tolist())) == 3


def test_a_graph_with_fewer_modes_than_probes_shows_each_once(batch):
    probes = draw_probes(only(modes=5), batch, generator())
    assert sorted(probes.modes[:, 0].tolist()) == [NO_MODE, NO_MODE, 0, 1, 2]
    assert probes.known[:, 0].tolist() == (probes.modes[:, 0] != NO_MODE).tolist()
    assert probes.known[:, 2].all()


@pytest.mark.parametrize("kind", ["columns", "gaussian", "rademacher"])
def test_probes_have_unit_covariance_over_their_size(kind):
    sample = labelled(silicon())
    probes = draw_probes(only(**{kind: 4000}), sample, generator())
    drawn = (probes.vectors * sample.labels.masses.sqrt()[:, None]).flatten(1)
    torch.testing.assert_close(drawn.T @ drawn / len(drawn), torch.eye(6, dtype=drawn.dtype) / 6, atol=0.012, rtol=0)
    if kind != "gaussian":
        torch.testing.assert_close(drawn.square().sum(1), torch.ones(4000, dtype=drawn.dtype))


def test_soft_modes_can_be_drawn_more_often():
    sample = labelled(doubled(silicon()))
    soft = sample.labels.frequencies[0].argsort()[:3].tolist()

    def share(softness):
        drawn = [draw_probes(only(modes=1, softness=softness), sample, generator(seed)) for seed in range(400)]
        return sum(int(probes.modes[0, 0]) in soft for probes in drawn) / 400

    assert share(0.0) == pytest.approx(3 / 9, abs=0.07)
    assert share(2.0) > 0.55


def test_the_same_seed_gives_the_same_probes_whatever_the_precision(batch):
    counts = ProbeCounts(2, 1, 1, 1)
    first, again, other = (draw_probes(counts, batch, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)
    single = draw_probes(counts, batch.to(torch.float32), generator(3))
    assert single.vectors.dtype == torch.float32
    torch.testing.assert_close(single.vectors.double(), first.vectors, atol=1e-6, rtol=0)


def test_probes_of_a_molecule_do_not_move_its_neighbours_in_the_batch():
    both = join_labelled([molecule(), labelled(silicon())])
    probes = draw_probes(only(columns=3), both, generator())
    moved = (probes.vectors.abs().sum(2) > 0).int()
    assert moved[:, :3].sum(1).tolist() == [1, 1, 1]
    assert moved[:, 3:].sum(1).tolist() == [1, 1, 1]
