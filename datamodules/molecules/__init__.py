"""Molecules calculated with PySCF: the reference data that come with the project, and how they were made."""
