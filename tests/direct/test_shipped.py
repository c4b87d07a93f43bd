"""The direct model that comes with mlrim, on crystals that it was not trained on, against DFT frequencies."""

from pathlib import Path

import numpy as np
import pytest

from mlrim.direct.pipeline import predict_direct
from mlrim.direct.predictor import DirectPredictor
from mlrim.pipeline import Settings
from mlrim.predictors import load_any_predictor
from mlrim.structures import read_structure

SETTINGS = Settings(path_spacing=0.1, temperatures=(0.0, 300.0, 300.0))
TRANSVERSE = {"MgO": [391.0], "NaCl": [168.5], "CaF2": [252.0, 323.0]}
"""Optical modes at Γ without field, PBEsol, phonondb (CC BY 4.0), cm⁻¹; these formulas are in the test part."""


@pytest.fixture(scope="module")
def shipped() -> DirectPredictor:
    found = load_any_predictor("direct")
    assert isinstance(found, DirectPredictor)
    return found


@pytest.mark.parametrize("name", TRANSVERSE)
def test_frequencies_are_right_within_their_errors(repository: Path, shipped: DirectPredictor, name: str) -> None:
    structure = read_structure(repository / "examples" / "seven" / f"{name}.cif")
    found = predict_direct(structure, shipped, SETTINGS)
    levels = [level for level in found.levels if not level.acoustic]
    assert [level.degeneracy for level in levels] == [3] * len(TRANSVERSE[name])
    for level, exact in zip(levels, TRANSVERSE[name], strict=True):
        assert level.error_cm1 is not None
        assert 3 < level.error_cm1 < 40
        assert abs(level.frequency_cm1 - exact) < min(5 * level.error_cm1, 50)
    assert found.domain is not None
    assert not found.domain.outside
    assert found.stability is not None
    assert found.stability > 0.5
    spread = found.scalars["entropy"].error
    assert spread is not None
    assert found.thermal is not None
    at_300 = np.argmin(np.abs(found.thermal.temperatures - 300))
    entropy = float(found.thermal.entropy[at_300]) / structure.crystal.n_atoms
    assert abs(entropy - found.scalars["entropy"].value) < 4 * spread  # two heads agree
