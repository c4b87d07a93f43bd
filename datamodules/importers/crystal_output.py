"""CRYSTAL frequency calculations: folders with one output (*.out), TENS_IR*, TENS_RAMAN*; also packed into a .tar.xz.

The calculation is of the primitive cell at Γ. Its modes are made into force constants of a 1×1×1 supercell, which
give the printed frequencies and eigenvectors back. Linear response that cannot be trusted stays absent: Born charges
beyond `MAX_BORN_CHARGE`, numbers that overflowed their field, tensors that break the symmetry of the crystal.
"""

import lzma
import re
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from datamodules.importers.crystal_modes import acoustic_modes, eigenvectors, force_constants, mass_weighted
from datamodules.importers.crystal_text import (
    CrystalOutput,
    parse_crystal_output,
    parse_dipole_derivatives,
    parse_polarizability_derivatives,
)
from datamodules.importers.phonopy_records import symmetrized_response
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput, relative_name
from datamodules.quality import DECIMALS, dielectric_quality, force_constant_quality
from datamodules.records import Record
from mlrim import __version__
from mlrim.errors import UserError
from mlrim.lattice.force_constants import symmetrize_compact
from mlrim.lattice.supercell import Supercell
from mlrim.lattice.symmetry import SpaceGroup, space_group
from mlrim.units import BOHR, THZ_TO_CM1
from mlrim.vibrations.irreps import point_group_action

SOURCE = "Database of computed Raman spectra of inorganic compounds, doi 10.1038/s41597-024-02924-x"
LICENCE = "CC BY 4.0"
MAX_BORN_CHARGE = 12.0
"""e; larger components mean a response calculation that went wrong."""
MAX_BORN_ASYMMETRY = 0.1
"""e; largest part of ∂μ/∂u that may break the symmetry of the crystal."""
MAX_RAMAN_ASYMMETRY = 0.1
"""Largest part of ∂α/∂u that may break the symmetry of the crystal, relative to the largest component."""
OUTPUT = "output"
"""Key of the output among the files of a calculation."""


def find_crystal_outputs(path: Path | None) -> list[Input]:
    """The calculations in a packed file (*.tar.xz), in the packed files of a folder, or in the folders below it.

    Raises:
        UserError: there are none.
    """
    assert path is not None
    archives = sorted(path.glob("*.tar.xz")) if path.is_dir() else [path]
    inputs = [Input(name, archive) for archive in archives for name in _archived(archive)]
    if path.is_dir() and not archives:
        folders = sorted({file.parent for file in path.rglob("*.out")})
        inputs = [Input(relative_name(folder, path), folder) for folder in folders]
    if not inputs:
        raise UserError(f"there is no folder with a CRYSTAL output (*.out) at {path}, packed or not")
    return inputs


def read_crystal_output(source: Input, options: ImportOptions) -> Record:
    """The record of one calculation.

    Raises:
        RejectedInput: no complete frequency calculation, or parts that do not fit together.
    """
    files = read_files(source)
    if OUTPUT not in files:
        raise RejectedInput("the folder has not one output (*.out), but none or several")
    output = parse_crystal_output(files[OUTPUT])
    crystal = output.crystal
    group = space_group(crystal, options.symprec)
    supercell = Supercell(crystal, np.eye(3, dtype=np.int64))
    vectors = eigenvectors(output, point_group_action(crystal, options.symprec))
    raw = force_constants(vectors, output.frequencies, crystal.masses)
    compact = symmetrize_compact(raw, supercell)
    quality = force_constant_quality(raw, compact, supercell)
    born_charges, dielectric, figures = _linear_response(output, files, group)
    raman_tensors, raman_figures = _raman(output, files, group)
    return Record(
        id=_identifier(source.name),
        formula=crystal.reduced_formula,
        source=SOURCE,
        theory=_theory(output),
        licence=LICENCE,
        importer_version=__version__,
        crystal=crystal,
        supercell_matrix=supercell.matrix,
        space_group=group.number,
        crystal_system=group.crystal_system,
        point_group=group.point_group,
        symprec=options.symprec,
        force_constants={"dft": compact.astype(np.float32)},
        born_charges=born_charges,
        dielectric=dielectric,
        gamma_frequencies=np.round(output.frequencies / THZ_TO_CM1, DECIMALS) + 0.0,
        raman_tensors=raman_tensors,
        spectra=_trusted_spectra(output, files, born_charges is not None, raman_tensors is not None),
        irreps=[level.irrep for level in output.levels for _ in range(level.degeneracy)],
        quality=quality | figures | raman_figures,
    )


