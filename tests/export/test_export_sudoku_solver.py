import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from export_helpers import assert_answers

from export.sudoku.solver import solve

ROOT = pathlib.Path(__file__).parents[2]


def test_solve_locally(exported, served, boards):
    # More than are solved at once.
    many = np.tile(boards, (8, 1, 1))[::-1]
    parts = [served("search", board=part, num_steps=6, num_samples=16, seed=0) for part in (many[:32], many[32:])]
    assert_answers(solve(exported, many), {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    assert_answers(solve(exported / "1", boards, 3), served("solve_steps", board=boards, num_steps=[3] * 5))
    wanted = served("vote", board=boards, num_steps=6, num_samples=2, seed=9)
    assert_answers(solve(exported, boards, votes=2, seed=9), wanted)
    with pytest.raises(ValueError, match="solves boards of 4 × 4 cells"):
        solve(exported, np.zeros((1, 9, 9)))
    wanted = served("search", board=boards, num_steps=3, num_samples=2, seed=1)
    assert_answers(solve(exported, boards, 3, seed=1, starts=2), wanted)
    with pytest.raises(ValueError, match="`num_samples` must be from 1 to 4096"):
        solve(exported, boards, votes=0)
    with pytest.raises(ValueError, match="Either `votes` or `starts`"):
        solve(exported, boards, votes=2, starts=2)


def test_solving_needs_no_keras(exported, board_text):
    # As on a machine that serves: a process in which importing Keras or the library fails.
    hide = (
        "import sys; sys.modules.update(keras_kuramoto=None); from export import fresh_process;"
        "sys.meta_path[:] = [fresh_process._Hide(finder) for finder in sys.meta_path];"
        "fresh_process.HIDDEN = ('keras', 'keras_kuramoto');"
        "from export.__main__ import main; status = main(sys.argv[1:]);"
        "assert 'keras' not in sys.modules; sys.exit(status)"
    )
    result = subprocess.run(
        [sys.executable, "-c", hide, "solve", str(exported), "-", "--votes", "3"],
        input=board_text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )
    # Without training it solves but by chance, and says so.
    assert result.returncode == ("Solved: " in result.stdout), result.stderr
    assert "→" in result.stdout
    assert "energy" in result.stdout


def test_what_solves_boards_starts_without_tensorflow():
    program = """
import sys
import export, export.__main__, export.sudoku, export.sudoku.boards, export.sudoku.client, export.sudoku.solver
print(*({"tensorflow", "keras", "keras_kuramoto"} & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert result.stdout == "\n"
