"""Crystals, pair force constants, long-range electrostatics and dynamical matrices (NumPy, float64)."""
