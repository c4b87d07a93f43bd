"""Restricted Hartree–Fock calculations of closed-shell molecules with PySCF, in the units of this project.

Energies, forces, Hessians, dipoles and their derivatives, and polarizabilities are analytic; only the derivatives of
the polarizability are differences of analytic polarizabilities. Hartree–Fock has no integration grid, so that the
labels are derivatives of each other to the precision of the equations. PySCF is imported when it is needed.
"""

from typing import Any, NamedTuple

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import standard_masses
from mlrim.units import BOHR, EV_TO_KJ_PER_MOL, HARTREE
from mlrim.vibrations.molecular_symmetry import molecular_point_group
from mlrim.vibrations.molecules import external_modes

BASIS = "6-31g*"
START_BASIS = "sto-3g"
"""Of the Hessian that the search for the equilibrium starts with."""
THEORY = "RHF/6-31G* (five d functions)"

ENERGY_TOLERANCE = 1e-11
"""Hartree; change of the energy at which the equations count as solved."""
GRADIENT_TOLERANCE = 1e-8
"""Orbital gradient at which they do."""
RESPONSE_TOLERANCE = 1e-10
"""Of the coupled perturbed equations."""
MEMORY_MB = 2000
TEMPERATURE = 298.15
"""K; of PySCF's thermal properties."""
LONGEST_STEP = 0.2
"""Å; of one atom in one step towards the equilibrium."""
SYMMETRY_TOLERANCE = 1e-4
"""Å; within which atoms count as equivalent."""
STEP = 0.01
"""Å; displacement for derivatives of the polarizability, whose error is of fourth order in it."""


class HarmonicReference(NamedTuple):
    """What PySCF says of the vibrations at equilibrium, by its own analysis."""

    frequencies: Float[ndarray, "modes"]
    """cm⁻¹, ascending, imaginary ones negative."""
    masses: Float[ndarray, "atoms"]
    """That it was given, amu."""
    zero_point_energy: float
    """eV"""
    vibrational_entropy: float
    """J/K/mol, at `TEMPERATURE`."""
    vibrational_heat_capacity: float
    """The same."""


