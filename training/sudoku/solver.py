"""Solves boards with a model, by a vote among initial oscillators, and says how many are right."""

import numpy as np
import tensorflow as tf

from training.batch_runner import BatchRunner
from training.sudoku.voting import ENERGIES, answer, last_energy, vote


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
    """Solves boards, each from several random initial oscillators, and keeps the answer of lowest energy.

    Compiled at the first call, and again where a call has another number of boards, or of votes that run together. The
    memory needed depends on `batch_size` alone, not on the number of boards or votes.

    Args:
        model: A `SudokuModel`.
        strategy: A `tf.distribute.Strategy`.
        num_steps: Number of Kuramoto steps, the model's own by default.
        energy: What to vote by: `"sum"`, the energies of all steps (Σₜ Eₜ), or `"last"`.
        batch_size: How many boards, or votes on them, are computed at once.

    Call arguments:
        puzzle: `(boards, S, S)` int32, 0 for blank.
        votes: K, the number of initial oscillators drawn for each board.
        seed: Seed of the initial oscillators; those of a board depend on it, the board's index and the vote's.

    Returns:
        Dictionary with `solution` `(boards, S, S)`, given digits kept, and, of a model with energy, of the chosen
        answer the last `energy` and what was `voted_by`, `(boards,)`.

    Raises:
        ValueError: If `energy` is unknown, there is less than one vote, or votes are asked of a model without energy.
    """

    def __init__(self, model, strategy, num_steps=None, energy="sum", batch_size=250):
        if energy not in ENERGIES:
            raise ValueError(f"`energy` must be one of {list(ENERGIES)}. Received {energy!r}.")
        self.model, self.strategy, self.batch_size = model, strategy, batch_size
        self.num_steps = model.num_steps if num_steps is None else num_steps
        self._energy = ENERGIES[energy]
        self._runners = {}

    def __call__(self, puzzle, votes=1, seed=0):
        if votes < 1:
            raise ValueError(f"`votes` must be at least 1. Received {votes}.")
        if votes > 1 and not self.model.has_energy:
            raise ValueError("Voting needs an energy, which this baseline model does not have.")
        if not len(puzzle):
            energies = ("energy", "voted_by") if self.model.has_energy else ()
            return {"solution": puzzle, **{name: np.zeros(0, "float32") for name in energies}}
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

        def run(row, sample):
            # A vote is the number of a board's sample.
            sample = tf.cast(sample, seeds.dtype)
            drawn = tf.gather(seeds, row) + tf.stack([tf.zeros_like(sample), sample], axis=1)
            noise = tf.map_fn(lambda s: tf.random.stateless_normal(shape, s), drawn, fn_output_signature=tf.float32)
            board_of_row = tf.gather(board, row)
            logits, energies = self.model.run(board_of_row, noise, num_steps=self.num_steps, return_energy=True)
            return logits, last_energy(energies), self._energy(energies)

        best = vote(board, num_samples, together, run)
        return {name: best[name] for name in ("solution", "energy", "voted_by")}

    def _solve_plainly(self, board):
        return {"solution": answer(board, self.model.run(board, num_steps=self.num_steps))["solution"]}


def _share(count, most):
    """How many of `count` to take at a time, `most` at most, so that all portions are about as large."""
    return -(-count // -(-count // most))
