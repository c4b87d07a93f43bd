"""Filters leave out what they say, and say why."""

import pytest

from datamodules.filters import RecordFilter
from datamodules.quality import QualityLimits
from mlrim.errors import UserError
from tests.datamodules.test_splits import entry

RUTILE = {"elements": ("O", "Ti"), "n_atoms": 6}


def test_paper_subset_is_binary_and_ternary_oxides_halides_sulfides_nitrides_of_at_most_30_atoms() -> None:
    index = [
        entry("rutile", "TiO2", **RUTILE),
        entry("spinel", "MgAl2O4", elements=("O", "Mg", "Al"), n_atoms=14),
        entry("nitride", "AlN", elements=("N", "Al")),
        entry("quaternary", "KMgAlF6", elements=("F", "Mg", "Al", "K")),
        entry("selenide", "ZnSe", elements=("Zn", "Se")),
        entry("element", "Si", elements=("Si",)),
        entry("large", "Y2O3", elements=("O", "Y"), n_atoms=40),
    ]
    selection = RecordFilter("mlrim_paper").select(index)
    assert selection.ids == ("rutile", "spinel", "nitride")
    assert selection.left_out["large"] == ("40 atoms > 30",)
    assert "4 elements" in selection.left_out["quaternary"][0]


def test_largest_cell_supercell_and_born_charges_can_be_asked_for() -> None:
    index = [entry("a", "NaCl"), entry("b", "NaCl", n_atoms=30), entry("c", "NaCl", has_born=False, n_images=2)]
    assert RecordFilter(max_atoms=20).select(index).ids == ("a", "c")
    assert RecordFilter(need_born=True).select(index).left_out == {"c": ("no Born charges",)}
    assert RecordFilter(min_images=16).select(index).ids == ("a", "b")
    assert RecordFilter(level="teacher").select(index).ids == ()


@pytest.mark.parametrize(
    ("figure", "value"),
    [("min_gamma_thz", -0.6), ("dielectric_mean", 31.0), ("born_max", 12.0), ("acoustic_thz", 0.9)],
)
def test_poor_records_are_left_out_with_the_figure_that_says_so(figure: str, value: float) -> None:
    index = [entry("good", "NaCl", quality={figure: 0.1}), entry("poor", "KCl", quality={figure: value})]
    selection = RecordFilter().select(index)
    assert selection.ids == ("good",)
    assert selection.left_out["poor"][0].startswith(figure)
    assert RecordFilter(quality=None).select(index).ids == ("good", "poor")


def test_limits_can_be_set() -> None:
    index = [entry("soft", "BaTiO3", quality={"min_gamma_thz": -6.0})]
    assert RecordFilter(quality=QualityLimits(min_gamma_thz=-10)).select(index).ids == ("soft",)


def test_misspelt_filter_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match=r'Did you mean "mlrim_paper"'):
        RecordFilter("mlrim_papr")
