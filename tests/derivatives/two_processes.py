"""One of several processes that share a batch: gradients of a Hessian loss, averaged over all of them by gloo.

python -m tests.derivatives.two_processes RANK PROCESSES FOLDER
"""

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import batch_graphs
from tests.derivatives.energies import CUTOFF, GENERAL, graphs, network


def gradients(part):
    """Gradients of all parameters for the mean, over the graphs of a part, of energy, force and Hessian terms."""
    energy = network()
    result = differentiate(energy, batch_graphs(part), training=True)
    vectors = torch.sin(result.graph.positions)  # the same in every batch
    per_atom = result.forces.pow(2).sum(1) + result.product(vectors).pow(2).sum(1)
    per_graph = result.energy.pow(2).index_add(0, result.graph.atom_graph, per_atom)
    per_graph.mean().backward()
    return {name: p.grad for name, p in energy.named_parameters() if p.grad is not None}


def all_graphs():
    """Four graphs of different sizes, so that two processes have different work."""
    from mlrim.graph.energy_graph import periodic_graph

    one, other = graphs().values()
    return [one, other, periodic_graph(GENERAL, CUTOFF), one]


def main():
    rank, processes, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", store, timedelta(seconds=120), world_size=processes, rank=rank)
    found = gradients(all_graphs()[rank::processes])
    for gradient in found.values():
        dist.all_reduce(gradient)
        gradient /= processes
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
