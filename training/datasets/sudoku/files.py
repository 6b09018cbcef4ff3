"""Boards in text files. NumPy only."""

import itertools
import pathlib
import sys

import numpy as np

from training.datasets.sudoku.board import check_board, parse_board


def read_boards(source):
    """Reads boards from a file or from standard input.

    Args:
        source: Path of a text file in UTF-8, or `"-"` for standard input. It holds boards of one size as `parse_board`
            reads them: one in each line, or one drawn over several lines, with an empty line before the next. Lines
            that start with `#` are comments.

    Returns:
        `(boards, S, S)` int32.

    Raises:
        ValueError: If the file can't be read, holds no board, something that isn't one or breaks a rule, or boards of
            different sizes.

    Example:

    >>> read_boards("examples/sudoku9.txt").shape
    (1, 9, 9)
    """
    name = "standard input" if source == "-" else f"'{source}'"
    try:
        data = sys.stdin.buffer.read() if source == "-" else pathlib.Path(source).read_bytes()
        # Whatever the locale's encoding is; a byte-order mark, which some editors write, is no part of the text.
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ValueError(f"{name} can't be read: {reason}.") from None
    boards = []
    for line, drawing in _drawings(text):
        try:
            boards.append(check_board(parse_board(drawing)))
        except ValueError as error:
            raise ValueError(
                f"Board {len(boards) + 1} of {name}, in line {line}, is no Sudoku board: {error}"
            ) from None
    if not boards:
        raise ValueError(f"{name} holds no board.")
    if len({len(board) for board in boards}) > 1:
        raise ValueError(f"{name} holds boards of different sizes; solve those of one size at a time.")
    return np.stack(boards)


def _drawings(text):
    """Pairs `(number of the first line, text)`, one for each board: a line of its own, or a block of lines."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    for filled, block in itertools.groupby(lines, lambda line: bool(line[1]) and not line[1].startswith("#")):
        if filled:
            block = list(block)
            # A line with all cells of a board is one: then the others are boards too, good or bad.
            if any(sum(character in ".0123456789" for character in line) in (16, 81) for _, line in block):
                yield from block
            else:
                yield block[0][0], "\n".join(line for _, line in block)
