"""Small ionic crystals with closed forms, and random ones, for the tests of infrared spectra."""

import numpy as np

from mlrim.vibrations.infrared import InfraredModes
from mlrim.vibrations.normal_modes import NormalModes
from mlrim.vibrations.permittivity import Oscillators, oscillators

MAGNESIA = {"charge": 1.960, "frequency": 401.0, "electronic": 2.956, "volume": 18.68, "masses": (24.305, 15.999)}


def diatomic_modes(masses, frequency, volume):
    """The three optical modes of a cubic crystal (or one molecule) of two atoms."""
    masses = np.array(masses)
    share = np.sqrt(masses[::-1] / masses.sum())
    eigenvectors = np.vstack([np.eye(3) * share[0], -np.eye(3) * share[1]])
    return NormalModes(np.full(3, float(frequency)), eigenvectors, masses, volume)


def magnesia(width=8.0) -> Oscillators:
    """MgO as four numbers."""
    charge = MAGNESIA["charge"] * np.sqrt(sum(1 / mass for mass in MAGNESIA["masses"]))
    modes = InfraredModes(np.full(3, MAGNESIA["frequency"]), charge * np.eye(3), np.zeros((3, 3)), MAGNESIA["volume"])
    return oscillators(modes, MAGNESIA["electronic"] * np.eye(3), width)


def random_oscillators(seed, count=6, overdamped=False) -> Oscillators:
    """A triclinic crystal: couplings and ε∞ in any direction."""
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(3, 3))
    frequencies = np.sort(generator.uniform(60, 900, count))
    widths = generator.uniform(0.02, 0.08, count) * frequencies
    if overdamped:
        widths[0] = 3.5 * frequencies[0]
    couplings = generator.normal(size=(count, 3)) * 400
    return Oscillators(2 * np.eye(3) + 0.5 * root @ root.T, frequencies, couplings, widths, np.zeros(0))
