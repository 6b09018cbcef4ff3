"""Keras metrics."""

from keras_kuramoto.metrics.boards import BlankCellAccuracy, BoardAccuracy

__all__ = ["BlankCellAccuracy", "BoardAccuracy"]
