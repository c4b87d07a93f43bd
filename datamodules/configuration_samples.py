"""Configurations as what energies are trained on: the graph of a molecule or a cell with its labels."""

import torch
from jaxtyping import Float
from numpy import ndarray

from datamodules.configurations import Configuration
from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph, molecular_graph, periodic_graph
from mlrim.graph.energy_labels import LabelledGraph, unlabelled
from mlrim.vibrations.internal_modes import internal_modes, translations
from mlrim.vibrations.molecules import external_modes


def labelled_configuration(
    configuration: Configuration, cutoff: float, dtype: torch.dtype = torch.float32, source: int = 0
) -> LabelledGraph:
    """The graph of a configuration with all that is known of it; nothing of it is left to other models (`rest` is 0).

    Eigenvectors and frequencies are those of the Hessian without translations and, of molecules, rotations about the
    centre of mass. They are normal modes where no forces act; elsewhere they are the curvature in the internal
    directions.

    Args:
        cutoff: Å.
        source: number of the data set.
    """
    graph = configuration_graph(configuration, cutoff, dtype)
    sample = unlabelled(graph, torch.tensor(configuration.masses), source)
    labels = sample.labels
    if configuration.energy is not None:
        labels = labels._replace(energy=torch.tensor([configuration.energy], dtype=dtype))
    if configuration.forces is not None:
        labels = labels._replace(forces=torch.tensor(configuration.forces, dtype=dtype))
    if configuration.stress is not None:
        labels = labels._replace(stress=torch.tensor(configuration.stress, dtype=dtype)[None])
    if configuration.hessian is not None:
        hessian = torch.tensor(configuration.hessian, dtype=dtype)
        frequencies, eigenvectors = configuration_modes(configuration)
        labels = labels._replace(
            hessian=[hessian],
            rest=[torch.zeros_like(hessian)],
            eigenvectors=[torch.tensor(eigenvectors, dtype=dtype)],
            frequencies=[torch.tensor(frequencies, dtype=dtype)],
        )
    return LabelledGraph(graph, labels)


def configuration_graph(configuration: Configuration, cutoff: float, dtype: torch.dtype = torch.float32) -> EnergyGraph:
    """The graph of a configuration with all pairs closer than `cutoff` (Å)."""
    if configuration.periodic:
        return periodic_graph(configuration.crystal, cutoff, dtype)
    return molecular_graph(configuration.numbers, configuration.positions, cutoff, dtype)


def configuration_modes(
    configuration: Configuration,
) -> tuple[Float[ndarray, "modes"], Float[ndarray, "components modes"]]:
    """Frequencies (cm⁻¹) and mass-weighted eigenvectors without translations and, of molecules, rotations.

    Raises:
        UserError: the Hessian is not known.
    """
    if configuration.hessian is None:
        raise UserError(f"the Hessian of {configuration.id} is not known")
    masses = configuration.masses
    external = translations(masses) if configuration.periodic else external_modes(configuration.positions, masses)
    return internal_modes(configuration.hessian.astype(float), masses, external)
