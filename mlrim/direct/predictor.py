"""Direct networks ready for prediction: one, or several whose disagreement says how sure they are."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.direct.answers import DirectAnswer, answer_of
from mlrim.graph.structure_graph import SiteOccupancy
from mlrim.lattice.crystal import Crystal
from mlrim.nn.frequency_grid import FrequencyGrid

if TYPE_CHECKING:
    from mlrim.checkpoint import LoadedModel
    from mlrim.uncertainty.calibrated import Uncertainty


@dataclass(frozen=True, eq=False)
class DirectPredictor:
    """Vibrations of crystals straight from the structure.

    Attributes:
        members: the networks; all have the same heads and bins.
        path: where they came from.
        uncertainty: what was calibrated with them; none for a bare checkpoint.
    """

    members: "list[LoadedModel]"
    path: str
    uncertainty: "Uncertainty | None" = None

    def __post_init__(self) -> None:
        for member in self.members:
            member.model.double()

    @property
    def description(self) -> str:
        """Names the checkpoint."""
        name = Path(self.path).name
        if self.uncertainty is None:
            return f"direct model ({name})"
        return f"direct model ({name}, {self.uncertainty.method} of {len(self.members)})"

    @property
    def heads(self) -> tuple[str, ...]:
        """What the networks answer."""
        return self.members[0].model.heads  # type: ignore[return-value]

    @property
    def line_width(self) -> float:
        """FWHM of the lines of spectra that were trained on, cm⁻¹."""
        return float(self.members[0].metadata.get("line_width", 20.0))

    @cached_property
    def density_grid(self) -> FrequencyGrid:
        """Bins of densities of states."""
        return self.members[0].model.density.grid  # type: ignore[union-attr, return-value]

    @cached_property
    def spectrum_grid(self) -> FrequencyGrid:
        """Bins of spectra."""
        return self.members[0].model.infrared.grid  # type: ignore[union-attr, return-value]

    def answers(self, crystal: Crystal, occupancy: SiteOccupancy | None = None) -> list[DirectAnswer]:
        """What every member says of a crystal.

        Raises:
            UserError: an element is none that networks know.
        """
        return [answer_of(member.model, crystal, occupancy) for member in self.members]  # type: ignore[arg-type]

    def centre(self, values: Float[ndarray, "members *shape"]) -> Float[ndarray, "*shape"]:
        """The one value that is predicted: the mean of an ensemble; of a posterior its maximum, the first member."""
        if self.uncertainty is not None and self.uncertainty.method == "laplace":
            return np.asarray(values[0])
        return np.asarray(values.mean(axis=0))


def spread(values: Float[ndarray, "members *shape"]) -> Float[ndarray, "*shape"]:
    """Standard deviation of the members; zero of a single one.

    >>> spread(np.array([[1.0, 2.0]])).tolist(), float(spread(np.array([1.0, 3.0])).round(4))
    ([0.0, 0.0], 1.4142)
    """
    return np.asarray(values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:]))
