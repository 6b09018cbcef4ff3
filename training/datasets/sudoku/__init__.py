"""Sudoku data sets: boards as text and in files, a solver, and generated or published puzzles.

Importing this package needs NumPy alone, so that a client that only reads and draws boards stays small: Numba is
imported by the first call that searches, TensorFlow Datasets by `load`. The builders are in the modules `builder` and
`published`, the TensorFlow augmentation in `augment`.
"""

from training.datasets.sudoku.board import check_board, format_board, is_valid_board, parse_board
from training.datasets.sudoku.files import read_boards
from training.datasets.sudoku.loading import load
from training.datasets.sudoku.solver import canonical_form, count_guesses, count_solutions, solve

__all__ = [
    "canonical_form",
    "check_board",
    "count_guesses",
    "count_solutions",
    "format_board",
    "is_valid_board",
    "load",
    "parse_board",
    "read_boards",
    "solve",
]
