"""From force constants to observables: dispersions, densities of states, Γ modes, thermal properties."""
