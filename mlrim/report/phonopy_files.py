"""Files that phonopy's own commands load: phonopy_params.yaml, FORCE_CONSTANTS (or hdf5), BORN and band.yaml.

`phonopy-load phonopy_params.yaml` in the folder finds FORCE_CONSTANTS (or force_constants.hdf5) and BORN
beside it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.report.prediction import Prediction
from mlrim.units import COULOMB_EV_ANGSTROM

if TYPE_CHECKING:
    from phonopy import Phonopy

TEXT_LIMIT = 500_000
"""Force constants with more numbers than this go into an hdf5 file instead of text."""


def write_phonopy_files(prediction: Prediction, folder: Path) -> None:
    """Write the force constants and Born charges of a prediction for phonopy, and its bands as band.yaml."""
    from phonopy.file_IO import write_BORN, write_FORCE_CONSTANTS, write_force_constants_to_hdf5

    phonon = to_phonopy(prediction.dynamics, prediction.supercell)
    force_constants, p2s_map = np.asarray(phonon.force_constants), phonon.primitive.p2s_map
    if force_constants.size > TEXT_LIMIT:
        path = folder / "force_constants.hdf5"
        write_force_constants_to_hdf5(
            force_constants, str(path), p2s_map, physical_unit="eV/angstrom^2", compression="gzip"
        )
    else:
        write_FORCE_CONSTANTS(force_constants, folder / "FORCE_CONSTANTS", p2s_map)
    dipole = prediction.dynamics.dipole
    if dipole is not None:
        write_BORN(phonon.primitive, dipole.born_charges, dipole.dielectric, folder / "BORN")
    phonon.save(folder / "phonopy_params.yaml", settings={"force_constants": False})
    write_band_yaml(prediction, folder / "band.yaml")


def to_phonopy(dynamics: LatticeDynamics, supercell: Supercell) -> "Phonopy":
    """The lattice dynamics as a `Phonopy` with compact force constants and its Gonze–Lee correction."""
    from phonopy import Phonopy

    cell = dynamics.crystal.to_phonopy()
    phonon = Phonopy(cell, supercell.matrix, primitive_matrix="P", is_symmetry=False, log_level=0)
    phonon.force_constants = phonopy_force_constants(dynamics.folded(supercell), supercell, phonon)
    if dynamics.dipole is not None:
        phonon.nac_params = {
            "born": dynamics.dipole.born_charges,
            "dielectric": dynamics.dipole.dielectric,
            "factor": COULOMB_EV_ANGSTROM,
            "method": "gonze",
        }
    return phonon


def phonopy_force_constants(
    compact: Float[ndarray, "atoms images 3 3"], supercell: Supercell, phonon: "Phonopy"
) -> Float[ndarray, "atoms images 3 3"]:
    """Compact force constants in the order of a `Phonopy`'s supercell."""
    atoms, shifts = _supercell_sites(phonon, supercell)
    home = phonon.primitive.p2s_map
    images = supercell.image_index(
        np.broadcast_to(atoms, (len(home), len(atoms))), shifts[None, :, :] - shifts[home][:, None, :]
    )
    return np.ascontiguousarray(compact[np.arange(len(home))[:, None], images])


def write_band_yaml(prediction: Prediction, path: Path) -> None:
    """The bands in phonopy's band.yaml, which `phonopy-bandplot` draws."""
    crystal, track = prediction.dynamics.crystal, prediction.dispersion.path
    lines = [
        f"nqpoint: {len(track.qpoints)}",
        f"npath: {len(track.segments)}",
        "segment_nqpoint:",
        *(f"- {segment.stop - segment.start}" for segment in track.segments),
        "labels:",
        *(f"- [ '{first}', '{last}' ]" for first, last in track.labels),
        "reciprocal_lattice:",
        *(_row(vector) for vector in crystal.reciprocal),
        f"natom: {crystal.n_atoms}",
        "lattice:",
        *(_row(vector) for vector in crystal.lattice),
        "points:",
    ]
    for symbol, position, mass in zip(crystal.symbols, crystal.fractional, crystal.masses, strict=True):
        lines += [f"- symbol: {symbol}", f"  coordinates: {_list(position)}", f"  mass: {mass:.6f}"]
    lines += ["", "phonon:"]
    frequencies = prediction.dispersion.frequencies
    for qpoint, distance, bands in zip(track.qpoints, track.distances, frequencies, strict=True):
        lines += [f"- q-position: {_list(qpoint)}", f"  distance: {distance:.7f}", "  band:"]
        for index, frequency in enumerate(bands):
            lines += [f"  - # {index + 1}", f"    frequency: {frequency:.10f}"]
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def _supercell_sites(phonon: "Phonopy", supercell: Supercell) -> tuple[ndarray, ndarray]:
    """For every atom of phonopy's supercell the primitive atom and the lattice translation that it is."""
    crystal, cell = supercell.crystal, phonon.supercell
    atoms = np.array([cell.u2u_map[index] for index in cell.s2u_map], dtype=np.int64)
    difference = (cell.positions - crystal.positions[atoms]) @ crystal.reciprocal.T
    shifts = np.round(difference).astype(np.int64)
    if np.abs(difference - shifts).max() > 1e-4:
        raise ValueError("phonopy's supercell does not repeat the primitive cell")
    return atoms, shifts


def _row(vector: Float[ndarray, "3"]) -> str:
    return f"- {_list(vector)}"


def _list(vector: Float[ndarray, "3"]) -> str:
    return "[ " + ", ".join(f"{value:.10f}" for value in vector) + " ]"
