"""What second derivatives cost, in one run: a training step with a Hessian product, and a full Hessian.

    python -m benchmarks.hessian_cost [threads=2] [repeats=7] [size=2] [networks=potential,cartesian_potential]

Both networks in their default sizes, float32, cells of MgO with atoms moved at random. Steps are measured in turns, so
that a busy machine slows all of them alike, and the ratio of the medians counts. Every full Hessian (of size³ cells of
eight atoms) is made in a process of its own, which tells its peak memory beyond that before the work (Linux); a smaller
Hessian is made first, so that what torch loads once is not counted. The ways are compared with each other.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from mlrim.checkpoint import POTENTIALS, class_of
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import EnergyGraph, batch_graphs, periodic_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.nn.atomic_energies import AtomicEnergies

STEP = 1e-3
"""Å; of the finite differences."""
GRAPHS = 8
"""In a batch."""
Result = TypeVar("Result")


def disturbed_rocksalt(repeats: int, seed: int = 0) -> Crystal:
    """Conventional MgO cells, 8 atoms each, with atoms moved at random."""
    face = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    fractional = np.concatenate([face, face + 0.5])
    unit = Crystal.from_fractional(4.21 * np.eye(3), fractional, np.repeat([12, 8], 4))
    crystal = Supercell(unit, repeats * np.eye(3, dtype=int)).to_crystal()
    noise = 0.03 * np.random.default_rng(seed).normal(size=crystal.positions.shape)
    return Crystal(crystal.lattice, crystal.positions + noise, crystal.numbers)


def force_step(network: AtomicEnergies, graph: EnergyGraph, labels: list[Tensor]) -> None:
    """One training step on energies and forces."""
    result = differentiate(network, graph, training=True)
    _finish(network, (result.energy - labels[0]).pow(2).mean() + (result.forces - labels[1]).pow(2).mean())


def hessian_step(network: AtomicEnergies, graph: EnergyGraph, labels: list[Tensor]) -> None:
    """One training step on energies, forces and one Hessian product, from the same evaluation."""
    result = differentiate(network, graph, training=True)
    loss = (result.energy - labels[0]).pow(2).mean() + (result.forces - labels[1]).pow(2).mean()
    _finish(network, loss + (result.product(labels[2]) - labels[3]).pow(2).mean())


def _finish(network: AtomicEnergies, loss: Tensor) -> None:
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-6 * parameter.grad
                parameter.grad = None


class Cost(NamedTuple):
    """Seconds on the clock, and seconds that all threads worked, which a busy machine lengthens less."""

    clock: float
    work: float


def timed(task: Callable[[], Result]) -> tuple[Cost, Result]:
    """What a task costs, and its result."""
    clock, work = time.perf_counter(), time.process_time()
    result = task()
    return Cost(time.perf_counter() - clock, time.process_time() - work), result


def median(costs: list[Cost]) -> Cost:
    """Of each kind of seconds."""
    return Cost(*(statistics.median(seconds) for seconds in zip(*costs, strict=True)))


def medians(tasks: dict[str, Callable[[], None]], repeats: int) -> dict[str, Cost]:
    """Cost of each task, median of some rounds in which all are run in turn, after one round that is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in tasks}
    for _ in range(repeats + 1):
        for name, task in tasks.items():
            costs[name].append(timed(task)[0])
    return {name: median(values[1:]) for name, values in costs.items()}


def by_engine(network: AtomicEnergies, graph: EnergyGraph) -> Tensor:
    """The full Hessian by products in chunks."""
    return differentiate(network, graph).hessian()[0]


def by_finite_differences(network: AtomicEnergies, graph: EnergyGraph) -> Tensor:
    """Central differences of forces, with the pairs of the undisturbed cell."""
    size = graph.positions.numel()
    rows = []
    for component in range(size):
        step = torch.zeros(size, dtype=graph.positions.dtype)
        step[component] = STEP
        ahead, behind = (
            differentiate(network, graph._replace(positions=graph.positions + sign * step.reshape(-1, 3))).forces
            for sign in (1, -1)
        )
        rows.append((behind - ahead).reshape(-1) / (2 * STEP))
    return torch.stack(rows)


