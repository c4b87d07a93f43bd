"""The screened repulsion of nuclei that are closer than any bond, which keeps learned energies from collapsing there.

Source: J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping and Range of Ions in Matter, vol. 1 (1985): the
universal screening function. It ends smoothly where the covalent spheres of two atoms touch, so that networks learn
bonds by themselves.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlrim.nn.element_tables import radii_by_number
from mlrim.units import BOHR, COULOMB_EV_ANGSTROM

WEIGHTS = (0.18175, 0.50986, 0.28022, 0.02817)
DECAYS = (3.19980, 0.94229, 0.40290, 0.20162)
SCREENING_LENGTH, SCREENING_POWER = 0.88534 * BOHR, 0.23


def smooth_fade(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """One below 0 and zero above 1, with three continuous derivatives: 1 − 35x⁴ + 84x⁵ − 70x⁶ + 20x⁷ between."""
    x = x.clamp(0, 1)
    square = x * x
    return 1 - square * square * (35 - x * (84 - x * (70 - 20 * x)))


def screened_repulsion(
    distance: Float[Tensor, "pairs"], first: Int[Tensor, "pairs"], second: Int[Tensor, "pairs"]
) -> Float[Tensor, "pairs"]:
    """Z₁Z₂e²/(4πε₀r) φ(r/a) of atoms with atomic numbers Z₁ and Z₂, eV; a = 0.88534 a₀/(Z₁^0.23 + Z₂^0.23)."""
    z = torch.stack([first, second]).to(distance.dtype)
    reduced = distance * (z**SCREENING_POWER).sum(0) / SCREENING_LENGTH
    screening = sum(
        weight * torch.exp(-decay * reduced) for weight, decay in zip(WEIGHTS, DECAYS, strict=True)
    )  # fmt: skip
    return COULOMB_EV_ANGSTROM * z.prod(0) / distance * screening


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
        touching = self.radii.index_select(0, first) + self.radii.index_select(0, second)
        return screened_repulsion(distance, first, second) * smooth_fade(distance / touching)
