"""Makes data/pdielec_reference.json: permittivities, reflectivities and powder spectra from PDielec.

    pip install PDielec==10.0.0        # in an environment of its own: mlrim does not depend on it
    python tests/vibrations/pdielec_reference.py

The inputs are stated here and stored beside the results, so that the comparison needs nothing else:

* MgO: Born charges, masses, TO frequency, ε∞ and volume; PDielec makes the oscillator strengths.
* Rutile and quartz: oscillators (frequency, Δε, width over frequency) along the principal axes, rounded after Spitzer,
  Miller, Kleinman and Howarth, Phys. Rev. 126, 1710 (1962), and Spitzer and Kleinman, Phys. Rev. 121, 1324 (1961).
* A triclinic crystal of random numbers: eigenvectors, Born charges, masses, widths and ε∞ without any symmetry, with LO
  frequencies in a general direction and the reflectivity of a general face.

Reflectivities are those of PDielec's transfer-matrix code for crystals (4×4 matrices) at normal incidence.
"""

import json
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).parent / "data" / "pdielec_reference.json"
MATRIX, FRACTION = 2.25, 0.1
GRID = np.concatenate([np.arange(60.0, 1300.0, 37.0), [183.5, 364.2, 394.3, 401.0, 449.0, 495.2, 718.0, 1072.0]])
AXIS, NORMAL, FIELD = (0.0, 0.0, 1.0), (0.3, -0.8, 0.5), (0.9, 0.2, -0.1)
RUTILE = {
    "perpendicular": (6.0, [[183, 81.5, 0.26], [388, 1.08, 0.06], [500, 6.50, 0.044]]),
    "parallel": (7.8, [[167, 165.0, 0.48]]),
}
QUARTZ = {
    "perpendicular": (
        2.356,
        [
            [394, 0.33, 0.007],
            [450, 0.82, 0.009],
            [697, 0.018, 0.012],
            [797, 0.11, 0.009],
            [1072, 0.67, 0.0071],
            [1163, 0.010, 0.006],
            [1227, 0.009, 0.11],
        ],
    ),
    "parallel": (
        2.383,
        [
            [364, 0.68, 0.014],
            [495, 0.66, 0.009],
            [509, 0.05, 0.014],
            [539, 0.006, 0.04],
            [778, 0.10, 0.010],
            [1080, 0.67, 0.0069],
            [1220, 0.011, 0.15],
        ],
    ),
}


def magnesia() -> dict:
    """MgO as modes and charges."""
    masses = np.array([24.305, 15.999])
    share = np.sqrt(masses[::-1] / masses.sum())
    return {
        "masses": masses,
        "eigenvectors": np.vstack([np.eye(3) * share[0], -np.eye(3) * share[1]]),
        "born_charges": np.array([1.960 * np.eye(3), -1.960 * np.eye(3)]),
        "frequencies": np.full(3, 401.0),
        "widths": np.full(3, 12.0),
        "dielectric": 2.956 * np.eye(3),
        "volume": 18.68,
    }


def triclinic() -> dict:
    """Three atoms, nine modes, no symmetry."""
    generator = np.random.default_rng(2024)
    eigenvectors, _ = np.linalg.qr(generator.normal(size=(9, 9)))
    root = generator.normal(size=(3, 3))
    frequencies = np.sort(generator.uniform(90, 1000, 9)).round(1)
    return {
        "masses": np.array([47.867, 15.999, 28.085]),
        "eigenvectors": eigenvectors,
        "born_charges": generator.normal(size=(3, 3, 3)).round(3) * 2,
        "frequencies": frequencies,
        "widths": (frequencies * generator.uniform(0.02, 0.1, 9)).round(2),
        "dielectric": (2.5 * np.eye(3) + 0.4 * root @ root.T).round(4),
        "volume": 55.0,
    }


def uniaxial(parameters: dict) -> dict:
    """Oscillator strengths per volume of measured oscillators: tensors Δε and widths."""
    frequencies, contributions, widths = [], [], []
    for axis in range(3):
        _, modes = parameters["parallel" if axis == 2 else "perpendicular"]
        for frequency, contribution, damping in modes:
            frequencies.append(float(frequency))
            contributions.append(contribution * np.outer(np.eye(3)[axis], np.eye(3)[axis]))
            widths.append(frequency * damping)
    perpendicular, parallel = parameters["perpendicular"][0], parameters["parallel"][0]
    return {
        "frequencies": np.array(frequencies),
        "contributions": np.array(contributions),
        "widths": np.array(widths),
        "dielectric": np.diag([perpendicular, perpendicular, parallel]),
    }


