"""Extended XYZ as other programs write it: names, units and signs of labels, periodicity, files that are damaged."""

import gzip
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float
from numpy import ndarray

from datamodules.build import BuildOptions, build
from datamodules.configurations import Configuration, ConfigurationStore
from datamodules.extended_xyz import ExportOptions, export, to_ase, write_extended_xyz
from datamodules.importers import IMPORTERS, ImportOptions, RejectedInput
from mlrim.errors import UserError
from tests.datamodules.test_configurations import assert_same, configuration

IMPORTER = IMPORTERS["extxyz"]


def read(path: Path, prefix: str | None = None, frame: int = 0) -> Configuration:
    found = IMPORTER.read(IMPORTER.find(path)[frame], ImportOptions(prefix=prefix))
    assert isinstance(found, Configuration)
    return found


def frame(tmp_path: Path, comment: str, columns: str = "species:S:1:pos:R:3", *atoms: str) -> Path:
    path = tmp_path / "frame.xyz"
    lines = atoms or ("Na 0 0 0", "Cl 2.8 0 0")
    path.write_text(f"{len(lines)}\nProperties={columns} {comment}\n" + "\n".join(lines) + "\n")
    return path


CELL = 'Lattice="5 0 0 0 5 0 0 0 5"'


@pytest.mark.parametrize("periodic", [False, True])
def test_what_is_exported_is_imported(periodic: bool, tmp_path: Path) -> None:
    written = configuration(periodic=periodic)
    path = tmp_path / "one.xyz"
    write_extended_xyz(path, [written])
    found = read(path)
    assert_same(found, written, 1e-8)
    for name in ("id", "group", "formula", "source", "theory", "licence", "details"):
        assert getattr(found, name) == getattr(written, name)


def test_isotopes_survive(tmp_path: Path) -> None:
    heavy = replace(configuration(), masses=np.array([15.999, 2.014, 1.008]))
    write_extended_xyz(tmp_path / "one.xyz", [heavy])
    assert read(tmp_path / "one.xyz").masses == pytest.approx(heavy.masses)


def test_ase_reads_the_export_with_its_own_names() -> None:
    written = configuration(periodic=True)
    atoms = to_ase(written)
    assert atoms.get_potential_energy() == written.energy
    np.testing.assert_array_equal(atoms.get_forces(), written.forces)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), written.stress)


def strained_energy(atoms: Atoms, strain: Float[ndarray, "3 3"]) -> float:
    copy = atoms.copy()
    copy.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    copy.calc = LennardJones(sigma=2.3, epsilon=0.4, rc=9.0)
    return copy.get_potential_energy()


def test_stress_is_the_derivative_of_the_energy_by_strain_whichever_way_it_is_written(tmp_path: Path) -> None:
    """Argon stretched by ASE's own Lennard-Jones potential: positive under tension."""
    atoms = bulk("Ar", "sc", a=2.9, cubic=True)
    atoms.calc = LennardJones(sigma=2.3, epsilon=0.4, rc=9.0)
    stress, volume = atoms.get_stress(voigt=False), atoms.get_volume()
    step = 1e-5
    strain = np.diag([step, 0.0, 0.0])
    slope = (strained_energy(atoms, strain) - strained_energy(atoms, -strain)) / (2 * step * volume)
    ase.io.write(tmp_path / "stress.xyz", atoms)
    found = read(tmp_path / "stress.xyz")
    assert found.stress is not None
    assert found.stress[0, 0] == pytest.approx(slope, rel=1e-5)
    assert slope > 0
    plain = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    plain.info = {"REF_energy": 1.0, "REF_virials": -volume * stress}
    ase.io.write(tmp_path / "virial.xyz", plain)
    np.testing.assert_allclose(read(tmp_path / "virial.xyz").stress, found.stress, atol=1e-8)
    plain.info = {"REF_stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]}
    ase.io.write(tmp_path / "voigt.xyz", plain)
    np.testing.assert_allclose(read(tmp_path / "voigt.xyz").stress, found.stress, atol=1e-8)


def test_stress_and_virial_of_different_sign_are_rejected(tmp_path: Path) -> None:
    path = frame(tmp_path, f'{CELL} stress="1 0 0 0 1 0 0 0 1" virial="125 0 0 0 125 0 0 0 125"')
    with pytest.raises(RejectedInput, match="differ by 2 eV"):
        read(path)


@pytest.mark.parametrize(
    ("comment", "prefix", "energy"),
    [
        ("energy=1.5", None, 1.5),
        ("energy=1.5 free_energy=1.4", None, 1.4),
        ("total_energy=-7", None, -7),
        ("energy=1.5 REF_energy=2.5", None, 2.5),
        ("energy=1.5 dft_energy=3.5", None, 3.5),
        ("energy=1.5 REF_energy=2.5 pbe_energy=4.5", "pbe_", 4.5),
        ("energy=1.5 REF_energy=2.5", "", 1.5),
    ],
)
def test_names_of_energies(comment: str, prefix: str | None, energy: float, tmp_path: Path) -> None:
    assert read(frame(tmp_path, comment), prefix).energy == energy


def test_labels_of_two_calculations_are_not_mixed(tmp_path: Path) -> None:
    columns = "species:S:1:pos:R:3:forces:R:3"
    path = frame(tmp_path, "energy=1 REF_energy=2", columns, "Na 0 0 0 1 2 3", "Cl 2 0 0 -1 -2 -3")
    assert read(path).labels == ("energy",)
    np.testing.assert_array_equal(read(path, "").forces, [[1, 2, 3], [-1, -2, -3]])


def test_periodicity(tmp_path: Path) -> None:
    assert read(frame(tmp_path, f"energy=1 {CELL}")).periodic
    assert not read(frame(tmp_path, "energy=1")).periodic
    assert not read(frame(tmp_path, f'energy=1 {CELL} pbc="F F F"')).periodic
    with pytest.raises(RejectedInput, match='pbc="T T F": slabs and chains'):
        read(frame(tmp_path, f'energy=1 {CELL} pbc="T T F"'))
    with pytest.raises(RejectedInput, match="no cell"):
        read(frame(tmp_path, 'energy=1 pbc="T T T"'))


def test_groups_are_formulas_unless_they_are_given(tmp_path: Path) -> None:
    four = ["Na 0 0 0", "Cl 2 0 0", "Na 0 2 0", "Cl 2 2 0"]
    crystal = read(frame(tmp_path, f"energy=1 {CELL}", "species:S:1:pos:R:3", *four))
    assert (crystal.group, crystal.formula) == ("NaCl", "Cl2Na2")
    assert read(frame(tmp_path, "energy=1", "species:S:1:pos:R:3", *four)).group == "Cl2Na2"
    assert read(frame(tmp_path, "energy=1 group=salt config_type=md")).group == "salt"
    assert read(frame(tmp_path, "energy=1 config_type=md step=3")).details == {"config_type": "md", "step": 3.0}


@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ("charge=1", "no energy, forces or other labels; there are charge"),
        ("energy=low", "energy is no number"),
        ("energy=nan", "not a finite number"),
        (f'{CELL} REF_stress="1 5 0 0 1 0 0 0 1"', "not symmetric"),
        (f'{CELL} REF_stress="1 1 1"', "has 3 numbers"),
    ],
)
def test_reasons(comment: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises((RejectedInput, UserError), match=reason):
        read(frame(tmp_path, comment))


def test_unknown_elements_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="no element"):
        read(frame(tmp_path, "energy=1", "species:S:1:pos:R:3", "X 0 0 0"))


