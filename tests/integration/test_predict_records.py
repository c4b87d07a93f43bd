"""predict.py and evaluate.py on records of a data set: the embedded one, made here."""

import csv
import json
from pathlib import Path

import pytest

from datamodules.build import BuildOptions, build
from datamodules.store import RecordStore

QUICK = ("mesh=[2,2,2]", "path_spacing=0.1", "figures=[]", "supercell=[2,2,2]", "quiet=true")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "embedded"
    build(BuildOptions(source="embedded", out=out, workers=1, quiet=True))
    return out


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_record_brings_its_structure_and_born_charges(store, run, tmp_path):
    name = RecordStore(store).ids[0]
    assert run("predict.py", "ckpt=rim", f"data={store}", f"structure={name}", f"out={tmp_path}", *QUICK) == (0, "")
    summary = json.loads((tmp_path / name / "summary.json").read_text())
    assert summary["long_range"]["source"].startswith(f"record {name}")


def test_an_unknown_record_is_told(store, run, tmp_path):
    status, errors = run("predict.py", "ckpt=rim", f"data={store}", "structure=nothing", f"out={tmp_path}", *QUICK)
    assert status == 1
    assert "no record" in errors


def test_born_and_data_exclude_each_other(store, run):
    status, errors = run("predict.py", "ckpt=rim", f"data={store}", "structure=*", "born=BORN")
    assert status == 2
    assert "born" in errors


def test_evaluation_writes_its_tables(store, run, tmp_path):
    arguments = (f"data={store}", "split=all", "quality=false", "limit=6", f"out={tmp_path}", "workers=0", "quiet=true")
    assert run("evaluate.py", "ckpt=rim,rim:own,fitted,fitted:own", *arguments) == (0, "")
    compounds = read_csv(tmp_path / "compounds.csv")
    assert len(compounds) == 24
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert set(content["overall"]) == {"rim", "rim:own", "fitted", "fitted:own"}
    values = [float(row["gamma_optical_mae"]) for row in compounds if row["model"] == "rim"]
    assert content["overall"]["rim"]["gamma_optical_mae"]["mean"] == pytest.approx(sum(values) / 6, rel=1e-6)
    assert all(float(row["matrix_norm"]) < 0.9 for row in compounds if row["model"].startswith("fitted"))
    groups = {row["group"] for row in read_csv(tmp_path / "metrics.csv")}
    assert "all" in groups
    assert any(group.startswith("anion=") for group in groups)
    assert read_csv(tmp_path / "failures.csv") == []


def test_workers_do_not_change_the_result(store, run, tmp_path):
    for workers in (0, 2):
        arguments = ("split=all", "quality=false", "limit=4", f"out={tmp_path / str(workers)}", f"workers={workers}")
        assert run("evaluate.py", "ckpt=rim", f"data={store}", *arguments, "quiet=true") == (0, "")
    assert (tmp_path / "0" / "compounds.csv").read_text() == (tmp_path / "2" / "compounds.csv").read_text()


def test_mistakes_of_an_evaluation_are_told(store, run, tmp_path):
    assert run("evaluate.py", "ckpt=rim", f"data={tmp_path}")[0] == 1
    assert run("evaluate.py", "ckpt=rimm", f"data={store}", "split=all", f"out={tmp_path / 'e'}")[0] == 1
    status, errors = run("evaluate.py", "ckpt=rim", f"data={store}", "split=tset", "max_atms=3")
    assert status == 2
    assert 'Did you mean "test"?' in errors
    assert 'Did you mean "max_atoms"?' in errors
    assert not (tmp_path / "e").exists()