def permittivity(inputs: dict) -> tuple[np.ndarray, dict]:
    """ε on the grid, and what PDielec says of the modes where it is given charges and eigenvectors."""
    from PDielec import Calculator
    from PDielec.Constants import amu, angstrom, wavenumber
    from PDielec.DielectricFunction import DFT

    frequencies = inputs["frequencies"] * wavenumber
    volume, modes = inputs.get("volume", 100.0) * angstrom**3, {}
    if "contributions" in inputs:
        strengths = inputs["contributions"] * (frequencies**2)[:, None, None] * volume / (4 * np.pi)
    else:
        masses = inputs["masses"] * amu
        weighted = inputs["eigenvectors"].T.reshape(len(frequencies), len(masses), 3)
        strengths = Calculator.oscillator_strengths(Calculator.normal_modes(masses, weighted), inputs["born_charges"])
        modes["intensities"] = Calculator.infrared_intensities(strengths)
        if len(frequencies) == 3 * len(masses):
            direction = np.array(NORMAL) / np.linalg.norm(NORMAL)
            reader = type("Reader", (), {"eckart": False})()
            longitudinal = Calculator.longitudinal_modes(
                frequencies, weighted, inputs["born_charges"], masses, inputs["dielectric"], volume, [direction], reader
            )
            modes["longitudinal"] = np.array(longitudinal[0]) / wavenumber
    function = DFT(range(len(frequencies)), frequencies, inputs["widths"] * wavenumber, strengths, volume, False, 0, 0)
    function.set_epsilon_infinity(inputs["dielectric"])
    return np.array([function.calculate(value) for value in GRID]), modes


def face_reflectivity(tensors: np.ndarray, normal: tuple, field: tuple) -> np.ndarray:
    """Reflectivity at normal incidence by 4×4 matrices: the crystal is turned until its face is the plane z = 0."""
    from PDielec.GTMcore import Layer, TransferMatrixSystem

    unit = np.array(normal) / np.linalg.norm(normal)
    first = np.array(field) - unit * (unit @ np.array(field))
    first /= np.linalg.norm(first)
    frame = np.array([first, np.cross(unit, first), unit])
    values = []
    for wavenumber, tensor in zip(GRID, tensors, strict=True):
        turned = frame @ tensor @ frame.T
        layers = [Layer(epsilon=lambda _, value=value: value) for value in (turned, np.eye(3, dtype=complex))]
        system = TransferMatrixSystem(substrate=layers[0], superstrate=layers[1], layers=[])
        frequency = wavenumber * 100 * 299792458.0
        system.initialize_sys(frequency)
        system.calculate_GammaStar(frequency, 0.0)
        _, intensities, _, _ = system.calculate_r_t(0.0)
        values.append(intensities[0] + intensities[3])
    return np.array(values)


def powders(tensors: np.ndarray) -> dict:
    """Effective ε by Maxwell-Garnett for the three shapes."""
    from PDielec import Calculator

    shapes = {
        "sphere": Calculator.initialise_sphere_depolarisation_matrix(),
        "plate": Calculator.initialise_plate_depolarisation_matrix(np.array(AXIS)),
        "needle": Calculator.initialise_needle_depolarisation_matrix(np.array(AXIS)),
    }
    outside = MATRIX * np.eye(3)
    return {
        shape: np.array([Calculator.maxwell(outside, value, shape, factors, FRACTION, 0.0)[0, 0] for value in tensors])
        for shape, factors in shapes.items()
    }


def bruggeman(tensors: np.ndarray, fraction: float) -> np.ndarray:
    """Effective ε of spheres by Bruggeman's equation."""
    from PDielec import Calculator

    factors = Calculator.initialise_sphere_depolarisation_matrix()
    outside = MATRIX * np.eye(3)
    start = Calculator.maxwell(outside, tensors[0], "sphere", factors, fraction, 0.0)
    values = []
    for tensor in tensors:
        start = Calculator.bruggeman_iter(outside, tensor, "sphere", factors, fraction, 0.0, start)
        values.append(start[0, 0])
    return np.array(values)


def plain(value: object) -> object:
    """Arrays as lists, complex numbers as pairs."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return {"real": value.real.tolist(), "imag": value.imag.tolist()} if np.iscomplexobj(value) else value.tolist()
    return value


def main() -> None:
    """Write the reference file."""
    inputs = {"MgO": magnesia(), "rutile": uniaxial(RUTILE), "quartz": uniaxial(QUARTZ), "triclinic": triclinic()}
    materials = {}
    for name, given in inputs.items():
        tensors, modes = permittivity(given)
        faces = [(NORMAL, FIELD)] if name == "triclinic" else [((1, 0, 0), (0, 1, 0)), ((1, 0, 0), (0, 0, 1))]
        materials[name] = {
            "inputs": given,
            "modes": modes,
            "permittivity": tensors,
            "faces": [
                {
                    "normal": list(normal),
                    "field": list(field),
                    "reflectivity": face_reflectivity(tensors, normal, field),
                }
                for normal, field in faces
            ],
            "powders": powders(tensors),
        }
    materials["MgO"]["bruggeman"] = bruggeman(np.array(materials["MgO"]["permittivity"]), FRACTION)
    content = {"grid": GRID, "matrix": MATRIX, "fraction": FRACTION, "axis": list(AXIS), "direction": list(NORMAL)}
    content["materials"] = materials
    REFERENCE.write_text(json.dumps(plain(content)) + "\n")


if __name__ == "__main__":
    main()
