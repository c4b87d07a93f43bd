"""Directions of light in a Raman experiment on a single crystal, in Porto's notation.

`z(xy)-z` reads: laser along z, polarised along x; scattered light leaves along −z and is analysed along y. A
direction is one of

* `x`, `y`, `z`: the Cartesian axes of the crystal, `-z` their opposites;
* `a`, `b`, `c` or `[110]`, `[1 -1 0]`: a sum of the lattice vectors of the conventional cell;
* `[0.7, 0.7, 0]` (with commas): a Cartesian vector of any length.

Source: T. C. Damen, S. P. S. Porto and B. Tell, Phys. Rev. 142, 570 (1966).
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mlrim.errors import UserError

TRANSVERSALITY = 1e-3
"""Largest cosine between a beam and its polarisation that rounding of the given directions may cause."""
FORWARD = 1e-6
"""|k_i − k_s| of unit vectors below which light is not deflected."""

EXAMPLES = "z(xy)-z, x(yz)y, [110]([1-10] c)[-1-10]"
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
TOKEN = re.compile(r"\s*,?\s*([+-]?)(?:([xyzabc])|\[([^\[\]]*)\])")


@dataclass(frozen=True, eq=False)
class ScatteringGeometry:
    """Beams and polarisations as Cartesian unit vectors.

    Attributes:
        label: the notation it was read from.
        incident_beam, scattered_beam: directions of travel of the laser and of the collected light.
        incident_polarization, scattered_polarization: directions of their electric fields.
    """

    label: str
    incident_beam: Float[ndarray, "3"]
    scattered_beam: Float[ndarray, "3"]
    incident_polarization: Float[ndarray, "3"]
    scattered_polarization: Float[ndarray, "3"]

    @property
    def phonon_direction(self) -> Float[ndarray, "3"] | None:
        """q̂ of the phonon that takes up k_i − k_s; none in forward scattering.

        Light that goes straight on leaves q ≈ 0, where no mode is longitudinal: the modes are then those without the
        macroscopic field (strictly polaritons, which this project does not treat).
        """
        transfer = self.incident_beam - self.scattered_beam
        length = float(np.linalg.norm(transfer))
        return transfer / length if length > FORWARD else None


def parse_porto(text: str, axes: Float[ndarray, "3 3"] | None = None) -> ScatteringGeometry:
    """Read Porto's notation.

    Args:
        axes: lattice vectors of the conventional cell as rows; by default the Cartesian axes (a cubic cell).

    Raises:
        UserError: the text cannot be read, or a polarisation is not perpendicular to its beam.

    >>> parse_porto("z(xy)-z").phonon_direction.tolist()
    [0.0, 0.0, 1.0]
    >>> parse_porto("x(yz)y").phonon_direction.round(4).tolist()
    [0.7071, -0.7071, 0.0]
    """
    axes = np.eye(3) if axes is None else axes
    match = re.fullmatch(r"\s*(.+?)\s*\((.+)\)\s*(.+?)\s*", _plain(text))
    if match is None:
        raise _unreadable(text, "it needs the form beam(polarisation polarisation)beam")
    first, inner, last = (_directions(part, axes, text) for part in match.groups())
    if not (len(first) == len(last) == 1 and len(inner) == 2):
        counts = f"{len(first)}({len(inner)}){len(last)}"
        raise _unreadable(text, f"it needs one beam, two polarisations and one beam, not {counts}")
    for which, beam, polarization in (("laser", first[0], inner[0]), ("scattered light", last[0], inner[1])):
        cosine = abs(float(beam @ polarization))
        if cosine > TRANSVERSALITY:
            raise UserError(
                f"scattering geometry '{text}': the polarisation of the {which} is {_angle(cosine):.1f}° from its "
                f"beam, but light is transverse: choose a polarisation at 90°, as in {EXAMPLES}"
            )
    return ScatteringGeometry(text.strip(), first[0], last[0], inner[0], inner[1])


def parse_direction(text: str, axes: Float[ndarray, "3 3"] | None = None) -> Float[ndarray, "3"]:
    """Cartesian unit vector of one direction such as `-z`, `c`, `[110]` or `[0.1, 0, 1]`.

    Raises:
        UserError: the text is not one direction.

    >>> parse_direction("[11-2]").round(4).tolist()
    [0.4082, 0.4082, -0.8165]
    """
    found = _directions(_plain(text), np.eye(3) if axes is None else axes, text)
    if len(found) != 1:
        raise _unreadable(text, "it needs one direction")
    return found[0]


def _directions(part: str, axes: Float[ndarray, "3 3"], whole: str) -> list[Float[ndarray, "3"]]:
    found, position = [], 0
    while position < len(part.rstrip()):
        token = TOKEN.match(part, position)
        if token is None:
            raise _unreadable(whole, f"'{part[position:].strip()}' is no direction")
        sign, letter, bracket = token.groups()
        vector = _letter(letter, axes) if letter else _bracket(bracket, axes, whole)
        length = float(np.linalg.norm(vector))
        if length == 0:
            raise _unreadable(whole, f"[{bracket}] has no direction")
        found.append((-vector if sign == "-" else vector) / length)
        position = token.end()
    return found


def _letter(letter: str, axes: Float[ndarray, "3 3"]) -> Float[ndarray, "3"]:
    return np.eye(3)["xyz".index(letter)] if letter in "xyz" else axes["abc".index(letter)]


def _bracket(content: str, axes: Float[ndarray, "3 3"], whole: str) -> Float[ndarray, "3"]:
    """Three numbers: with commas Cartesian, else whole numbers that count conventional lattice vectors."""
    cartesian = "," in content
    parts = re.split(r"[,\s]+", content.strip())
    if len(parts) == 1:
        parts = re.findall(r"[+-]?\d", content) if re.fullmatch(r"\s*(?:[+-]?\d){3}\s*", content) else parts
    if len(parts) != 3 or not all(NUMBER.fullmatch(part) for part in parts):
        raise _unreadable(whole, f"[{content}] is not three numbers like [110], [1 -1 0] or [0.5, 0.5, 0]")
    vector = np.array([float(part) for part in parts])
    return vector if cartesian else vector @ axes


def _plain(text: str) -> str:
    """Typographic minus signs as `-`, overbars before their letter."""
    text = re.sub(r"([xyzabc])\u0304|([xyzabc])\u0305", lambda match: "-" + (match[1] or match[2]), text)
    return text.replace("−", "-").replace("–", "-")


def _angle(cosine: float) -> float:
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _unreadable(text: str, why: str) -> UserError:
    return UserError(f"scattering geometry '{text}' cannot be read: {why}; valid are for example {EXAMPLES}")
