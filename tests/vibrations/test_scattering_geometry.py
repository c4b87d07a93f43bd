"""Porto's notation: what it means, and what is told about mistakes."""

import numpy as np
import pytest

from mlrim.errors import UserError
from mlrim.vibrations.scattering_geometry import parse_direction, parse_porto

HEXAGONAL = np.array([[3.2, 0, 0], [-1.6, 1.6 * np.sqrt(3), 0], [0, 0, 5.2]])


@pytest.mark.parametrize(
    ("text", "beams", "polarizations", "transfer"),
    [
        ("z(xy)-z", ([0, 0, 1], [0, 0, -1]), ([1, 0, 0], [0, 1, 0]), [0, 0, 1]),
        ("-z(x x)z", ([0, 0, -1], [0, 0, 1]), ([1, 0, 0], [1, 0, 0]), [0, 0, -1]),
        ("z(xy)z\u0304", ([0, 0, 1], [0, 0, -1]), ([1, 0, 0], [0, 1, 0]), [0, 0, 1]),
        ("z ( x , -y ) −z", ([0, 0, 1], [0, 0, -1]), ([1, 0, 0], [0, -1, 0]), [0, 0, 1]),
        ("x(yz)y", ([1, 0, 0], [0, 1, 0]), ([0, 1, 0], [0, 0, 1]), [1, -1, 0]),
        ("[110]([1-10] c)[-1-10]", ([1, 1, 0], [-1, -1, 0]), ([1, -1, 0], [0, 0, 1]), [1, 1, 0]),
        ("[1, 0.5, 0](z[-0.5,1,0])[-2, -1, 0]", ([2, 1, 0], [-2, -1, 0]), ([0, 0, 1], [-1, 2, 0]), [2, 1, 0]),
    ],
)
def test_the_notation_reads_as_in_the_literature(text, beams, polarizations, transfer):
    geometry = parse_porto(text)
    found = [geometry.incident_beam, geometry.scattered_beam]
    found += [geometry.incident_polarization, geometry.scattered_polarization]
    for vector, expected in zip(found, [*beams, *polarizations], strict=True):
        assert vector == pytest.approx(np.array(expected) / np.linalg.norm(expected))
    assert geometry.phonon_direction == pytest.approx(np.array(transfer) / np.linalg.norm(transfer))


def test_forward_scattering_leaves_no_direction():
    assert parse_porto("z(xy)z").phonon_direction is None


def test_brackets_count_lattice_vectors_and_commas_mean_cartesian():
    along_b = parse_direction("[010]", HEXAGONAL)
    assert along_b == pytest.approx([-0.5, np.sqrt(3) / 2, 0])
    assert parse_direction("b", HEXAGONAL) == pytest.approx(along_b)
    assert parse_direction("-[0 1 0]", HEXAGONAL) == pytest.approx(-along_b)
    assert parse_direction("[0, 2, 0]", HEXAGONAL) == pytest.approx([0, 1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zxyz", "form beam"),
        ("z(x)-z", r"not 1\(1\)1"),
        ("z(xyz)-z", r"not 1\(3\)1"),
        ("zz(xy)-z", r"not 2\(2\)1"),
        ("z(xq)-z", "'q' is no direction"),
        ("[12](xy)z", "is not three numbers"),
        ("[a b c](xy)z", "is not three numbers"),
        ("[000](xy)z", "has no direction"),
        ("z(zy)-z", "polarisation of the laser is 0.0° from its beam"),
        ("z(xy)y", "polarisation of the scattered light is 0.0° from its beam"),
        ("", "form beam"),
        ("[1, 0.5, 0](z[-0.5,1,0])-x", "scattered light is 63.4° from its beam"),
    ],
)
def test_mistakes_are_told_with_an_example(text, message):
    with pytest.raises(UserError, match=message) as error:
        parse_porto(text)
    assert "z(xy)-z" in str(error.value)
