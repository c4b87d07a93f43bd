import numpy as np
import pytest
import torch

from datamodules.response_samples import LabelledResponse, ResponseLabels, join_responses, log_susceptibility
from mlrim.graph.response_graph import build_response_graph
from mlrim.lattice.crystal import Crystal
from mlrim.models.response import ResponseModel, dielectric_tensor
from mlrim.tasks.raman_loss import FWHM, powder_strengths, raman_losses, similarity
from mlrim.tasks.response import ResponseTask, born_errors, response_statistics
from tests.graph.crystals import random_crystal, rutile, some_baseline


def labelled(crystal: Crystal, seed: int, known: bool = True) -> LabelledResponse:
    """A crystal with invented labels that obey the sum rules (and no symmetry)."""
    generator = np.random.default_rng(seed)
    n_atoms = crystal.n_atoms
    born = generator.normal(size=(n_atoms, 3, 3))
    raman = generator.normal(size=(n_atoms, 3, 3, 3))
    raman = raman + raman.swapaxes(1, 2)
    n_modes = 3 * n_atoms - 3 if known else 0
    charges = np.linspace(-1, 1, 120)[crystal.numbers]
    prior = generator.normal(size=(n_atoms, 3, 3, 3))
    prior = prior + prior.swapaxes(1, 2)
    graph = build_response_graph(
        crystal, some_baseline(crystal), charges, 0, prior - prior.mean(0), symprec=None, dtype=torch.float64
    )
    labels = ResponseLabels(
        torch.from_numpy(born - born.mean(0)),
        torch.tensor([known]),
        torch.from_numpy(log_susceptibility(np.diag([3.0, 4.0, 5.0])))[None],
        torch.tensor([known]),
        torch.tensor([0.0 if known else torch.nan], dtype=torch.float64),
        torch.from_numpy(raman - raman.mean(0)),
        torch.tensor([known]),
        [torch.linspace(100, 900, n_modes, dtype=torch.float64)],
        [torch.from_numpy(generator.normal(size=(n_modes, n_atoms, 3)))],
        [torch.full((n_modes,), torch.nan, dtype=torch.float64)],
    )
    return LabelledResponse(graph, labels)


def small_model() -> ResponseModel:
    torch.manual_seed(0)
    return ResponseModel(32, 8, 8, layers=2, edge_features=16, update_hidden=32, head_hidden=32).double()


def test_one_crystal_can_be_learned_by_heart() -> None:
    batch = labelled(random_crystal(np.random.default_rng(3), 3), 0)
    model = small_model()
    model.set_statistics(response_statistics([batch]))
    task = ResponseTask(model, raman_weight=1.0)
    task.log = lambda *_, **__: None
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    for step in range(150):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * (1 - step / 150)
        optimizer.zero_grad()
        task.training_step(batch, 0).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = model(batch.graph)
    assert float(born_errors(found, *batch)[0]) < 0.15 * float(batch.labels.born_charges.abs().mean())
    exact = torch.diag(torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64))
    torch.testing.assert_close(dielectric_tensor(found.log_susceptibility)[0], exact, rtol=0.05, atol=0.1)
    losses = raman_losses(found.raman_tensors, batch.graph.crystal.n_atoms, batch.labels)
    assert float(losses.tensors[0]) < 0.3
    assert float(losses.spectra[0]) < 0.02


def test_unknown_labels_leave_no_trace() -> None:
    """The gradient of a batch does not depend on the numbers that stand where nothing is known."""
    known, unknown = labelled(rutile(), 0), labelled(random_crystal(np.random.default_rng(1)), 1, known=False)
    model = small_model().eval()
    model.raman_scale.fill_(1.0)
    task = ResponseTask(model, raman_weight=1.0)
    task.log = lambda *_, **__: None

    def gradient(other: LabelledResponse) -> torch.Tensor:
        model.zero_grad()
        task.training_step(join_responses([known, other]), 0).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    changed = unknown.labels._replace(
        born_charges=unknown.labels.born_charges + 7,
        log_susceptibility=unknown.labels.log_susceptibility + 7,
        raman_tensors=unknown.labels.raman_tensors - 7,
    )
    first, second = gradient(unknown), gradient(LabelledResponse(unknown.graph, changed))
    assert bool(first.isfinite().all())
    assert float(first.abs().max()) > 0
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_similarity_is_that_of_the_drawn_spectra() -> None:
    generator = np.random.default_rng(0)
    places = np.sort(generator.uniform(100, 700, 12))
    first, second = generator.uniform(0, 1, (2, 12))
    grid = np.arange(-20000, 20000, 0.5)
    lines = FWHM / 2 / np.pi / ((grid[:, None] - places) ** 2 + (FWHM / 2) ** 2)
    drawn = (lines @ first, lines @ second)
    cosine = drawn[0] @ drawn[1] / np.sqrt((drawn[0] @ drawn[0]) * (drawn[1] @ drawn[1]))
    found = similarity(*(torch.from_numpy(part) for part in (places, first, second)))
    assert float(found) == pytest.approx(cosine, rel=1e-5)


def test_strengths_are_those_of_the_vibrations_package() -> None:
    """The differentiable intensities of training against the physics that spectra are drawn from."""
    from mlrim.vibrations.raman import differential_cross_sections, raman_invariants

    generator = np.random.default_rng(1)
    tensors = generator.normal(size=(5, 3, 3))
    tensors = tensors + tensors.swapaxes(1, 2)
    frequencies = np.array([80.0, 200.0, 450.0, 700.0, 1100.0])
    activity = raman_invariants(tensors).activity
    exact = differential_cross_sections(frequencies, activity, laser_nm=532.0, temperature=300.0)
    found = powder_strengths(torch.from_numpy(frequencies), torch.from_numpy(tensors)).numpy()
    np.testing.assert_allclose(found / found[0], exact / exact[0], rtol=1e-10)
