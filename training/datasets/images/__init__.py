"""Data sets of labelled images: scikit-learn's digits, those of TensorFlow Datasets, idx files and JPEG images.

Importing this package needs NumPy alone; TensorFlow Datasets is imported by the calls that need it.
"""

from training.datasets.images.idx import read_idx, store_idx
from training.datasets.images.jpeg import read_jpegs, store_jpegs
from training.datasets.images.loading import Images, load, load_images
from training.datasets.images.streaming import ImageStream

__all__ = ["ImageStream", "Images", "load", "load_images", "read_idx", "read_jpegs", "store_idx", "store_jpegs"]