def polarizability_derivatives(text: str, n_atoms: int) -> Float[ndarray, "atoms 3 3 3"]:
    """∂α/∂u of a TENS_RAMAN file as [atom, field, field, displacement], Å²; α in Å³ of the primitive cell."""
    return parse_polarizability_derivatives(text, n_atoms) * BOHR**2


def symmetrize_raman_tensors(
    tensors: Float[ndarray, "atoms 3 3 3"], group: SpaceGroup
) -> Float[ndarray, "atoms 3 3 3"]:
    """The average over the space group of ∂α_ij/∂u_k of every atom, with the translation sum rule."""
    total = np.zeros_like(tensors)
    for rotation, permutation in zip(group.cartesian, group.permutations, strict=True):
        total[permutation] += np.einsum("ai,bj,ck,nijk->nabc", rotation, rotation, rotation, tensors, optimize=True)
    average = total / len(group.cartesian)
    return average - average.mean(axis=0)


def printed_spectra(output: CrystalOutput) -> dict[str, ndarray]:
    """The printed intensities per mode; those of degenerate modes are shared out evenly, NaN is unknown.

    Acoustic modes have none: what is printed for them is the residue of the sum rule.
    """
    spectra = {"infrared": _per_mode(output, np.array([level.intensity for level in output.levels]))}
    if output.raman_powder is not None and output.raman_crystal is not None:
        for column, name in enumerate(("raman_total", "raman_parallel", "raman_perpendicular")):
            spectra[name] = _per_mode(output, output.raman_powder[:, column])
        spectra["raman_crystal"] = _per_mode(output, output.raman_crystal)
    acoustic = acoustic_modes(mass_weighted(output), output.crystal.masses)
    for values in spectra.values():
        values[acoustic] = 0.0
    return spectra


def _trusted_spectra(
    output: CrystalOutput, files: Mapping[str, str], born_charges: bool, raman_tensors: bool
) -> dict[str, ndarray]:
    """Infrared intensities where the Born charges can be trusted, Raman intensities where the Raman tensors can.

    Where there is no file of Raman tensors to look at, the Born charges speak for the whole linear response.
    """
    trusted_raman = raman_tensors if "TENS_RAMAN" in files else born_charges
    spectra = printed_spectra(output)
    return {name: values for name, values in spectra.items() if (trusted_raman if "raman" in name else born_charges)}


def _per_mode(output: CrystalOutput, values: Float[ndarray, "levels *columns"]) -> Float[ndarray, "modes *columns"]:
    counts = np.array([level.degeneracy for level in output.levels])
    shares = (values.T / counts).T
    return np.repeat(shares, counts, axis=0)


def _linear_response(
    output: CrystalOutput, files: Mapping[str, str], group: SpaceGroup
) -> tuple[Float[ndarray, "atoms 3 3"] | None, Float[ndarray, "3 3"] | None, dict[str, float]]:
    """Born charges and ε∞ where they can be trusted, and the figures of what was printed."""
    printed, dielectric = output.born_charges, output.dielectric
    if printed is None or dielectric is None:
        return None, None, {}
    figures = dielectric_quality(printed, dielectric)
    try:
        born_charges, dielectric = symmetrized_response(printed, dielectric, group)
    except RejectedInput:
        return None, None, figures
    figures["born_asymmetry"] = _born_asymmetry(printed, born_charges, files.get("TENS_IR"))
    trusted = figures["born_max"] <= MAX_BORN_CHARGE and figures["born_asymmetry"] <= MAX_BORN_ASYMMETRY
    return born_charges if trusted else None, dielectric, figures


