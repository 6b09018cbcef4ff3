"""What a served Sudoku model answers: the signatures as TensorFlow functions, and their golden cases."""

import math

import numpy as np
import tensorflow as tf

from export.golden import Case
from export.oscillators import initial_noise, noise_for_each, same_noise, samples_at_once
from export.server import Server, asserted, check_limits, not_empty
from training.sudoku.voting import answer, last_energy, sum_of_energies, vote

MAX_STEPS = 1024
MAX_SAMPLES = 4096


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
    """The functions behind the signatures of an exported Sudoku model.

    Every signature takes `board`, `(batch, S, S)` int32 with 0 for a blank cell, and answers with

    - `solution`, `(batch, S, S)` int32: the given digits as they are, and the model's digits elsewhere;
    - `probability`, `(batch, S, S)` float32: that of the digit in `solution`, 1 for a given one;
    - `energy`, `(batch,)` float32: that of the state from which the last step starts.

    | signature         | more inputs                                 | more outputs           |
    | ----------------- | ------------------------------------------- | ---------------------- |
    | `serving_default` |                                             |                        |
    | `solve_steps`     | `num_steps` `(batch,)`                      |                        |
    | `vote`            | `num_steps`, `num_samples`, `seed`          | `energy_sum`, `sample` |

    The first two start from `initial_noise(0, 0)` for every board. `vote` runs `num_samples` initial oscillators for
    each board, those of `initial_noise(seed, 0 … num_samples - 1)`, and answers with the one whose energies have the
    lowest sum over the steps, `energy_sum`; its number is `sample`. Its three further inputs, int32, are scalars, or
    have one integer for each board (behind a server that batches requests they must: it joins inputs along the first
    axis).

    An answer depends on the board and the numbers given with it only, not on what else is in the batch. An error does:
    one digit out of range fails the whole batch.

    A model without oscillators, such as a transformer, has `serving_default` alone, without `energy`.

    Args:
        model: A `SudokuModel` on the TensorFlow backend. Layers with a mixed precision policy are changed to float32.
        max_steps: Largest `num_steps` that is accepted, so that one request can't block a server.
        max_samples: Largest `num_samples`.

    Raises:
        ValueError: If Keras runs on another backend, or a limit is not at least 1.
        tf.errors.InvalidArgumentError: From a signature, if there is no board, or a digit or a number is out of
            its range.

    Example:

    >>> from keras_kuramoto.models import SudokuModel
    >>> server = SudokuServer(SudokuModel.from_preset("sudoku4_quick", load_weights=False))
    >>> server.functions["solve_steps"](tf.zeros((1, 4, 4), tf.int32), tf.constant([32]))["solution"].shape
    TensorShape([1, 4, 4])
    """

    kind = "sudoku"

    def __init__(self, model, max_steps=MAX_STEPS, max_samples=MAX_SAMPLES):
        super().__init__(model)
        check_limits(max_steps=max_steps, max_samples=max_samples)
        self.max_steps, self.max_samples = max_steps, max_samples
        self.board_size = model.board_size
        self._run = model.run
        self._shape = (model.board_size, model.board_size, model.channels)

        board = tf.TensorSpec((None, model.board_size, model.board_size), tf.int32, name="board")

        def numbers(shape, *names):
            return [tf.TensorSpec(shape, tf.int32, name=name) for name in names]

        specs = {"serving_default": (self._default, [board])}
        if model.has_energy:
            specs["solve_steps"] = (self._solve_steps, [board, *numbers((None,), "num_steps")])
            specs["vote"] = (self._vote, [board, *numbers(None, "num_steps", "num_samples", "seed")])
        else:
            specs["serving_default"] = (self._plain, [board])
        self.functions = {
            name: tf.function(function, input_signature=spec, autograph=False)
            for name, (function, spec) in specs.items()
        }

    def description(self):
        return {
            "board_size": self.board_size,
            "num_steps": self.model.num_steps,
            "max_steps": self.max_steps,
            "max_samples": self.max_samples,
        }

    def sample_cases(self):
        boards = sample_boards(self.board_size)

        def numbers(*values):
            return np.array(values, np.int32)

        cases = [Case("serving_default", {"board": boards})]
        if self.model.has_energy:
            most = max(1, min(16, self.model.num_steps))
            cases += [
                Case("solve_steps", {"board": boards, "num_steps": numbers(most, 1, (most + 1) // 2, most, 2)}),
                # The first board has more samples than run in one go.
                Case(
                    "vote",
                    {
                        "board": boards,
                        "num_steps": numbers(3, most, 1, 2, 4),
                        "num_samples": numbers(10, 2, 3, 1, 4),
                        "seed": numbers(1, 0, -5, 2**31 - 1, 1),
                    },
                ),
                Case(
                    "vote",
                    {"board": boards, "num_steps": numbers(3)[0], "num_samples": numbers(3)[0], "seed": numbers(7)[0]},
                ),
            ]
        wrong = np.full_like(boards[:1], 99)
        cases.append(
            Case("serving_default", {"board": wrong}, fault="digit out of range", error="must hold digits from 0")
        )
        return cases

    def keras_answers(self, case):
        # Eagerly, one board and one sample after the other, with numbers of steps that are Python integers.
        boards = case.inputs["board"]
        numbers = {
            name: [int(number) for number in np.broadcast_to(value, len(boards))]
            for name, value in case.inputs.items()
            if name != "board"
        }
        answers = []
        for index, board in enumerate(boards):
            own = {name: values[index] for name, values in numbers.items()}
            samples = [_keras_answer(self.model, board, own, sample) for sample in range(own.pop("num_samples", 1))]
            best = min(range(len(samples)), key=lambda sample: samples[sample].get("energy_sum", 0))
            answer = samples[best]
            if case.signature == "vote":
                answer["sample"] = np.int32(best)
            else:
                answer.pop("energy_sum", None)
            answers.append(answer)
        return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}

    def _plain(self, board):
        board = self._checked(board)
        return answer(board, self._run(board))

    def _default(self, board):
        board = self._checked(board)
        logits, energies = self._run(board, noise=same_noise(board, self._shape), return_energy=True)
        return {**answer(board, logits), "energy": energies[:, -1]}

    def _solve_steps(self, board, num_steps):
        board = self._checked(board)
        num_steps = self.number_for_each("num_steps", num_steps, board, "max_steps")
        logits, energies = self._run(
            board, noise=same_noise(board, self._shape), num_steps=num_steps, return_energy=True
        )
        return {**answer(board, logits), "energy": last_energy(energies, num_steps)}

    def _vote(self, board, num_steps, num_samples, seed):
        board = self._checked(board)
        num_steps = self.number_for_each("num_steps", num_steps, board, "max_steps")
        num_samples = self.number_for_each("num_samples", num_samples, board, "max_samples")
        seed = self.number_for_each("seed", seed, board)

        def run(row, sample):
            noise = noise_for_each(tf.gather(seed, row), sample, self._shape)
            steps = tf.gather(num_steps, row)
            logits, energies = self._run(tf.gather(board, row), noise=noise, num_steps=steps, return_energy=True)
            return logits, last_energy(energies, steps), sum_of_energies(energies, steps)

        best = vote(board, num_samples, samples_at_once(tf.shape(board)[0], tf.reduce_max(num_samples)), run)
        best["energy_sum"] = best.pop("voted_by")
        return best

    def _checked(self, board):
        text = f"`board` must hold digits from 0 (blank) to {self.board_size}. It holds, lowest and highest:"
        board = not_empty(board, "`board` must hold at least one board. Its shape:")
        return asserted(board, 0, self.board_size, text)


def _keras_answer(model, board, numbers, sample):
    batch = board[None].astype(np.int32)
    if model.has_energy:
        shape = (model.board_size, model.board_size, model.channels)
        noise = initial_noise(tf.constant(numbers.get("seed", 0)), tf.constant(sample), shape)[None]
        logits, energies = model.run(batch, noise=noise, num_steps=numbers.get("num_steps"), return_energy=True)
        energies = np.asarray(energies)[0]
        more = {"energy": energies[-1], "energy_sum": energies.sum(dtype=np.float64).astype(np.float32)}
    else:
        logits, more = model.run(batch), {}
    logits = np.asarray(logits, np.float64)[0]
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    probability = (odds / odds.sum(-1, keepdims=True)).max(-1)
    given = board > 0
    return {
        "solution": np.where(given, board, logits.argmax(-1) + 1).astype(np.int32),
        "probability": np.where(given, 1, probability).astype(np.float32),
        **more,
    }