def test_damage_does_not_reach_the_frames_before_it(tmp_path: Path) -> None:
    path = frame(tmp_path, "energy=1")
    good = path.read_text()
    path.write_text(good + "\n" + good + "five\n" + good)
    inputs = IMPORTER.find(path)
    assert [one.name for one in inputs] == [f"frame.xyz:{number:06d}" for number in range(3)]
    assert read(path, frame=1).energy == 1
    with pytest.raises(RejectedInput, match="no number of atoms: 'five'"):
        read(path, frame=2)


def test_compressed_files_of_a_folder_are_read(tmp_path: Path) -> None:
    path = frame(tmp_path, "energy=1")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/more.extxyz.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "notes.txt").write_text("no frames")
    assert [one.name for one in IMPORTER.find(tmp_path)] == ["below/more.extxyz.gz:000000", "frame.xyz:000000"]
    assert read(tmp_path).id == "below/more.extxyz.gz-000000"


def test_folder_without_frames_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frames"):
        IMPORTER.find(tmp_path)


def test_broken_archive_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "x.xyz.gz").write_bytes(b"this is no gzip")
    with pytest.raises(UserError, match="cannot be read"):
        IMPORTER.find(tmp_path)


def test_export_of_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_extended_xyz(tmp_path / "in.xyz", [configuration(f"c{row}", "ab"[row % 2], seed=row) for row in range(4)])
    build(BuildOptions("extxyz", tmp_path / "set", tmp_path / "in.xyz", workers=1, quiet=True))
    export(ExportOptions(tmp_path / "set", tmp_path / "b.xyz", "b"))
    assert "2 configurations" in capsys.readouterr().out
    assert [atoms.info["id"] for atoms in ase.io.read(tmp_path / "b.xyz", ":")] == ["c1", "c3"]
    with pytest.raises(UserError, match="there are a, b"):
        export(ExportOptions(tmp_path / "set", tmp_path / "c.xyz", "c"))


def test_frames_of_another_program(shared_data: Path, tmp_path: Path) -> None:
    """BaTiO3 supercells: total_energy and stress, forces as ASE reads them, Born charges left alone."""
    path = shared_data / "data/formats/extxyz_BaTiO3"
    build(BuildOptions("extxyz", tmp_path / "set", path, workers=1, quiet=True))
    store = ConfigurationStore(tmp_path / "set")
    assert len(store) == 5
    assert {entry.group for entry in store.index} == {"BaTiO3"}
    assert store.index[0].labels == ("energy", "forces", "stress")
    assert store[0].energy == pytest.approx(-100941.53172529273, abs=1e-8)
    atoms = ase.io.read(path / "BaTiO3_first5.xyz", 3)
    assert isinstance(atoms.calc, SinglePointCalculator)
    np.testing.assert_array_equal(store[3].forces, atoms.get_forces())
    assert np.abs(store[3].forces.sum(0)).max() < 1e-2
