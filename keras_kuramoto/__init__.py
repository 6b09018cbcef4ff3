"""Oscillatory and associative-memory layers for Keras 3."""

from keras_kuramoto import (
    energies,
    lagrangians,
    layers,
    layouts,
    learning_rules,
    metrics,
    models,
    ops,
    potentials,
    solvers,
)
from keras_kuramoto._version import __version__

__all__ = [
    "__version__",
    "energies",
    "lagrangians",
    "layers",
    "layouts",
    "learning_rules",
    "metrics",
    "models",
    "ops",
    "potentials",
    "solvers",
]
