"""Descriptors of the atoms of every record, computed once and stored beside it.

    python -m datamodules.features data=data/phonondb        # compute them again, in place

A build computes them too; this command is for data sets that were built without, or with older descriptors.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import lmdb
import numpy as np
from jaxtyping import Int
from numpy import ndarray
from rich.progress import track

from datamodules.options import run_command
from datamodules.records import encode_arrays
from datamodules.store import RecordStore, close_store, features_key, write_json
from datamodules.threads import worker_pool
from datamodules.writing import MAP_SIZE, hashed_line
from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError
from mlrim.graph.descriptors import coordination_numbers, soap_descriptor
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.symmetry import space_group
from mlrim.rim.charges import METHODS, formal_charges

FEATURES = {
    "soap": "SOAP, 6 Å, 256 numbers, mlrim.graph.descriptors.soap_descriptor",
    "coordination": "Hoppe's effective coordination number, mlrim.graph.descriptors.coordination_numbers",
    "charge": "formal charge, e, mlrim.rim.charges.formal_charges",
    "charge_method": f"index into {', '.join(METHODS)}",
}
"""What `compute_features` computes."""


@dataclass(frozen=True)
class FeaturesOptions:
    """What to compute features for.

    Attributes:
        data: folder of the data set.
        workers: processes; all cores when not given.
        quiet: no progress bar.
    """

    data: Path
    workers: Annotated[int, AtLeast(1)] | None = None
    quiet: bool = False


def compute_features(crystal: Crystal) -> dict[str, ndarray]:
    """SOAP (atoms, 256) float32, coordination (atoms,) float64, formal charge (atoms,) float64, and its method (1,)."""
    formal = formal_charges(crystal)
    representatives, member = _equivalent_atoms(crystal)
    return {
        "soap": soap_descriptor(crystal, representatives)[member],
        "coordination": coordination_numbers(crystal),
        "charge": formal.charges,
        "charge_method": np.array([METHODS.index(formal.method)], dtype=np.int32),
    }


def main() -> None:
    """The command."""
    run_command("datamodules.features", FeaturesOptions, store_features)


def store_features(options: FeaturesOptions) -> None:
    """Compute the features of every record again and put them into the data set, all or none."""
    store = RecordStore(options.data)
    ids, manifest = store.ids, store.manifest
    close_store(store.path)
    computed = track(_compute_all(store, options.workers), "features", total=len(ids), disable=options.quiet)
    features = dict(zip(ids, computed, strict=True))
    digest = hashlib.sha256(b"".join(hashed_line(name, features[name]) for name in ids)).hexdigest()
    close_store(store.path)
    try:
        with (
            lmdb.open(str(store.path), map_size=MAP_SIZE, readahead=False, lock=False) as environment,
            environment.begin(write=True) as transaction,
        ):
            for name in ids:
                transaction.put(features_key(name), features[name])
        size = (store.path / "data.mdb").stat().st_size
        new = replace(manifest, features=FEATURES, features_hash=digest, data_bytes=size)
        write_json(store.path / "manifest.json", asdict(new))
    except (lmdb.Error, OSError) as error:
        raise UserError(
            f"cannot write to {store.path} ({error}): the disk is full or not writable; free some space and run the "
            "same command again"
        ) from error
    print(f"features of {len(ids)} records in {options.data}")


def _compute_all(store: RecordStore, workers: int | None) -> Iterator[bytes]:
    arguments = [(str(store.path), name) for name in store.ids]
    with worker_pool(workers) as pool:
        yield from pool.map(_encoded_features, arguments, chunksize=16)


def _encoded_features(argument: tuple[str, str]) -> bytes:
    path, name = argument
    return encode_arrays(compute_features(RecordStore(path)[name].crystal))


def _equivalent_atoms(crystal: Crystal) -> tuple[Int[ndarray, "sites"], Int[ndarray, "atoms"]]:
    """One atom of every set of symmetry-equivalent ones, and the position in that list of every atom."""
    orbits = space_group(crystal).permutations.min(axis=0)
    return np.unique(orbits, return_inverse=True)


if __name__ == "__main__":
    main()
