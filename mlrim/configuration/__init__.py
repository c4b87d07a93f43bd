"""Configurations that are checked before anything runs."""

from mlrim.configuration.entry_point import entry_point, validate
from mlrim.configuration.problems import Problem, did_you_mean
from mlrim.configuration.schema import Component, Components
from mlrim.configuration.types import Above, AtLeast, Between

__all__ = [
    "Above",
    "AtLeast",
    "Between",
    "Component",
    "Components",
    "Problem",
    "did_you_mean",
    "entry_point",
    "validate",
]
