"""`python -m training evaluate`."""

import itertools
import pathlib
import time

import numpy as np

from training.datasets.sudoku import check_board, load, parse_board, solve
from training.runs import RunDirectory


def prepare(options):
    """Loads the model and the boards.

    Args:
        options: The parsed command line.

    Returns:
        A function that solves the boards, prints the scores and adds them to the results of a run.

    Raises:
        ValueError: For bad input.
    """
    for name in ("num_steps", "votes", "limit", "batch_size"):
        for value in np.atleast_1d(1 if getattr(options, name) is None else getattr(options, name)):
            if value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1. Received {value}.")
    # TensorFlow starts only now: `--help` should not wait for it.
    from keras_kuramoto.models import SudokuModel
    from training.source import load_model
    from training.strategies import is_chief, make_strategy
    from training.sudoku import BoardSolver, score

    strategy = make_strategy(options.strategy)
    with strategy.scope():
        model = load_model(options.model)
    if not isinstance(model, SudokuModel):
        raise ValueError(
            f"'{options.model}' is a {type(model).__name__}, which solves no boards. What it was tested on when it was "
            "trained is in the results.json of its run directory."
        )
    run = RunDirectory(options.model)
    if not model.has_energy and (options.votes > 1 or options.num_steps):
        raise ValueError("--votes and --num-steps are for AKOrN; this model is a baseline without oscillators.")
    name = options.data or {4: "4x4", 9: "9x9"}.get(model.board_size)
    boards = _boards_of(name, options.data_dir)
    if boards["puzzle"].shape[1] != model.board_size:
        raise ValueError(
            f"The model solves boards of size {model.board_size}, and '{name}' has boards of size "
            f"{boards['puzzle'].shape[1]}."
        )
    puzzle, solution = [boards[key][: options.limit] for key in ("puzzle", "solution")]

    def evaluate():
        givens = (puzzle > 0).sum((1, 2))
        # About five groups of boards, from those with the fewest givens on.
        edges = np.unique(np.linspace(givens.min(), givens.max() + 1, 6).astype(int))
        groups = [(low, high, (givens >= low) & (givens < high)) for low, high in itertools.pairwise(edges)]
        print(
            f"{len(puzzle)} boards of {name}, {options.votes} initial oscillators each; boards solved, in %, by givens:"
        )
        spans = [str(low) if high == low + 1 else f"{low}-{high - 1}" for low, high, _ in groups]
        header = "".join(f"{span:>8}" for span in spans)
        print(f"{'steps':>8}{'all':>8}{header}{'energy':>12}{'seconds':>9}")
        for num_steps in options.num_steps or [model.num_steps]:
            started = time.perf_counter()
            size = min(options.batch_size, len(puzzle) * options.votes)
            solver = BoardSolver(model, strategy, num_steps, options.energy, size)
            outcome = solver(puzzle, options.votes, options.seed)
            seconds = time.perf_counter() - started
            solved = (outcome["solution"] == solution).all((1, 2))
            energy = outcome["energy"].mean() if "energy" in outcome else np.nan
            shares = "".join(f"{100 * solved[chosen].mean() if chosen.any() else np.nan:8.1f}" for *_, chosen in groups)
            print(f"{num_steps:8d}{100 * solved.mean():8.1f}{shares}{energy:12.1f}{seconds:9.1f}", flush=True)
            result = {
                "data": str(name),
                "boards": len(puzzle),
                "num_steps": num_steps,
                "votes": options.votes,
                "energy": options.energy,
                "seconds": seconds,
                **score(puzzle, solution, outcome["solution"]),
            }
            if run.exists and is_chief(strategy):
                run.add_result(result)

    return evaluate


def _boards_of(name, data_dir):
    path = pathlib.Path(name)
    if not path.is_file():
        return load(name, "test", data_dir)
    puzzles = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip():
            try:
                puzzles.append(check_board(parse_board(line)))
            except ValueError as error:
                raise ValueError(f"Line {number} of '{name}' is no board: {error}") from None
    if len({puzzle.shape for puzzle in puzzles}) != 1:
        raise ValueError(f"'{name}' must hold boards of one size, one on each line. It has {len(puzzles)} boards.")
    solutions = [solve(puzzle) for puzzle in puzzles]
    for number, answer in enumerate(solutions, 1):
        if answer is None:
            raise ValueError(f"Board {number} of '{name}' has no solution.")
    return {"puzzle": np.stack(puzzles), "solution": np.stack(solutions)}
