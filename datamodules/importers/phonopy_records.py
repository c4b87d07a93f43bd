"""From a phonopy calculation to a record: force constants, canonical order, symmetrisation, quality figures.

Phonopy makes the force constants from displacements and forces; here they are put into the order of
`mlrim.lattice.supercell.Supercell`, freed of what breaks the sum rule, permutation and space group, and described.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from phonopy import Phonopy

from datamodules.importers.force_sets import DataSet
from datamodules.importers.registry import ImportOptions, RejectedInput
from datamodules.quality import commensurate_frequencies, dielectric_quality, force_constant_quality
from datamodules.records import Record
from mlrim import __version__
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dipole import neutralize_born_charges
from mlrim.lattice.force_constants import symmetrize_compact
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import (
    SpaceGroup,
    project_space_group,
    space_group,
    symmetrize_site_tensors,
    symmetrize_tensor,
)

POSITION_TOLERANCE = 1e-2
"""Å; how far a supercell atom may be from the lattice translation of its primitive atom."""


def record_from_phonopy(
    phonon: Phonopy,
    *,
    name: str,
    source: str,
    theory: str,
    licence: str,
    born_charges: Float[ndarray, "atoms 3 3"] | None,
    dielectric: Float[ndarray, "3 3"] | None,
    options: ImportOptions,
) -> Record:
    """The record of a phonopy object that holds force constants or a data set of displacements and forces.

    Args:
        born_charges: of the primitive cell, e, as they came.
        dielectric: ε∞, as it came.

    Raises:
        RejectedInput: nothing to make force constants from, wrong atom counts, or numbers that are not finite.
    """
    supercell, order = canonical_supercell(phonon)
    group = space_group(supercell.crystal, options.symprec)
    raw = _raw_force_constants(phonon, supercell, group, order)
    compact = symmetrize_compact(raw, supercell)
    displacements, forces = _displaced(phonon, order) if options.store_forces else (None, None)
    quality = force_constant_quality(raw, compact, supercell)
    if born_charges is not None and dielectric is not None:
        _require_finite("BORN", born_charges, dielectric)
        quality |= dielectric_quality(born_charges, dielectric)
        born_charges, dielectric = symmetrized_response(born_charges, dielectric, group)
    return Record(
        id=name,
        formula=supercell.crystal.reduced_formula,
        source=source,
        theory=theory,
        licence=licence,
        importer_version=__version__,
        crystal=supercell.crystal,
        supercell_matrix=supercell.matrix,
        space_group=group.number,
        crystal_system=group.crystal_system,
        point_group=group.point_group,
        symprec=options.symprec,
        force_constants={"dft": compact.astype(np.float32)},
        displacements=displacements,
        forces=forces,
        born_charges=born_charges,
        dielectric=dielectric,
        gamma_frequencies=commensurate_frequencies(compact, supercell)[0],
        quality=quality,
    )


def symmetrized_response(
    born_charges: Float[ndarray, "atoms 3 3"], dielectric: Float[ndarray, "3 3"], group: SpaceGroup
) -> tuple[Float[ndarray, "atoms 3 3"], Float[ndarray, "3 3"]]:
    """Born charges, neutral and invariant under the space group, and the symmetric, invariant ε∞.

    Raises:
        RejectedInput: ε∞ is not positive definite.
    """
    born_charges = neutralize_born_charges(symmetrize_site_tensors(born_charges, group))
    dielectric = symmetrize_tensor(dielectric, group)
    lowest = float(np.linalg.eigvalsh(dielectric).min())
    if lowest <= 0:
        raise RejectedInput(f"the dielectric tensor is not positive definite (lowest eigenvalue {lowest:.4g})")
    return born_charges, dielectric


def canonical_supercell(phonon: Phonopy) -> tuple[Supercell, Int[ndarray, "images"]]:
    """The supercell of a phonopy object and, for each of phonopy's atoms, its canonical index.

    Raises:
        RejectedInput: the supercell is no multiple of the primitive cell, or its atoms are no lattice translations.
    """
    primitive, phonopy_cell = phonon.primitive, phonon.supercell
    crystal = Crystal(primitive.cell, primitive.positions, primitive.numbers, primitive.masses)
    multiples = phonopy_cell.cell @ np.linalg.inv(crystal.lattice)
    matrix = np.round(multiples).astype(np.int64).T
    if np.abs(multiples - matrix.T).max() > 1e-4 or round(np.linalg.det(matrix)) == 0:
        raise RejectedInput("the supercell is not a whole multiple of the primitive cell")
    supercell = Supercell(crystal, matrix)
    atoms = np.array([primitive.p2p_map[index] for index in primitive.s2p_map])
    relative = (phonopy_cell.positions - crystal.positions[atoms]) @ crystal.reciprocal.T
    shifts = np.round(relative).astype(np.int64)
    distance = np.linalg.norm((relative - shifts) @ crystal.lattice, axis=1).max()
    order = supercell.image_index(atoms, shifts)
    if distance > POSITION_TOLERANCE or not np.array_equal(np.sort(order), np.arange(supercell.n_atoms)):
        raise RejectedInput(f"supercell atoms are not one to one with lattice translations (off by {distance:.2g} Å)")
    return supercell, order


def _raw_force_constants(
    phonon: Phonopy, supercell: Supercell, group: SpaceGroup, order: Int[ndarray, "images"]
) -> Float[ndarray, "atoms images 3 3"]:
    """Space-group invariant force constants in canonical order, before the sum rule is imposed."""
    given = phonon.force_constants is not None
    if not given:
        _require_forces(phonon)
        one_by_one = "first_atoms" in (phonon.dataset or {})
        phonon.produce_force_constants(
            calculate_full_force_constants=False, fc_calculator="traditional" if one_by_one else "symfc"
        )
    values = np.asarray(phonon.force_constants)
    expected = (supercell.crystal.n_atoms, supercell.n_atoms, 3, 3)
    if values.shape[0] == supercell.n_atoms != expected[0]:
        values = values[phonon.primitive.p2s_map]
    if values.shape != expected:
        raise RejectedInput(f"force constants have shape {values.shape}, expected {expected}")
    _require_finite("force constants", values)
    compact = _in_canonical_order(values, phonon.primitive.p2s_map, supercell, order)
    return project_space_group(compact, supercell, group) if given else compact


def _in_canonical_order(
    values: Float[ndarray, "atoms images 3 3"],
    rows: Int[ndarray, "atoms"],
    supercell: Supercell,
    order: Int[ndarray, "images"],
) -> Float[ndarray, "atoms images 3 3"]:
    """Force constants with the first atom in the home cell; phonopy's `rows` may lie in any cell of the supercell."""
    atoms, cells = np.divmod(order, supercell.n_cells)
    shifts = supercell.shifts[cells]
    relative = shifts[None, :, :] - shifts[rows][:, None, :]
    images = supercell.image_index(np.broadcast_to(atoms, values.shape[:2]), relative)
    compact = np.empty(values.shape)
    compact[np.arange(len(values))[:, None], images] = values
    return compact


