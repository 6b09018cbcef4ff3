"""What a served Sudoku model answers: the signatures as TensorFlow functions, and their golden cases."""

import functools
import math

import numpy as np
import tensorflow as tf

from export.families import SUDOKU
from export.golden import Case
from export.oscillators import initial_noise, noise_for_each, run_until_rest, same_noise, samples_at_once
from export.server import Server
from keras_kuramoto.layers import UntilRest
from training.datasets.sudoku import is_valid_board
from training.sudoku.voting import Filling, Lowest, Once, SolutionFirst, answer, is_solution, vote


def sample_boards(size):
    """Five boards that break no rule: few givens, some, many, a full one and an empty one, `(5, size, size)` int32."""
    box = math.isqrt(size)
    row, column = np.divmod(np.arange(size * size), size)
    grid = ((box * (row % box) + row // box + column) % size + 1).astype(np.int32)
    order = np.random.default_rng(0).permutation(size * size)
    boards = []
    for share in (0.3, 0.45, 0.6, 1.0, 0.0):
        board = np.zeros_like(grid)
        shown = order[: round(share * size * size)]
        board[shown] = grid[shown]
        boards.append(board.reshape(size, size))
    return np.stack(boards)


class SudokuServer(Server):
    """The functions behind the signatures of an exported Sudoku model, which `export.families.SUDOKU` declares.

    The signatures `serving_default` and `solve_steps` start from `initial_noise(0, 0)` for every board. `vote` runs
    `num_samples` initial oscillators for each board, those of `initial_noise(seed, 0 … num_samples - 1)`, and answers
    with the one whose energies have the lowest sum over the steps. `search` takes as many at most, fills the boards
    cell by cell (`training.sudoku.voting.Filling`), and answers with the first solution. The numbers of both are
    scalars or have one entry for each board (behind a server that batches requests they must: it joins inputs along the
    first axis).

    An answer depends on the board and the numbers given with it only, not on what else is in the batch. An error does:
    one digit out of range fails the whole batch.

    A model without oscillators, such as a transformer, has `serving_default` alone, without `energy`.

    Args:
        model: A `SudokuModel` on the TensorFlow backend. Layers with a mixed precision policy are changed to float32.
        **settings: `max_batch`, and with oscillators `max_steps`, `max_samples` and `tolerance`: one request
            can't block a server.

    Raises:
        ValueError: If Keras runs on another backend, or a limit is not at least 1.
        tf.errors.InvalidArgumentError: From a signature, if there is no board, there are too many, or a digit or a
            number is out of its range.

    Example:

    >>> from keras_kuramoto.models import SudokuModel
    >>> server = SudokuServer(SudokuModel.from_preset("sudoku4_quick", load_weights=False))
    >>> server.functions["solve_steps"](tf.zeros((1, 4, 4), tf.int32), tf.constant([32]))["solution"].shape
    TensorShape([1, 4, 4])
    """

    family = SUDOKU

    def sizes(self):
        return {"size": self.model.board_size}

    def features(self):
        return {"oscillators"} if self.model.has_energy else set()

    def facts(self):
        return {"board_size": self.model.board_size, "num_steps": self.model.num_steps}

    def answers(self):
        if not self.model.has_energy:
            return {"serving_default": self._plain}
        self._shape = (self.model.board_size, self.model.board_size, self.model.channels)
        return {
            "serving_default": self._default,
            "solve_steps": self._solve_steps,
            "vote": functools.partial(self._vote, Once(), Lowest()),
            "search": functools.partial(self._vote, Filling(), SolutionFirst(Lowest())),
        }

    def good_cases(self):
        boards = sample_boards(self.model.board_size)

        def numbers(*values):
            return np.array(values, np.int32)

        cases = [Case("serving_default", {"board": boards})]
        if self.model.has_energy:
            most = max(1, min(16, self.model.num_steps, self.settings["max_steps"]))
            # The first board has more samples than run in one go.
            steps, samples = numbers(3, most, 1, 2, 4), numbers(10, 2, 3, 1, 4)
            steps, samples = np.minimum(steps, most), np.minimum(samples, self.settings["max_samples"])
            seeds = numbers(1, 0, -5, 2**31 - 1, 1)
            cases += [
                Case("solve_steps", {"board": boards, "num_steps": numbers(most, 1, (most + 1) // 2, most, 1)}),
                Case("vote", {"board": boards, "num_steps": steps, "num_samples": samples, "seed": seeds}),
                Case("vote", {"board": boards, "num_steps": steps[0], "num_samples": samples[2], "seed": seeds[0]}),
                # Where few cells are blank, a last bit does not decide which of them is filled first.
                Case(
                    "search",
                    {"board": boards[2:4], "num_steps": steps[:2], "num_samples": samples[1:3], "seed": seeds[:2]},
                ),
            ]
        return cases

    def keras_answers(self, case):
        # Eagerly, one board and one sample after the other, with numbers of steps that are Python integers.
        boards = case.inputs["board"]
        numbers = {
            name: [int(number) for number in np.broadcast_to(value, len(boards))]
            for name, value in case.inputs.items()
            if name != "board"
        }
        outputs = [tensor.name for tensor in self.declaration.signatures[case.signature].outputs]
        tolerance, answers = self.settings.get("tolerance", 0), []
        for index, board in enumerate(boards):
            own = {name: values[index] for name, values in numbers.items()}
            samples = []
            for sample in range(own.pop("num_samples", 1)):
                find = _keras_search if case.signature == "search" else _keras_answer
                samples.append({**find(self.model, board, own, sample, tolerance), "sample": np.int32(sample)})
                if case.signature == "search" and samples[-1]["solved"]:
                    break
            best = min(
                samples, key=lambda found: (case.signature == "search" and -found["solved"], found["energy_sum"])
            )
            best["steps"] = np.int32(sum(found["steps"] for found in samples))
            answers.append(best)
        return {name: np.stack([answer[name] for answer in answers]) for name in outputs}

    def _plain(self, board):
        return _with_check(answer(board, self.model.run(board)))

    def _default(self, board):
        return _with_check(self._once(board, self._run_from_same_noise))

    def _solve_steps(self, board, num_steps):
        return _with_check(self._once(board, functools.partial(self._run_from_same_noise, num_steps=num_steps)))

    def _run_from_same_noise(self, board, num_steps=None):
        return self._run(board, same_noise(board, self._shape), num_steps)

    def _run(self, board, noise, num_steps):
        logits, energies, taken = run_until_rest(
            self.model, self.model.run, self.settings["tolerance"], board, num_steps, noise=noise, return_energy=True
        )
        return logits, energies, num_steps, taken

    def _once(self, board, run):
        found = Once()(board, run)
        return {name: found[name] for name in ("solution", "probability", "energy", "steps")}

    def _vote(self, how, selection, board, num_steps, num_samples, seed):
        def attempt(row, sample):
            noise = noise_for_each(tf.gather(seed, row), sample, self._shape)
            steps = tf.gather(num_steps, row)

            def run(boards):
                return self._run(boards, noise, steps)

            return how(tf.gather(board, row), run)

        together = samples_at_once(tf.shape(board)[0], tf.reduce_max(num_samples))
        best = vote(board, num_samples, together, attempt, selection)
        return {name: value for name, value in best.items() if name != "unrest"}


def _with_check(found):
    return {**found, "solved": tf.cast(is_solution(found["solution"]), tf.int32)}


def _keras_answer(model, board, numbers, sample, tolerance=0):
    batch, found = board[None].astype(np.int32), {"energy_sum": 0, "steps": 0}
    if model.has_energy:
        shape = (model.board_size, model.board_size, model.channels)
        noise = initial_noise(tf.constant(numbers.get("seed", 0)), tf.constant(sample), shape)[None]
        most = numbers.get("num_steps", model.num_steps)
        rule = most if tolerance == 0 else UntilRest(tolerance, most)
        logits, energies, *taken = model.run(batch, noise=noise, num_steps=rule, return_energy=True)
        energies = np.asarray(energies)[0]
        found = {
            "energy": energies[-1],
            "energy_sum": energies.sum(dtype=np.float64).astype(np.float32),
            "steps": np.int32(taken[0][0] if taken else most * len(model.network.blocks)),
        }
    else:
        logits = model.run(batch)
    logits = np.asarray(logits, np.float64)[0]
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    probability = (odds / odds.sum(-1, keepdims=True)).max(-1)
    given = board > 0
    solution = np.where(given, board, logits.argmax(-1) + 1).astype(np.int32)
    return {
        "solution": solution,
        "solved": np.int32(is_valid_board(solution)),
        "probability": np.where(given, 1, probability).astype(np.float32),
        **found,
    }


def _keras_search(model, board, numbers, sample, tolerance=0):
    filling, filled, steps = Filling(), board.copy(), 0
    kept = np.ones(board.shape, np.float32)
    while True:
        found = _keras_answer(model, filled, numbers, sample, tolerance)
        steps += found["steps"]
        blank = filled == 0
        kept[blank] = found["probability"][blank]
        order = np.argsort(-np.where(blank, kept, -1), axis=None, kind="stable")[: filling.cells]
        chosen = blank & (kept > filling.confidence)
        chosen.flat[order] |= blank.flat[order]
        filled = np.where(chosen, found["solution"], filled)
        if found["solved"] or filled.all() or not is_valid_board(filled):
            return {**found, "probability": kept, "steps": steps}
