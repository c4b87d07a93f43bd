import pytest
import torch

from mlrim.errors import UserError
from mlrim.graph.energy_labels import join_labelled
from mlrim.tasks.probes import KINDS, NOTHING, ProbeMixture, draw_probes
from tests.tasks.teacher import doubled, labelled, molecule, only, silicon, weighted, without_hessian


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch():
    return join_labelled([labelled(silicon()), without_hessian(labelled(silicon(0.1))), labelled(doubled(silicon()))])


def test_graphs_without_a_hessian_stay_at_rest(batch):
    probes = draw_probes(ProbeMixture(4), batch, generator())
    assert probes.vectors.shape == (4, 8, 3)
    assert probes.vectors[:, 2:4].abs().max() == 0
    assert (probes.kinds[:, 1] == NOTHING).all()
    assert (probes.kinds[:, [0, 2]] != NOTHING).all()
    assert (probes.vectors.abs().sum(2) > 0).any(1).all()


def test_every_graph_has_its_own_mixture(batch):
    probes = draw_probes(ProbeMixture(400, 0.0, 0.2, 0.3, 0.5), batch, generator())
    for graph in (0, 2):
        shares = torch.bincount(probes.kinds[:, graph], minlength=4) / 400
        assert shares.tolist() == pytest.approx([0.0, 0.2, 0.3, 0.5], abs=0.07)
    assert not torch.equal(probes.kinds[:, 0], probes.kinds[:, 2])


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(UserError, match="all shares are zero"):
        ProbeMixture(1, 0, 0, 0, 0)
    assert ProbeMixture(0, 0, 0, 0, 0).count == 0


def test_modes_are_eigenvectors_of_the_mass_weighted_hessian(batch):
    probes = draw_probes(only("modes", 3), batch, generator())
    masses = batch.labels.masses[4:]
    matrix = weighted(batch.labels.hessian[2], masses)
    for number, row in enumerate(probes.vectors[:, 4:]):
        weighted_probe = (row * masses.sqrt()[:, None]).flatten()
        assert weighted_probe.norm().item() == pytest.approx(1)
        value = weighted_probe @ matrix @ weighted_probe
        torch.testing.assert_close(matrix @ weighted_probe, value * weighted_probe, atol=1e-8, rtol=0)
        mode = probes.modes[number, 2]
        torch.testing.assert_close(weighted_probe, batch.labels.eigenvectors[2][:, mode])
    assert len(set(probes.modes[:, 2].tolist())) == 3


def test_a_graph_with_fewer_modes_than_probes_shows_each_once(batch):
    probes = draw_probes(only("modes", 5), batch, generator())
    assert sorted(probes.modes[:, 0].tolist()) == [NOTHING, NOTHING, 0, 1, 2]
    assert torch.equal(probes.kinds[:, 0] == NOTHING, probes.modes[:, 0] == NOTHING)
    assert (probes.modes[:, 2] != NOTHING).all()


def test_random_probes_take_the_place_of_missing_modes(batch):
    probes = draw_probes(ProbeMixture(8, modes=1.0, rademacher=1e-9), batch, generator())
    assert sorted(probes.kinds[:, 0].tolist()) == [0, 0, 0, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_probes_have_unit_covariance_over_their_size(kind):
    sample = labelled(silicon())
    probes = draw_probes(only(kind, 4000), sample, generator())
    drawn = (probes.vectors * sample.labels.masses.sqrt()[:, None]).flatten(1)
    torch.testing.assert_close(drawn.T @ drawn / len(drawn), torch.eye(6, dtype=drawn.dtype) / 6, atol=0.012, rtol=0)
    if kind != "gaussian":
        torch.testing.assert_close(drawn.square().sum(1), torch.ones(4000, dtype=drawn.dtype))


def test_soft_modes_can_be_drawn_more_often():
    sample = labelled(doubled(silicon()))
    soft = sample.labels.frequencies[0].argsort()[:3].tolist()

    def share(softness):
        drawn = [draw_probes(only("modes", softness=softness), sample, generator(seed)) for seed in range(400)]
        return sum(int(probes.modes[0, 0]) in soft for probes in drawn) / 400

    assert share(0.0) == pytest.approx(3 / 9, abs=0.07)
    assert share(2.0) > 0.55


def test_the_same_seed_gives_the_same_probes_whatever_the_precision(batch):
    mixture = ProbeMixture(5, 0.4, 0.2, 0.2, 0.2)
    first, again, other = (draw_probes(mixture, batch, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)
    single = draw_probes(mixture, batch.to(torch.float32), generator(3))
    assert single.vectors.dtype == torch.float32
    torch.testing.assert_close(single.vectors.double(), first.vectors, atol=1e-6, rtol=0)


def test_every_graph_of_a_batch_has_one_component_of_a_column():
    both = join_labelled([molecule(), labelled(silicon())])
    moved = (draw_probes(only("columns", 3), both, generator()).vectors.abs() > 0).int().sum(2)
    assert moved[:, :3].sum(1).tolist() == moved[:, 3:].sum(1).tolist() == [1, 1, 1]
