"""The experiment on LO–TO splitting on a crystal of springs and dipoles, without training."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks import lo_to
from benchmarks.lo_to import Options, Potentials, check, compare, errors, table
from benchmarks.lo_to_figures import write_figure
from benchmarks.lo_to_recipes import BRANCHES, branches_of, line
from mlrim.derivatives.bloch import extended_force_constants, unroll
from mlrim.derivatives.capabilities import ALL, Capabilities, declare
from mlrim.errors import UserError
from mlrim.graph.energy_graph import EnergyGraph, edge_vectors, sum_over_atoms
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import DipoleInteraction
from mlrim.lattice.dynamics import LatticeDynamics
from tests.lattice.crystals import rocksalt


class Springs(nn.Module):
    """Pairs closer than the cut-off repel each other softly."""

    capabilities = declare(Capabilities("springs", ALL, hops=1))

    def __init__(self, cutoff: float, strength: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.strength = nn.Parameter(torch.tensor(strength, dtype=torch.float64))

    def forward(self, graph: EnergyGraph) -> Float[Tensor, "graphs"]:
        square = edge_vectors(graph).square().sum(1) / self.cutoff**2
        pairs = self.strength * (1 - square).clamp(min=0) ** 4
        atoms = pairs.new_zeros(len(graph.numbers)).index_add(0, graph.receiver, pairs)
        return sum_over_atoms(atoms, graph)


@dataclass
class Compound:
    """What the experiment reads of a record."""

    crystal: Crystal
    dynamics: LatticeDynamics
    id: str = "springs"
    formula: str = "NaCl"
    space_group: int = 225
    born_charges: object = True

    def lattice_dynamics(self) -> LatticeDynamics:
        return self.dynamics


@pytest.fixture(scope="module")
def compound() -> tuple[Compound, Springs]:
    crystal, springs = rocksalt(5.64, (11, 17)), Springs(4.4, 30.0)
    short_range = extended_force_constants(springs, unroll(springs, crystal, springs.cutoff))
    charges = 1.1 * np.array([1.0, -1.0])[:, None, None] * np.eye(3)
    dynamics = LatticeDynamics(crystal, short_range, DipoleInteraction(crystal, charges, 2.4 * np.eye(3)))
    return Compound(crystal, dynamics), springs


def test_a_potential_that_is_exact_gives_exact_dispersions_in_every_supercell(compound, tmp_path):
    record, springs = compound
    found = compare(record, Potentials(springs, Springs(4.4, 60.0)), Options(sizes=[3, 4, 5]))
    rows = {(row["recipe"], row["size"]): row for row in found["rows"]}
    for size in (3, 4, 5):  # all are large enough for the springs
        row = rows["subtracted", size]
        assert max(row[name] for name in ("all", *BRANCHES, "LO small", "LO boundary")) < 1e-6
    assert rows["whole added", 3]["all"] > 10
    assert found["supercells_disagree"]["subtracted"] < 1e-4  # at Γ acoustic frequencies are roots of rounding
    assert found["differs_from_extended"] < 1e-6
    assert rows["reciprocal added", 3]["width"] in lo_to.WIDTHS
    assert "| subtracted | 3×3×3 |  | 0.0 |" in table(found)
    write_figure(tmp_path / "NaCl.png", json.loads(json.dumps(found)))
    assert (tmp_path / "NaCl.png").stat().st_size > 1000


def test_errors_are_told_apart_by_branch_and_wave_vector(compound):
    record, _ = compound
    lines = [line(record.crystal, name, lo_to.FRACTIONS) for name in ("Γ–X", "Γ–L")]
    expected = {along.name: branches_of(record.dynamics, along) for along in lines}
    near = (lo_to.FRACTIONS < lo_to.NEAR)[:, None]
    found = {name: values + near * np.array([0.0, 0.0, 0.0, 3.0]) for name, values in expected.items()}
    wrong = errors(found, expected)
    assert wrong["LO small"] == pytest.approx(3.0)
    assert wrong["LO boundary"] == wrong["TO"] == wrong["LA"] == 0
    assert wrong["all"] == pytest.approx(wrong["LO"] / 6)


def test_crystals_without_dipoles_are_refused(compound):
    record, _ = compound
    with pytest.raises(UserError, match="no rock-salt crystal"):
        check([Compound(record.crystal, record.dynamics, born_charges=None)])
