"""Oscillatory and associative-memory layers for Keras 3."""

from keras_kuramoto import energies, layers, ops

__version__ = "0.1.0"

__all__ = ["__version__", "energies", "layers", "ops"]