def _displaced(
    phonon: Phonopy, order: Int[ndarray, "images"]
) -> tuple[Float[ndarray, "displaced images 3"] | None, Float[ndarray, "displaced images 3"] | None]:
    """Displacements (Å) and forces (eV/Å) of the data set in canonical order, where there are any."""
    dataset: DataSet = phonon.dataset
    if dataset is None:
        return None, None
    if "first_atoms" in dataset:
        steps = dataset["first_atoms"]
        if not all("forces" in step for step in steps):
            return None, None
        displacements = np.zeros((len(steps), len(order), 3))
        for row, step in zip(displacements, steps, strict=True):
            row[step["number"]] = step["displacement"]
        forces = np.array([step["forces"] for step in steps])
    elif "forces" in dataset:
        displacements, forces = np.asarray(dataset["displacements"]), np.asarray(dataset["forces"])
    else:
        return None, None
    inverse = np.argsort(order)
    return displacements[:, inverse].astype(np.float32), forces[:, inverse].astype(np.float32)


def _require_forces(phonon: Phonopy) -> None:
    dataset: DataSet = phonon.dataset
    n_atoms = len(phonon.supercell)
    if not dataset:
        raise RejectedInput("there are neither force constants nor displacements")
    steps = dataset.get("first_atoms", [dataset])
    for index, step in enumerate(steps, 1):
        if "forces" not in step:
            raise RejectedInput(f"displacement {index} has no forces")
        forces = np.asarray(step["forces"])
        if forces.shape[-2:] != (n_atoms, 3):
            raise RejectedInput(
                f"forces of displacement {index} are for {forces.shape[-2]} atoms, the supercell has {n_atoms}"
            )
        _require_finite(f"forces of displacement {index}", forces)


def _require_finite(what: str, *arrays: ndarray) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise RejectedInput(f"{what}: a number is not finite (NaN or infinity)")
