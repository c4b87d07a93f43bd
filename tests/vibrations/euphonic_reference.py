"""Neutron scattering of a wurtzite-like crystal computed by Euphonic, and the script that stores its numbers.

    pip install euphonic
    python -m tests.vibrations.euphonic_reference     # writes euphonic_reference.json

The crystal has no inversion centre, where a wrong phase of the eigenvectors shows, and force constants that end
within the supercell, so that both programs interpolate exactly.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.report.phonopy_files import to_phonopy
from tests.vibrations.prototypes import prototype, symmetric_dynamics

STORED = Path(__file__).with_suffix(".json")
LENGTHS = {"Zn": 5.68, "O": 5.8037}
"""Coherent scattering lengths, fm."""
TEMPERATURE = 300.0
MESH = (4, 4, 4)
WAVE_VECTORS = np.array([[0.3, 0.1, 0.2], [1.2, -0.4, 2.1], [2.4, 3.3, -1.7], [0.05, 0.0, 4.02]])
"""In primitive reciprocal vectors (with 2π)."""
POWDER_LENGTH = 3.1
"""|Q| of the powder average, 1/Å."""
POWDER_DIRECTIONS = 4000
POWDER_EDGES = np.array([0.0, 20, 40, 60, 80, 100])
"""Energies between which the powder average is summed, meV."""


def wurtzite() -> LatticeDynamics:
    dynamics = symmetric_dynamics(prototype("wurtzite"), seed=3, cutoff=3.9)
    return LatticeDynamics(dynamics.crystal, dynamics.short_range)


def euphonic_numbers() -> dict[str, list]:
    """Frequencies (meV), structure factors (mbarn per atom), Debye–Waller exponents (Å²) and the powder average.

    The powder average holds the factor n + 1, the structure factors do not.
    """
    from euphonic import ForceConstants, ureg
    from euphonic.powder import sample_sphere_structure_factor

    dynamics = wurtzite()
    phonon = to_phonopy(dynamics, Supercell(dynamics.crystal, np.diag([3, 3, 2])))
    with tempfile.TemporaryDirectory() as folder:
        phonon.save(Path(folder) / "phonopy.yaml", settings={"force_constants": True})
        constants = ForceConstants.from_phonopy(path=folder, summary_name="phonopy.yaml")
    lengths = {element: value * ureg("fm") for element, value in LENGTHS.items()}
    mesh = constants.calculate_qpoint_phonon_modes(_gamma_centred(MESH), asr=None)
    debye_waller = mesh.calculate_debye_waller(TEMPERATURE * ureg("K"), frequency_min=0.01 * ureg("meV"))
    modes = constants.calculate_qpoint_phonon_modes(WAVE_VECTORS, asr=None)
    factors = modes.calculate_structure_factor(scattering_lengths=lengths, dw=debye_waller)
    powder = sample_sphere_structure_factor(
        constants,
        POWDER_LENGTH * ureg("1/angstrom"),
        dw=debye_waller,
        temperature=TEMPERATURE * ureg("K"),
        npts=POWDER_DIRECTIONS,
        energy_bins=POWDER_EDGES * ureg("meV"),
        scattering_lengths=lengths,
    )
    return {
        "frequencies_mev": modes.frequencies.to("meV").magnitude.tolist(),
        "structure_factors_mbarn": factors.structure_factors.to("mbarn").magnitude.tolist(),
        "debye_waller_angstrom2": debye_waller.debye_waller.to("angstrom**2").magnitude.tolist(),
        "powder_mbarn": (powder.y_data * np.diff(POWDER_EDGES) * ureg("meV")).to("mbarn").magnitude.tolist(),
    }


def _gamma_centred(shape: tuple[int, int, int]) -> np.ndarray:
    axes = [np.arange(count) / count for count in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


if __name__ == "__main__":
    import euphonic

    content = {"program": f"Euphonic {euphonic.__version__}", **euphonic_numbers()}
    STORED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
