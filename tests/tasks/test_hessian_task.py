import subprocess
import sys

import pytest
import torch
from pytorch_lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from mlrim.checkpoint import save_model
from mlrim.errors import UserError
from mlrim.graph.energy_labels import join_labelled
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.nn.atomic_energies import energy_statistics
from mlrim.tasks.fine_tuning import choose_trained, refit_references, take_over
from mlrim.tasks.hessian import HessianTask, equal_sizes
from mlrim.tasks.probes import ProbeMixture
from tests.tasks.teacher import doubled, labelled, molecule, silicon
from tests.tasks.two_hessian_processes import Step, gradients, samples, task

SIZES = {"scalars": 8, "channels": 4, "messages": 4, "hidden": 16, "element_hidden": 16, "cutoff": 3.8}


class Crystals(LightningDataModule):
    """The same few samples for everything."""

    def __init__(self, known, names=("gamma",)):
        super().__init__()
        self.known, self.evaluation_names = known, list(names)

    def training_samples(self):
        return self.known

    def train_dataloader(self):
        return DataLoader(self.known, batch_size=2, collate_fn=join_labelled)

    def val_dataloader(self):
        return [DataLoader(self.known, batch_size=2, collate_fn=join_labelled) for _ in self.evaluation_names]

    test_dataloader = val_dataloader


def small(seed=0):
    torch.manual_seed(seed)
    return CartesianPotentialModel(**SIZES)


def trainer(folder, **options):
    settings = {
        "accelerator": "cpu", "max_epochs": 1, "inference_mode": False, "logger": False, "num_sanity_val_steps": 0,
        "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
    }  # fmt: skip
    return Trainer(default_root_dir=folder, **(settings | options))


def crystals():
    return [labelled(silicon()), labelled(doubled(silicon()))]


@pytest.mark.slow
def test_a_crystal_can_be_learned_by_heart(tmp_path):
    """Frequencies and forces of silicon, from a network that knows nothing."""
    data = Crystals(crystals())
    torch.manual_seed(0)
    model = CartesianPotentialModel(16, 8, 8, hidden=32, element_hidden=16, cutoff=3.8)
    learner = HessianTask(model, ProbeMixture(4, 0.5, 0.25, 0.0, 0.25), learning_rate=1e-2, weight_decay=0.0)
    runner = trainer(tmp_path, max_epochs=400, limit_val_batches=0, gradient_clip_val=1.0)
    runner.fit(learner, datamodule=data)
    (figures,) = runner.test(learner, datamodule=data, verbose=False)
    assert figures["test/gamma_mae"] < 12.0  # cm⁻¹, of about 600
    assert figures["test/gamma_norm"] < 0.04
    assert figures["test/gamma_forces"] < 10.0
    assert figures["test/gamma_mae_count"] == 2


def test_every_loader_has_its_figures(tmp_path):
    learner = HessianTask(small())
    runner = trainer(tmp_path)
    runner.fit(learner, datamodule=Crystals(crystals(), ("gamma", "wave")))
    figures = runner.callback_metrics
    for name in ("gamma", "wave"):
        assert {f"validation/{name}_{figure}" for figure in ("mae", "median", "norm", "forces", "energy")} <= set(
            figures
        )
    assert figures["validation/gamma_mae"] == figures["validation/wave_mae"] > 0
    assert float(figures["train/loss"]) > 0


def test_probes_of_a_step_depend_on_progress_alone(tmp_path):
    learner = HessianTask(small(), seed=5)

    def words(batch_idx):
        return torch.randint(2**60, (4,), generator=learner.generator(batch_idx)).tolist()

    assert words(0) == words(0) != words(1)
    assert words(0) != torch.randint(2**60, (4,), generator=HessianTask(small(), seed=6).generator(0)).tolist()


def test_all_parameters_have_a_gradient_though_no_label_needs_them():
    found = gradients(Step(task()), join_labelled(samples()))
    assert all(gradient is not None for gradient in found.values())
    assert any(float(gradient.abs().sum()) == 0 for gradient in found.values())


