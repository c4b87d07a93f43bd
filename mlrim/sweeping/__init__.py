"""Hyper-parameter studies: a file in sweeps/ → an Optuna study that survives kills."""
