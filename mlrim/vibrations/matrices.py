"""Materials that powders are embedded in for infrared spectra: permittivity with dispersion, density, range."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError

LI = "H. H. Li, J. Phys. Chem. Ref. Data 5, 329 (1976), Sellmeier formula at 297 K"


@dataclass(frozen=True)
class Matrix:
    """A transparent, isotropic embedding material.

    Attributes:
        name: as users write it.
        density: g/cm³.
        constant: part of ε that does not depend on the wavelength.
        resonances: Sellmeier terms (strength B, wavelength C in μm): ε = constant + Σ B λ²/(λ² − C²).
        formula_range: wavenumbers for which ε is known, cm⁻¹; the values at its ends are used outside.
        usable: wavenumbers at which pellets or films of usual thickness transmit, cm⁻¹ (rounded).
        source: of the permittivity.
        remark: bands of its own, if any.
    """

    name: str
    density: float
    constant: float
    resonances: tuple[tuple[float, float], ...]
    formula_range: tuple[float, float]
    usable: tuple[float, float]
    source: str
    remark: str = ""

    def permittivity(self, grid: Float[ndarray, "grid"]) -> Float[ndarray, "grid"]:
        """ε on a grid of wavenumbers (cm⁻¹).

        >>> MATRICES["KBr"].permittivity(np.array([1000.0])).round(3).tolist()
        [2.33]
        """
        inverse_wavelength = np.clip(grid, *self.formula_range) * 1e-4
        return self.constant + sum(
            (strength / (1 - (inverse_wavelength * resonance) ** 2) for strength, resonance in self.resonances),
            np.zeros_like(grid),
        )

    def warning(self, grid: Float[ndarray, "grid"]) -> str:
        """What to know about the matrix in the range of a grid; empty when there is nothing."""
        low, high = self.usable
        if grid[0] >= low and grid[-1] <= high and not self.remark:
            return ""
        outside = "" if grid[0] >= low and grid[-1] <= high else f"{self.name} transmits from {low:g} to {high:g} cm⁻¹"
        return "; ".join(part for part in (outside, self.remark) if part)


MATRICES = {
    matrix.name: matrix
    for matrix in (
        Matrix(
            "KBr",
            2.75,
            1.39408,
            ((0.79221, 0.146), (0.01981, 0.173), (0.15587, 0.187), (0.17673, 60.61), (2.06217, 87.72)),
            (1e4 / 42, 5e4),
            (400, 40000),
            LI,
        ),
        Matrix(
            "KCl",
            1.988,
            1.26486,
            ((0.30523, 0.100), (0.41620, 0.131), (0.18870, 0.162), (2.6200, 70.42)),
            (1e4 / 35, 1e4 / 0.18),
            (500, 40000),
            LI,
        ),
        Matrix(
            "NaCl",
            2.165,
            1.00055,
            (
                (0.19800, 0.050),
                (0.48398, 0.100),
                (0.38696, 0.128),
                (0.25998, 0.158),
                (0.08796, 40.50),
                (3.17064, 60.98),
                (0.30038, 120.34),
            ),
            (1e4 / 30, 5e4),
            (650, 40000),
            LI,
        ),
        Matrix(
            "CsI",
            4.51,
            1.27587,
            (
                (0.68689, 0.130),
                (0.26090, 0.147),
                (0.06256, 0.163),
                (0.06527, 0.177),
                (0.14991, 0.185),
                (0.51818, 0.206),
                (0.01918, 0.218),
                (3.38229, 161.29),
            ),
            (1e4 / 67, 4e4),
            (200, 40000),
            LI,
        ),
        Matrix(
            "polyethylene",
            0.955,
            1.52**2,
            (),
            (0, np.inf),
            (10, 650),
            "Smith and Loewenstein, Appl. Opt. 14, 1335 (1975): n = 1.52 from 50 to 250 cm⁻¹",
            "polyethylene has a weak band at 73 cm⁻¹",
        ),
        Matrix(
            "Nujol",
            0.838,
            2.155,
            (),
            (0, np.inf),
            (10, 4000),
            "PDielec (Kendrick and Burnett, J. Comput. Chem. 37, 1491 (2016))",
            "Nujol has bands at 2850 to 2950, 1462, 1377 and 722 cm⁻¹",
        ),
        Matrix(
            "diamond",
            3.515,
            1.0,
            ((4.3356, 0.106), (0.3306, 0.175)),
            (0, 1e4 / 0.225),
            (10, 40000),
            "Peter, Z. Phys. 15, 358 (1923), Sellmeier formula",
            "diamond absorbs from 1600 to 2700 cm⁻¹",
        ),
        Matrix("air", 0.0012, 1.0, (), (0, np.inf), (0, np.inf), "vacuum"),
    )
}


def matrix_named(name: str) -> Matrix:
    """An embedding material by its name, in any case.

    Raises:
        UserError: the name is not known.
    """
    found = {key.lower(): matrix for key, matrix in MATRICES.items()}.get(name.strip().lower())
    if found is None:
        raise UserError(f"matrix '{name}' is unknown; choose one of {', '.join(MATRICES)}")
    return found


def constant_matrix(permittivity: float, density: float) -> Matrix:
    """Any other transparent material, from its ε and its density (g/cm³)."""
    if not (permittivity >= 1 and density > 0):
        raise UserError(
            f"a matrix with ε = {permittivity:g} and a density of {density:g} g/cm³ cannot be; ε is at least one "
            "and the density positive"
        )
    source = "given"
    return Matrix(f"ε = {permittivity:g}", density, permittivity, (), (0, np.inf), (0, np.inf), source)