class Calculation:
    """The ground state of one geometry, solved once, and what follows from it.

    Raises:
        UserError: PySCF is missing, or the equations did not converge.
    """

    def __init__(
        self, numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"], basis: str = BASIS
    ) -> None:
        pyscf = _pyscf()
        self.numbers = numbers
        self.positions = positions
        atoms = [
            (chemical_symbols[number], position)
            for number, position in zip(numbers, (positions / BOHR).tolist(), strict=True)
        ]
        self.molecule = pyscf.gto.M(atom=atoms, unit="Bohr", basis=basis, verbose=0, max_memory=MEMORY_MB)
        self.field = pyscf.scf.RHF(self.molecule)
        self.field.conv_tol, self.field.conv_tol_grad = ENERGY_TOLERANCE, GRADIENT_TOLERANCE
        self.field.conv_tol_cpscf = RESPONSE_TOLERANCE
        self.field.kernel()
        if not self.field.converged:
            raise UserError(f"the equations of {''.join(symbol for symbol, _ in atoms)} did not converge")

    @property
    def energy(self) -> float:
        """eV"""
        return float(self.field.e_tot) * HARTREE

    @property
    def dipole(self) -> Float[ndarray, "3"]:
        """e Å"""
        return np.asarray(self.field.dip_moment(unit="AU", verbose=0)) * BOHR

    def forces(self) -> Float[ndarray, "atoms 3"]:
        """eV/Å"""
        return -np.asarray(self.field.nuc_grad_method().kernel()) * (HARTREE / BOHR)

    def hessian(self) -> tuple[Float[ndarray, "components components"], Float[ndarray, "atoms 3 3"]]:
        """Second derivatives of the energy, eV/Å², and dipole derivatives [atom, i, j], e; they share the response."""
        hessian = self.field.Hessian()
        coefficients, energies, occupation = self.field.mo_coeff, self.field.mo_energy, self.field.mo_occ
        perturbation = hessian.make_h1(coefficients, occupation)
        response, energy_response = hessian.solve_mo1(energies, coefficients, occupation, perturbation)
        electrons = hessian.hess_elec(mo1=response, mo_e1=energy_response, h1ao=perturbation)
        blocks = np.asarray(electrons + hessian.hess_nuc())
        size = 3 * len(self.numbers)
        matrix = blocks.transpose(0, 2, 1, 3).reshape(size, size) * (HARTREE / BOHR**2)
        return (matrix + matrix.T) / 2, self._dipole_derivatives(response)

    def _dipole_derivatives(self, response: list[ndarray]) -> Float[ndarray, "atoms 3 3"]:
        """−∂/∂u_j tr(P r_i) of the electrons, by the change of the density and of the basis, and the nuclear charge."""
        occupied = self.field.mo_coeff[:, self.field.mo_occ > 0]
        density = 2 * occupied @ occupied.T
        position = self.molecule.intor("int1e_r", comp=3)
        gradient = self.molecule.intor("int1e_irp", comp=9).reshape(3, 3, *density.shape)
        charges = self.molecule.atom_charges()
        found = np.zeros((len(self.numbers), 3, 3))
        for atom, (_, _, start, stop) in enumerate(self.molecule.aoslice_by_atom()):
            change = 4 * np.einsum("jpo,qo->jpq", response[atom], occupied)
            relaxed = np.einsum("ipq,jpq->ij", position, change)
            moved = 2 * np.einsum("ijpq,pq->ij", gradient[..., start:stop], density[:, start:stop])
            found[atom] = charges[atom] * np.eye(3) - relaxed + moved
        return found

    def polarizability(self) -> Float[ndarray, "3 3"]:
        """Static, Å³."""
        from pyscf.scf import cphf

        coefficients, occupation = self.field.mo_coeff, self.field.mo_occ
        occupied, virtual = coefficients[:, occupation > 0], coefficients[:, occupation == 0]
        perturbation = np.einsum("pa,xpq,qi->xai", virtual, self.molecule.intor("int1e_r", comp=3), occupied)
        induced = self.field.gen_response(hermi=1)

        def response(amplitudes: ndarray) -> ndarray:
            amplitudes = amplitudes.reshape(-1, virtual.shape[1], occupied.shape[1])
            change = 2 * np.einsum("pa,xai,qi->xpq", virtual, amplitudes, occupied)
            return np.einsum("pa,xpq,qi->xai", virtual, induced(change + change.transpose(0, 2, 1)), occupied)

        amplitudes, _ = cphf.solve(
            response, self.field.mo_energy, occupation, perturbation, tol=RESPONSE_TOLERANCE, verbose=0
        )
        tensor = -4 * np.einsum("xai,yai->xy", perturbation, amplitudes) * BOHR**3
        return (tensor + tensor.T) / 2


def polarizability_derivatives(
    numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"], step: float = STEP
) -> Float[ndarray, "atoms 3 3 3"]:
    """∂α_ij/∂u_k as [atom, i, j, k], Å², by differences over ±`step` and ±2·`step` (Å).

    Of atoms that the point group takes into each other one is calculated.
    """
    group = molecular_point_group(numbers, positions, standard_masses(numbers), SYMMETRY_TOLERANCE)
    found = np.zeros((len(numbers), 3, 3, 3))
    for atom, first in enumerate(group.permutations.min(axis=0)):
        if atom == first:
            found[atom] = _derivatives_of(atom, numbers, positions, step)
            continue
        rotation = group.rotations[np.flatnonzero(group.permutations[:, first] == atom)[0]]
        found[atom] = np.einsum("il,jm,kn,lmn->ijk", rotation, rotation, rotation, found[first])
    return found


def _derivatives_of(
    atom: int, numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"], step: float
) -> Float[ndarray, "3 3 3"]:
    found = np.zeros((3, 3, 3))
    for axis in range(3):
        for multiple, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = positions.copy()
            moved[atom, axis] += multiple * step
            found[:, :, axis] += weight * Calculation(numbers, moved).polarizability() / (12 * step)
    return found


