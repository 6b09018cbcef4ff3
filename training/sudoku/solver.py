"""Solves boards with a model, by a vote among initial oscillators, and says how many are right."""

import itertools

import numpy as np
import tensorflow as tf

from training.batch_runner import BatchRunner
from training.sudoku.voting import Lowest, Once, answer, is_solution

# Batches from this many rows on have a smaller one beside them, of one of so many parts.
_WORTH_A_SMALLER, _PARTS = 64, 8


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

    A vote that is done makes place for another one, and so does a board that has an answer that nothing beats: steps
    are spent on what is open. Answers do not depend on what else is in a batch.

    Compiled at the first call, and again where a call has another number of boards, or of votes that run together, or
    few are left. The memory needed depends on `batch_size` alone, not on the number of boards or votes.

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
            return self._runner(boards, self._solve_plainly)([puzzle])
        return self._search(puzzle, votes, seed, boards * _share(votes, self.batch_size // boards))

    def _search(self, puzzle, votes, seed, size):
        """Runs `size` rows at a time, each a vote on a board; one that is done makes place for the next.

        A board that has an answer that nothing beats leaves with its later votes, and the first votes of all boards
        come before the second ones: what is computed is what is needed, but for the last rows.
        """
        waiting = ((board, vote) for vote in range(votes) for board in range(len(puzzle)))
        begin = {name: value.numpy() for name, value in self.attempt.begin(tf.constant(puzzle, tf.int32)).items()}
        best, rows, states = _Best(len(puzzle), votes), [], {}
        # Few rows that are left at last take less time in a smaller batch.
        sizes = [size] if size < _WORTH_A_SMALLER else [-(-size // _PARTS), size]
        while True:
            stay = [index for index, row in enumerate(rows) if best.open(*row)]
            fresh = list(itertools.islice((row for row in waiting if best.open(*row)), size - len(stay)))
            rows = [*(rows[index] for index in stay), *fresh]
            if not rows:
                return best.answers()
            first = [board for board, _ in fresh]
            states = {
                name: np.concatenate([states.get(name, value)[stay], value[first]]) for name, value in begin.items()
            }
            seeds = np.array([(seed, board * 1_000_003 + vote) for board, vote in rows], "int64")
            runner = self._runner(next(one for one in sizes if one >= len(rows)), self._advance)
            states = runner([seeds, *states.values()])
            for index in np.flatnonzero(states["open"] == 0):
                best.add(*rows[index], {name: value[index] for name, value in states.items()})

    def _runner(self, size, function):
        """Runs so many rows at once. Kept: compiling takes longer than solving."""
        if size not in self._runners:
            self._runners[size] = BatchRunner(self.strategy, function, size)
        return self._runners[size]

    # Nothing for AutoGraph, whose conversion takes as long as the tracing.
    @tf.autograph.experimental.do_not_convert
    def _advance(self, seeds, *state):
        state = dict(zip(self.attempt.begin(state[0]), state))
        shape = (*state["filled"].shape[1:], self.model.channels)
        noise = tf.map_fn(lambda s: tf.random.stateless_normal(shape, s), seeds, fn_output_signature=tf.float32)

        def run(boards):
            return *self.model.run(boards, noise, num_steps=self.num_steps, return_energy=True), None

        state = self.attempt.advance(state, run)
        return {**state, "score": self.selection(state)}

    def _solve_plainly(self, board):
        solution = answer(board, self.model.run(board, num_steps=self.num_steps))["solution"]
        return {"solution": solution, "solved": tf.cast(is_solution(solution), tf.int32)}


class _Best:
    """The answer of each board that is kept, of the votes that are done: the lowest score, of equal ones the first."""

    def __init__(self, boards, votes):
        self._score, self._vote = np.full(boards, np.inf), np.full(boards, votes)
        self._found, self._steps = [None] * boards, np.zeros((boards, votes), "int32")
        self._done = np.zeros((boards, votes), bool)

    def open(self, board, vote):
        """Whether a vote is not done yet, and could still be the one that is kept."""
        return not self._done[board, vote] and (self._score[board] > -np.inf or vote < self._vote[board])

    def add(self, board, vote, found):
        self._done[board, vote], self._steps[board, vote] = True, found["steps"]
        score = np.inf if np.isnan(found["score"]) else found["score"]
        if (score, vote) < (self._score[board], self._vote[board]):
            self._score[board], self._vote[board], self._found[board] = score, vote, found

    def answers(self):
        answers = {
            name: np.stack([found[name] for found in self._found])
            for name in ("solution", "energy", "energy_sum", "unrest")
        }
        # Those after the first answer that nothing beats were in vain, and depend on what else was in the batch.
        after = (self._score == -np.inf)[:, None] & (np.arange(self._steps.shape[1]) > self._vote[:, None])
        return {
            **answers,
            "sample": self._vote.astype("int32"),
            "steps": np.where(after, 0, self._steps).sum(1, dtype="int32"),
            "solved": is_solution(tf.constant(answers["solution"])).numpy().astype("int32"),
        }


def _share(count, most):
    """How many of `count` to take at a time, `most` at most, so that all portions are about as large."""
    return -(-count // -(-count // most))
