"""index.html lists the structures of a folder, sorts them and links to their reports."""

import json
import re

import pytest

from mlrim.report.folder import write_prediction
from mlrim.report.formula import chemical_formula
from mlrim.report.html import write_index
from mlrim.report.html.index import entries, largest_splitting
from mlrim.units import THZ_TO_CM1
from tests.report.browsers import complaints, requests, screen
from tests.report.predictions import given_prediction


@pytest.fixture(scope="module")
def predictions():
    return [
        given_prediction("rocksalt", warnings=[]),
        given_prediction("rutile"),
        given_prediction("zincblende", name="<b>GaN", warnings=["first", "second"]),
    ]


@pytest.fixture(scope="module")
def out(predictions, tmp_path_factory):
    out = tmp_path_factory.mktemp("batch")
    for prediction in predictions:
        summary = write_prediction(prediction, out, figures=[]) / "summary.json"
        assert summary.is_file()
    (out / "notes").mkdir()
    (out / "broken").mkdir()
    (out / "broken" / "summary.json").write_text("{", encoding="utf-8")
    (out / "older").mkdir()
    (out / "older" / "summary.json").write_text('{"name": "older"}', encoding="utf-8")
    write_index(out)
    return out


@pytest.fixture
def page(browser, out):
    screen(browser, 1200, 900)
    browser.get("about:blank")
    complaints(browser), requests(browser)
    browser.get((out / "index.html").as_uri())
    return browser


def column(page, number):
    cells = page.find_elements("css selector", f"#index-table tbody tr:not([hidden]) > :nth-child({number})")
    return [cell.text for cell in cells]


def test_every_structure_is_listed_with_its_figures(out, predictions):
    found = {entry.name: entry for entry in entries(out)}
    assert found.keys() == {prediction.name for prediction in predictions}
    for prediction in predictions:
        entry = found[prediction.name]
        assert entry.highest == pytest.approx(prediction.highest_cm1, rel=1e-6)
        assert entry.warnings == prediction.warnings
        assert entry.formula == chemical_formula(prediction.dynamics.crystal)
        polar = [mode for modes in prediction.gamma.directional.values() for mode in modes]
        splittings = [
            mode.frequency_cm1 - prediction.gamma.modes[mode.partner].frequency_cm1
            for mode in polar
            if mode.polarization == "LO"
        ]
        assert entry.splitting == pytest.approx(max(splittings), rel=1e-6)


def test_the_gap_is_the_widest_range_without_modes(out, predictions):
    for prediction, entry in zip(sorted(predictions, key=lambda one: one.name), entries(out), strict=True):
        bands = prediction.dispersion.frequencies * THZ_TO_CM1
        gaps = bands[:, 1:].min(axis=0) - bands[:, :-1].max(axis=0)
        assert entry.gap is None if gaps.max() < 5 else entry.gap == pytest.approx(gaps.max(), rel=1e-5)


def test_without_longitudinal_modes_there_is_no_splitting():
    assert largest_splitting({"modes": [], "directional_modes": {}}) is None


def test_the_index_asks_for_nothing_and_escapes_names(page):
    assert [url for url in requests(page) if not url.startswith(("file:", "data:"))] == []
    assert complaints(page) == []
    assert "<b>GaN" in column(page, 2)


def test_the_index_sorts_by_formula_highest_mode_splitting_and_warnings(page):
    def click(number):
        page.find_element("css selector", f"#index-table thead th:nth-child({number}) button").click()

    click(1)
    assert column(page, 1) == sorted(column(page, 1))
    for number in (5, 6):
        click(number)
        values = [float(text) for text in column(page, number)]
        assert values == sorted(values)
        click(number)
        assert [float(text) for text in column(page, number)] == sorted(values, reverse=True)
    click(9)
    counts = [int(re.match(r"\d+", text).group()) for text in column(page, 9)]
    assert counts == sorted(counts)
    assert counts[-1] >= 2


def test_the_filter_hides_other_structures(page):
    page.find_element("id", "filter").send_keys("tio2")
    assert column(page, 1) == ["TiO2"]
    assert page.find_element("id", "count").text == "1 of 3"


def test_links_lead_to_the_reports(page):
    page.find_element("css selector", "#index-table tbody a").click()
    assert page.current_url.endswith("report.html")
    data = json.loads(page.find_element("id", "summary").get_attribute("textContent"))
    assert data["schema_version"] >= 1


def test_structures_that_failed_are_listed_with_the_reason(out, tmp_path) -> None:
    text = write_index(out, {"bad <b>.cif": "two atoms at the same place & more"}).read_text(encoding="utf-8")
    assert "Not predicted" in text
    assert "bad &lt;b&gt;.cif" in text
    assert "two atoms at the same place &amp; more" in text
    assert "Not predicted" not in write_index(out).read_text(encoding="utf-8")
