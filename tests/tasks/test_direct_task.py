"""Training of the direct network: it can learn by heart, and labels that are not known leave no trace."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from datamodules.build import BuildOptions, build
from datamodules.direct_samples import (
    DirectSettings,
    LabelledStructure,
    chosen_waves,
    join_direct,
    make_direct_sample,
    spectra_alone,
)
from datamodules.store import RecordStore
from mlrim.graph.frequency_bins import FrequencyBins
from mlrim.models.direct import DirectModel
from mlrim.tasks.direct import DirectTask
from mlrim.tasks.direct_metrics import DirectMetrics, optical

BINS = (40, 1500.0, 500.0)
SETTINGS = DirectSettings(density_bins=FrequencyBins(*BINS), spectrum_bins=FrequencyBins(*BINS), wave_vectors=2)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list:
    out = tmp_path_factory.mktemp("data") / "small"
    build(BuildOptions("embedded", out, workers=1, select="rocksalt-MgO,fluorite-CaF2", quiet=True))
    store = RecordStore(out)
    return [make_direct_sample(store[name], SETTINGS) for name in store.ids]


def batch_of(samples: list, change: Callable = lambda sample: sample, regular: bool = True) -> LabelledStructure:
    return join_direct([chosen_waves(change(sample), 1, None, regular) for sample in samples])


def small_task(**options: object) -> DirectTask:
    torch.manual_seed(0)
    sizes = {"scalars": 24, "vectors": 8, "matrices": 8, "layers": 2, "edge_features": 16}
    model = DirectModel(**sizes, update_hidden=32, head_hidden=32, density_bins=BINS, spectrum_bins=BINS)
    model.set_scalar_statistics([300.0, 20.0, 0.0, 20.0], [200.0, 8.0, 3.0, 3.0])
    task = DirectTask(model, **options)
    task.log = lambda *_, **__: None
    return task


def test_two_crystals_can_be_learned_by_heart(samples: list) -> None:
    task, batch = small_task(), batch_of(samples)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=5e-3, weight_decay=0.0)
    for step in range(140):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - step / 140)
        optimizer.zero_grad()
        task.training_step(batch, 0).backward()
        optimizer.step()
    task.model.eval()
    task.validation_step(batch, 0)
    found = task.validation_metrics.figures()
    assert found["gamma_mae"] < 10
    assert found["wave_mae"] < 40
    assert found["dos_mae"] < 12
    assert found["infrared_similarity"] > 0.8
    assert found["entropy_mae"] < 0.5
    assert found["highest_frequency_mae"] < 15


def gradients(task: DirectTask, batch: LabelledStructure) -> dict[str, float]:
    task.model.zero_grad()
    task.training_step(batch, 0).backward()
    return {
        name: 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
        for name, parameter in task.model.named_parameters()
    }


def heads_with_gradient(found: dict[str, float]) -> set[str]:
    return {name.split(".")[0] for name, size in found.items() if size > 0} - {"encoder"}


def test_every_known_label_is_learned_from(samples: list) -> None:
    found = gradients(small_task(), batch_of(samples))
    assert heads_with_gradient(found) == {"modes", "density", "infrared", "scalars"}  # no Raman labels here


def test_crystals_that_are_not_regular_teach_stability_alone(samples: list) -> None:
    found = gradients(small_task(), batch_of(samples, regular=False))
    assert heads_with_gradient(found) == {"scalars"}
    assert all(np.isfinite(size) for size in found.values())


def test_other_levels_of_theory_teach_raman_spectra_alone(samples: list) -> None:
    with_raman = [sample._replace(raman=sample.infrared) for sample in samples]
    found = gradients(small_task(), batch_of(with_raman, spectra_alone, regular=False))
    assert heads_with_gradient(found) == {"raman"}
    assert all(np.isfinite(size) for size in found.values())


def test_weights_scale_their_heads(samples: list) -> None:
    without = gradients(small_task(modes_weight=0.0), batch_of(samples))
    assert "modes" not in heads_with_gradient(without)


@pytest.mark.parametrize("options", [{"loss": "moments"}, {"degeneracy_weight": 0.5}, {"density_loss": "mse"}])
def test_alternative_losses_are_finite(samples: list, options: dict) -> None:
    assert all(np.isfinite(size) for size in gradients(small_task(**options), batch_of(samples)).values())


def test_metrics_count_crystals_not_modes(samples: list) -> None:
    task, metrics = small_task(), DirectMetrics()
    batch = batch_of(samples)
    exact = [row[None] for row in batch.labels.gamma], batch.labels.waves
    shifted = [row.clone() for row in exact[0]]
    shifted[0][0, 3:] *= 1.21  # every frequency of the first crystal is a tenth too high
    with torch.no_grad():
        metrics.collect(batch, task.model(batch.graph)._replace(states=None, infrared=None), (shifted, exact[1]), {})
    from mlrim.units import SQRT_EIGENVALUE_TO_CM1

    mean = float(optical(exact[0][0][0]).sqrt().mean()) * SQRT_EIGENVALUE_TO_CM1
    assert metrics.figures()["gamma_mae"] == pytest.approx(0.1 * mean / 2, rel=1e-3)
    assert metrics.figures() == {}
