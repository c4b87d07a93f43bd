"""Batches of labelled graphs."""

import numpy as np
import torch

from mlrim.graph.energy_graph import molecular_graph
from mlrim.graph.energy_labels import LabelledGraph, join_labelled, unlabelled


def dimer(length: float) -> LabelledGraph:
    graph = molecular_graph(np.array([1, 8]), np.array([[0.0, 0, 0], [0, 0, length]]), 3.0)
    return unlabelled(graph, torch.tensor([1.0, 16.0]))


def test_nothing_is_known_of_an_unlabelled_graph():
    labels = dimer(1.0).labels
    assert labels.energy.isnan().all()
    assert labels.forces.isnan().all()
    assert labels.stress.isnan().all()
    assert not labels.has_hessian.any()


def test_samples_with_and_without_hessian_stand_in_one_batch():
    known = dimer(1.0)
    known = known._replace(labels=known.labels._replace(hessian=[torch.eye(6, dtype=torch.float64)]))
    batch = join_labelled([known, dimer(1.2), known])
    assert batch.labels.has_hessian.tolist() == [True, False, True]
    assert batch.graph.n_atoms.tolist() == [2, 2, 2]
    assert len(batch.labels.masses) == 6


def test_change_of_precision_leaves_integers_alone():
    batch = join_labelled([dimer(1.0), dimer(1.2)]).to(torch.float32)
    assert batch.graph.positions.dtype == batch.labels.masses.dtype == torch.float32
    assert batch.labels.source.dtype == torch.int64
