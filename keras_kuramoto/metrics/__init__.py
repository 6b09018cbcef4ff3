"""Keras metrics, and measures."""

from keras_kuramoto.metrics.attention_mass import memories_for_mass
from keras_kuramoto.metrics.boards import BlankCellAccuracy, BoardAccuracy
from keras_kuramoto.metrics.calibration import ExpectedCalibrationError
from keras_kuramoto.metrics.segmentation import class_labels, foreground_ari, mean_best_overlap, mean_over_images

__all__ = [
    "BlankCellAccuracy",
    "BoardAccuracy",
    "ExpectedCalibrationError",
    "class_labels",
    "foreground_ari",
    "mean_best_overlap",
    "mean_over_images",
    "memories_for_mass",
]
