"""Relaxing a molecule in the energy of a model, and turning the result back onto where it started."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from mlrim.derivatives.engine import Energy, differentiate
from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph, molecular_graph

STIFFNESS = 40.0
"""First guess of all force constants (eV/Å²): about that of bending, between stretching and turning."""


@dataclass(frozen=True, eq=False)
class MolecularRelaxation:
    """Where the search for a minimum ended.

    Attributes:
        positions: Å, superposed on the start.
        energy: eV.
        residual: largest force on an atom, eV/Å.
        steps: evaluations of the energy.
        moved: largest distance of an atom from its start, Å.
        converged: whether the residual is small enough.
    """

    positions: Float[ndarray, "atoms 3"]
    energy: float
    residual: float
    steps: int
    moved: float
    converged: bool


def relax_molecule(
    energy: Energy,
    numbers: Int[ndarray, "atoms"],
    positions: Float[ndarray, "atoms 3"],
    cutoff: float,
    fmax: float = 1e-4,
    max_steps: int = 500,
) -> MolecularRelaxation:
    """The minimum (or, from a symmetric start, the stationary point) of an energy nearest to a geometry.

    A start that is symmetric to rounding stays so, because forces of an invariant energy have all of its symmetry.

    Args:
        cutoff: of the energy, Å.
        fmax: largest force on an atom that is allowed to stay, eV/Å.
        max_steps: most steps.

    Raises:
        UserError: the energy is not finite on the way: the model does not hold there.
    """
    evaluations = 0

    def function(flat: ndarray) -> tuple[float, ndarray]:
        nonlocal evaluations
        evaluations += 1
        value, forces = energy_and_forces(energy, numbers, flat.reshape(-1, 3), cutoff)
        if not (np.isfinite(value) and np.isfinite(forces).all()):
            raise UserError(
                "the energy of the model became infinite while the molecule was relaxed: the model does not hold near "
                "this geometry; start from a better one, or switch the relaxation off (relax=none)"
            )
        return value, -forces.reshape(-1)

    guess = np.eye(3 * len(numbers)) / STIFFNESS
    options = {"gtol": fmax / np.sqrt(3), "maxiter": max_steps, "hess_inv0": guess}
    found = minimize(function, positions.reshape(-1), jac=True, method="BFGS", options=options)
    relaxed = superposed(found.x.reshape(-1, 3), positions)
    residual = largest_force(-found.jac.reshape(-1, 3))
    moved = float(np.linalg.norm(relaxed - positions, axis=1).max())
    return MolecularRelaxation(relaxed, float(found.fun), residual, evaluations, moved, residual <= fmax)


def energy_and_forces(
    energy: Energy, numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"], cutoff: float
) -> tuple[float, Float[ndarray, "atoms 3"]]:
    """Energy (eV) and forces (eV/Å) of a molecule."""
    result = differentiate(energy, graph_for(energy, numbers, positions, cutoff))
    return result.energy.item(), result.forces.double().cpu().numpy()


def graph_for(
    energy: Energy, numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"], cutoff: float
) -> EnergyGraph:
    """The graph of a molecule in the precision and on the device of an energy's parameters."""
    parameters = [tensor for tensor in _parameters(energy) if tensor.is_floating_point()]
    dtype, device = (parameters[0].dtype, parameters[0].device) if parameters else (torch.float64, "cpu")
    return molecular_graph(numbers, positions, cutoff, dtype).to(device)


def largest_force(forces: Float[ndarray, "atoms 3"]) -> float:
    """Length of the largest force on an atom, in the unit of the argument."""
    return float(np.linalg.norm(forces, axis=1).max())


def superposed(positions: Float[ndarray, "atoms 3"], target: Float[ndarray, "atoms 3"]) -> Float[ndarray, "atoms 3"]:
    """Positions turned and moved as a whole to lie as near as possible to others (without reflection)."""
    centre, aim = positions.mean(axis=0), target.mean(axis=0)
    return (positions - centre) @ best_turn(positions, target).T + aim


def best_turn(start: Float[ndarray, "atoms 3"], target: Float[ndarray, "atoms 3"]) -> Float[ndarray, "3 3"]:
    """The rotation R (x → R x) that carries points nearest to others after both are centred (Kabsch)."""
    left, _, right = np.linalg.svd((target - target.mean(axis=0)).T @ (start - start.mean(axis=0)))
    matrix = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    return Rotation.from_matrix(matrix).as_matrix()


def _parameters(energy: Energy) -> list[torch.Tensor]:
    return list(energy.parameters()) if isinstance(energy, torch.nn.Module) else []
