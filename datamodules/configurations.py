"""One configuration of atoms, a molecule or a periodic cell, with what one calculation says of it.

It travels as records do: msgpack over raw little-endian arrays, versioned, and nothing in it is ever executed. A label
that is not known is absent, never zero. Every field is documented in docs/data.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgpack
import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from datamodules.records import pack_arrays, unpack, unpack_arrays
from datamodules.store import EDGE_CUTOFF, Store
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.neighbours import neighbour_pairs

SCHEMA_VERSION = 1
"""Raised whenever a reader of the previous version could misread a configuration."""

TEXT_FIELDS = ("id", "group", "formula", "source", "theory", "licence")
LABELS = (
    "energy", "forces", "stress", "hessian", "dipole", "dipole_derivatives", "polarizability",
    "polarizability_derivatives",
)  # fmt: skip
"""What may be known of a configuration, by the name of its attribute."""

ARRAYS = ("numbers", "positions", "lattice", "masses", *(name for name in LABELS if name not in ("energy", "hessian")))


@dataclass(frozen=True, eq=False)
class Configuration:
    """One configuration; every label but the structure may be absent (None).

    Attributes:
        id: unique within a data set, for example `ethanol-0017`.
        group: what stays together when data are split by group, for example the molecule.
        formula: composition, for example `C2H6O`.
        source: where it comes from.
        theory: level of theory of the labels.
        licence: licence of the source.
        numbers: atomic numbers.
        positions: Cartesian, Å.
        masses: amu.
        lattice: lattice vectors as rows, Å; none for a molecule.
        energy: eV.
        forces: eV/Å.
        stress: eV/Å³, positive under tension.
        hessian: second derivatives of the energy, component 3·atom + axis, eV/Å²; of a periodic cell with all images
            of an atom moving together.
        dipole: e Å.
        dipole_derivatives: ∂μ_i/∂u_j of every atom as [atom, i, j], e; i the component of the dipole, j of the
            displacement, as in Born charges.
        polarizability: Å³.
        polarizability_derivatives: ∂α_ij/∂u_k of every atom as [atom, i, j, k], Å², as in Raman tensors.
        details: what else is known of the method and of how the configuration was made.
    """

    id: str
    group: str
    formula: str
    source: str
    theory: str
    licence: str
    numbers: Int[ndarray, "atoms"]
    positions: Float[ndarray, "atoms 3"]
    masses: Float[ndarray, "atoms"]
    lattice: Float[ndarray, "3 3"] | None = None
    energy: float | None = None
    forces: Float[ndarray, "atoms 3"] | None = None
    stress: Float[ndarray, "3 3"] | None = None
    hessian: Float[ndarray, "components components"] | None = None
    dipole: Float[ndarray, "3"] | None = None
    dipole_derivatives: Float[ndarray, "atoms 3 3"] | None = None
    polarizability: Float[ndarray, "3 3"] | None = None
    polarizability_derivatives: Float[ndarray, "atoms 3 3 3"] | None = None
    details: dict[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises UserError for arrays that do not fit the number of atoms or hold what is no number."""
        atoms = len(self.numbers)
        shapes = {
            "positions": (atoms, 3), "masses": (atoms,), "lattice": (3, 3), "forces": (atoms, 3), "stress": (3, 3),
            "hessian": (3 * atoms, 3 * atoms), "dipole": (3,), "dipole_derivatives": (atoms, 3, 3),
            "polarizability": (3, 3), "polarizability_derivatives": (atoms, 3, 3, 3), "energy": (),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            if np.shape(value) != shape:
                raise UserError(f"{name} of {self.id} has shape {np.shape(value)}, {atoms} atoms need {shape}")
            if not np.isfinite(value).all():
                raise UserError(f"{name} of {self.id} holds what is not a finite number")

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def periodic(self) -> bool:
        """Whether it is a cell that repeats in three directions; a molecule is not."""
        return self.lattice is not None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that are known."""
        return tuple(name for name in LABELS if getattr(self, name) is not None)

    @property
    def crystal(self) -> Crystal:
        """The periodic cell as a crystal; raises UserError for a molecule."""
        if self.lattice is None:
            raise UserError(f"{self.id} is a molecule, not a crystal")
        return Crystal(self.lattice, self.positions, self.numbers, self.masses)


@dataclass(frozen=True)
class ConfigurationEntry:
    """What is known of a configuration without reading it."""

    id: str
    group: str
    formula: str
    elements: tuple[str, ...]
    """Sorted by atomic number."""
    n_atoms: int
    n_edges: int
    """Directed pairs within `EDGE_CUTOFF`."""
    volume: float | None
    """Å³; none for a molecule."""
    labels: tuple[str, ...]
    """Names of what is known of it."""
    theory: str

    @property
    def periodic(self) -> bool:
        """Whether it is a cell that repeats."""
        return self.volume is not None

    @property
    def has_hessian(self) -> bool:
        """Whether its Hessian is known."""
        return "hessian" in self.labels


class ConfigurationStore(Store):
    """The configurations of a data set; `store[0]`, `store["ethanol-0017"]`, iteration, `len`.

    Raises:
        UserError: no data set at the path, an unfinished one, one of an unknown version, or one of crystals.
    """

    content = "configurations"

    def __iter__(self) -> Iterator[Configuration]:
        return (self[name] for name in self.ids)

    def __getitem__(self, key: int | str) -> Configuration:
        """The configuration at a position or with an id."""
        data, _ = self.read(self.ids[key] if isinstance(key, int | np.integer) else key)
        return decode_configuration(data)

    @cached_property
    def index(self) -> tuple[ConfigurationEntry, ...]:
        """One entry per configuration, sorted by id."""
        return tuple(ConfigurationEntry(**row) for row in self.rows)

    @property
    def content_hash(self) -> str:
        """SHA-256 over all configurations and rejects."""
        return self.manifest.content_hash


def describe_configuration(configuration: Configuration) -> ConfigurationEntry:
    """The index entry of a configuration."""
    return ConfigurationEntry(
        id=configuration.id,
        group=configuration.group,
        formula=configuration.formula,
        elements=tuple(chemical_symbols[number] for number in np.unique(configuration.numbers)),
        n_atoms=configuration.n_atoms,
        n_edges=_n_edges(configuration),
        volume=configuration.crystal.volume if configuration.periodic else None,
        labels=configuration.labels,
        theory=configuration.theory,
    )


def _n_edges(configuration: Configuration) -> int:
    if configuration.periodic:
        return len(neighbour_pairs(configuration.crystal, EDGE_CUTOFF).i)
    tree = cKDTree(configuration.positions)
    return int(tree.count_neighbors(tree, EDGE_CUTOFF)) - configuration.n_atoms


def composition(numbers: Int[ndarray, "atoms"]) -> str:
    """Formula of some atoms in Hill order.

    >>> composition(np.array([6, 1, 1, 1, 6, 1, 1, 8, 1]))
    'C2H6O'
    """
    return Formula.from_list([chemical_symbols[number] for number in numbers]).format("hill")


def encode_configuration(configuration: Configuration) -> bytes:
    """A configuration as bytes; equal ones give equal bytes."""
    arrays = {name: _array(getattr(configuration, name)) for name in ARRAYS}
    if configuration.hessian is not None:
        rows, columns = np.triu_indices(3 * configuration.n_atoms)
        arrays["hessian_triangle"] = configuration.hessian[rows, columns]
    document = {
        "configuration_version": SCHEMA_VERSION,
        **{name: getattr(configuration, name) for name in TEXT_FIELDS},
        "energy": None if configuration.energy is None else float(configuration.energy),
        "arrays": pack_arrays(arrays),
        "details": {name: configuration.details[name] for name in sorted(configuration.details)},
    }
    return msgpack.packb(document, use_bin_type=True)


def decode_configuration(data: bytes) -> Configuration:
    """The configuration in some bytes.

    Raises:
        UserError: the bytes are no configuration, or one of a schema version that this program does not know.
    """
    document = unpack(data)
    version = document.get("configuration_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"the configuration has schema version {version}, this program reads version {SCHEMA_VERSION}; "
            f"build the data set again with python -m datamodules.build"
        )
    arrays: dict[str, Any] = dict(unpack_arrays(document["arrays"]))
    if "hessian_triangle" in arrays:
        arrays["hessian"] = _full(arrays.pop("hessian_triangle"), 3 * len(arrays["numbers"]))
    return Configuration(
        **{name: document[name] for name in TEXT_FIELDS},
        energy=document["energy"],
        details=document["details"],
        **arrays,
    )


def _array(value: Any) -> ndarray | None:
    return None if value is None else np.asarray(value)


def _full(triangle: Float[ndarray, "entries"], size: int) -> Float[ndarray, "components components"]:
    """The symmetric matrix with this upper triangle, row by row."""
    matrix = np.zeros((size, size), dtype=triangle.dtype)
    rows, columns = np.triu_indices(size)
    matrix[rows, columns] = triangle
    matrix[columns, rows] = triangle
    return matrix
