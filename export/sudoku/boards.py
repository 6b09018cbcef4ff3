"""Answers to boards: their check, and a drawing of them."""

import math
import os
import sys

import numpy as np

from export.declaration import MAX_BATCH
from training.datasets.sudoku import format_board, is_valid_board


def draw_answer(board, answer):
    """Draws a board and its answer side by side, and says how good it is.

    Args:
        board: `(S, S)` integers, the puzzle.
        answer: Dictionary with `solution` and `probability` `(S, S)`, and what else the signature gave, such as
            `energy` and `sample`.

    Returns:
        Text of several lines; with colours for a terminal.
    """
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    solution = np.asarray(answer["solution"])
    before = format_board(board).split("\n")
    after = format_board(solution, given=board if colours else None).split("\n")
    middle = len(before) // 2
    lines = [
        f"{left}  {'→' if row == middle else ' '}  {right}" for row, (left, right) in enumerate(zip(before, after))
    ]
    facts = ["solved" if is_solution(solution) else "not solved: these digits break a rule"]
    if "energy" in answer:
        facts.append(f"energy {float(answer['energy']):.2f}")
    blank = np.asarray(board) == 0
    if blank.any():
        facts.append(f"least certain digit {float(np.asarray(answer['probability'])[blank].min()):.1%}")
    if "sample" in answer:
        facts.append(f"start {int(answer['sample'])}")
    if "steps" in answer:
        facts.append(f"{int(answer['steps']):,} steps")
    return "\n".join([*lines, ", ".join(facts)])


def is_solution(board):
    """Whether a board has a digit in every cell and breaks no rule of Sudoku.

    Args:
        board: `(S, S)` integers.

    Returns:
        `bool`.
    """
    board = np.asarray(board)
    return bool((board > 0).all()) and is_valid_board(board)


def answers_in_parts(ask, inputs, at_once=MAX_BATCH):
    """Answers to any number of boards, asked for in parts.

    Args:
        ask: Function that gives the outputs for a part of the inputs: dictionaries from names to arrays, both.
        inputs: Dictionary from names to arrays with the boards as first axis, among them `board`.
        at_once: How many boards are asked for at once. A server that batches rejects a request of more examples than
            its max_batch_size ("Task size 64 is larger than maximum input batch size 32"), unless it was told to split
            large ones (enable_large_batch_splitting, off by default), and so does a model by its `max_batch`.

    Returns:
        A list of dictionaries, one for each board, in their order.

    Raises:
        ValueError: If an output is missing, has another shape, or holds what is no digit.
    """
    answers = []
    for start in range(0, len(inputs["board"]), at_once):
        part = {name: value[start : start + at_once] for name, value in inputs.items()}
        answers += _check_answers(ask(part), len(part["board"]), np.shape(part["board"])[-1])
    return answers


def _check_answers(answers, number, size):
    """Checks that outputs have the shapes of answers to so many boards of a size, and gives them one by one."""
    shapes = {"solution": (number, size, size), "probability": (number, size, size)}
    for name, shape in shapes.items():
        found = np.shape(answers[name]) if name in answers else "nothing"
        if found != shape:
            raise ValueError(f"The answer must have '{name}' of shape {shape}. It has {found}: is this a Sudoku model?")
    solution = np.asarray(answers["solution"])
    if solution.min() < 0 or solution.max() > size or math.isqrt(size) ** 2 != size:
        raise ValueError(
            f"The digits of the answer must be 0 to {size}. They are {solution.min()} to {solution.max()}."
        )
    return [{name: np.asarray(value)[index] for name, value in answers.items()} for index in range(number)]
