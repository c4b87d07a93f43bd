"""One of several processes that share the batch of a Hessian task through DistributedDataParallel and gloo.

python -m tests.tasks.two_hessian_processes RANK PROCESSES FOLDER
"""

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from mlrim.graph.energy_labels import LabelledGraph, join_labelled
from mlrim.models.cartesian_potential import CartesianPotentialModel
from mlrim.tasks.hessian import HessianTask
from tests.tasks.teacher import doubled, labelled, only, silicon


class Step(torch.nn.Module):
    """The loss of a batch as Lightning's strategies call it: inside the forward pass of the wrapper."""

    def __init__(self, task: HessianTask) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: LabelledGraph) -> torch.Tensor:
        return self.task.training_step(batch, 0)


def samples() -> list[LabelledGraph]:
    """Four graphs of different sizes without energies, of which constants of the network then know nothing."""
    crystals = [silicon(0.1), doubled(silicon(0.1, seed=1)), silicon(0.1, seed=2), silicon(0.2, seed=3)]
    known = [labelled(crystal) for crystal in crystals]
    return [
        sample._replace(labels=sample.labels._replace(energy=torch.full_like(sample.labels.energy, torch.nan)))
        for sample in known
    ]


def task() -> HessianTask:
    """A task whose probes are all modes, so that they do not depend on chance."""
    torch.manual_seed(0)
    model = CartesianPotentialModel(8, 4, 4, hidden=16, element_hidden=16, cutoff=3.8).double()
    made = HessianTask(model, only("modes", 9))
    made.log = lambda *_, **__: None
    return made


def gradients(step: torch.nn.Module, batch: LabelledGraph) -> dict[str, torch.Tensor]:
    """Of the loss of a batch, and the loss itself."""
    loss = step(batch)
    (step.module if isinstance(step, DistributedDataParallel) else step).task.backward(loss)
    found = {name.removeprefix("module."): parameter.grad for name, parameter in step.named_parameters()}
    return {**found, "loss": loss.detach()}


def main() -> None:
    rank, processes, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", f"file://{folder / 'store'}", timedelta(seconds=120), world_size=processes, rank=rank
    )
    found = gradients(DistributedDataParallel(Step(task())), join_labelled(samples()[rank::processes]))
    dist.all_reduce(found["loss"])
    found["loss"] /= processes
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
