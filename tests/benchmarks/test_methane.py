"""The comparison with PySCF: its own intensities by displacing molecules, and what the table says."""

import pytest

from benchmarks.methane import Line, analysed_lines, difference_line, pyscf_lines, table
from datamodules.molecules.shipped import shipped_configurations
from mlrim.errors import UserError


@pytest.mark.parametrize("name", ["water", pytest.param("methane", marks=pytest.mark.slow)])
def test_intensities_are_those_of_dipoles_that_pyscf_calculates_at_displaced_geometries(name):
    pytest.importorskip("pyscf", reason="PySCF is not installed (pip install 'mlrim[molecules]')")
    configuration = shipped_configurations(name)[0]
    ours, theirs = analysed_lines(configuration), pyscf_lines(configuration, name)
    assert len(ours) == len(theirs)
    for line, other in zip(ours, theirs, strict=True):
        assert line.frequency == pytest.approx(other.frequency, abs=1e-4)
        assert line.infrared == pytest.approx(other.infrared, abs=0.02)
        assert line.raman == pytest.approx(other.raman, abs=0.01)


def test_the_table_matches_lines_in_order_and_leaves_unknown_intensities_empty():
    ours = [Line("A1", "Raman", 100.0, 0.0, 2.0, 0.1), Line("T2", "IR+Raman", 300.0, 5.0, 7.0, 0.75)]
    theirs = [Line("", "", 101.0, None, None, None), Line("", "", 298.5, None, None, None)]
    text = table(ours, theirs)
    assert "| A1 | Raman | 100.0 | 101.0 | -1.0 | 0 |  | 2.0 |  |" in text
    assert "| T2 | IR, Raman | 300.0 | 298.5 | +1.5 |" in text
    assert "1.5 cm⁻¹" in difference_line(ours, theirs)
    with pytest.raises(UserError, match="2 different frequencies and the reference 1"):
        table(ours, theirs[:1])
