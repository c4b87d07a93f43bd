"""Lightning modules, losses and metrics: what a network is trained for."""
