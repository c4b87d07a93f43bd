"""Spectra of a predicted crystal on a grid: which are calculated, with which settings, from which quantities."""
