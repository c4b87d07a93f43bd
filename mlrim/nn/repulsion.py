"""The screened repulsion of nuclei that are closer than any bond, which keeps learned energies from collapsing there.

Source: J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping and Range of Ions in Matter, vol. 1 (1985): the
universal screening function. It ends smoothly where the covalent spheres of two atoms touch, so that networks learn
bonds by themselves.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.element_tables import radii_by_number
from mlrim.nn.known_derivatives import apply_known, fade_derivatives, product_derivative
from mlrim.units import BOHR, COULOMB_EV_ANGSTROM

WEIGHTS = (0.18175, 0.50986, 0.28022, 0.02817)
DECAYS = (3.19980, 0.94229, 0.40290, 0.20162)
SCREENING_LENGTH, SCREENING_POWER = 0.88534 * BOHR, 0.23


class NuclearRepulsion(nn.Module):
    """The screened repulsion, faded out between zero distance and the sum of two covalent radii."""

    radii: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("radii", torch.tensor(radii_by_number(), dtype=torch.float32), persistent=False)

    def forward(
        self, distance: Float[Tensor, "pairs"], first: Int[Tensor, "pairs"], second: Int[Tensor, "pairs"]
    ) -> Float[Tensor, "pairs"]:
        """Energies of pairs of atoms with these atomic numbers and distances (Å), eV."""
        numbers = torch.stack([first, second])
        touching = self.radii.index_select(0, numbers.reshape(-1)).view(2, -1).sum(0)
        return apply_known(faded_repulsion_derivatives, distance, numbers, touching)


def faded_repulsion_derivatives(
    order: int, distance: Float[Tensor, "pairs"], numbers: Int[Tensor, "2 pairs"], touching: Float[Tensor, "pairs"]
) -> Float[Tensor, "pairs"]:
    """Derivative of the repulsion that fades out at the distance `touching` (Å), eV/Å^order."""
    fade = [
        value / touching**n for n, value in enumerate(fade_derivatives(distance / touching, 1.0, order))
    ]  # fmt: skip
    parts = [repulsion_derivatives(n, distance, numbers) for n in range(order + 1)]
    return product_derivative(parts, fade)


def repulsion_derivatives(
    order: int, distance: Float[Tensor, "pairs"], numbers: Int[Tensor, "2 pairs"]
) -> Float[Tensor, "pairs"]:
    """Derivative of Z₁Z₂e²/(4πε₀r) φ(r/a) of atoms with atomic numbers Z, eV/Å^order.

    φ(x) = Σ w exp(−dx) with the published weights and decays; a = 0.88534 a₀/(Z₁^0.23 + Z₂^0.23).
    """
    z = numbers.to(distance.dtype)
    inverse = (z**SCREENING_POWER).sum(0) / SCREENING_LENGTH
    screening = []
    for n in range(order + 1):
        terms = [
            weight * (-decay * inverse) ** n * torch.exp(-decay * inverse * distance)
            for weight, decay in zip(WEIGHTS, DECAYS, strict=True)
        ]
        screening.append(torch.stack(terms).sum(0))
    coulomb = [COULOMB_EV_ANGSTROM * z.prod(0) / distance]
    for n in range(1, order + 1):
        coulomb.append(-n * coulomb[-1] / distance)
    return product_derivative(screening, coulomb)
