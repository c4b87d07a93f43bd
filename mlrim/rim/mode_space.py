"""Force constants seen from the modes of a reference: differences become frequency errors, and stay linear.

With reference modes ω_m, e_m at a commensurate wave vector, ⟨e_m|ΔD|e_n⟩/(|ω_m| + |ω_n| + ω₀) is to first order the
error of a frequency (m = n) or the mixing of two modes. No eigenvalue of the other model is needed, so degenerate and
unstable modes are no obstacle.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray

from mlrim.lattice.supercell import Supercell

FLOOR = 0.02
"""ω₀ in √(eV/Å²/amu) (about 0.3 THz): keeps soft modes from ruling the sum."""

MAX_ELEMENTS = 40_000
"""Wave vectors beyond this number of matrix elements are left out, Γ first to stay."""


@dataclass(frozen=True, eq=False)
class ModeSpace:
    """Projection of compact force constants on the modes of reference force constants."""

    supercell: Supercell
    phases: Complex[ndarray, "qpoints cells"]
    modes: Complex[ndarray, "qpoints components modes"]
    weights: Float[ndarray, "qpoints modes modes"]

    @classmethod
    def of(cls, reference: Float[ndarray, "atoms images 3 3"], supercell: Supercell) -> "ModeSpace":
        """The mode space of total force constants in a supercell (eV/Å², canonical order)."""
        size = 3 * supercell.crystal.n_atoms
        qpoints = supercell.commensurate_qpoints[: max(1, MAX_ELEMENTS // size**2)]
        phases = np.exp(2j * np.pi * qpoints @ supercell.shifts.T)
        matrices = _cell_phase_matrices(reference, supercell, phases)
        eigenvalues, modes = np.linalg.eigh((matrices + matrices.conj().transpose(0, 2, 1)) / 2)
        frequencies = np.sqrt(np.abs(eigenvalues))
        weights = 1 / (frequencies[:, :, None] + frequencies[:, None, :] + FLOOR)
        return cls(supercell, phases, modes, weights)

    def project(self, compact: Float[ndarray, "atoms images 3 3"]) -> Float[ndarray, "elements"]:
        """Real vector of weighted matrix elements of D between the reference modes, √(eV/Å²/amu)."""
        matrices = _cell_phase_matrices(compact, self.supercell, self.phases)
        elements = self.modes.conj().transpose(0, 2, 1) @ matrices @ self.modes * self.weights
        return np.concatenate([elements.real.reshape(-1), elements.imag.reshape(-1)])


def _cell_phase_matrices(
    compact: Float[ndarray, "atoms images 3 3"],
    supercell: Supercell,
    phases: Complex[ndarray, "qpoints cells"],
) -> Complex[ndarray, "qpoints components components"]:
    """D(q) with phases exp(iq·R) of lattice translations alone."""
    crystal = supercell.crystal
    n_atoms, size = crystal.n_atoms, 3 * crystal.n_atoms
    by_cell = compact.reshape(n_atoms, n_atoms, supercell.n_cells, 9).transpose(2, 0, 1, 3)
    blocks = (phases @ by_cell.reshape(supercell.n_cells, -1)).reshape(-1, n_atoms, n_atoms, 3, 3)
    root_mass = np.sqrt(np.repeat(crystal.masses, 3))
    matrices = blocks.transpose(0, 1, 3, 2, 4).reshape(len(phases), size, size)
    return matrices / (root_mass[:, None] * root_mass[None, :])