def by_loop(network: AtomicEnergies, graph: EnergyGraph) -> Tensor:
    """What is often written: one `torch.autograd.grad` for each component of the forces."""
    positions = graph.positions.detach().requires_grad_()
    energy = network(graph._replace(positions=positions)).sum()
    (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
    rows = [torch.autograd.grad(component, positions, retain_graph=True)[0] for component in gradient.reshape(-1)]
    return torch.stack(rows).reshape(len(rows), -1)


WAYS = {"engine": by_engine, "finite differences": by_finite_differences, "Python loop": by_loop}


def measured(way: str, kind: str, size: int, threads: int) -> tuple[Cost, float, np.ndarray]:
    """Seconds, MiB of memory and the Hessian of size³ conventional cells by one way."""
    network = make_network(kind, threads)
    WAYS[way](network, periodic_graph(disturbed_rocksalt(1), network.cutoff, torch.float32))
    graph = periodic_graph(disturbed_rocksalt(size), network.cutoff, torch.float32)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = memory_mib("VmRSS")
    cost, hessian = timed(lambda: WAYS[way](network, graph))
    return cost, memory_mib("VmHWM") - before, hessian.detach().numpy()


def memory_mib(name: str) -> float:
    """Memory of this process that Linux tells: now (VmRSS) or at its peak (VmHWM)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) / 1024


def make_network(kind: str, threads: int) -> AtomicEnergies:
    """The same network in every process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = class_of(kind)()
    assert isinstance(network, AtomicEnergies)
    return network


def training_steps(kind: str, threads: int, repeats: int) -> None:
    """Measure training steps on a batch of cells of eight atoms and print them."""
    network = make_network(kind, threads)
    cells = [disturbed_rocksalt(1, seed) for seed in range(GRAPHS)]
    graph = batch_graphs([periodic_graph(cell, network.cutoff, torch.float32) for cell in cells])
    shape = graph.positions.shape
    labels = [torch.randn(GRAPHS), torch.randn(shape), torch.randn(shape), torch.randn(shape)]
    steps = {
        "energy + forces": lambda: force_step(network, graph, labels),
        "energy + forces + Hessian product": lambda: hessian_step(network, graph, labels),
    }
    costs = medians(steps, repeats)
    reference = costs["energy + forces"]
    print(f"training step, {GRAPHS} cells of 8 atoms, {len(graph.sender)} pairs, {repeats} rounds:")
    for name, cost in costs.items():
        ratios = f"{cost.clock / reference.clock:5.2f} (of work {cost.work / reference.work:.2f})"
        print(f"  {name:36s}{1000 * cost.clock:9.1f} ms, work {1000 * cost.work:7.1f} ms   {ratios}")


def full_hessians(kind: str, size: int, threads: int, repeats: int) -> None:
    """Measure the ways to a full Hessian in turns and print them."""
    results: dict[str, list[tuple[Cost, float, np.ndarray]]] = {way: [] for way in WAYS}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for _ in range(repeats):
            for way in WAYS:
                results[way].append(pool.apply(measured, (way, kind, size, threads)))
    costs = {way: median([run[0] for run in runs]) for way, runs in results.items()}
    reference = results["engine"][0][2]
    print(f"full Hessian, {len(reference) // 3} atoms, {repeats} rounds:")
    for way, runs in results.items():
        cost, engine, memory = costs[way], costs["engine"], statistics.median(run[1] for run in runs)
        difference = np.linalg.norm(runs[0][2] - reference) / np.linalg.norm(reference)
        ratios = f"{cost.clock / engine.clock:5.2f} (of work {cost.work / engine.work:.2f}) times the engine"
        print(
            f"  {way:20s}{cost.clock:8.3f} s, work {cost.work:8.3f} s   {ratios}"
            f"   {memory:6.0f} MiB   relative difference {difference:.0e}",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    options = {"threads": "2", "repeats": "7", "size": "2", "networks": ",".join(POTENTIALS)}
    options |= dict(word.split("=", 1) for word in sys.argv[1:])
    threads, repeats, size = (int(options[name]) for name in ("threads", "repeats", "size"))
    print(f"{threads} thread(s), float32, medians")
    for kind in options["networks"].split(","):
        print(kind)
        training_steps(kind, threads, 3 * repeats)
        for cells in range(1, size + 1):
            full_hessians(kind, cells, threads, max(1, repeats // 2))


if __name__ == "__main__":
    main()
