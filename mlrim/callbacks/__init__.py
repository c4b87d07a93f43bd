"""Lightning callbacks: progress, figures at the end of a run, averaged weights, checkpoints, provenance, pruning."""
