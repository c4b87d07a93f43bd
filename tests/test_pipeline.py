"""What every true Hessian obeys holds for the force constants that predict.py ends with, long-range part included."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mlrim.checkpoint import default_arguments, save_model
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.supercell import Supercell
from mlrim.models.delta import DeltaModel
from mlrim.pipeline import Settings, predict_structure
from mlrim.predictors import Known, LongRange, load_predictor
from mlrim.structures import InputStructure
from tests.lattice.crystals import random_crystal

COARSE = Settings(mesh=(1, 1, 1), path_spacing=2.0, temperatures=(0.0, 300.0, 300.0), supercell=(2, 1, 2))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network of the default size that was never trained, so that nothing in it is small by accident."""
    torch.manual_seed(1)
    model = DeltaModel()
    path = tmp_path_factory.mktemp("model") / "untrained.ckpt"
    return str(save_model(path, model, "delta", default_arguments("delta"), {"baseline": "rim"}))


def triclinic(seed: int) -> Crystal:
    """Four oxides of magnesium and titanium at random places, without any symmetry."""
    found = random_crystal(seed)
    return Crystal(found.lattice, found.positions, np.array([12, 22, 8, 8]))


def random_response(crystal: Crystal, seed: int) -> LongRange:
    """Full, unsymmetric Born charge tensors that do not add up to zero, and an anisotropic ε∞."""
    generator = np.random.default_rng(seed)
    born = np.where(crystal.numbers == 8, -2.0, 3.0)[:, None, None] * np.eye(3)
    noise = generator.normal(size=(3, 3))
    born = born + 0.5 * generator.normal(size=born.shape)
    return LongRange(born, np.diag([2.0, 3.0, 5.0]) + 0.1 * (noise + noise.T), "random")


@pytest.mark.parametrize("model", ["rim", "shell", "delta"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_permutation_and_sum_rule_hold_for_the_final_force_constants(model: str, seed: int, checkpoint: str) -> None:
    crystal = triclinic(seed)
    structure = InputStructure("random", Path("random.cif"), crystal, [], [])
    known = Known(long_range=random_response(crystal, seed))
    predictor = load_predictor(checkpoint if model == "delta" else model)
    prediction = predict_structure(structure, predictor, COARSE, known)
    assert prediction.space_group.number == 1
    supercell = Supercell(crystal, np.diag([2, 1, 2]))
    compact = prediction.dynamics.folded(supercell)
    assert np.abs(compact).max() > 1
    assert np.abs(compact.sum(axis=1)).max() < 1e-10
    partner, cell = np.divmod(np.arange(supercell.n_atoms), supercell.n_cells)
    for atom in range(crystal.n_atoms):
        back = supercell.image_index(np.full(len(partner), atom), -supercell.shifts[cell])
        mirrored = compact[partner, back].transpose(0, 2, 1)
        np.testing.assert_allclose(compact[atom], mirrored, atol=1e-10, rtol=0)
    gamma = np.abs(prediction.dynamics.frequencies(np.zeros((1, 3)))[0])
    assert np.sort(gamma)[:3].max() < 1e-3
