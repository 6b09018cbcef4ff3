"""Oscillatory and associative-memory layers for Keras 3."""

from keras_kuramoto import energies, layers, metrics, models, ops
from keras_kuramoto._version import __version__

__all__ = ["__version__", "energies", "layers", "metrics", "models", "ops"]
