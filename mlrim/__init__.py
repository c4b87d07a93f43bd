"""mlrim: lattice vibrations and their spectra, learned from first-principles force constants."""

__version__ = "0.1.0"
