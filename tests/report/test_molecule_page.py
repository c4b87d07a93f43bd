"""report.html of a molecule in a real browser: no complaint, nothing loaded, the right atoms move."""

from dataclasses import replace

import numpy as np
import pytest

from mlrim.inputs import read_any
from mlrim.molecules.pipeline import MoleculeSettings, predict_molecule
from mlrim.report.html.molecule import molecule_report, write_molecule_report
from mlrim.vibrations.molecular_spectra import DipoleDerivatives
from tests.molecules.energies import SpringPredictor, methane, xyz
from tests.report.browsers import complaints, requests

HOSTILE = "<img src=x onerror=alert(1)> & </script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    structure = read_any(xyz(tmp_path_factory.mktemp("given") / "CH4.xyz", methane()))
    charges = np.array([-0.4, 0.1, 0.1, 0.1, 0.1])[:, None, None] * np.eye(3)
    structure = structure._replace(derivatives=DipoleDerivatives(dipole=charges, source="point charges"))
    return predict_molecule(structure, SpringPredictor(), MoleculeSettings(temperatures=np.linspace(0, 1000, 11)))


@pytest.fixture(scope="module")
def page(browser, prediction, tmp_path_factory):
    path = write_molecule_report(prediction, tmp_path_factory.mktemp("page"))
    browser.get("about:blank")
    complaints(browser), requests(browser)
    browser.get(path.as_uri())
    return browser


def test_the_page_asks_for_nothing_and_the_browser_has_no_complaint(page):
    assert complaints(page) == []
    assert [address for address in requests(page) if address.startswith("http")] == []


def test_every_mode_is_in_the_table_with_its_symmetry_and_intensity(page, prediction):
    rows = page.find_elements("css selector", "#gamma-table tbody tr")
    irreps = [mode.irrep.symbol for mode in prediction.vibrations.modes]
    assert [row.find_element("css selector", ".irrep").text.replace("\n", "") for row in rows] == irreps
    assert "km/mol" in page.find_element("id", "gamma-table").text
    assert "Not shown: the derivatives of the polarisability" in page.find_element("id", "raman").text


def test_the_breathing_mode_moves_hydrogens_along_their_bonds(page, prediction):
    number = next(i for i, mode in enumerate(prediction.vibrations.modes, 1) if mode.irrep.symbol == "A1")
    page.execute_script(f"location.hash = 'mode-{number}'")
    moved = page.execute_script(
        "return mlrim.animation.atoms.map((atom) => [atom.place, mlrim.animation.displacement(atom, 0)])"
    )
    assert len(moved) == 5
    centre = np.array(moved[0][0])
    assert np.array(moved[0][1]) == pytest.approx(np.zeros(3), abs=1e-3)
    for place, displacement in moved[1:]:
        bond = np.array(place) - centre
        along = np.dot(displacement, bond) / np.linalg.norm(bond)
        assert abs(along) == pytest.approx(1, abs=1e-3)
    signs = {np.sign(np.dot(displacement, np.array(place) - centre)) for place, displacement in moved[1:]}
    assert len(signs) == 1


def test_bonds_are_drawn_and_no_cell(page):
    assert page.execute_script("return mlrim.bonds(mlrim.animation.atoms, mlrim.animation.crystal)[0].length") == 4
    assert page.execute_script("return document.getElementById('control-cells')") is None


def test_hostile_names_stay_text(prediction):
    hostile = replace(prediction, name=HOSTILE, source=HOSTILE, notes=[HOSTILE], warnings=[HOSTILE])
    text = molecule_report(hostile)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
