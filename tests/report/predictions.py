"""Predictions whose force constants are given: crystals with the right symmetry and random springs."""

from dataclasses import replace
from pathlib import Path

from mlrim.lattice.force_constants import PairForceConstants
from mlrim.pipeline import Settings, predict_structure
from mlrim.predictors import ForceConstantPrediction, Known, LongRange
from mlrim.report.prediction import Prediction
from mlrim.structures import InputStructure
from tests.vibrations.prototypes import prototype, symmetric_dynamics

SETTINGS = Settings(mesh=(3, 3, 3), path_spacing=0.05, supercell=(2, 2, 2), temperatures=(0.0, 300.0, 100.0))


class GivenDynamics:
    """A predictor that knows the answer."""

    description = "random springs"

    def __init__(self, dynamics, polar=True):
        self.dynamics, self.polar = dynamics, polar

    def __call__(self, crystal, known):
        dipole = self.dynamics.dipole
        long_range = LongRange(dipole.born_charges, dipole.dielectric, "a test") if self.polar else None
        return ForceConstantPrediction(self.dynamics.short_range, long_range)


def given_prediction(
    kind: str, name: str | None = None, warnings=("a warning",), polar=True, unstable=False
) -> Prediction:
    """Everything about a structure type; an unstable one has springs too weak for its ions."""
    crystal = prototype(kind)
    dynamics = symmetric_dynamics(crystal)
    if unstable:
        pairs, blocks = dynamics.short_range
        dynamics = replace(dynamics, short_range=PairForceConstants(pairs, 0.03 * blocks))
    structure = InputStructure(name or kind, Path(f"{kind}.cif"), crystal, ["a note"], list(warnings))
    return predict_structure(structure, GivenDynamics(dynamics, polar), SETTINGS, Known())
