"""Raman spectra of powders and single crystals: from the crystal to sticks, from sticks to a spectrum.

Which modes light meets depends on the phonon's direction q̂ = k_i − k_s: in crystals without inversion, polar modes
with a dipole along q̂ are longitudinal, with their own frequency and eigenvector. A powder is the average over all
orientations of the grains, q̂ included, so that such modes form asymmetric bands; the average over q̂ is a Lebedev
quadrature, that over rotations about q̂ is exact.

A longitudinal mode also scatters through its field (electro-optic, Fröhlich term); that needs the second-order
susceptibility χ⁽²⁾. Without it, intensities of longitudinal modes hold the deformation-potential part only.

Sources: M. Veithen, X. Gonze and Ph. Ghosez, Phys. Rev. B 71, 125107 (2005) for the electro-optic term;
W. Hayes and R. Loudon, Scattering of Light by Crystals (1978).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import lebedev_rule

from mlrim.errors import UserError
from mlrim.lattice.dynamics import LatticeDynamics, frequencies_from_eigenvalues
from mlrim.units import COULOMB_EV_ANGSTROM, THZ_TO_CM1
from mlrim.vibrations.gamma import GammaModes, translation_overlaps
from mlrim.vibrations.line_shapes import broaden
from mlrim.vibrations.normal_modes import NormalModes, transverse_modes
from mlrim.vibrations.raman import (
    differential_cross_sections,
    mode_raman_tensors,
    polarized_strengths,
    raman_invariants,
)
from mlrim.vibrations.scattering_geometry import ScatteringGeometry, parse_porto

FINE_ORDER, COARSE_ORDER = 23, 13
"""Degree of the quadrature over directions of q for small and large cells: 97 and 37 independent directions."""
LARGE_CELL = 20
"""Atoms in a cell from which on the lines are so dense that fewer directions do."""
MERGED = 0.05
"""Lines of a powder closer than this share of their width are one line at their centre of gravity."""
TURNS = 8
"""Equidistant rotations about q that average a function of fourth degree exactly."""
POWDER_GEOMETRIES = {
    "backscattering": ("z(xx)-z", "z(xy)-z"),
    "right-angle": ("z(yy)x", "z(yz)x"),
    "forward": ("z(xx)z", "z(xy)z"),
}
"""Laboratory frame of powder measurements: parallel and crossed polarisations."""
PM_PER_V = 0.01
"""1 pm/V in Å/V."""

PowderGeometry = Literal["backscattering", "right-angle", "forward"]
OVERDAMPED = "damped_oscillator"
"""Line shape that holds for any damping."""


@dataclass(frozen=True)
class RamanConditions:
    """Laser, temperature and detector.

    Attributes:
        laser_nm: wavelength in vacuum, nm.
        temperature: K.
        detector: `power` measures energy, `photon` counts photons.
    """

    laser_nm: float = 532.0
    temperature: float = 300.0
    detector: str = "power"


@dataclass(frozen=True, eq=False)
class RamanCrystal:
    """All that the Raman scattering of a crystal depends on.

    Attributes:
        dynamics, gamma: lattice dynamics and its modes at Γ.
        raman_tensors: ∂α_ij/∂u_k of every atom [atom, i, j, k], Å².
        chi2: second-order susceptibility χ⁽²⁾_ijk, pm/V (P = ε₀ χ⁽²⁾ E E), where known.
        widths: FWHM of all modes, or of each mode of `transverse_modes`, cm⁻¹.
    """

    dynamics: LatticeDynamics
    gamma: GammaModes
    raman_tensors: Float[ndarray, "atoms 3 3 3"]
    chi2: Float[ndarray, "3 3 3"] | None = None
    widths: float | Float[ndarray, "modes"] = 5.0

    @cached_property
    def transverse(self) -> NormalModes:
        """The optical modes without the macroscopic field."""
        return transverse_modes(self.dynamics, self.gamma)

    @property
    def splits(self) -> bool:
        """Whether the direction of q matters: there are charges, and no centre of inversion."""
        inversion = np.abs(self.gamma.action.rotations + np.eye(3)).max(axis=(1, 2)) < 1e-6
        return self.dynamics.dipole is not None and not inversion.any()

    @property
    def note(self) -> str:
        """What the reader of intensities must know; empty when there is nothing."""
        if self.splits and self.chi2 is None:
            return "LO intensities are without the electro-optic term, because the susceptibility χ⁽²⁾ is not known"
        return ""

    def modes(self, direction: Float[ndarray, "3"] | None) -> NormalModes:
        """The modes that scatter for q along a Cartesian direction; none stands for q = 0."""
        if direction is None or not self.splits:
            return self.transverse
        dipole, masses = self.dynamics.dipole, self.dynamics.crystal.masses
        if dipole is None:
            return self.transverse
        root = np.repeat(np.sqrt(masses), 3)
        term = dipole.non_analytic(direction).transpose(0, 2, 1, 3).reshape(len(root), len(root))
        eigenvalues, vectors = np.linalg.eigh(self._matrix + term / (root[:, None] * root[None, :]))
        optical = np.sort(np.argsort(translation_overlaps(vectors, masses))[:-3])
        frequencies = frequencies_from_eigenvalues(eigenvalues[optical]) * THZ_TO_CM1
        return NormalModes(frequencies, vectors[:, optical], masses, self.dynamics.crystal.volume)

    def tensors(self, direction: Float[ndarray, "3"] | None) -> Float[ndarray, "atoms 3 3 3"]:
        """Raman tensors of the atoms, with the electro-optic term for q along a direction where χ⁽²⁾ is known, Å²."""
        dipole = self.dynamics.dipole
        if direction is None or dipole is None or self.chi2 is None or not self.splits:
            return self.raman_tensors
        return self.raman_tensors + electro_optic_tensors(dipole.born_charges, dipole.dielectric, self.chi2, direction)

    def mode_widths(self, modes: NormalModes) -> Float[ndarray, "lines"]:
        """FWHM of modes: of the transverse modes that they consist of, weighted by overlap, cm⁻¹."""
        if isinstance(self.widths, float | int):
            return np.full(len(modes.frequencies), float(self.widths))
        overlaps = (self.transverse.eigenvectors.T @ modes.eigenvectors) ** 2
        return (self.widths @ overlaps) / overlaps.sum(axis=0)

    @cached_property
    def _matrix(self) -> Float[ndarray, "components components"]:
        matrix = self.dynamics.dynamical_matrices(np.zeros((1, 3)))[0].real
        return (matrix + matrix.T) / 2


class RamanSticks(NamedTuple):
    """Lines before broadening; rows of strengths are polarisations."""

    frequencies: Float[ndarray, "lines"]
    """cm⁻¹"""
    strengths: Float[ndarray, "polarizations lines"]
    """|e_s·a·e_i|², for powders averaged over orientations, Å⁴/amu."""
    widths: Float[ndarray, "lines"]
    """FWHM, cm⁻¹."""


def single_crystal_sticks(crystal: RamanCrystal, geometry: ScatteringGeometry) -> RamanSticks:
    """Lines of an oriented crystal, one row; LO or TO modes are chosen by q̂ = k_i − k_s."""
    direction = geometry.phonon_direction
    modes = crystal.modes(direction)
    tensors = mode_raman_tensors(modes, crystal.tensors(direction))
    strengths = polarized_strengths(tensors, geometry.incident_polarization, geometry.scattered_polarization)
    return RamanSticks(modes.frequencies, strengths[None], crystal.mode_widths(modes))


def powder_sticks(
    crystal: RamanCrystal, geometry: PowderGeometry = "backscattering", order: int | None = None
) -> RamanSticks:
    """Lines of a powder for parallel (first row) and crossed (second row) polarisations.

    Their sum is what an unpolarised detector sees. In forward scattering q is zero and nothing is longitudinal.

    Args:
        order: degree of the Lebedev quadrature, for crystals where the direction of q matters; by default 23, and 13
            for cells of 20 atoms or more.

    Raises:
        UserError: unknown geometry or order.
    """
    if geometry not in POWDER_GEOMETRIES:
        raise UserError(f"powder geometry '{geometry}' is unknown; choose one of {', '.join(POWDER_GEOMETRIES)}")
    parallel, crossed = (parse_porto(text) for text in POWDER_GEOMETRIES[geometry])
    transfer = parallel.phonon_direction
    if transfer is None or not crystal.splits:
        invariants = raman_invariants(mode_raman_tensors(crystal.transverse, crystal.raman_tensors))
        strengths = np.stack([invariants.parallel, invariants.crossed])
        return RamanSticks(crystal.transverse.frequencies, strengths, crystal.mode_widths(crystal.transverse))
    if order is None:
        order = FINE_ORDER if crystal.dynamics.crystal.n_atoms < LARGE_CELL else COARSE_ORDER
    parts = [
        _oriented_sticks(crystal, direction, weight, transfer, (parallel, crossed))
        for direction, weight in _directions(order, crystal.gamma.action.rotations)
    ]
    return merged_sticks(RamanSticks(*(np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True))))


def merged_sticks(sticks: RamanSticks, share: float = MERGED) -> RamanSticks:
    """Fewer lines with the same sums of strengths: those within a cell of `share` of the smallest width are one.

    Frequency and width of a merged line are means weighted by strength.
    """
    cells = np.floor(sticks.frequencies / (share * float(sticks.widths.min(initial=np.inf))))
    _, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
    index = index.reshape(-1)
    strengths = np.stack([np.bincount(index, row) for row in sticks.strengths])
    total = sticks.strengths.sum(axis=0)
    silent = strengths.sum(axis=0)[index] <= 0
    weights = np.where(silent, 1 / counts[index], total / np.where(silent, 1.0, strengths.sum(axis=0)[index]))
    means = (np.bincount(index, weights * values) for values in (sticks.frequencies, sticks.widths))
    frequencies, widths = means
    return RamanSticks(frequencies, strengths, widths)


def raman_spectrum(
    sticks: RamanSticks,
    grid: Float[ndarray, "grid"],
    conditions: RamanConditions | None = None,
    shape: str = "lorentzian",
    instrument: float = 0.0,
) -> Float[ndarray, "polarizations grid"]:
    """Differential cross-section of a primitive cell per Raman shift, cm²/sr per cm⁻¹.

    Stokes lines have positive shifts; a grid with negative points also gets the anti-Stokes lines. The shape
    `damped_oscillator` holds for soft, overdamped modes as well: (n(ν) + 1) times the imaginary part of the response.

    Args:
        grid: Raman shifts, ascending, cm⁻¹.
        shape, instrument: as for `broaden`.
    """
    conditions = RamanConditions() if conditions is None else conditions
    real = sticks.frequencies > 0
    sticks = RamanSticks(sticks.frequencies[real], sticks.strengths[:, real], sticks.widths[real])
    if not real.any():
        return np.zeros((len(sticks.strengths), len(grid)))
    if shape == OVERDAMPED:
        return _oscillator_spectrum(sticks, grid, conditions, instrument)
    both = [_side(sticks, conditions, "stokes")] + ([_side(sticks, conditions, "anti-stokes")] if grid[0] < 0 else [])
    return sum(
        (broaden(side.frequencies, side.strengths, side.widths, grid, shape, instrument) for side in both),
        np.zeros((len(sticks.strengths), len(grid))),
    )


def crystal_efficiency(cross_sections: Float[ndarray, "*shape"], volume: float) -> Float[ndarray, "*shape"]:
    """Scattered share of the light per length of crystal and solid angle, 1/(cm sr), from cm²/sr of a cell of Å³.

    >>> f"{float(crystal_efficiency(np.array([1.4396e-31]), 100.0)[0]):.4e}"
    '1.4396e-09'
    """
    return cross_sections / (volume * 1e-24)


def arbitrary_units(spectrum: Float[ndarray, "*spectra grid"]) -> Float[ndarray, "*spectra grid"]:
    """Spectra scaled together so that the highest point of all is one."""
    highest = float(np.abs(spectrum).max(initial=0.0))
    return spectrum / highest if highest > 0 else spectrum


def electro_optic_tensors(
    born_charges: Float[ndarray, "atoms 3 3"],
    dielectric: Float[ndarray, "3 3"],
    chi2: Float[ndarray, "3 3 3"],
    direction: Float[ndarray, "3"],
) -> Float[ndarray, "atoms 3 3 3"]:
    """What the field of a displacement adds to the Raman tensors in the limit q → 0 along a direction, Å².

    ∂α_ij/∂u_k = −2 e²/(4πε₀)/e · (Σ_l χ⁽²⁾_ijl q̂_l) [q̂·Z*]_k / (q̂·ε∞·q̂), with χ⁽²⁾ in pm/V. In Gaussian units it is
    −(8π/V) of the same with α = V χ.
    """
    unit = direction / np.linalg.norm(direction)
    response = np.einsum("ijl,l->ij", chi2, unit) * PM_PER_V
    charges = np.einsum("f,nfk->nk", unit, born_charges)
    factor = -2 * COULOMB_EV_ANGSTROM / float(unit @ dielectric @ unit)
    return factor * np.einsum("ij,nk->nijk", (response + response.T) / 2, charges)


def _side(sticks: RamanSticks, conditions: RamanConditions, side: Literal["stokes", "anti-stokes"]) -> RamanSticks:
    """Sticks at their Raman shift with cross-sections (cm²/sr) for strengths."""
    unit = differential_cross_sections(
        sticks.frequencies,
        np.ones_like(sticks.frequencies),
        conditions.laser_nm,
        conditions.temperature,
        conditions.detector,
        side,
    )
    shift = sticks.frequencies if side == "stokes" else -sticks.frequencies
    return sticks._replace(frequencies=shift, strengths=sticks.strengths * unit)


def _oscillator_spectrum(
    sticks: RamanSticks, grid: Float[ndarray, "grid"], conditions: RamanConditions, instrument: float
) -> Float[ndarray, "polarizations grid"]:
    """K ν_s⁴ (n(ν) + 1) Σ_m strength_m (2/π) ν Γ_m/((ν_m² − ν²)² + ν² Γ_m²): the light factor is that of the grid."""
    shift = np.maximum(np.abs(grid), 1e-6)
    ones = np.ones_like(shift)
    light = (conditions.laser_nm, conditions.temperature, conditions.detector)
    stokes = differential_cross_sections(shift, ones, *light, "stokes")
    anti_stokes = differential_cross_sections(shift, ones, *light, "anti-stokes")
    areas = sticks.strengths / sticks.frequencies**2
    scattering = f"{OVERDAMPED}_scattering"
    spectrum = broaden(sticks.frequencies, areas, sticks.widths, grid, scattering, instrument)
    if grid[0] < 0:
        mirrored = broaden(-sticks.frequencies, areas, sticks.widths, grid, scattering, instrument)
        return np.where(grid >= 0, spectrum * stokes, mirrored * anti_stokes) * shift**2
    return spectrum * stokes * shift**2


def _directions(order: int, rotations: Float[ndarray, "operations 3 3"]) -> list[tuple[Float[ndarray, "3"], float]]:
    """One of every set of equivalent directions of the quadrature, with weights that sum to one.

    Directions are equivalent when a rotation or reflection of the crystal carries one to the other or to its opposite:
    averaged over rotations about them, they scatter alike.
    """
    try:
        points, weights = lebedev_rule(order)
    except NotImplementedError as error:
        raise UserError(
            f"no Lebedev quadrature has degree {order}: choose an odd one such as 11, 17, 23 or 35"
        ) from error
    images = np.einsum("oij,jp->poi", np.concatenate([rotations, -rotations]), points).round(8) + 0.0
    representative = np.array([image[np.lexsort(image.T)[-1]] for image in images])
    _, first, orbit = np.unique(representative, axis=0, return_index=True, return_inverse=True)
    shares = np.bincount(orbit.reshape(-1), weights / weights.sum())
    return [(points[:, index], float(share)) for index, share in zip(first, shares, strict=True)]


def _oriented_sticks(
    crystal: RamanCrystal,
    direction: Float[ndarray, "3"],
    weight: float,
    transfer: Float[ndarray, "3"],
    polarizations: tuple[ScatteringGeometry, ScatteringGeometry],
) -> RamanSticks:
    """Lines of all grains whose crystal direction `direction` lies along the momentum transfer of the laboratory."""
    modes = crystal.modes(direction)
    tensors = mode_raman_tensors(modes, crystal.tensors(direction))
    to_crystal = _frame(direction).T @ _turns() @ _frame(transfer)
    rows = []
    for geometry in polarizations:
        incident, scattered = to_crystal @ geometry.incident_polarization, to_crystal @ geometry.scattered_polarization
        rows.append(np.mean(np.einsum("ti,mij,tj->tm", scattered, tensors, incident, optimize=True) ** 2, axis=0))
    return RamanSticks(modes.frequencies, weight * np.stack(rows), crystal.mode_widths(modes))


def _turns() -> Float[ndarray, "turns 3 3"]:
    """Rotations about the third axis of a frame."""
    angles = 2 * np.pi * np.arange(TURNS) / TURNS
    turns = np.zeros((TURNS, 3, 3))
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
    turns[:, 0, 1], turns[:, 1, 0] = -np.sin(angles), np.sin(angles)
    turns[:, 2, 2] = 1
    return turns


def _frame(third: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    """Right-handed orthonormal rows, the last of which is a given direction."""
    unit = third / np.linalg.norm(third)
    helper = np.eye(3)[np.argmin(np.abs(unit))]
    first = np.cross(helper, unit)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(unit, first), unit])
