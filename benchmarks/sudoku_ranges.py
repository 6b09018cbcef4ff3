"""`python -m benchmarks.sudoku_ranges`: boards that a model solves, by ranges of givens, from one start and from some.

The boards are those with 17 givens of `benchmarks/boards`, each with 0 to 17 digits of its solution more, like the
paper's hard set; and freshly dug ones with 24 to 30 and with 31 to 42 givens, whose grids no model of this library was
trained on. Prints a table in Markdown.
"""

import argparse

import numpy as np

from benchmarks.sudoku_accuracy import BOARDS, FILLING, ONCE, compiled, model_of, solve
from training.datasets.sudoku import read_boards
from training.datasets.sudoku.generator import generate_puzzles
from training.datasets.sudoku.kinds import Digging
from training.datasets.sudoku.solver import solve as solution_of

#: How boards are solved: an attempt, its steps, and starts.
SETTINGS = ((ONCE, 128, 1), (FILLING, 16, 1), (FILLING, 32, 1), (FILLING, 16, 32), (FILLING, 32, 32))


def with_more_givens(puzzle, count, rng):
    """`count` boards: those of `puzzle` in turn, each with 0 to 17 digits of its solution more."""
    boards = []
    for index in range(count):
        board = puzzle[index % len(puzzle)].copy()
        solution = np.asarray(solution_of(board))
        more = rng.choice(np.flatnonzero(board.ravel() == 0), rng.integers(0, 18), replace=False)
        board.ravel()[more] = solution.ravel()[more]
        boards.append(board)
    return np.array(boards)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sudoku_ranges", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="sudoku9_hard", help="run directory, .keras file or preset with weights")
    parser.add_argument("--boards", type=int, default=400, help="boards of each range (default: %(default)s)")
    options = parser.parse_args()
    if options.boards < 1:
        parser.error(f"--boards must be at least 1. Received {options.boards}.")
    model = model_of(options, parser)
    seventeen = read_boards(BOARDS / "seventeen_givens.txt")
    ranges = {"17 givens and 0–17 more": with_more_givens(seventeen, options.boards, np.random.default_rng(1))}
    for seed, span in enumerate(((24, 30), (31, 42)), 7):
        dug = generate_puzzles(options.boards, kind=Digging(span), side="test", seed=seed, progress=False)
        ranges[f"{span[0]}–{span[1]} givens"] = dug.puzzle
    print(f"| | steps | starts | {' | '.join(f'{name} ({len(p)})' for name, p in ranges.items())} | steps spent |")
    print("| --- |" + " ---: |" * (len(ranges) + 3))
    solvers = {}
    for attempt, steps, starts in SETTINGS:
        if (attempt, steps) not in solvers:
            solvers[attempt, steps] = compiled(model, attempt, steps, options.boards)
        found = [solve(solvers[attempt, steps], puzzle, starts) for puzzle in ranges.values()]
        solved = " | ".join(f"{100 * solved.mean():.1f}" for solved, *_ in found)
        spent = np.mean([taken.mean() for _, taken, _ in found])
        name = "once" if attempt is ONCE else "filled"
        print(f"| {name} | {steps} | {starts} | {solved} | {spent:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
