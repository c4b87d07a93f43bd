"""From a molecule to its vibrations: closed formulas, relaxation, imaginary modes, what is warned of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mlrim.errors import UserError
from mlrim.inputs import read_any
from mlrim.molecules.pipeline import MoleculeSettings, predict_molecule
from mlrim.potentials.settings import RelaxationSettings
from mlrim.predictors import RigidIonPredictor
from mlrim.units import SQRT_EIGENVALUE_TO_CM1
from mlrim.vibrations.molecular_spectra import DipoleDerivatives
from tests.molecules.energies import BOND, STRETCH, TENSION, SpringPredictor, methane, xyz

SETTINGS = MoleculeSettings(temperatures=np.array([0.0, 298.15]))
AS_GIVEN = replace(SETTINGS, relaxation=RelaxationSettings(relax="none"))


@pytest.fixture
def read(tmp_path):
    return lambda atoms: read_any(xyz(tmp_path / "CH4.xyz", atoms))


def frequencies(prediction):
    return {mode.irrep.symbol: mode.frequency_cm1 for mode in prediction.vibrations.modes}


@pytest.mark.parametrize("bond", [BOND, 1.25, 0.95])
def test_methane_of_springs_relaxes_and_has_the_closed_formulas(read, bond):
    found = predict_molecule(read(methane(bond)), SpringPredictor(), SETTINGS)
    assert found.vibrations.representation == "A1 + E + 2T2"
    assert found.relaxation.converged
    assert found.residual < 1e-4
    assert np.linalg.norm(found.positions[1:] - found.positions[0], axis=1) == pytest.approx(BOND, abs=1e-5)
    assert found.relaxation.moved == pytest.approx(abs(bond - BOND), abs=1e-5)
    values = frequencies(found)
    assert values["A1"] == pytest.approx(np.sqrt((STRETCH + 4 * TENSION) / 1.008) * SQRT_EIGENVALUE_TO_CM1, abs=0.01)
    assert values["E"] == pytest.approx(np.sqrt(TENSION / 1.008) * SQRT_EIGENVALUE_TO_CM1, abs=0.01)
    assert np.abs(found.vibrations.external_cm1).max() < 1


def test_activities_are_those_of_a_tetrahedron(read):
    found = predict_molecule(read(methane()), SpringPredictor(), SETTINGS)
    activities = {mode.irrep.symbol: mode.activity for mode in found.vibrations.modes}
    assert activities == {"A1": "Raman", "E": "Raman", "T2": "IR+Raman"}


def test_results_do_not_depend_on_the_orientation_and_the_order_of_atoms(read):
    atoms = methane(1.2)
    generator = np.random.default_rng(0)
    turn = Rotation.from_rotvec(generator.normal(size=3)).as_matrix()
    turned = atoms[generator.permutation(5)]
    turned.positions = turned.positions @ turn.T + [3.0, -2, 5]
    first, second = (predict_molecule(read(one), SpringPredictor(), SETTINGS) for one in (atoms, turned))
    assert frequencies(first) == pytest.approx(frequencies(second), abs=1e-3)
    assert first.energy == pytest.approx(second.energy, abs=1e-8)
    assert second.positions.mean(axis=0) == pytest.approx(turned.positions.mean(axis=0), abs=1e-6)


def test_a_distorted_start_finds_its_way_back_and_stays_where_it_was(read):
    """Far from symmetric: no symmetry is imposed on the way, and it is found at the end."""
    atoms = methane()
    atoms.positions += np.random.default_rng(2).uniform(-0.08, 0.08, (5, 3))
    found = predict_molecule(read(atoms), SpringPredictor(), SETTINGS)
    assert found.vibrations.group.symbol == "Td"
    assert found.positions.mean(axis=0) == pytest.approx(atoms.positions.mean(axis=0), abs=1e-3)
    assert found.relaxation.moved < 0.15


def test_without_relaxation_forces_are_told(read):
    found = predict_molecule(read(methane(1.2)), SpringPredictor(), AS_GIVEN)
    assert found.relaxation is None
    assert found.residual > 1
    assert any("largest force" in warning and "switched off" in warning for warning in found.warnings)


def test_intensities_are_absent_without_derivatives_and_there_with_them(read):
    structure = read(methane())
    bare = predict_molecule(structure, SpringPredictor(), SETTINGS)
    assert (bare.infrared, bare.raman) == (None, None)
    assert set(bare.absent) == {"infrared", "raman"}
    charges = np.array([-0.4, 0.1, 0.1, 0.1, 0.1])[:, None, None] * np.eye(3)
    known = structure._replace(derivatives=DipoleDerivatives(dipole=charges, source="charges"))
    found = predict_molecule(known, SpringPredictor(), SETTINGS)
    lines = dict(zip([mode.irrep.symbol for mode in found.vibrations.modes], found.infrared.intensities, strict=False))
    assert lines["A1"] == pytest.approx(0, abs=1e-9)
    assert lines["T2"] > 0.1
    assert set(found.absent) == {"raman"}


def test_derivatives_of_another_geometry_are_doubted(read):
    charges = np.array([-0.4, 0.3, 0.1, 0.0, 0.0])[:, None, None] * np.eye(3)
    wrong = read(methane(1.3))._replace(derivatives=DipoleDerivatives(dipole=charges))
    found = predict_molecule(wrong, SpringPredictor(), SETTINGS)
    assert any("changes the dipole derivatives by up to 50 %" in warning for warning in found.warnings)
    assert any("0.21 Å from the minimum" in warning for warning in found.warnings)


def square():
    """Planar CH4: its forces keep it so, and the springs between hydrogens push it out of the plane."""
    atoms = methane()
    atoms.positions[1:] = 1.05 * np.array([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)])
    return atoms


def test_a_symmetric_saddle_point_is_kept_and_warned_of(read):
    found = predict_molecule(read(square()), SpringPredictor(), SETTINGS)
    assert found.vibrations.group.symbol == "D4h"
    assert found.n_imaginary > 0
    assert any("imaginary" in warning for warning in found.warnings)
    assert found.gas.vibrational.imaginary_modes == found.n_imaginary


def test_imaginary_modes_can_be_refused_or_followed(read):
    refused = replace(SETTINGS, relaxation=RelaxationSettings(imaginary="error"))
    with pytest.raises(UserError, match=r"imaginary frequenc.*imaginary=follow"):
        predict_molecule(read(square()), SpringPredictor(), refused)
    followed = replace(SETTINGS, relaxation=RelaxationSettings(imaginary="follow"))
    found = predict_molecule(read(square()), SpringPredictor(), followed)
    assert found.n_imaginary == 0
    assert found.vibrations.group.symbol == "Td"
    assert any("imaginary" in note for note in found.notes)


def test_models_of_crystals_are_refused(read):
    with pytest.raises(UserError, match=r"is a molecule.*need a model of energies"):
        predict_molecule(read(methane()), RigidIonPredictor(), SETTINGS)


def test_what_a_model_was_not_trained_for_is_said(read):
    known = SpringPredictor(elements=[6, 8], background=["dipole"])
    found = predict_molecule(read(methane()), known, SETTINGS)
    assert any("trained without H" in warning for warning in found.warnings)
    assert any("dipole" in warning for warning in found.warnings)
    pair = methane() + methane()
    pair.positions[5:] += 8.0
    apart = predict_molecule(read(pair), SpringPredictor(), AS_GIVEN)
    assert any("2 parts" in warning for warning in apart.warnings)


def test_atoms_out_of_each_others_reach_are_told(read):
    with pytest.raises(UserError, match=r"10\.9 Å apart, farther than the model reaches \(5 Å\)"):
        predict_molecule(read(methane(10.9)), SpringPredictor(), SETTINGS)


def test_an_energy_that_is_not_finite_ends_in_a_message(read):
    model = SpringPredictor()
    model.energy.bond = torch.nn.Parameter(torch.tensor(float("nan"), dtype=torch.float64))
    with pytest.raises(UserError, match="relax=none"):
        predict_molecule(read(methane()), model, SETTINGS)
