"""Functional models built from the layers, one file for each task."""

from keras_kuramoto.models.hierarchical_memories import (
    deep_oscillators,
    lateral_conv_oscillators,
    lateral_oscillators,
)
from keras_kuramoto.models.memory_classifier import (
    CoupledClassifier,
    HopfieldClassifier,
    MemoryClassifier,
)
from keras_kuramoto.models.sudoku import (
    AKOrNSudoku,
    SudokuModel,
    TransformerSudoku,
    akorn_sudoku,
    iterative_attention_sudoku,
    sudoku_from_preset,
    sudoku_presets,
    symmetric_akorn_sudoku,
    transformer_sudoku,
)

__all__ = [
    "AKOrNSudoku",
    "CoupledClassifier",
    "HopfieldClassifier",
    "MemoryClassifier",
    "SudokuModel",
    "TransformerSudoku",
    "akorn_sudoku",
    "deep_oscillators",
    "iterative_attention_sudoku",
    "lateral_conv_oscillators",
    "lateral_oscillators",
    "sudoku_from_preset",
    "sudoku_presets",
    "symmetric_akorn_sudoku",
    "transformer_sudoku",
]
