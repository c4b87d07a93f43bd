"""Settings of potentials in predict.py and evaluate.py; the options of the same names say what each of them means."""

from dataclasses import dataclass
from typing import Annotated, Literal

from mlrim.configuration import Above, AtLeast

Method = Literal["auto", "extended", "supercell", "bloch", "finite_displacements"]
Relaxed = Literal["none", "positions", "cell"]


@dataclass(frozen=True)
class PotentialSettings:
    """How force constants are made of an energy.

    Attributes:
        method: the way; see `mlrim.models.potential_predictor`.
        min_length: least distance (Å) of an atom of the supercell from its own images.
        max_atoms: most atoms of it.
        memory: GiB up to which extended graphs are chosen.
        displacement: of the atoms, Å, for finite displacements.
        precision: of the network and of all derivatives.
    """

    method: Method = "auto"
    min_length: Annotated[float, AtLeast(0)] = 16.0
    max_atoms: Annotated[int, AtLeast(1)] = 1000
    memory: Annotated[float, AtLeast(0)] = 2.0
    displacement: Annotated[float, Above(0)] = 0.01
    precision: Literal["double", "single"] = "double"


@dataclass(frozen=True)
class RelaxationSettings:
    """What happens to the structure before the force constants, and when it turns out to be unstable.

    Attributes:
        relax: what is relaxed; none for the default: molecules their positions, crystals nothing.
        fmax: largest force (eV/Å) of a relaxed structure.
        max_steps: most steps of a relaxation.
        imaginary: what is done about imaginary modes.
    """

    relax: Relaxed | None = None
    fmax: float = 1e-4
    max_steps: int = 500
    imaginary: Literal["warn", "error", "follow"] = "warn"
