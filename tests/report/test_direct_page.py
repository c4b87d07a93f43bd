"""The page of a direct prediction in a real browser: it loads nothing, draws what there is, says what there is not."""

import time
from pathlib import Path

import pytest

from mlrim.direct.pipeline import predict_direct
from mlrim.direct.predictor import DirectPredictor
from mlrim.pipeline import Settings
from mlrim.report.direct.folder import write_direct
from mlrim.report.direct.tables import direct_tables
from mlrim.report.html import write_index
from mlrim.structures import InputStructure
from tests.direct.test_pipeline import network
from tests.graph.crystals import rutile
from tests.report.browsers import complaints, requests
from tests.report.test_report_page import opened

SETTINGS = Settings(mesh_spacing=0.1, path_spacing=0.05, temperatures=(0.0, 600.0, 300.0))


def folder_of(predictor: DirectPredictor, out: Path) -> Path:
    structure = InputStructure("rutile", Path("rutile.cif"), rutile(), [], [])
    return write_direct(predict_direct(structure, predictor, SETTINGS), out, [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(DirectPredictor([network()], "some.ckpt"), tmp_path_factory.mktemp("out"))


def test_the_page_asks_for_nothing_and_the_browser_has_no_complaint(browser, folder: Path) -> None:
    page = opened(browser, folder / "report.html")
    time.sleep(1)
    assert [url for url in requests(page) if not url.startswith(("file://" + str(folder), "data:", "blob:"))] == []
    assert complaints(page) == []
    charts = page.execute_script("return [...document.querySelectorAll('.chart')].map(c => [c.id, c.data?.length])")
    assert {name for name, lines in charts if not lines} == set()
    assert {"chart-dispersion", "chart-density-of-states", "chart-infrared-powder"} <= {name for name, _ in charts}
    text = page.find_element("css selector", "body").text
    assert "What a direct model does not give" in text
    assert "eigenvectors" in text


def test_a_model_without_modes_has_no_table_of_them(browser, tmp_path: Path) -> None:
    folder = folder_of(DirectPredictor([network("density")], "some.ckpt"), tmp_path)
    page = opened(browser, folder / "report.html")
    assert complaints(page) == []
    assert not page.find_elements("css selector", "#gamma-table")
    assert "Not shown: the model has no head for spectra" in page.find_element("css selector", "#infrared").text


def test_tables_have_as_many_rows_as_their_first_column(folder: Path) -> None:
    structure = InputStructure("rutile", Path("rutile.cif"), rutile(), [], [])
    prediction = predict_direct(structure, DirectPredictor([network()], "some.ckpt"), SETTINGS)
    for name, columns in direct_tables(prediction).items():
        assert len({len(values) for values in columns.values()}) == 1, name
        assert (folder / f"{name}.csv").is_file()
    speeds = direct_tables(prediction)["velocities"]
    assert float(max(speeds["band_1_km_per_s"])) > 0


@pytest.mark.parametrize("heads", [("modes", "density", "spectra", "scalars"), ("density",)])
def test_the_index_lists_direct_predictions(heads: tuple[str, ...], tmp_path: Path) -> None:
    folder = folder_of(DirectPredictor([network(*heads)], "some.ckpt"), tmp_path)
    page = write_index(tmp_path).read_text(encoding="utf-8")
    assert f'href="{folder.name}/report.html"' in page
    assert ">nan<" not in page