@pytest.mark.slow
def test_two_gloo_processes_have_the_loss_and_the_gradients_of_one(repository, tmp_path):
    module = [sys.executable, "-W", "ignore", "-m", "tests.tasks.two_hessian_processes"]
    running = [
        subprocess.Popen([*module, str(rank), "2", str(tmp_path)], cwd=repository, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    expected = gradients(Step(task()), join_labelled(samples()))
    assert float(expected["loss"]) > 0.1
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12, msg=name)


def test_parts_of_equal_size_hold_the_whole_batch():
    batch = join_labelled([*crystals(), molecule(), *crystals()])
    parts = list(equal_sizes(batch))
    assert [part.graph.n_atoms.tolist() for part in parts] == [[2, 2], [3], [4, 4]]
    assert sum(len(part.labels.masses) for part in parts) == len(batch.labels.masses)


def started(tmp_path, **changes):
    """A checkpoint of a network with statistics of its own."""
    model = CartesianPotentialModel(**(SIZES | changes))
    model.set_statistics(energy_statistics([labelled(silicon(0.3))]))
    return save_model(tmp_path / "start.ckpt", model, "cartesian_potential", SIZES | changes, {}), model


def test_a_start_gives_its_weights_and_statistics(tmp_path):
    path, expected = started(tmp_path)
    model = small(seed=1)
    take_over(model, str(path))
    for name, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_a_start_of_another_size_or_kind_is_refused_in_one_message(tmp_path):
    path, _ = started(tmp_path, scalars=12)
    with pytest.raises(UserError, match=r"cartesian potential model of another size.*First difference: .*shape"):
        take_over(small(), str(path))
    response = tmp_path / "other.ckpt"
    save_model(response, torch.nn.Linear(2, 2), "response", {}, {})
    with pytest.raises(UserError, match='kind "response", but kind "cartesian_potential" is needed'):
        take_over(small(), str(response))


def test_frozen_parts_stay_as_they_are_and_the_rest_learns(tmp_path):
    path, expected = started(tmp_path)
    learner = HessianTask(small(), start=str(path), freeze=["elements", "updates.*"], learning_rate=1e-2, warmup=0.0)
    runner = trainer(tmp_path, max_epochs=3, limit_val_batches=0)
    runner.fit(learner, datamodule=Crystals(crystals()))
    before, after = expected.state_dict(), learner.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    frozen = {name for name in before if name.startswith(("elements.", "updates."))}
    assert frozen
    assert not changed & frozen
    assert "readout.0.weight" in changed
    assert any(name.startswith("messages.") for name in changed)


def test_heads_alone_can_be_trained(tmp_path):
    path, expected = started(tmp_path)
    learner = HessianTask(small(), start=str(path), train="heads", learning_rate=1e-2, warmup=0.0)
    trainer(tmp_path, limit_val_batches=0).fit(learner, datamodule=Crystals(crystals()))
    before, after = expected.state_dict(), learner.model.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"readout"}


def test_the_body_can_be_slower_than_the_heads(tmp_path):
    learner = HessianTask(small(), body_factor=0.1, learning_rate=1e-2, warmup=0.0)
    runner = trainer(tmp_path, limit_val_batches=0)
    runner.fit(learner, datamodule=Crystals(crystals()))
    rates = sorted({group["initial_lr"] for group in runner.optimizers[0].param_groups})
    assert rates == pytest.approx([1e-3, 1e-2])


@pytest.mark.parametrize(
    ("train", "freeze", "message"),
    [
        ("all", ["elementz"], 'nothing in the model is called "elementz". Did you mean "elements"'),
        ("heads", ["readout"], "leave nothing to train"),
    ],
)
def test_choices_that_cannot_work_are_told(train, freeze, message):
    with pytest.raises(UserError, match=message):
        choose_trained(small(), train, freeze)


def test_energies_of_elements_can_be_fitted_to_another_level_of_theory():
    model = small()
    known = crystals()
    with torch.no_grad():
        energies = [model(sample.graph.to(torch.float32)).double() for sample in known]
    moved = [
        sample._replace(labels=sample.labels._replace(energy=energy - 3.5 * len(sample.graph.numbers)))
        for sample, energy in zip(known, energies, strict=True)
    ]
    refit_references(model, moved)
    assert float(model.reference_energies[14]) == pytest.approx(-3.5, rel=1e-5)
    assert float(model.reference_energies.abs().sum()) == pytest.approx(3.5, rel=1e-5)
