"""Everything predicted for one crystal, as one immutable value that tables, figures and exporters read."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.quality import Quality
from mlrim.responses import Response
from mlrim.spectra.infrared import InfraredSpectra
from mlrim.spectra.neutrons import NeutronSpectra
from mlrim.spectra.raman import RamanSpectra
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.density_of_states import DensityOfStates, MeshModes
from mlrim.vibrations.dispersion import Dispersion
from mlrim.vibrations.displacements import Displacements
from mlrim.vibrations.gamma import GammaModes
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.thermal import ThermalProperties

if TYPE_CHECKING:
    from mlrim.uncertainty.force_constants import PredictionErrors


@dataclass(frozen=True, eq=False)
class Prediction:
    """The vibrations of one crystal and how they came about.

    Attributes:
        name: name of the structure and of its folder.
        source: where the structure came from.
        model: what predicted the short-range force constants, in words.
        response: Born charges, ε∞ and Raman tensors, and where each of them is from.
        dynamics: force constants and dipole interaction.
        space_group: symmetry of the crystal.
        supercell: supercell of the phonopy files.
        transverse: the optical modes without macroscopic field, degenerate ones each by itself.
        level: for each of them the number (from 0) of its frequency in `gamma.modes`.
        quality: checks that need no reference.
        infrared: infrared spectra; none without Born charges or with nothing that they act on.
        raman: Raman spectra; none where no mode is active.
        neutrons: neutron-weighted density of states and a spectrum; none without tabulated scattering lengths.
        displacements: mean-square displacements of the atoms against temperature.
        errors: standard errors; none of a model whose errors were not measured.
        absent: why a quantity is missing, by the name of its attribute.
        notes: what was done to the structure.
        warnings: what a reader has to know before using the numbers.
    """

    name: str
    source: str
    model: str
    response: Response
    dynamics: LatticeDynamics
    space_group: SpaceGroup
    supercell: Supercell
    gamma: GammaModes
    transverse: NormalModes
    level: Int[ndarray, "modes"]
    dispersion: Dispersion
    mesh: MeshModes
    density_of_states: DensityOfStates
    thermal: ThermalProperties
    quality: Quality
    infrared: InfraredSpectra | None = None
    raman: RamanSpectra | None = None
    neutrons: NeutronSpectra | None = None
    displacements: Displacements | None = None
    errors: "PredictionErrors | None" = None
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def long_range(self) -> str:
        """Where Born charges and ε∞ came from, in words."""
        return self.response.long_range

    @property
    def highest_cm1(self) -> float:
        """The highest frequency on the mesh, along the path and at Γ along any direction, cm⁻¹."""
        polar = [mode.frequency_thz for modes in self.gamma.directional.values() for mode in modes]
        parts = (self.mesh.frequencies, self.dispersion.frequencies, np.array(polar))
        return THZ_TO_CM1 * max(float(part.max(initial=0.0)) for part in parts)

    @property
    def residuals(self) -> dict[str, float]:
        """How far the raw force constants were from their symmetries, eV/Å²."""
        return self.quality.residuals
