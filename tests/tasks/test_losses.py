import numpy as np
import pytest
import torch

from datamodules.batching import join
from mlrim.tasks.losses import block_loss, fold_blocks, mode_errors, mode_loss
from mlrim.tasks.metrics import component_error, optical_frequencies
from tests.graph.crystals import random_crystal, rock_salt, rutile
from tests.tasks.labelled import Example


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    generator = np.random.default_rng(0)
    crystals = [rock_salt(), random_crystal(generator), rutile()]
    matrices = [np.diag([2, 2, 2]), np.diag([2, 1, 1]), np.diag([1, 1, 2])]
    return [Example(crystal, matrix) for crystal, matrix in zip(crystals, matrices, strict=True)]


def test_the_truth_has_no_loss(examples: list[Example]) -> None:
    graph, labels = join([example.labelled() for example in examples])
    blocks = torch.cat([example.blocks for example in examples])
    error = fold_blocks(blocks, graph, labels) - labels.target
    assert error.abs().max() < 1e-10
    assert float(block_loss(error, labels.target, 0.5, 0.01)) < 1e-10
    assert float(component_error(error, labels)[0]) < 1e-7
    for modes in (labels.gamma, labels.wave):
        errors = mode_errors(blocks, graph, modes)
        assert errors.abs().max() < 1e-9
        assert max(float(part) for part in mode_loss(errors, modes, 1.0)) < 2e-3
    for exact, predicted in optical_frequencies(mode_errors(blocks, graph, labels.gamma), labels.gamma):
        torch.testing.assert_close(exact, predicted, atol=1e-4, rtol=0)


def test_images_without_edges_count_in_the_error() -> None:
    example = Example(rock_salt(), np.diag([4, 4, 4]))
    labels = example.labelled().labels
    assert labels.unreached[0, 1] + labels.target.numel() == 2 * 128 * 9


def test_labels_and_batches_agree_on_frequencies_of_each_crystal(examples: list[Example]) -> None:
    alone = [example.labelled() for example in examples]
    graph, labels = join(alone)
    blocks = 0.9 * torch.cat([example.blocks for example in examples])
    together = optical_frequencies(mode_errors(blocks, graph, labels.gamma), labels.gamma)
    for example, (one, its_labels), (exact, predicted) in zip(examples, alone, together, strict=True):
        single = mode_errors(0.9 * example.blocks, one, its_labels.gamma)
        ((alone_exact, alone_predicted),) = optical_frequencies(single, its_labels.gamma)
        torch.testing.assert_close(exact, alone_exact)
        torch.testing.assert_close(predicted, alone_predicted)
        torch.testing.assert_close(predicted.abs(), exact.abs() * 0.9**0.5, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("wave", [0, 3])
def test_small_errors_of_frequencies_are_the_diagonal_of_the_mode_loss(wave: int) -> None:
    example = Example(rock_salt(), np.diag([2, 2, 2]))
    graph, labels = example.labelled(wave)
    strength = 1e-4
    for modes in (labels.gamma, labels.wave):
        stable = modes.eigenvalues[0] > 1e-6
        shift = mode_loss(mode_errors((1 + strength) * example.blocks, graph, modes), modes, 0.0).diagonal
        exact = modes.eigenvalues[0].abs().sqrt() * 521.470898
        expected = (exact * strength / 2)[stable].sum() / len(exact)
        assert float(shift) == pytest.approx(float(expected), rel=0.05)


def test_wild_errors_saturate_and_small_ones_do_not() -> None:
    example = Example(rock_salt(), np.diag([2, 2, 2]))
    graph, labels = example.labelled()
    small, large, huge = (
        mode_loss(mode_errors((1 + strength) * example.blocks, graph, labels.gamma), labels.gamma, 0.0, 50.0)
        for strength in (1e-3, 1e3, 1e5)
    )
    unlimited = mode_loss(mode_errors(1.001 * example.blocks, graph, labels.gamma), labels.gamma, 0.0)
    assert float(unlimited.diagonal) < 1.0
    assert float(small.diagonal) == pytest.approx(float(unlimited.diagonal), rel=1e-3)
    assert float(large.diagonal) == pytest.approx(50.0, rel=1e-3)
    assert float(huge.diagonal) == pytest.approx(50.0, rel=1e-3)


def test_wild_labels_pull_no_harder_than_others() -> None:
    example = Example(rock_salt(), np.diag([2, 2, 2]))
    graph, labels = example.labelled()

    def pull(strength: float) -> float:
        blocks = (strength * example.blocks).requires_grad_()
        loss = mode_loss(mode_errors(blocks, graph, labels.gamma), labels.gamma, 40.0, 300.0)
        (loss.diagonal + loss.mixing).backward()
        return float(blocks.grad.norm())

    assert pull(1e4) < 0.01 * pull(1.1)


def test_folding_passes_gradients_to_every_edge(examples: list[Example]) -> None:
    graph, labels = examples[0].labelled()
    blocks = examples[0].blocks.clone().requires_grad_()
    weights = torch.randn(labels.target.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (fold_blocks(blocks, graph, labels) * weights).sum().backward()
    expected = weights[labels.edge_entry] - weights[labels.self_entry][graph.edge_i]
    torch.testing.assert_close(blocks.grad, expected)


def test_padded_modes_do_not_contribute(examples: list[Example]) -> None:
    graph, labels = join([example.labelled() for example in examples])
    blocks = torch.zeros(len(graph.edge_i), 3, 3, dtype=torch.float64)
    errors = mode_errors(blocks, graph, labels.gamma)
    padded = ~(labels.gamma.known[:, :, None] & labels.gamma.known[:, None, :])
    assert errors[padded].abs().max() < 1e-12
