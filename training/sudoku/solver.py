"""Solves boards with a model, by a vote among initial oscillators, and says how many are right."""

import numpy as np
import tensorflow as tf

from training.batch_runner import BatchRunner
from training.sudoku.voting import Lowest, Once, answer, is_solution, vote


def score(puzzle, solution, answer):
    """Board accuracy and blank-cell accuracy, as NumPy scalars in a dictionary.

    Args:
        puzzle: `(boards, S, S)`, 0 for blank.
        solution: `(boards, S, S)`.
        answer: `(boards, S, S)`.

    Returns:
        `{"board_accuracy": …, "blank_cell_accuracy": …}`.
    """
    right = answer == solution
    return {
        "board_accuracy": float(right.all((1, 2)).mean()),
        "blank_cell_accuracy": float(right[puzzle == 0].mean()),
    }


class BoardSolver:
    """Solves boards, each from several random initial oscillators, of whose answers one is kept.

    Compiled at the first call, and again where a call has another number of boards, or of votes that run together. The
    memory needed depends on `batch_size` alone, not on the number of boards or votes.

    Args:
        model: A `SudokuModel`.
        strategy: A `tf.distribute.Strategy`.
        num_steps: Number of Kuramoto steps of a run, the model's own by default.
        selection: Which answer is kept, see `training.sudoku.voting`: that of the lowest sum of energies by default.
        attempt: How an answer is found: `Once()` by default, or `Filling()`.
        batch_size: How many boards, or votes on them, are computed at once.

    Call arguments:
        puzzle: `(boards, S, S)` int32, 0 for blank.
        votes: K, the number of initial oscillators drawn for each board, at most: once it has an answer that nothing
            beats, a board's steps are no longer counted.
        seed: Seed of the initial oscillators; those of a board depend on it, the board's index and the vote's.

    Returns:
        Dictionary with `solution` `(boards, S, S)`, given digits kept, and `(boards,)`: whether it is `solved`, 0 or 1,
        and, of a model with energy, the `energy`, `energy_sum`, `unrest` and the number of the `sample` of the answer
        that is kept, and the `steps` that were taken until then.

    Raises:
        ValueError: If there is less than one vote, or votes or an attempt with several runs are asked of a model
            without energy.

    Example:

    >>> from keras_kuramoto.models import SudokuModel
    >>> from training.sudoku.voting import Filling, SolutionFirst
    >>> solver = BoardSolver(
    ...     SudokuModel.from_preset("sudoku9_small"), strategy, 32, SolutionFirst(Lowest()), Filling()
    ... )  # doctest: +SKIP
    >>> solver(puzzle, votes=16)["solved"].mean()  # doctest: +SKIP
    """

    def __init__(self, model, strategy, num_steps=None, selection=None, attempt=None, batch_size=250):
        self.model, self.strategy, self.batch_size = model, strategy, batch_size
        self.num_steps = model.num_steps if num_steps is None else num_steps
        self.selection, self.attempt = selection or Lowest(), attempt or Once()
        if not (model.has_energy or isinstance(self.attempt, Once)):
            raise ValueError("A model without oscillators answers once; there is nothing that would change its answer.")
        self._runners = {}

    def __call__(self, puzzle, votes=1, seed=0):
        if votes < 1:
            raise ValueError(f"`votes` must be at least 1. Received {votes}.")
        if votes > 1 and not self.model.has_energy:
            raise ValueError("Voting needs an energy, which this baseline model does not have.")
        if not len(puzzle):
            numbers = {"solved": "int32"}
            if self.model.has_energy:
                numbers |= {name: "float32" for name in ("energy", "energy_sum", "unrest")}
                numbers |= {"sample": "int32", "steps": "int32"}
            return {"solution": puzzle, **{name: np.zeros(0, dtype) for name, dtype in numbers.items()}}
        boards = _share(len(puzzle), self.batch_size)
        if not self.model.has_energy:
            return self._runner(boards, 1)([puzzle])
        index = np.arange(len(puzzle))
        seeds = np.stack([np.full_like(index, seed), index * 1_000_003], 1).astype("int64")
        runner = self._runner(boards, _share(votes, self.batch_size // boards))
        return runner([puzzle, seeds, np.full(len(puzzle), votes, "int32")])

    def _runner(self, boards, together):
        """Runs that many votes on that many boards at once. Kept: compiling takes longer than solving."""
        if (boards, together) not in self._runners:

            def solve(board, seeds, num_samples):
                return self._vote(board, seeds, num_samples, together)

            function = solve if self.model.has_energy else self._solve_plainly
            self._runners[boards, together] = BatchRunner(self.strategy, function, boards)
        return self._runners[boards, together]

    # Nothing for AutoGraph, whose conversion takes as long as the tracing.
    @tf.autograph.experimental.do_not_convert
    def _vote(self, board, seeds, num_samples, together):
        shape = (*board.shape[1:], self.model.channels)

        def attempt(row, sample):
            # A vote is the number of a board's sample.
            sample = tf.cast(sample, seeds.dtype)
            drawn = tf.gather(seeds, row) + tf.stack([tf.zeros_like(sample), sample], axis=1)
            noise = tf.map_fn(lambda s: tf.random.stateless_normal(shape, s), drawn, fn_output_signature=tf.float32)

            def run(boards):
                return *self.model.run(boards, noise, num_steps=self.num_steps, return_energy=True), None

            return self.attempt(tf.gather(board, row), run)

        best = vote(board, num_samples, together, attempt, self.selection)
        del best["probability"]
        return best

    def _solve_plainly(self, board):
        solution = answer(board, self.model.run(board, num_steps=self.num_steps))["solution"]
        return {"solution": solution, "solved": tf.cast(is_solution(solution), tf.int32)}


def _share(count, most):
    """How many of `count` to take at a time, `most` at most, so that all portions are about as large."""
    return -(-count // -(-count // most))
