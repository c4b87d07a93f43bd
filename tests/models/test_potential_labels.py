"""What a potential is trained on and what is predicted with it are the same quantity.

A sample says: Hessian of the cell = Hessian of the network + parts that are not learned. A prediction puts the same
parts together by another way: rows, background, dipole interaction at each wave vector.
"""

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.energy_samples import EnergySettings, crystal_energies
from datamodules.store import RecordStore
from mlrim.checkpoint import LoadedModel
from mlrim.derivatives.engine import differentiate
from mlrim.graph.energy_graph import periodic_graph
from mlrim.lattice.commensurate_cells import dense_hessian
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.potentials.settings import PotentialSettings
from mlrim.predictors import PotentialPredictor
from mlrim.record_jobs import known_from_record
from tests.potentials.energies import small_network


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "embedded"
    build(BuildOptions(source="embedded", out=out, workers=1, limit=6, quiet=True))
    store = RecordStore(out)
    smallest = sorted(store.ids, key=lambda name: store[name].crystal.n_atoms)[:2]
    return [store[name] for name in smallest]


@pytest.mark.parametrize(
    "background",
    [("dipole",), ("dipole", "smeared"), ("dipole", "rim"), ()],
    ids=["dipole", "smeared dipole", "dipole and rim", "nothing"],
)
def test_predictions_add_what_labels_took_out(records, background):
    energy = small_network("cartesian_potential")
    loaded = LoadedModel("cartesian_potential", energy, {}, {"background": list(background)})
    predictor = PotentialPredictor(loaded, "test", PotentialSettings("supercell", min_length=0.0))
    for record in records:
        predicted = predictor(record.crystal, known_from_record(record)).short_range
        dipole = DipoleInteraction(record.crystal, record.born_charges, record.dielectric)
        dynamics = LatticeDynamics(record.crystal, predicted, dipole)
        energies = crystal_energies(record, EnergySettings(background=background, wave_cells=2))
        assert len(energies.cells) > 1
        for matrix, _, rest in energies.cells:
            cell = Supercell(record.crystal, matrix)
            (network,) = differentiate(energy, periodic_graph(cell.to_crystal(), energy.cutoff)).hessian()
            expected = network.numpy() + dense_hessian(rest, cell)
            found = dense_hessian(dynamics.folded(cell), cell)
            assert np.abs(network.numpy()).max() > 1e-3
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