def _born_asymmetry(
    printed: Float[ndarray, "atoms 3 3"], symmetric: Float[ndarray, "atoms 3 3"], tensor_file: str | None
) -> float:
    """How far printed Born charges, and those of TENS_IR, are from symmetric ones (e); infinite for a spoilt file."""
    if tensor_file is None:
        return float(np.abs(printed - symmetric).max())
    try:
        unsymmetrized = parse_dipole_derivatives(tensor_file, len(printed))
    except RejectedInput:
        return float("inf")
    return float(max(np.abs(printed - symmetric).max(), np.abs(unsymmetrized - symmetric).max()))


def _raman(
    output: CrystalOutput, files: Mapping[str, str], group: SpaceGroup
) -> tuple[Float[ndarray, "atoms 3 3 3"] | None, dict[str, float]]:
    """Raman tensors where there are some that can be trusted, and the figures of what was read."""
    if "TENS_RAMAN" not in files:
        return None, {}
    try:
        tensors = polarizability_derivatives(files["TENS_RAMAN"], output.crystal.n_atoms)
    except RejectedInput:
        return None, {}
    symmetric = symmetrize_raman_tensors(tensors, group)
    largest = float(np.abs(tensors).max())
    if largest == 0 or not np.isfinite(largest):
        return None, {}
    asymmetry = float(np.abs(tensors - symmetric).max()) / largest
    figures = {"raman_max": largest, "raman_asymmetry": asymmetry}
    return symmetric if asymmetry <= MAX_RAMAN_ASYMMETRY else None, figures


def _theory(output: CrystalOutput) -> str:
    pbe = output.functional == "(PERDEW-BURKE-ERNZERHOF)[PERDEW-BURKE-ERNZERHOF]"
    functional = {25.0: "PBE0", 0.0: "PBE"}.get(output.fock_exchange) if pbe else None
    return f"{functional or 'functional not known'} TZVP {output.version}"


def _identifier(name: str) -> str:
    found = re.search(r"_icsd(\d+)_", name)
    return f"icsd-{found[1]}" if found else PurePosixPath(name).name


def read_files(source: Input) -> dict[str, str]:
    """The texts of a calculation by kind: its output, TENS_IR, TENS_RAMAN."""
    assert source.path is not None
    if source.path.is_dir():
        found = {file.name: file.read_bytes() for file in source.path.iterdir() if _kind(file.name)}
    else:
        found = _archived(source.path)[source.name]
    kinds = [_kind(name) for name in found]
    return {
        kind: data.decode(errors="replace")
        for kind, data in zip(kinds, found.values(), strict=True)
        if kind and kinds.count(kind) == 1
    }


def _kind(name: str) -> str | None:
    if name.endswith(".out"):
        return OUTPUT
    return next((kind for kind in ("TENS_IR", "TENS_RAMAN") if kind in name), None)


def _archived(archive: Path) -> dict[str, dict[str, bytes]]:
    """The files of every calculation in a packed file, by folder; unpacked once per process."""
    return _unpacked(archive, archive.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _unpacked(archive: Path, changed: int) -> dict[str, dict[str, bytes]]:
    folders: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(archive, mode="r:xz") as contents:
            for member in contents:
                place = PurePosixPath(member.name)
                stream = contents.extractfile(member) if member.isfile() and _kind(place.name) else None
                if stream is not None:
                    folders.setdefault(place.parent.as_posix(), {})[place.name] = stream.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise UserError(f"{archive} is no readable .tar.xz file ({error})") from error
    outputs = {folder for folder, files in folders.items() if any(name.endswith(".out") for name in files)}
    return {folder: folders[folder] for folder in sorted(outputs)}


CRYSTAL = Importer(
    "raman_pbe0",
    "CRYSTAL frequency calculations (folders with *.out, TENS_IR*, TENS_RAMAN*), also packed (*.tar.xz)",
    True,
    find_crystal_outputs,
    read_crystal_output,
)
