import numpy as np

from export.sudoku.boards import draw_answer


def test_draw_answer(boards):
    full, puzzle = boards[3], boards[1]
    answer = {"solution": full, "probability": np.where(puzzle > 0, 1, 0.75), "energy": -12.345, "sample": 4}
    text = draw_answer(puzzle, answer)
    assert "→" in text
    assert text.endswith("\nsolved, energy -12.35, least certain digit 75.0%, start 4")
    wrong = full.copy()
    wrong[0, 0] = wrong[0, 1]
    assert "\nnot solved: these digits break a rule" in draw_answer(puzzle, {**answer, "solution": wrong})
    assert "certain" not in draw_answer(full, answer)
