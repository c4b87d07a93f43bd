import numpy as np
import pytest
import torch

from mlrim.models.delta import DeltaModel
from mlrim.tasks.delta import DeltaTask, delta_statistics
from mlrim.tasks.losses import mode_errors
from mlrim.tasks.metrics import optical_frequencies
from mlrim.tasks.schedule import WarmUpCosine
from tests.graph.crystals import rutile
from tests.tasks.labelled import Example


def test_one_crystal_can_be_learned_by_heart() -> None:
    torch.manual_seed(0)
    example = Example(rutile(), np.diag([1, 1, 2]))
    labelled = example.labelled()
    model = DeltaModel(32, 8, 4, layers=2, edge_features=16, update_hidden=32, head_hidden=32).double()
    model.set_statistics(delta_statistics([example.sample]))
    task = DeltaTask(model)
    task.log = lambda *_, **__: None
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    factor = WarmUpCosine(0.1, 150)
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 5e-3 * factor(step)
        optimizer.zero_grad()
        task.training_step(labelled, 0).backward()
        optimizer.step()
    model.eval()
    graph, labels = labelled
    ((exact, predicted),) = optical_frequencies(mode_errors(model(graph).detach(), graph, labels.gamma), labels.gamma)
    assert float((exact - predicted).abs().mean()) < 0.02 * float(exact.abs().mean())


def test_schedule_warms_up_and_ends_at_zero() -> None:
    factor = WarmUpCosine(0.1, 100)
    values = [factor(step) for step in range(101)]
    assert 0 < values[0] < 0.2
    assert values[10] == 1.0
    assert values[55] == pytest.approx(0.5)
    assert values[100] == 0.0
    assert not factor.ended


def test_schedule_ends_when_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("mlrim.tasks.schedule.time.monotonic", lambda: now[0])
    factor = WarmUpCosine(0.1, 10**6, seconds=50.0)
    values = []
    for _ in range(60):
        now[0] += 1
        values.append(factor(1))
    assert max(values) == pytest.approx(1.0, abs=1e-2)
    assert values[48] > 0
    assert values[49] == 0
    assert factor.ended
