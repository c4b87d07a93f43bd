"""Using energies: ASE calculators, relaxation with the symmetry kept, and phases that imaginary modes lead to."""