def equilibrium(
    numbers: Int[ndarray, "atoms"], positions: Float[ndarray, "atoms 3"], fmax: float = 1e-6, steps: int = 40
) -> Float[ndarray, "atoms 3"]:
    """The geometry near `positions` without forces (to `fmax`, eV/Å), centred, Å.

    Quasi-Newton steps without translations and rotations from the Hessian of a small basis, with updates of Broyden,
    Fletcher, Goldfarb and Shanno; the symmetry of the start is kept.

    Raises:
        UserError: no such geometry within the number of steps.
    """
    masses = standard_masses(numbers)
    positions = positions - masses @ positions / masses.sum()
    hessian = Calculation(numbers, positions, START_BASIS).hessian()[0]
    forces = Calculation(numbers, positions).forces()
    for _ in range(steps):
        if np.abs(forces).max() < fmax:
            return positions
        move = _newton_step(positions, forces, hessian)
        positions = positions + move
        before, forces = forces, Calculation(numbers, positions).forces()
        hessian = _updated(hessian, move.ravel(), (before - forces).ravel())
    raise UserError(f"no equilibrium within {steps} steps; the largest force is {np.abs(forces).max():.1e} eV/Å")


def _newton_step(
    positions: Float[ndarray, "atoms 3"],
    forces: Float[ndarray, "atoms 3"],
    hessian: Float[ndarray, "components components"],
) -> Float[ndarray, "atoms 3"]:
    """Downhill along every internal mode, at most `LONGEST_STEP` for any atom, Å."""
    external = external_modes(positions, np.ones(len(positions)))
    basis = np.linalg.svd(external)[0][:, external.shape[1] :]
    values, vectors = np.linalg.eigh(basis.T @ hessian @ basis)
    vectors = basis @ vectors
    move = (vectors @ (vectors.T @ forces.ravel() / np.abs(values))).reshape(-1, 3)
    return move * min(1.0, LONGEST_STEP / np.abs(move).max())


def _updated(
    hessian: Float[ndarray, "components components"],
    move: Float[ndarray, "components"],
    change: Float[ndarray, "components"],
) -> Float[ndarray, "components components"]:
    """The Hessian that also explains the last change of the gradient; as it was where that would not stay positive."""
    curvature, along = float(move @ change), hessian @ move
    if curvature <= 0:
        return hessian
    return hessian + np.outer(change, change) / curvature - np.outer(along, along) / float(move @ along)


def harmonic_reference(
    numbers: Int[ndarray, "atoms"],
    positions: Float[ndarray, "atoms 3"],
    hessian: Float[ndarray, "components components"],
) -> HarmonicReference:
    """PySCF's own harmonic analysis of a Hessian (eV/Å²), for comparison with this project's.

    Raises:
        UserError: PySCF is missing.
    """
    calculation = Calculation(numbers, positions)
    from pyscf.hessian import thermo

    atoms, masses = len(numbers), standard_masses(numbers)
    blocks = hessian.reshape(atoms, 3, atoms, 3).transpose(0, 2, 1, 3) / (HARTREE / BOHR**2)
    analysis = thermo.harmonic_analysis(calculation.molecule, blocks, imaginary_freq=False, mass=masses)
    summary = thermo.thermo(calculation.field, analysis["freq_au"], TEMPERATURE)
    molar = HARTREE * EV_TO_KJ_PER_MOL * 1e3
    return HarmonicReference(
        np.sort(np.asarray(analysis["freq_wavenumber"], dtype=float)),
        masses,
        float(summary["ZPE"][0]) * HARTREE,
        float(summary["S_vib"][0]) * molar,
        float(summary["Cv_vib"][0]) * molar,
    )


def program_version() -> str:
    """Name and version of the program that calculates."""
    return f"PySCF {_pyscf().__version__}"


def _pyscf() -> Any:
    try:
        import pyscf
        import pyscf.gto
        import pyscf.scf
    except ImportError as error:
        raise UserError(
            "PySCF is needed to calculate molecules; install it with pip install 'mlrim[molecules]'"
        ) from error
    return pyscf
