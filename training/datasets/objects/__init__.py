"""Data sets of images of several objects, each with the mask of its objects.

Importing this package needs NumPy alone; TensorFlow Datasets is imported by the calls that need it.
"""

from training.datasets.objects.composed import store_composed
from training.datasets.objects.loading import load

__all__ = ["load", "store_composed"]
