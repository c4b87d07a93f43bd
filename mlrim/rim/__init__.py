"""Classical lattice models: rigid ions and shells, their charges, short-range potentials, fits and baselines."""
