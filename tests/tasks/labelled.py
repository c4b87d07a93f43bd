"""A crystal with made-up force constants as labels, for the tests of losses and tasks."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from datamodules.batching import LabelledGraph
from datamodules.samples import Sample, labels_of
from mlrim.graph.crystal_graph import build_graph
from mlrim.graph.labels import fold_labels, gamma_modes, wave_modes
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.force_constants import PairForceConstants, fold, with_self_blocks
from mlrim.lattice.neighbours import Pairs
from mlrim.lattice.supercell import Supercell
from tests.graph.crystals import some_baseline


class Example:
    """A crystal whose label is `some_baseline` with a spring constant that a network must find from nothing."""

    def __init__(self, crystal: Crystal, matrix: Float[ndarray, "3 3"]) -> None:
        self.crystal = crystal
        springs = some_baseline(crystal)
        self.truth = with_self_blocks(springs.pairs, springs.blocks, crystal.n_atoms)
        supercell = Supercell(crystal, matrix)
        total = fold(self.truth, supercell)
        nothing = PairForceConstants(springs.pairs, np.zeros_like(springs.blocks))
        graph = build_graph(crystal, nothing, np.zeros(crystal.n_atoms), dtype=torch.float64)
        edges = Pairs(*(part.numpy() for part in (graph.edge_i, graph.edge_j, graph.edge_shift)))
        waves = wave_modes(total, total, supercell, supercell.commensurate_qpoints[1:])
        self.sample = Sample(graph, fold_labels(total, supercell, edges), gamma_modes(total, total, supercell), waves)
        self.blocks = torch.from_numpy(springs.blocks)

    def labelled(self, wave: int = 0) -> LabelledGraph:
        return LabelledGraph(self.sample.graph, labels_of(self.sample, wave))
