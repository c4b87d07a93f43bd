"""report.html in a real browser: it loads nothing, moves the right atoms, sorts, and saves what it shows."""

import csv
import io
import json
import time
from dataclasses import replace

import numpy as np
import pytest

from mlrim.lattice.qpath import path_through
from mlrim.report.html import write_report
from mlrim.report.html.report import report
from mlrim.report.tables import tables, write_tables
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.dispersion import Dispersion
from tests.report.browsers import complaints, media, requests, screen
from tests.report.predictions import given_prediction

HOSTILE = "<img src=x onerror=alert(1)> & </script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def prediction():
    return given_prediction("rutile")


@pytest.fixture(scope="module")
def rocksalt():
    return given_prediction("rocksalt")


@pytest.fixture(scope="module")
def folder(prediction, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rutile")
    write_tables(prediction, folder)
    write_report(prediction, folder)
    return folder


@pytest.fixture(scope="module")
def loaded(browser, folder):
    """The report of rutile, opened once."""
    return opened(browser, folder / "report.html")


@pytest.fixture
def page(loaded, folder):
    """The report of rutile on a desktop, standing still."""
    address = (folder / "report.html").as_uri()
    if not loaded.current_url.startswith(address):
        opened(loaded, folder / "report.html")
    screen(loaded, 1400, 1000)
    loaded.execute_script("mlrim.animation.setPlaying(false)")
    complaints(loaded), requests(loaded)
    return loaded


def opened(browser, path, width=1400, height=1000, mobile=False):
    """The browser with a page in a window of this size, and no complaint from before."""
    screen(browser, width, height, mobile)
    browser.get("about:blank")
    complaints(browser), requests(browser)
    browser.get(path.as_uri())
    return browser


def click(page, selector):
    element = page.find_element("css selector", selector)
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def displacements(page, phase, amplitude=0.5):
    """Which atom, in which cell, and how far the viewer has moved it."""
    shown = page.execute_script(
        """const animation = mlrim.animation;
        animation.setPlaying(false);
        animation.amplitude = arguments[1];
        animation.phase = arguments[0];
        animation.draw();
        const places = animation.viewer.getModel().selectedAtoms({});
        return animation.atoms.map(({index, cell, place}, k) =>
            [index, ...cell, places[k].x - place[0], places[k].y - place[1], places[k].z - place[2]]);""",
        phase,
        amplitude,
    )
    shown = np.array(shown)
    return shown[:, 0].astype(int), shown[:, 1:4], shown[:, 4:]


def test_the_page_asks_for_nothing_and_the_browser_has_no_complaint(browser, folder):
    page = opened(browser, folder / "report.html")
    time.sleep(1)  # late requests would come now
    asked = requests(page)
    assert (folder / "report.html").as_uri() in asked
    assert [url for url in asked if not url.startswith(("file://" + str(folder), "data:", "blob:"))] == []
    assert complaints(page) == []


def test_the_page_may_not_load_anything(page):
    page.execute_script("new Image().src = 'https://example.org/pixel.png'")
    time.sleep(0.3)
    assert any("Content Security Policy" in message for message in complaints(page))


def test_libraries_are_those_of_the_checksums(repository):
    import hashlib

    vendor = repository / "mlrim/report/html/vendor"
    for line in (vendor / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split()
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == expected


def test_the_report_of_a_small_cell_stays_below_three_megabytes(rocksalt, tmp_path):
    assert write_report(rocksalt, tmp_path).stat().st_size < 3e6


@pytest.mark.parametrize("row", [3, 5, 9])
def test_gamma_modes_move_every_copy_of_an_atom_by_its_displacement(page, prediction, row):
    page.execute_script("mlrim.showGamma(arguments[0], 0)", row)
    crystal, mode = prediction.dynamics.crystal, prediction.gamma.modes[row]
    atoms, _, first = displacements(page, 0.0)
    assert set(atoms) == set(range(crystal.n_atoms))
    home = np.array([first[atoms == atom][0] for atom in range(crystal.n_atoms)])
    assert np.linalg.norm(home, axis=1).max() == pytest.approx(0.5, abs=1e-4)
    weighted = (home * np.sqrt(crystal.masses)[:, None]).reshape(-1)
    inside = mode.eigenvectors @ (mode.eigenvectors.T @ weighted)
    np.testing.assert_allclose(inside, weighted, atol=1e-3 * np.abs(weighted).max())
    for phase in (0.0, 0.7, np.pi):
        np.testing.assert_allclose(displacements(page, phase)[2], np.cos(phase) * home[atoms], atol=1e-6)


def test_partners_of_a_degenerate_mode_are_orthogonal(page, prediction):
    crystal = prediction.dynamics.crystal
    row = next(index for index, mode in enumerate(prediction.gamma.modes) if mode.degeneracy == 2 and not mode.acoustic)
    partners = []
    for partner in range(2):
        page.execute_script("mlrim.showGamma(arguments[0], arguments[1])", row, partner)
        atoms, _, moved = displacements(page, 0.0)
        home = np.array([moved[atoms == atom][0] for atom in range(crystal.n_atoms)])
        partners.append((home * np.sqrt(crystal.masses)[:, None]).reshape(-1))
    cosine = partners[0] @ partners[1] / np.linalg.norm(partners[0]) / np.linalg.norm(partners[1])
    assert abs(cosine) < 1e-3


def test_the_transverse_mode_of_rock_salt_moves_ions_against_each_other_by_inverse_masses(browser, rocksalt, tmp_path):
    page = opened(browser, write_report(rocksalt, tmp_path))
    page.execute_script("mlrim.showGamma(1, 0)")
    atoms, _, moved = displacements(page, 0.0)
    sodium, chlorine = moved[atoms == 0], moved[atoms == 1]
    np.testing.assert_allclose(sodium, np.broadcast_to(sodium[0], sodium.shape), atol=1e-6)
    np.testing.assert_allclose(chlorine[0], -sodium[0] * 22.98977 / 35.446, atol=1e-3)
    assert len(atoms) == 27, "the conventional cube with its faces has 27 ions"


def test_the_longitudinal_mode_moves_along_its_direction(browser, rocksalt, tmp_path):
    page = opened(browser, write_report(rocksalt, tmp_path))
    page.execute_script("mlrim.showGamma(2, 0)")
    direction = rocksalt.gamma.directions["[100]"]
    atoms, _, moved = displacements(page, 0.0)
    np.testing.assert_allclose(moved - np.outer(moved @ direction, direction), 0, atol=1e-4)
    assert np.abs(moved[atoms == 0] @ direction).min() > 0.4


def test_modes_of_the_path_carry_the_phase_of_every_cell(page, prediction):
    path = prediction.dispersion.path
    middle = path.segments[1].start + 3
    page.execute_script("mlrim.showBand(arguments[0], 4)", middle)
    crystal, modes = prediction.dynamics.crystal, prediction.dynamics.modes(path.qpoints[[middle]])
    vector = modes.eigenvectors[0][:, 4].reshape(-1, 3) / np.sqrt(crystal.masses)[:, None]
    atoms, cells, first = displacements(page, 0.0)
    _, _, later = displacements(page, np.pi / 2)
    shown = first + 1j * later  # Re and Im of the amplitude, whose phase is arbitrary
    expected = (
        vector[atoms] * np.exp(2j * np.pi * ((crystal.fractional[atoms] + cells) @ path.qpoints[middle]))[:, None]
    )
    overlap = np.abs(np.vdot(expected, shown)) / np.linalg.norm(expected) / np.linalg.norm(shown)
    assert overlap == pytest.approx(1, abs=1e-6)
    assert len({tuple(cell) for cell in cells}) > 8


def test_acoustic_modes_near_gamma_move_neighbours_in_phase(browser, rocksalt, tmp_path):
    near = path_through(rocksalt.dynamics.crystal, [(np.zeros(3), np.array([0.01, 0.005, 0.005]))], [("Γ", "X")], 1e-4)
    bands = Dispersion(near, rocksalt.dynamics.frequencies(near.qpoints, near.directions))
    page = opened(browser, write_report(replace(rocksalt, dispersion=bands), tmp_path))
    for band in range(3):
        page.execute_script("mlrim.showBand(1, arguments[0])", band)
        _, _, moved = displacements(page, 0.0)
        _, _, later = displacements(page, np.pi / 2)
        amplitude = moved + 1j * later
        assert np.abs(amplitude - amplitude.mean(axis=0)).max() < 0.02
        assert np.linalg.norm(amplitude, axis=1).min() > 0.48


def test_atoms_are_in_motion_until_the_button_stops_them(page):
    snapshot = "return mlrim.animation.viewer.getModel().selectedAtoms({}).map(({x, y, z}) => [x, y, z])"
    page.execute_script("document.getElementById('viewer').scrollIntoView({behavior: 'instant'})")
    page.execute_script("mlrim.showGamma(3, 0)")
    first = page.execute_script(snapshot)
    eventually(lambda: np.abs(np.array(page.execute_script(snapshot)) - first).max() > 0.01)
    click(page, "#control-play")
    first = page.execute_script(snapshot)
    time.sleep(0.5)
    assert page.execute_script(snapshot) == first


def eventually(condition, seconds=20.0):
    """A busy machine without a graphics card takes its time to draw."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def test_motion_starts_by_itself_except_where_it_is_unwelcome(browser, folder):
    for preference, playing in (("no-preference", True), ("reduce", False)):
        media(browser, prefers_reduced_motion=preference)
        try:
            page = opened(browser, folder / "report.html")
            assert page.execute_script("return mlrim.animation.playing") is playing
        finally:
            media(browser)


def test_a_link_in_the_table_starts_its_mode(page, prediction):
    row = next(index for index, mode in enumerate(prediction.gamma.modes) if mode.degeneracy == 2 and not mode.acoustic)
    click(page, f"#mode-{row + 1} a")
    assert page.execute_script("return mlrim.animation.playing") is True
    mode = prediction.gamma.modes[row]
    assert f"{mode.frequency_cm1:.1f} cm⁻¹" in page.find_element("id", "mode-title").text
    assert page.find_element("css selector", "tr.current").get_attribute("id") == f"mode-{row + 1}"
    assert len(page.find_elements("css selector", "#control-partner option")) == 2
    assert page.current_url.endswith(f"#mode-{row + 1}")
    cells = page.find_elements("css selector", "#motion-table td:last-child")
    shares = [float(cell.text.removesuffix(" %")) / 100 for cell in cells]
    atoms, _, moved = displacements(page, 0.0)
    squares = [mass * np.sum(moved[atoms == k][0] ** 2) for k, mass in enumerate(prediction.dynamics.crystal.masses)]
    np.testing.assert_allclose(shares, np.array(squares) / np.sum(squares), atol=1e-3)


def test_an_address_with_a_mode_opens_with_that_mode(browser, folder):
    browser.get("about:blank")
    browser.get((folder / "report.html").as_uri() + "#mode-5")
    assert browser.find_element("css selector", "tr.current").get_attribute("id") == "mode-5"


def test_a_click_on_a_band_starts_that_mode(page, prediction):
    from selenium.webdriver import ActionChains

    q, band = prediction.dispersion.path.segments[0].start + 2, 12
    x, y = page.execute_script(
        """const chart = document.getElementById("chart-dispersion");
        chart.scrollIntoView({block: "center", behavior: "instant"});
        const {xaxis, yaxis} = chart._fullLayout;
        const trace = chart.data.find(({meta}) => meta === arguments[1]);
        const box = chart.getBoundingClientRect();
        return [box.x + xaxis._offset + xaxis.d2p(trace.x[arguments[0]]),
                box.y + yaxis._offset + yaxis.d2p(trace.y[arguments[0]])];""",
        q,
        band,
    )
    chain = ActionChains(page)
    chain.w3c_actions.pointer_action.move_to_location(int(x), int(y))
    chain.pause(0.2).w3c_actions.pointer_action.click()
    chain.perform()
    eventually(lambda: "at q = (" in page.find_element("id", "mode-title").text)
    title = page.find_element("id", "mode-title").text
    frequency = prediction.dispersion.frequencies[q, band] * THZ_TO_CM1
    assert f"{frequency:.1f} cm⁻¹" in title
    marked = page.execute_script("return document.getElementById('chart-dispersion').data.at(-1).y")
    assert marked == [pytest.approx(frequency, abs=1e-3)]


def test_the_table_sorts_by_a_click_and_by_the_keyboard(page, prediction):
    from selenium.webdriver.common.keys import Keys

    def column(number):
        return [row.text for row in page.find_elements("css selector", f"#gamma-table tbody tr > :nth-child({number})")]

    click(page, "#gamma-table thead th:nth-child(1) button")
    ascending = [float(text) for text in column(1)]
    assert ascending == sorted(ascending)
    page.find_element("css selector", "#gamma-table thead th:nth-child(1) button").send_keys(Keys.ENTER)
    descending = [float(text) for text in column(1)]
    assert descending == sorted(ascending, reverse=True)
    assert page.find_element("css selector", "#gamma-table th:nth-child(1)").get_attribute("aria-sort") == "descending"
    click(page, "#gamma-table thead th:nth-child(4) button")
    assert column(4) == sorted(column(4))
    assert set(column(4)) == {mode.irrep.symbol for mode in prediction.gamma.modes}


def test_downloads_are_the_files_of_the_folder(page, folder, prediction, tmp_path):
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    for name in tables(prediction):
        click(page, f"button[data-csv={name}]")
        saved = columns_of(wait_for(tmp_path / f"rutile_{name}.csv"))
        expected = columns_of((folder / f"{name}.csv").read_text(encoding="utf-8"))
        assert saved.keys() == expected.keys()
        for header, values in expected.items():
            assert_same_cells(saved[header], values)
    click(page, "button[data-json]")
    saved = json.loads(wait_for(tmp_path / "rutile.json"))
    assert saved["name"] == "rutile"
    assert len(saved["gamma"]["modes"]) == len(prediction.gamma.modes)
    assert complaints(page) == []


def wait_for(path) -> str:
    eventually(lambda: path.is_file() and path.stat().st_size)
    return path.read_text(encoding="utf-8")


def columns_of(text: str) -> dict[str, list[str]]:
    header, *rows = csv.reader(io.StringIO(text))
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def assert_same_cells(saved: list[str], expected: list[str]) -> None:
    assert len(saved) == len(expected)
    for first, second in zip(saved, expected, strict=True):
        if first != second:
            assert float(first) == pytest.approx(float(second), rel=1e-6, abs=1e-12)


def test_charts_show_the_tables(page, prediction):
    drawn = page.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.chart')].map((chart) =>"
        " [chart.id, chart.data.map(({name, y}) => [name ?? '', y.filter((value) => value !== null)])]))"
    )
    bands = np.array([y for _, y in drawn["chart-dispersion"][: prediction.dispersion.frequencies.shape[1]]])
    np.testing.assert_allclose(bands.T, prediction.dispersion.frequencies * THZ_TO_CM1, rtol=1e-5, atol=1e-4)
    reflectivity = list(prediction.infrared.reflectivities.values())
    np.testing.assert_allclose([y for _, y in drawn["chart-infrared-reflectivity"]], reflectivity, rtol=1e-5, atol=1e-6)
    powder = dict(drawn["chart-raman-powder"])
    np.testing.assert_allclose(
        np.array(powder["parallel (HH)"]) / max(powder["total"]),
        prediction.raman.parallel / prediction.raman.total.max(),
        rtol=1e-5,
        atol=1e-9,
    )
    assert {"chart-neutrons-spectrum", "chart-thermal-capacities", "chart-thermal-motion"} <= drawn.keys()


def test_warnings_quality_and_provenance_are_on_the_page(page, prediction):
    assert "a warning" in page.find_element("css selector", ".warnings").text
    assert "Lyddane–Sachs–Teller" in page.find_element("css selector", ".quality").text
    data = page.find_element("id", "data").text
    for text in ("rutile.cif", "random springs", "a test", "a note", "numpy", "spglib"):
        assert text in data
    assert page.find_element("css selector", "h1").text.startswith("TiO2")


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_needs_no_sideways_scrolling(browser, folder, width):
    page = opened(browser, folder / "report.html", width, 844, mobile=True)
    time.sleep(0.5)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    boxes = page.execute_script(
        "return [...document.querySelectorAll('.chart .main-svg, #viewer canvas')].map((element) => {"
        " const {left, right, height} = element.getBoundingClientRect(); return [left, right, height]; })"
    )
    assert len(boxes) > 8
    for left, right, height in boxes:
        assert left >= 0
        assert right <= width
        assert height > 150


def test_paper_shows_a_picture_of_the_mode_and_charts_of_its_width(page):
    import base64

    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 4
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    media(page, media="print")
    try:
        picture = page.find_element("id", "viewer-print")
        assert picture.is_displayed()
        assert len(picture.get_attribute("src")) > 5000
        assert not page.find_element("id", "control-play").is_displayed()
        assert not page.find_element("css selector", "nav.sections").is_displayed()
        charts = "return [...document.querySelectorAll('.chart .main-svg')].map((chart) => chart.clientWidth)"
        assert max(page.execute_script(charts)) <= 680
        page.execute_script("dispatchEvent(new Event('afterprint'))")
    finally:
        media(page)
    assert complaints(page) == []


def test_a_dark_screen_gets_a_dark_page_with_light_text(browser, folder):
    def brightness(script):
        colour = browser.execute_script(f"return {script}")
        return sum(int(part) for part in colour.strip("rgba()").split(",")[:3])

    media(browser, prefers_color_scheme="dark")
    try:
        page = opened(browser, folder / "report.html")
        assert brightness("getComputedStyle(document.body).backgroundColor") < 150
        assert brightness("getComputedStyle(document.body).color") > 600
        label = page.find_element("css selector", "#chart-dispersion .xtick text")
        assert "rgb(229, 234, 241)" in label.get_attribute("style")
    finally:
        media(browser)


def test_text_from_the_input_stays_text(browser, tmp_path):
    prediction = given_prediction("rocksalt", name=HOSTILE, warnings=[HOSTILE])
    path = tmp_path / "report.html"
    path.write_text(report(prediction), encoding="utf-8")
    page = opened(browser, path)
    assert page.find_elements("css selector", "img[src=x]") == []
    assert HOSTILE in page.find_element("css selector", ".kicker").text
    assert page.find_element("css selector", ".warnings li").text == HOSTILE
    assert page.execute_script("return mlrim.embedded('data-page').name") == HOSTILE
    assert complaints(page) == []


def test_imaginary_modes_are_written_as_in_the_literature(browser, tmp_path):
    prediction = given_prediction("rutile", unstable=True)
    page = opened(browser, write_report(prediction, tmp_path))
    mode = next(mode for mode in prediction.gamma.modes if not mode.acoustic)
    assert f"{-mode.frequency_cm1:.1f}i" in page.find_element("css selector", "tr.imaginary").text
    assert "below zero are imaginary" in page.find_element("id", "bands").text
    assert page.find_elements("css selector", ".quality .doubt")


def test_what_is_missing_is_said_in_one_line(browser, tmp_path):
    prediction = given_prediction("rocksalt", polar=False)
    page = opened(browser, write_report(prediction, tmp_path))
    for section in ("response", "infrared"):
        assert page.find_element("css selector", f"#{section} .absent").text.startswith("Not shown: ")
        assert page.find_elements("css selector", f"#{section} .chart") == []
    assert complaints(page) == []


def test_a_browser_without_webgl_shows_everything_but_the_motion(browser, folder):
    source = """const all = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            return kind.startsWith("webgl") ? null : all.call(this, kind, ...rest);
        };"""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        page = opened(browser, folder / "report.html")
        assert "WebGL" in page.find_element("id", "viewer-message").text
        assert len(page.find_elements("css selector", ".chart .main-svg")) > 8
        click(page, "#gamma-table thead th:nth-child(1) button")
        assert page.find_element("css selector", "#gamma-table th").get_attribute("aria-sort") == "ascending"
        assert complaints(page) == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
