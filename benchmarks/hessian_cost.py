"""What second derivatives cost, in one run: a training step with a Hessian product, and a full Hessian.

    python -m benchmarks.hessian_cost [threads=1] [channels=32] [layers=3] [repeats=7]

The network is a light equivariant one with scalar and vector channels. Steps are measured in turns, so that a busy
machine slows all of them alike, and the ratio of the medians counts. Every full Hessian is made in a process of its
own, which tells its peak memory beyond that before the work (Linux); a smaller Hessian is made first, so that what
torch loads once is not counted. The ways are compared with each other.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlrim.derivatives.capabilities import ALL, Capabilities
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import EnergyGraph, batch_graphs, edge_vectors, periodic_graph, sum_over_atoms
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.nn.neighbour_sums import sum_over_neighbours
from mlrim.nn.radial import RadialBasis

CUTOFF = 4.5
STEP = 1e-3
"""Å; of the finite differences."""


class Layer(nn.Module):
    """Messages of scalars and vectors, as in PaiNN (Schütt et al., ICML 2021), without square roots."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.source = nn.Sequential(nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, 3 * channels))
        self.filter = nn.Linear(8, 3 * channels, bias=False)
        self.update = nn.Sequential(nn.Linear(2 * channels, channels), nn.SiLU(), nn.Linear(channels, 2 * channels))

    def forward(
        self, scalars: Tensor, vectors: Tensor, radial: Tensor, direction: Tensor, graph: EnergyGraph
    ) -> tuple[Tensor, Tensor]:
        """New scalars (atoms, channels) and vectors (atoms, 3, channels)."""
        weights = self.source(scalars).index_select(0, graph.sender) * self.filter(radial)
        plain, along, carried = weights.split(self.channels, dim=1)
        message = along[:, None] * direction[:, :, None] + carried[:, None] * vectors.index_select(0, graph.sender)
        scalars = scalars + sum_over_neighbours(plain, graph.receiver, len(scalars)) / 10
        vectors = vectors + sum_over_neighbours(message, graph.receiver, len(scalars)) / 10
        scalar_change, gate = self.update(torch.cat([scalars, (vectors**2).sum(1)], dim=1)).chunk(2, dim=1)
        return scalars + scalar_change, vectors * (1 + gate)[:, None]


class Network(nn.Module):
    """A light equivariant energy: a stack of layers and a readout of the scalars."""

    def __init__(self, channels: int = 32, layers: int = 3, cutoff: float = CUTOFF) -> None:
        super().__init__()
        self.capabilities = Capabilities("scalars and vectors", ALL, hops=layers)
        self.channels = channels
        self.embedding = nn.Embedding(100, channels)
        self.radial = RadialBasis(8, cutoff)
        self.layers = nn.ModuleList(Layer(channels) for _ in range(layers))
        self.readout = nn.Sequential(nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, 1))

    def forward(self, graph: EnergyGraph) -> Float[Tensor, "graphs"]:
        """Energy of each graph."""
        edges = edge_vectors(graph)
        distance = edges.pow(2).sum(1).sqrt()
        radial, direction = self.radial(distance), edges / distance[:, None]
        scalars = self.embedding(graph.numbers)
        vectors = scalars.new_zeros(len(scalars), 3, self.channels)
        for layer in self.layers:
            scalars, vectors = layer(scalars, vectors, radial, direction, graph)
        return sum_over_atoms(self.readout(scalars)[:, 0], graph)


def disturbed_rocksalt(repeats: int, seed: int = 0) -> Crystal:
    """Conventional MgO cells, 8 atoms each, with atoms moved at random."""
    face = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    fractional = np.concatenate([face, face + 0.5])
    unit = Crystal.from_fractional(4.21 * np.eye(3), fractional, np.repeat([12, 8], 4))
    crystal = Supercell(unit, repeats * np.eye(3, dtype=int)).to_crystal()
    noise = 0.03 * np.random.default_rng(seed).normal(size=crystal.positions.shape)
    return Crystal(crystal.lattice, crystal.positions + noise, crystal.numbers)


def force_step(network: Network, graph: EnergyGraph, labels: list[Tensor]) -> None:
    """One training step on energies and forces."""
    result = differentiate(network, graph, training=True)
    _finish(network, (result.energy - labels[0]).pow(2).mean() + (result.forces - labels[1]).pow(2).mean())


def hessian_step(network: Network, graph: EnergyGraph, labels: list[Tensor]) -> None:
    """One training step on energies, forces and one Hessian product, from the same evaluation."""
    result = differentiate(network, graph, training=True)
    loss = (result.energy - labels[0]).pow(2).mean() + (result.forces - labels[1]).pow(2).mean()
    _finish(network, loss + (result.product(labels[2]) - labels[3]).pow(2).mean())


