"""Functional models built from the layers, one file for each task."""

from keras_kuramoto.models.baseline_classifiers import IterativeClassifier, ResNetClassifier, ViTClassifier
from keras_kuramoto.models.configured_model import ConfiguredModel
from keras_kuramoto.models.hierarchical_memories import (
    deep_oscillators,
    lateral_conv_oscillators,
    lateral_oscillators,
)
from keras_kuramoto.models.image_classifier import AKOrNClassifier, ImageClassifier
from keras_kuramoto.models.image_model import ImageModel
from keras_kuramoto.models.memory_classifier import (
    CoupledClassifier,
    HopfieldClassifier,
    MemoryClassifier,
)
from keras_kuramoto.models.objects import AKOrNObjects, IterativeObjects, ObjectsModel
from keras_kuramoto.models.sudoku import (
    AKOrNSudoku,
    SudokuModel,
    TransformerSudoku,
)

__all__ = [
    "AKOrNClassifier",
    "AKOrNObjects",
    "AKOrNSudoku",
    "ConfiguredModel",
    "CoupledClassifier",
    "HopfieldClassifier",
    "ImageClassifier",
    "ImageModel",
    "IterativeClassifier",
    "IterativeObjects",
    "MemoryClassifier",
    "ObjectsModel",
    "ResNetClassifier",
    "SudokuModel",
    "TransformerSudoku",
    "ViTClassifier",
    "deep_oscillators",
    "lateral_conv_oscillators",
    "lateral_oscillators",
]
