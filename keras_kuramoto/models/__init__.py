"""Functional models built from the layers, one file for each task."""

from keras_kuramoto.models.sudoku import (
    AKOrNSudoku,
    BoardEncoding,
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
    "BoardEncoding",
    "SudokuModel",
    "TransformerSudoku",
    "akorn_sudoku",
    "iterative_attention_sudoku",
    "sudoku_from_preset",
    "sudoku_presets",
    "symmetric_akorn_sudoku",
    "transformer_sudoku",
]
