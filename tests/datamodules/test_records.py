"""Records and their bytes."""

import hashlib
import pickle

import msgpack
import numpy as np
import pytest

from datamodules.records import Record, decode, decode_arrays, encode, encode_arrays
from mlrim.errors import UserError
from mlrim.lattice.crystal import Crystal

BYTES_OF_FIRST_VERSION = "da9a4bb58ba94e09863917a554f73a6c6043b6c599ad40a19643d496856cd8ec"
"""Hash of the record below as the first version of schema 1 wrote it."""


def a_record(**changes: object) -> Record:
    generator = np.random.default_rng(1)
    crystal = Crystal(np.eye(3) * 4, np.array([[0.0, 0, 0], [2, 2, 2]]), np.array([55, 17]))
    values = {
        "id": "x-1",
        "formula": "CsCl",
        "source": "a test",
        "theory": "none",
        "licence": "none",
        "importer_version": "1",
        "crystal": crystal,
        "supercell_matrix": np.diag([2, 1, 1]),
        "space_group": 221,
        "crystal_system": "cubic",
        "point_group": "m-3m",
        "symprec": 1e-5,
        "force_constants": {"dft": generator.normal(size=(2, 4, 3, 3)).astype(np.float32)},
        "born_charges": generator.normal(size=(2, 3, 3)),
        "dielectric": np.eye(3) * 2.5,
        "gamma_frequencies": np.arange(6.0),
        "quality": {"born_max": 1.0},
        "features": {"soap": np.ones((2, 4), dtype=np.float32)},
    }
    return Record(**(values | changes))


def test_round_trip_keeps_every_field_to_the_last_bit() -> None:
    record = a_record(displacements=np.ones((1, 4, 3), np.float32), forces=np.zeros((1, 4, 3), np.float32))
    back = decode(encode(record))
    assert encode(back) == encode(record)
    for name in ("lattice", "positions", "numbers", "masses"):
        assert np.array_equal(getattr(back.crystal, name), getattr(record.crystal, name))
    for name in ("supercell_matrix", "born_charges", "dielectric", "gamma_frequencies", "displacements", "forces"):
        assert np.array_equal(getattr(back, name), getattr(record, name))
    assert back.force_constants["dft"].dtype == np.float32
    assert np.array_equal(back.force_constants["dft"], record.force_constants["dft"])
    assert (back.quality, back.id, back.symprec) == (record.quality, record.id, record.symprec)
    assert np.array_equal(back.features["soap"], record.features["soap"])


def test_round_trip_keeps_what_the_source_says_about_the_modes() -> None:
    spectra = {"infrared": np.array([0.0, np.nan, 2.5]), "raman_crystal": np.ones((3, 6))}
    record = a_record(raman_tensors=np.full((2, 3, 3, 3), 0.25), spectra=spectra, irreps=["T1u", "A'", 'A"'])
    back = decode(encode(record))
    assert encode(back) == encode(record)
    assert np.array_equal(back.raman_tensors, record.raman_tensors)
    assert set(back.spectra) == set(spectra)
    assert all(np.array_equal(back.spectra[name], values, equal_nan=True) for name, values in spectra.items())
    assert back.irreps == record.irreps


def test_records_of_sources_that_say_nothing_about_modes_keep_their_bytes() -> None:
    """Data sets that were built before those fields existed stay valid, with their content hash."""
    assert hashlib.sha256(encode(a_record())).hexdigest() == BYTES_OF_FIRST_VERSION
    back = decode(encode(a_record()))
    assert (back.raman_tensors, back.spectra, back.irreps) == (None, {}, [])


def test_unknown_labels_are_absent_not_zero() -> None:
    record = a_record(born_charges=None, dielectric=None, gamma_frequencies=None)
    assert "born_charges" not in msgpack.unpackb(encode(record))["arrays"]
    back = decode(encode(record))
    assert back.born_charges is None
    assert back.dielectric is None
    assert back.forces is None
    assert back.gamma_frequencies is None


def test_bytes_do_not_depend_on_byte_order_or_memory_layout() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert encode_arrays({"a": array}) == encode_arrays({"a": np.asfortranarray(array.astype(">f8"))})


def test_named_force_constants_are_kept_side_by_side() -> None:
    levels = {"dft": np.ones((2, 4, 3, 3), np.float32), "teacher": np.zeros((2, 4, 3, 3), np.float32)}
    back = decode(encode(a_record(force_constants=levels)))
    assert back.compact("teacher").sum() == 0
    with pytest.raises(UserError, match="named 'chgnet'; it has dft, teacher"):
        back.compact("chgnet")


def test_compact_obeys_the_sum_rule_that_rounding_broke() -> None:
    record = decode(encode(a_record()))
    assert np.abs(record.force_constants["dft"].sum(axis=1)).max() > 0.1
    assert np.abs(record.compact().sum(axis=1)).max() < 1e-12


def test_pickles_are_refused() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        decode(pickle.dumps({"schema_version": 1}))


def test_other_schema_versions_are_refused() -> None:
    document = msgpack.unpackb(encode(a_record())) | {"schema_version": 99}
    with pytest.raises(UserError, match="schema version 99"):
        decode(msgpack.packb(document))


def test_object_arrays_are_neither_written_nor_read() -> None:
    with pytest.raises(ValueError, match="type"):
        encode_arrays({"a": np.array([object()])})
    forged = msgpack.packb({"a": {"dtype": "|O", "shape": [1], "data": b"12345678"}})
    with pytest.raises(UserError, match="type"):
        decode_arrays(forged)
