"""Solves boards with a model, by a vote among initial oscillators, and says how many are right."""

import numpy as np
import tensorflow as tf

from training.loop import BatchRunner


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

    Compiled at the first call. The memory needed depends on `batch_size` alone, not on the number of boards or votes.

    Args:
        model: A `SudokuModel`.
        strategy: A `tf.distribute.Strategy`.
        num_steps: Number of Kuramoto steps, the model's own by default.
        energy: What to vote by: `"sum"`, the energies of all steps (Σₜ Eₜ), or `"last"`.
        batch_size: Boards that are solved at once.

    Call arguments:
        puzzle: `(boards, S, S)` int32, 0 for blank.
        votes: K, the number of initial oscillators drawn for each board.
        seed: Seed of the initial oscillators; those of a board depend on it, the board's index and the vote's.

    Returns:
        Dictionary with `solution` `(boards, S, S)`, given digits kept, and, of a model with energy, of the chosen
        answer the last `energy` and what was `voted_by`, `(boards,)`.

    Raises:
        ValueError: If votes are asked of a model without energy.
    """

    def __init__(self, model, strategy, num_steps=None, energy="sum", batch_size=250):
        self.model, self.energy = model, energy
        self.num_steps = model.num_steps if num_steps is None else num_steps
        self._runner = BatchRunner(strategy, self._solve if model.has_energy else self._solve_plainly, batch_size)

    def __call__(self, puzzle, votes=1, seed=0):
        if not self.model.has_energy:
            if votes > 1:
                raise ValueError("Voting needs an energy, which this baseline model does not have.")
            return self._runner([puzzle])
        best = {
            "solution": np.zeros_like(puzzle),
            "energy": np.zeros(len(puzzle), "float32"),
            "voted_by": np.full(len(puzzle), np.inf, "float32"),
        }
        # Rows are (board, vote) pairs, taken in portions so that no array grows with the number of votes.
        for start in range(0, len(puzzle) * votes, self._runner.size):
            pairs = np.arange(start, min(start + self._runner.size, len(puzzle) * votes))
            index, vote = np.divmod(pairs, votes)
            seeds = np.stack([np.full_like(index, seed), index * 1_000_003 + vote], 1).astype("int64")
            result = self._runner([puzzle[index], seeds])
            for row, board in enumerate(index):
                if result["voted_by"][row] < best["voted_by"][board]:
                    for name, values in best.items():
                        values[board] = result[name][row]
        return best

    def _solve(self, board, seeds):
        shape = (*board.shape[1:], self.model.channels)
        noise = tf.map_fn(lambda s: tf.random.stateless_normal(shape, s), seeds, fn_output_signature=tf.float32)
        logits, energies = self.model.run(board, noise, num_steps=self.num_steps, return_energy=True)
        by = tf.reduce_sum(energies, axis=1) if self.energy == "sum" else energies[:, -1]
        return {"solution": _fill(board, logits), "energy": energies[:, -1], "voted_by": by}

    def _solve_plainly(self, board):
        return {"solution": _fill(board, self.model.run(board, num_steps=self.num_steps))}


def _fill(board, logits):
    """The digits of the logits in the blank cells."""
    return tf.where(board > 0, board, tf.argmax(logits, axis=-1, output_type=tf.int32) + 1)
