"""Sudoku boards as arrays and as text. NumPy only."""

import numpy as np

_BOX_OF_SIZE = {4: 2, 9: 3}
_BLANKS = ".0"
_SEPARATORS = " \t\r\n|+-_,;:=*"


def box_side(board):
    """Side of a box of a board: 2 for 4x4 boards, 3 for 9x9 boards."""
    return _BOX_OF_SIZE[len(board)]


def check_board(board):
    """Checks that an array is a Sudoku board, full or not, that breaks no rule.

    A board that passes may still have no solution, or several.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.

    Returns:
        The board as an int32 array.

    Raises:
        ValueError: that says what is wrong, with rows, columns and boxes counted from 1, such as "row 3 has the digit 5
            twice".

    Example:

    >>> check_board([[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]).shape
    (4, 4)
    """
    try:
        cells = np.asarray(board)
    except ValueError as error:
        raise ValueError(
            f"a board must have shape (4, 4) or (9, 9), got rows of different lengths: {board!r}"
        ) from error
    size = len(cells) if cells.ndim else 0
    if size not in _BOX_OF_SIZE or cells.shape != (size, size):
        raise ValueError(f"a board must have shape (4, 4) or (9, 9), got shape {cells.shape}")
    if not np.issubdtype(cells.dtype, np.integer):
        raise ValueError(f"a board must hold integers, got {cells.dtype}")
    outside = np.argwhere((cells < 0) | (cells > size))
    if len(outside):
        row, column = outside[0]
        raise ValueError(
            f"the digits of this board must be 0 (blank) to {size}, got {cells[row, column]} "
            f"in row {row + 1}, column {column + 1}"
        )
    box = _BOX_OF_SIZE[size]
    boxes = cells.reshape(box, box, box, box).transpose(0, 2, 1, 3).reshape(size, size)
    for name, groups in (("row", cells), ("column", cells.T), ("box", boxes)):
        for number, group in enumerate(groups, start=1):
            counts = np.bincount(group, minlength=size + 1)
            counts[0] = 0
            digit = int(counts.argmax())
            if counts[digit] > 1:
                times = "twice" if counts[digit] == 2 else f"{counts[digit]} times"
                raise ValueError(f"{name} {number} has the digit {digit} {times}")
    return cells.astype(np.int32)


def is_valid_board(board):
    """Whether `check_board` accepts an array: right shape, digits in range, none twice in a row, a column or a box.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.

    Returns:
        `bool`.
    """
    try:
        check_board(board)
    except ValueError:
        return False
    return True


def parse_board(text):
    """Reads a board from text.

    Args:
        text: 16 or 81 cells row by row, with 0 or `.` for a blank. White space and the usual separators
            (`| + - _ , ; : = *`) and box-drawing characters are skipped, so drawings of `format_board` can be read.

    Returns:
        `(4, 4)` or `(9, 9)` int32. Only the form is checked; `check_board` checks the rules.

    Raises:
        ValueError: if another character occurs, the number of cells is neither 16 nor 81, or a digit is above the size.

    Example:

    >>> parse_board("1... .... .... ...1")[0]
    array([1, 0, 0, 0], dtype=int32)
    """
    cells = []
    for position, character in enumerate(text, start=1):
        if character in _BLANKS:
            cells.append(0)
        elif character in "123456789":
            cells.append(int(character))
        elif character not in _SEPARATORS and not "\u2500" <= character <= "\u257f":
            raise ValueError(
                f"a board is written with digits and 0 or . for blanks, got {character!r} at position {position}"
            )
    size = {16: 4, 81: 9}.get(len(cells))
    if size is None:
        raise ValueError(f"a board has 16 or 81 cells (digits, and 0 or . for blanks), got {len(cells)} in {text!r}")
    if max(cells) > size:
        cell = int(np.argmax(cells))
        raise ValueError(
            f"a board of 16 cells has the digits 1 to 4, "
            f"got {cells[cell]} in row {cell // 4 + 1}, column {cell % 4 + 1}"
        )
    return np.array(cells, np.int32).reshape(size, size)


def format_board(board, given=None):
    """Draws a board for a terminal.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank. Need not follow the rules: wrong answers of a
            model can be drawn, too.
        given: optional board of the same shape, the puzzle. Cells that are blank there are drawn in colour (ANSI escape
            codes), so that the eye tells the answer from the question.

    Returns:
        Text of several lines, without a newline at the end.

    Raises:
        ValueError: if a shape is wrong or a digit out of range.

    Example:

    >>> print(format_board([[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]))
    ┌─────┬─────┐
    │ 1 2 │ . . │
    │ . . │ . . │
    ├─────┼─────┤
    │ . . │ . . │
    │ . . │ . 1 │
    └─────┴─────┘
    """
    board = np.asarray(board)
    size = len(board) if board.ndim else 0
    if size not in _BOX_OF_SIZE or board.shape != (size, size):
        raise ValueError(f"a board must have shape (4, 4) or (9, 9), got shape {board.shape}")
    if board.min() < 0 or board.max() > size:
        raise ValueError(f"the digits of this board must be 0 (blank) to {size}, got {board.min()} to {board.max()}")
    if given is not None and np.shape(given) != board.shape:
        raise ValueError(f"given must have the shape of the board, {board.shape}, got {np.shape(given)}")
    box = _BOX_OF_SIZE[size]

    def cell(row, column):
        text = str(board[row, column]) if board[row, column] else "."
        answered = given is not None and board[row, column] and not given[row][column]
        return f"\033[1;32m{text}\033[0m" if answered else text

    bar = "─" * (2 * box + 1)
    lines = []
    for row in range(size):
        if row % box == 0:
            left, middle, right = "┌┬┐" if row == 0 else "├┼┤"
            lines.append(left + middle.join([bar] * box) + right)
        groups = (" ".join(cell(row, column) for column in range(start, start + box)) for start in range(0, size, box))
        lines.append("│ " + " │ ".join(groups) + " │")
    lines.append("└" + "┴".join([bar] * box) + "┘")
    return "\n".join(lines)
