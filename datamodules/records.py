"""One compound of a data set: its crystal, its force constants at one or more levels of theory, and what else is known.

A record travels as msgpack over raw little-endian arrays: self-describing, versioned, and nothing in it is ever
executed. A label that is not known is absent, never zero. Every field is documented in docs/data.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgpack
import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray

from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.force_constants import symmetrize_compact
from mlrim.lattice.supercell import Supercell

SCHEMA_VERSION = 1
"""Raised whenever a reader of the previous version could misread a record."""

DTYPES = ("<f4", "<f8", "<i4", "<i8", "|u1")
"""The only array types that are written or accepted."""

TEXT_FIELDS = (
    "id", "formula", "source", "theory", "licence", "importer_version", "crystal_system", "point_group",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Record:
    """One compound.

    Attributes:
        id: unique within a data set, for example `mp-1265`.
        formula: reduced formula.
        source: where it comes from.
        theory: level of theory of the labels.
        licence: licence of the source.
        importer_version: version of the importer that made it.
        crystal: the primitive cell (Å, amu).
        supercell_matrix: supercell of the force constants relative to the primitive cell, phonopy's convention.
        space_group: number in the International Tables, found by spglib.
        crystal_system: for example `cubic`.
        point_group: Hermann–Mauguin symbol, for example `m-3m`.
        symprec: tolerance (Å) of the symmetry search.
        force_constants: total force constants by level of theory (`dft`, and any named baseline), eV/Å²; compact,
            supercell atoms in the canonical order of `Supercell`.
        displacements: displaced supercells of the source, Å, canonical order.
        forces: their forces, eV/Å.
        born_charges: e; first index the field, second the displacement; neutral and symmetrised.
        dielectric: electronic dielectric tensor ε∞.
        gamma_frequencies: THz, ascending, without the non-analytic term; imaginary ones negative.
        raman_tensors: ∂α_ij/∂u_k of every atom as [atom, i, j, k], Å²; i and j field, k displacement, α = V(ε∞ − 1)/4π
            of the primitive cell; symmetrised, with the translation sum rule.
        spectra: intensities that the source gives for the modes at Γ, in the order of `gamma_frequencies`; degenerate
            modes share theirs evenly; NaN where unknown. `infrared` (km/mol), `raman_total`, `raman_parallel`,
            `raman_perpendicular` (powder, relative) with shape (modes,), `raman_crystal` (relative) with shape
            (modes, 6): xx xy xz yy yz zz.
        irreps: symbols that the source gives to the modes at Γ, in the same order.
        quality: the figures that quality filters decide on (`datamodules.quality`).
        features: per-atom descriptors, computed once (`datamodules.features`).
    """

    id: str
    formula: str
    source: str
    theory: str
    licence: str
    importer_version: str
    crystal: Crystal
    supercell_matrix: Int[ndarray, "3 3"]
    space_group: int
    crystal_system: str
    point_group: str
    symprec: float
    force_constants: dict[str, Float32[ndarray, "atoms images 3 3"]]
    displacements: Float[ndarray, "displaced images 3"] | None = None
    forces: Float[ndarray, "displaced images 3"] | None = None
    born_charges: Float[ndarray, "atoms 3 3"] | None = None
    dielectric: Float[ndarray, "3 3"] | None = None
    gamma_frequencies: Float[ndarray, "modes"] | None = None
    raman_tensors: Float[ndarray, "atoms 3 3 3"] | None = None
    spectra: dict[str, ndarray] = field(default_factory=dict)
    irreps: list[str] = field(default_factory=list)
    quality: dict[str, float] = field(default_factory=dict)
    features: dict[str, ndarray] = field(default_factory=dict)

    @cached_property
    def supercell(self) -> Supercell:
        """The supercell in which the force constants are given."""
        return Supercell(self.crystal, self.supercell_matrix)

    def compact(self, level: str = "dft") -> Float[ndarray, "atoms images 3 3"]:
        """Total force constants in float64 with the sum rule, which rounding to float32 broke, restored; eV/Å².

        Raises:
            UserError: the record holds no force constants of that level.
        """
        if level not in self.force_constants:
            raise UserError(
                f"record {self.id} has no force constants named '{level}'; "
                f"it has {', '.join(sorted(self.force_constants))}"
            )
        return symmetrize_compact(self.force_constants[level].astype(float), self.supercell)

    def lattice_dynamics(self, level: str = "dft") -> LatticeDynamics:
        """Force constants, Born charges and ε∞ as one object; raises UserError like `compact`."""
        return LatticeDynamics.from_supercell(self.compact(level), self.supercell, self.born_charges, self.dielectric)

    def with_features(self, features: Mapping[str, ndarray]) -> "Record":
        """The same record with other features."""
        return replace(self, features=dict(features))


def encode(record: Record) -> bytes:
    """A record as bytes; equal records give equal bytes."""
    arrays: dict[str, ndarray | None] = {
        "lattice": record.crystal.lattice,
        "positions": record.crystal.positions,
        "numbers": record.crystal.numbers,
        "masses": record.crystal.masses,
        "supercell_matrix": np.asarray(record.supercell_matrix, dtype=np.int64),
        "displacements": record.displacements,
        "forces": record.forces,
        "born_charges": record.born_charges,
        "dielectric": record.dielectric,
        "gamma_frequencies": record.gamma_frequencies,
        "raman_tensors": record.raman_tensors,
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        **{name: getattr(record, name) for name in TEXT_FIELDS},
        "space_group": int(record.space_group),
        "symprec": float(record.symprec),
        "arrays": pack_arrays(arrays),
        "force_constants": pack_arrays(record.force_constants),
        "quality": {name: float(record.quality[name]) for name in sorted(record.quality)},
        "features": pack_arrays(record.features),
        **_modes_of_source(record),
    }
    return msgpack.packb(document, use_bin_type=True)


def _modes_of_source(record: Record) -> dict[str, Any]:
    """What the source says about the modes; nothing for sources that say nothing, whose bytes stay what they were."""
    document: dict[str, Any] = {}
    if record.spectra:
        document["spectra"] = pack_arrays(record.spectra)
    if record.irreps:
        document["irreps"] = list(record.irreps)
    return document


def decode(data: bytes) -> Record:
    """The record in some bytes.

    Raises:
        UserError: the bytes are no record, or one of a schema version that this program does not know.
    """
    document = unpack(data)
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"the record has schema version {version}, this program reads version {SCHEMA_VERSION}; "
            f"build the data set again with python -m datamodules.build"
        )
    arrays: dict[str, Any] = {**unpack_arrays(document["arrays"])}
    crystal = Crystal(*(arrays.pop(name) for name in ("lattice", "positions", "numbers", "masses")))
    return Record(
        **{name: document[name] for name in TEXT_FIELDS},
        crystal=crystal,
        space_group=document["space_group"],
        symprec=document["symprec"],
        force_constants=unpack_arrays(document["force_constants"]),
        quality=document["quality"],
        spectra=unpack_arrays(document.get("spectra", {})),
        irreps=document.get("irreps", []),
        features=unpack_arrays(document["features"]),
        **arrays,
    )


def encode_arrays(arrays: Mapping[str, ndarray]) -> bytes:
    """Named arrays alone (features of a record) as bytes."""
    return msgpack.packb(pack_arrays(arrays), use_bin_type=True)


def decode_arrays(data: bytes) -> dict[str, ndarray]:
    """The named arrays in some bytes; raises UserError when they are none."""
    return unpack_arrays(unpack(data))


def pack_arrays(arrays: Mapping[str, ndarray | None]) -> dict[str, dict[str, Any]]:
    """Arrays as plain data, in the order of their names; those that are None are left out."""
    return {name: _pack_array(name, array) for name, array in sorted(arrays.items()) if array is not None}


def _pack_array(name: str, array: ndarray) -> dict[str, Any]:
    array = np.ascontiguousarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if little.dtype.str not in DTYPES:
        raise ValueError(f"array '{name}' has type {little.dtype.str}; records hold {', '.join(DTYPES)}")
    return {"dtype": little.dtype.str, "shape": list(array.shape), "data": little.tobytes()}


def unpack(data: bytes) -> dict[str, Any]:
    """The mapping in some bytes; raises UserError when they hold none."""
    try:
        document = msgpack.unpackb(data, raw=False)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise UserError(f"a stored record cannot be read ({error}); build the data set again") from error
    if not isinstance(document, dict):
        raise UserError("a stored record cannot be read (no mapping); build the data set again")
    return document


def unpack_arrays(packed: dict[str, dict[str, Any]]) -> dict[str, ndarray]:
    """What `pack_arrays` packed; raises UserError for types that are not in `DTYPES`."""
    return {name: _unpack_array(name, entry) for name, entry in packed.items()}


def _unpack_array(name: str, entry: dict[str, Any]) -> ndarray:
    if entry["dtype"] not in DTYPES:
        raise UserError(f"array '{name}' of a stored record has type {entry['dtype']}, not one of {', '.join(DTYPES)}")
    return np.frombuffer(entry["data"], dtype=entry["dtype"]).reshape(entry["shape"]).copy()
