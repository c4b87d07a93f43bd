"""Born charges and ε∞ as a model of the response would get them wrong, to train networks that use such models.

A learned response errs alike for all atoms of an element, keeps the symmetry of the crystal, and is neutral. So do
these errors: every element's charges are scaled by a random factor, their anisotropic part by another one, and what is
left of the sum is spread over the atoms; ε∞ is scaled by one factor, and raised to a power about its mean, which
changes its anisotropy along its own axes. All of this commutes with every rotation that leaves the crystal as it is.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mlrim.configuration.types import AtLeast
from mlrim.errors import UserError
from mlrim.graph.crystal_graph import ResponseFeatures
from mlrim.lattice.dipole import neutralize_born_charges


@dataclass(frozen=True)
class ResponseErrors:
    """Standard deviations of the logarithms of the random factors.

    Attributes:
        charges: of the Born charges of an element, before the crystal is made neutral again.
        charge_anisotropy: of their anisotropic part, besides.
        dielectric: of ε∞.
        dielectric_anisotropy: of the exponent that ε∞ over its mean is raised to.

    Raises:
        UserError: a negative one.
    """

    charges: Annotated[float, AtLeast(0)] = 0.12
    charge_anisotropy: Annotated[float, AtLeast(0)] = 0.3
    dielectric: Annotated[float, AtLeast(0)] = 0.12
    dielectric_anisotropy: Annotated[float, AtLeast(0)] = 0.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise UserError(f"response_errors.{name}={value} must not be negative: it is a standard deviation")


def perturbed_response(
    response: ResponseFeatures, numbers: Int[ndarray, "atoms"], errors: ResponseErrors, name: str, draw: int
) -> ResponseFeatures:
    """A response with random errors, which depend on the name of the crystal and the number of the draw only.

    >>> numbers = np.array([12, 8])
    >>> exact = ResponseFeatures(np.array([2 * np.eye(3), -2 * np.eye(3)]), 3 * np.eye(3))
    >>> once, again = (perturbed_response(exact, numbers, ResponseErrors(), "mp-1265", 0) for _ in range(2))
    >>> bool(np.all(once.born_charges == again.born_charges)), bool(np.all(once.born_charges == exact.born_charges))
    (True, False)

    Args:
        numbers: atomic numbers.
        name: id of the record.
        draw: number of the draw.
    """
    generator = np.random.default_rng([draw + 1, *name.encode()])
    charges = np.empty_like(response.born_charges, dtype=float)
    for number in np.unique(numbers):
        atoms = numbers == number
        charges[atoms] = _scaled_charges(response.born_charges[atoms], errors, generator)
    return ResponseFeatures(neutralize_born_charges(charges), _changed_dielectric(response, errors, generator))


def _scaled_charges(
    charges: Float[ndarray, "atoms 3 3"], errors: ResponseErrors, generator: np.random.Generator
) -> Float[ndarray, "atoms 3 3"]:
    overall = np.exp(errors.charges * generator.standard_normal())
    anisotropic = np.exp(errors.charge_anisotropy * generator.standard_normal())
    mean = np.trace(charges, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    return overall * (mean + anisotropic * (charges - mean))


def _changed_dielectric(
    response: ResponseFeatures, errors: ResponseErrors, generator: np.random.Generator
) -> Float[ndarray, "3 3"]:
    """Not below that of vacuum, unless it was before."""
    overall = np.exp(errors.dielectric * generator.standard_normal())
    power = np.exp(errors.dielectric_anisotropy * generator.standard_normal())
    values, axes = np.linalg.eigh(response.dielectric)
    mean = values.mean()
    changed = np.maximum(overall * mean * (values / mean) ** power, np.minimum(values, 1.0))
    return (axes * changed) @ axes.T
