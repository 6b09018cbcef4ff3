"""Exact answers about single Sudoku boards."""

import operator

import numpy as np

from training.datasets.sudoku.board import box_side, check_board
from training.datasets.sudoku.kinds import column_orders


def solve(board):
    """Solves a board.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.

    Returns:
        A solution, int32 of the same shape, or `None` if there is none. If there are several, always the same one.

    Raises:
        ValueError: if it isn't a board or breaks a rule; see `check_board`.

    Example:

    >>> solve([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    array([[1, 2, 3, 4],
           [3, 4, 2, 1],
           [4, 3, 1, 2],
           [2, 1, 4, 3]], dtype=int32)
    """
    count, solution, _ = _search(board, 1)
    return solution if count else None


def count_solutions(board, limit=2):
    """Counts the solutions of a board, up to a limit.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.
        limit: stop at this many. A count of 1 with the default limit of 2 means that the solution is unique.

    Returns:
        `int`, at most `limit`.

    Raises:
        ValueError: if it isn't a board or breaks a rule, or if `limit` isn't a positive integer.

    Example:

    >>> count_solutions(np.zeros((4, 4), int), limit=1000)
    288
    """
    try:
        number = operator.index(limit)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"limit must be a positive integer, got {limit!r}")
    return _search(board, number)[0]


def count_guesses(board):
    """How often a search has to try a digit that may be wrong, until it has shown that there is one solution or none.

    The search fills cells with one digit left and digits with one place left first, and guesses where neither is to be
    had, in a cell with the fewest digits left. Each digit that is tried there counts. So does the search go on after it
    found a solution, up to a second one.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.

    Returns:
        `int`; 0 for a board that those two rules solve.

    Raises:
        ValueError: if it isn't a board or breaks a rule; see `check_board`.

    Example:

    >>> count_guesses([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    0
    """
    return _search(board, 2)[2]


def canonical_form(puzzle):
    """The first of all boards that the symmetries of Sudoku make of a puzzle with one solution.

    The symmetries are those of `random_symmetry`: 1,218,998,108,160 for 9x9 boards. Two puzzles are turned into each
    other by one of them if and only if these forms are equal.

    Args:
        puzzle: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.

    Returns:
        `(puzzle, solution)`, int32 of the same shape. The first row of the solution is 1, 2, 3, …

    Raises:
        ValueError: if it isn't a board or breaks a rule, or doesn't have exactly one solution.

    Example:

    >>> canonical_form([[4, 3, 0, 0], [2, 0, 0, 0], [0, 0, 0, 3], [0, 0, 0, 0]])[1][0].tolist()
    [1, 2, 3, 4]
    """
    from training.datasets.sudoku import kernels

    board = check_board(puzzle)
    count, solution, _ = _search(board, 2)
    if count != 1:
        raise ValueError(f"a puzzle must have exactly one solution, got one with {'several' if count else 'none'}")
    forms = np.empty((2, board.size), np.int64)
    cells, box = (value.astype(np.int64).reshape(-1) for value in (board, solution)), box_side(board)
    kernels.canonical(*cells, box, column_orders(box), *forms)
    return tuple(forms.reshape(2, *board.shape).astype(np.int32))


def _search(board, limit):
    # Numba takes a while to import: only those who search pay for it.
    from training.datasets.sudoku import kernels

    board = check_board(board)
    cells = board.astype(np.int64).reshape(-1)
    solution, guesses = np.empty_like(cells), np.zeros(1, np.int64)
    count = kernels.search(cells, box_side(board), -1, 0, limit, np.zeros(1, np.uint64), False, solution, guesses)
    return count, solution.reshape(board.shape).astype(np.int32), int(guesses[0])