def _finish(network: Network, loss: Tensor) -> None:
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-6 * parameter.grad
                parameter.grad = None


def medians(tasks: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Seconds of each task, median of some rounds in which all are run in turn, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def by_engine(network: Network, graph: EnergyGraph) -> Tensor:
    """The full Hessian by products in chunks."""
    return differentiate(network, graph).hessian()[0]


def by_finite_differences(network: Network, graph: EnergyGraph) -> Tensor:
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


def by_loop(network: Network, graph: EnergyGraph) -> Tensor:
    """What is often written: one `torch.autograd.grad` for each component of the forces."""
    positions = graph.positions.detach().requires_grad_()
    energy = network(graph._replace(positions=positions)).sum()
    (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
    rows = [torch.autograd.grad(component, positions, retain_graph=True)[0] for component in gradient.reshape(-1)]
    return torch.stack(rows).reshape(len(rows), -1)


WAYS = {"engine": by_engine, "finite differences": by_finite_differences, "Python loop": by_loop}


def measured(way: str, size: int, channels: int, layers: int, threads: int) -> tuple[float, float, np.ndarray]:
    """Seconds, MiB of memory and the Hessian of size³ conventional cells by one way."""
    network = make_network(channels, layers, threads)
    WAYS[way](network, periodic_graph(disturbed_rocksalt(1), CUTOFF, torch.float32))
    graph = periodic_graph(disturbed_rocksalt(size), CUTOFF, torch.float32)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = memory_mib("VmRSS")
    start = time.perf_counter()
    hessian = WAYS[way](network, graph)
    seconds = time.perf_counter() - start
    return seconds, memory_mib("VmHWM") - before, hessian.detach().numpy()


def memory_mib(name: str) -> float:
    """Memory of this process that Linux tells: now (VmRSS) or at its peak (VmHWM)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) / 1024


def make_network(channels: int, layers: int, threads: int) -> Network:
    """The same network in every process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    return Network(channels, layers)


def training_steps(channels: int, layers: int, threads: int, repeats: int) -> None:
    """Measure training steps on a batch of four cells of eight atoms and print them."""
    network = make_network(channels, layers, threads)
    graph = batch_graphs([periodic_graph(disturbed_rocksalt(1, seed), CUTOFF, torch.float32) for seed in range(4)])
    shape = graph.positions.shape
    labels = [torch.randn(4), torch.randn(shape), torch.randn(shape), torch.randn(shape)]
    steps = {
        "energy + forces": lambda: force_step(network, graph, labels),
        "energy + forces + Hessian product": lambda: hessian_step(network, graph, labels),
    }
    seconds = medians(steps, repeats)
    reference = seconds["energy + forces"]
    print(f"training step, 4 cells of 8 atoms, {len(graph.sender)} pairs, {repeats} rounds:")
    for name, value in seconds.items():
        print(f"  {name:36s}{1000 * value:9.1f} ms   {value / reference:5.2f}")


def full_hessians(size: int, channels: int, layers: int, threads: int, repeats: int) -> None:
    """Measure the ways to a full Hessian in turns and print them."""
    results: dict[str, list[tuple[float, float, np.ndarray]]] = {way: [] for way in WAYS}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for _ in range(repeats):
            for way in WAYS:
                results[way].append(pool.apply(measured, (way, size, channels, layers, threads)))
    seconds = {way: statistics.median(run[0] for run in runs) for way, runs in results.items()}
    reference = results["engine"][0][2]
    print(f"full Hessian, {len(reference) // 3} atoms, {repeats} rounds:")
    for way, runs in results.items():
        memory = statistics.median(run[1] for run in runs)
        difference = np.linalg.norm(runs[0][2] - reference) / np.linalg.norm(reference)
        print(
            f"  {way:24s}{seconds[way]:8.3f} s   {seconds[way] / seconds['engine']:5.2f} times the engine"
            f"   {memory:6.0f} MiB   relative difference {difference:.0e}"
        )


def main() -> None:
    """Measure and print."""
    options = {"threads": 1, "channels": 32, "layers": 3, "repeats": 7}
    options |= {name: int(value) for name, _, value in (word.partition("=") for word in sys.argv[1:])}
    threads, channels, layers, repeats = (options[name] for name in ("threads", "channels", "layers", "repeats"))
    print(f"{threads} thread(s), float32, {channels} channels, {layers} layers, medians")
    training_steps(channels, layers, threads, 5 * repeats)
    for size in (1, 2):
        full_hessians(size, channels, layers, threads, max(1, repeats // 2))


if __name__ == "__main__":
    main()
