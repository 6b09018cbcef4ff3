"""The Sudoku experiment of the AKOrN paper, Sec. 6.2 and C.2."""

from training.sudoku.experiment import PRESETS, SudokuExperiment, SudokuOptions
from training.sudoku.solver import BoardSolver, score

__all__ = ["PRESETS", "BoardSolver", "SudokuExperiment", "SudokuOptions", "score"]
