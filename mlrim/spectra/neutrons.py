"""What neutrons see of a crystal: weighted density of states, a spectrometer's spectrum, thermal motion."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.symmetry import SpaceGroup
from mlrim.spectra.settings import NeutronSettings
from mlrim.vibrations.density_of_states import DensityOfStates, MeshModes
from mlrim.vibrations.incoherent_scattering import InelasticSpectrum, inelastic_spectrum
from mlrim.vibrations.neutron import TOSCA_BACKWARD, NeutronWeightedDensity, neutron_weighted_density


@dataclass(frozen=True, eq=False)
class NeutronSpectra:
    """Neutron scattering of a powder.

    Attributes:
        density: the neutron-weighted density of states.
        inelastic: S(Q, E) along the path of an indirect-geometry spectrometer, overtones included; none where no
            real mode scatters.
        temperature: of that spectrum, K.
        instrument: name of the spectrometer.
    """

    density: NeutronWeightedDensity
    inelastic: InelasticSpectrum
    temperature: float
    instrument: str


def neutron_spectra(
    dynamics: LatticeDynamics,
    group: SpaceGroup,
    density: DensityOfStates,
    refined: MeshModes,
    settings: NeutronSettings,
) -> NeutronSpectra:
    """Neutron spectra of a crystal.

    Args:
        refined: modes on a mesh that is refined at Γ.

    Raises:
        UserError: an element without tabulated scattering length.
    """
    crystal = dynamics.crystal
    weighted = neutron_weighted_density(density, crystal)
    spectrum = inelastic_spectrum(refined, crystal, group, TOSCA_BACKWARD, settings.temperature)
    return NeutronSpectra(weighted, spectrum, settings.temperature, TOSCA_BACKWARD.name)


def displacement_temperatures(temperatures: Float[ndarray, "temperatures"]) -> Float[ndarray, "chosen"]:
    """The temperatures (K) that thermal motion is written for: about twenty of those of the other tables, and 298.15 K.

    >>> displacement_temperatures(np.unique(np.append(np.arange(0.0, 1001.0, 10.0), 298.15)))[4:9].tolist()
    [200.0, 250.0, 298.15, 300.0, 350.0]
    """
    room = np.isclose(temperatures, 298.15)
    regular = temperatures[~room]
    return np.unique(np.concatenate([regular[:: max(1, len(regular) // 20)], temperatures[room]]))
