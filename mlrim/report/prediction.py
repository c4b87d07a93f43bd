"""Everything predicted for one crystal, as one immutable value that tables, figures and exporters read."""

from dataclasses import dataclass, field

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.vibrations.density_of_states import DensityOfStates, MeshModes
from mlrim.vibrations.dispersion import Dispersion
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.thermal import ThermalProperties


@dataclass(frozen=True, eq=False)
class Prediction:
    """The vibrations of one crystal and how they came about.

    Attributes:
        name: name of the structure and of its folder.
        source: where the structure came from.
        model: what predicted the short-range force constants, in words.
        long_range: where Born charges and ε∞ came from, in words.
        dynamics: force constants and dipole interaction.
        space_group: symmetry of the crystal.
        supercell: supercell of the phonopy files.
        residuals: how far the raw force constants were from their symmetries, before these were imposed.
        notes: what was done to the structure.
        warnings: what a reader has to know before using the numbers.
    """

    name: str
    source: str
    model: str
    long_range: str
    dynamics: LatticeDynamics
    space_group: SpaceGroup
    supercell: Supercell
    gamma: GammaModes
    dispersion: Dispersion
    mesh: MeshModes
    density_of_states: DensityOfStates
    thermal: ThermalProperties
    residuals: dict[str, float]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
