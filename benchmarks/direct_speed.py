"""How many structures a direct model answers in a second, and how that compares with the delta model and a potential.

    python -m benchmarks.direct_speed data=data/phonondb

Throughput is measured from crystals to answers: graphs are built by the loader while the network works. Ratios are of
times for the same crystals, one after the other, in one run: frequencies at Γ by the direct model, by the delta model
(graph and baseline included), and by finite displacements with a potential in a supercell.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from datamodules.filters import RecordFilter
from datamodules.options import run_command
from datamodules.splits import make_split
from datamodules.store import RecordStore
from mlrim.checkpoint import load_model
from mlrim.configuration import AtLeast
from mlrim.graph.structure_graph import StructureGraph, batch_structures, build_structure_graph
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell, suggest_supercell_matrix
from mlrim.models.direct import DirectModel
from mlrim.nn.dynamical import dynamical_matrices, eigenvalues
from mlrim.potentials.settings import PotentialSettings
from mlrim.predictors import Known, load_predictor, shipped_direct
from mlrim.shipped import shipped_model


@dataclass
class Options:
    """What is timed.

    Attributes:
        data: data set whose test crystals are taken.
        ckpt: direct model; the shipped one when `direct`.
        max_atoms: largest primitive cell; 20 leaves a median of about ten atoms.
        batch_size: crystals per batch.
        crystals: of the throughput.
        seconds: least time of every measurement.
        threads: of the network.
        workers: processes of the loader.
        compared: crystals of the ratios; 0 leaves them out.
    """

    data: str
    ckpt: str = "direct"
    max_atoms: Annotated[int, AtLeast(1)] = 20
    batch_size: Annotated[int, AtLeast(1)] = 32
    crystals: Annotated[int, AtLeast(1)] = 512
    seconds: float = 10.0
    threads: Annotated[int, AtLeast(1)] = 1
    workers: Annotated[int, AtLeast(0)] = 1
    compared: Annotated[int, AtLeast(0)] = 10


class Graphs(Dataset[StructureGraph]):
    """Graphs of crystals, built when asked for."""

    def __init__(self, crystals: Sequence[Crystal], cutoff: float) -> None:
        self.crystals, self.cutoff = list(crystals), cutoff

    def __len__(self) -> int:
        return len(self.crystals)

    def __getitem__(self, index: int) -> StructureGraph:
        return build_structure_graph(self.crystals[index], self.cutoff)


def main() -> None:
    """The command."""
    run_command("benchmarks.direct_speed", Options, measure)


def measure(options: Options) -> None:
    """Throughput, then ratios."""
    torch.set_num_threads(options.threads)
    path = str(shipped_direct()) if options.ckpt == "direct" else options.ckpt
    model: DirectModel = load_model(path, kind="direct").model  # type: ignore[assignment]
    crystals = test_crystals(options)
    console = Console()
    console.print(
        f"{len(crystals)} crystals, median {np.median([one.n_atoms for one in crystals]):.0f} atoms, batches of "
        f"{options.batch_size}; {options.threads} thread(s) and {options.workers} loader process(es)"
    )
    table = Table("answer", "structures per second")
    for name, answer in ANSWERS.items():
        table.add_row(name, f"{throughput(model, crystals, answer, options):.0f}")
    console.print(table)
    if options.compared:
        console.print(ratio_table(model, crystals, options.compared))


def densities(model: DirectModel, graph: StructureGraph) -> Any:
    """Densities of states."""
    return model(graph, ["density"]).states


def gamma_modes(model: DirectModel, graph: StructureGraph) -> Any:
    """Frequencies at Γ."""
    return eigenvalues(dynamical_matrices(model(graph, ["modes"]).blocks, graph), graph.masses)


ANSWERS: dict[str, Callable[[DirectModel, StructureGraph], Any]] = {
    "density of states": densities,
    "Γ modes": gamma_modes,
}


def test_crystals(options: Options) -> list[Crystal]:
    """Crystals of the test part."""
    store = RecordStore(options.data)
    selected = set(RecordFilter(max_atoms=options.max_atoms).select(store.index).ids)
    names = [name for name in make_split(store.index, 0).test if name in selected]
    return [store[name].crystal for name in names[: options.crystals]]


def throughput(
    model: DirectModel,
    crystals: Sequence[Crystal],
    answer: Callable[[DirectModel, StructureGraph], Any],
    options: Options,
) -> float:
    """Structures per second, graphs included, the loader's start not."""
    loader: DataLoader = DataLoader(
        Graphs(crystals, model.cutoff),
        options.batch_size,
        collate_fn=batch_structures,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
        multiprocessing_context="forkserver" if options.workers else None,
    )
    with torch.no_grad():
        for graph in loader:  # starts the workers
            answer(model, graph)
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < options.seconds:
            for graph in loader:
                answer(model, graph)
                count += len(graph.n_atoms)
        return count / (time.perf_counter() - start)


def ratio_table(model: DirectModel, crystals: Sequence[Crystal], count: int) -> Table:
    """Median time of single crystals by every way to their frequencies at Γ, and its ratio to the direct model's."""
    chosen = [crystals[index] for index in np.linspace(0, len(crystals) - 1, count).astype(int)]
    ways = {
        "direct": direct_way(model),
        "delta (mlrim)": delta_way(),
        "potential, finite displacements": potential_way(),
    }
    times = {name: [timed(way, crystal) for crystal in chosen] for name, way in ways.items()}
    table = Table("Γ modes of one crystal", "median time (s)", "median ratio to direct")
    for name, values in times.items():
        ratio = np.median(np.array(values) / np.array(times["direct"]))
        table.add_row(name, f"{np.median(values):.3g}", f"{ratio:.3g}")
    return table


def direct_way(model: DirectModel) -> Callable[[Crystal], object]:
    """Graph, network, eigenvalues."""

    def way(crystal: Crystal) -> object:
        with torch.no_grad():
            return gamma_modes(model, build_structure_graph(crystal, model.cutoff))

    return way


def delta_way() -> Callable[[Crystal], object]:
    """Baseline, graph, network; the dipole interaction and the eigenvalues at Γ cost nothing beside them."""
    predictor = load_predictor("mlrim")
    return lambda crystal: predictor(crystal, Known())


def potential_way() -> Callable[[Crystal], object]:
    """Forces of displaced supercells of the shipped potential, with symmetry."""
    settings = PotentialSettings(method="finite_displacements", min_length=8.0, max_atoms=200, precision="single")
    predictor = load_predictor(str(shipped_model("potential")), settings)

    def way(crystal: Crystal) -> object:
        supercell = Supercell(crystal, suggest_supercell_matrix(crystal, 8.0, 200))
        return predictor(crystal, Known(supercell=supercell))

    return way


def timed(way: Callable[[Crystal], object], crystal: Crystal) -> float:
    """Seconds of the second of two calls; the first one warms up."""
    way(crystal)
    start = time.perf_counter()
    way(crystal)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
