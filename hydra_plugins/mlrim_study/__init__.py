"""Hydra's plug-in point: Hydra accepts sweepers from the namespace `hydra_plugins` only."""

from hydra_plugins.mlrim_study.sweeper import StudySweeper

__all__ = ["StudySweeper"]
