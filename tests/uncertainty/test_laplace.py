"""Last-layer Laplace: against the exact posterior of a linear regression, and on the networks."""

import numpy as np
import pytest
import torch
from torch import nn

from mlrim.graph.structure_graph import build_structure_graph
from mlrim.models.direct import DirectModel
from mlrim.uncertainty.laplace import curvatures, draw, last_layers
from tests.graph.crystals import random_crystal


class Regression(nn.Module):
    """One linear layer, which is its last."""

    last_layers = ("layer",)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1).double()


def test_draws_have_the_covariance_of_a_linear_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 2, dtype=torch.float64, generator=generator) * torch.tensor([1.0, 3.0])
    noise = 0.5
    y = (
        x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
        + noise * torch.randn(4000, 1, generator=generator).double()
    )
    model = Regression()
    with torch.no_grad():
        model.layer.weight.copy_(torch.tensor([[1.0, -2.0]]))
        model.layer.bias.zero_()

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return (model.layer(batch[0]) - batch[1]).square().sum() / (2 * noise**2)

    found = curvatures(model, loss, [(x[k : k + 1], y[k : k + 1]) for k in range(len(x))])
    members = draw(model, found, 3000, scale=1.0, damping=1e-9)
    weights = torch.stack([torch.cat([m.layer.weight[0], m.layer.bias]) for m in members]).detach()
    design = torch.cat([x, torch.ones(len(x), 1)], 1)
    exact = torch.linalg.inv(design.T @ design / noise**2).diagonal().sqrt()
    np.testing.assert_allclose(weights.std(0), exact, rtol=0.1)
    np.testing.assert_allclose(weights.mean(0), [1.0, -2.0, 0.0], atol=5 * float(exact.max()) / 50)


@pytest.fixture(scope="module")
def model() -> DirectModel:
    torch.manual_seed(0)
    sizes = {"scalars": 12, "vectors": 4, "matrices": 4, "layers": 1, "edge_features": 8}
    bins = {"density_bins": (16, 4000.0, 500.0), "spectrum_bins": (16, 4000.0, 500.0)}
    return DirectModel(**sizes, update_hidden=12, head_hidden=12, **bins).eval()


def squares(network: DirectModel, graph) -> torch.Tensor:
    found = network(graph)
    parts = [found.blocks.square().sum(), found.states.square().sum(), found.scalars.values.square().sum()]
    return torch.stack(parts).sum()


def test_only_last_layers_that_the_loss_sees_are_drawn(model: DirectModel) -> None:
    graphs = [build_structure_graph(random_crystal(np.random.default_rng(seed)), 5.0) for seed in range(3)]
    found = curvatures(model, lambda graph: squares(model, graph), graphs)
    assert found["infrared.network.5"].gradients.abs().max() == 0
    (member,) = draw(model, found, 1, scale=0.1)
    changed = {name for name, value in member.state_dict().items() if not torch.equal(value, model.state_dict()[name])}
    layers = ("modes.head.last", "density.network.5", "scalars.network.5")
    assert changed == {f"{name}.{kind}" for name in layers for kind in ("weight", "bias")}


def test_draws_grow_with_their_scale_and_repeat_with_their_seed(model: DirectModel) -> None:
    graphs = [build_structure_graph(random_crystal(np.random.default_rng(seed)), 5.0) for seed in range(3)]
    found = curvatures(model, lambda graph: squares(model, graph), graphs)

    def distance(scale: float, seed: int = 0) -> float:
        (member,) = draw(model, found, 1, scale, seed)
        return float((member.modes.head.last.weight - model.modes.head.last.weight).detach().norm())

    assert distance(0.2) == pytest.approx(2 * distance(0.1), rel=1e-3)
    assert distance(0.1) == distance(0.1)
    assert distance(0.1) != distance(0.1, seed=1)


def test_every_named_layer_is_a_linear_one(model: DirectModel) -> None:
    from mlrim.models.delta import DeltaModel
    from mlrim.models.response import ResponseModel

    for network in (model, DeltaModel(8, 4, 4, 1, 8, 4, 8, 8), ResponseModel(8, 4, 4, 1, 8, 4, 8, 8)):
        assert all(isinstance(layer, nn.Linear) for layer in last_layers(network).values())
    with pytest.raises(TypeError, match="last_layers"):
        last_layers(nn.Linear(1, 1))
