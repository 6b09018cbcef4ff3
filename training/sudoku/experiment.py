"""The Sudoku experiment of the AKOrN paper, Sec. 6.2 and C.2."""

import dataclasses
import math

import tensorflow as tf

from keras_kuramoto.models import SudokuModel
from training.datasets.sudoku import load
from training.datasets.sudoku.augment import random_symmetry
from training.loop import Experiment, shuffled_rows
from training.options import AdamOptions
from training.source import load_model
from training.sudoku.solver import BoardSolver, score


@dataclasses.dataclass(frozen=True)
class SudokuOptions(AdamOptions):
    """Options of the Sudoku experiment, besides those of the loop and of Adam.

    Attributes:
        data: Data set to train on: a configuration of the builder `sudoku`, `"satnet_sudoku"` or `"rrn_sudoku"`.
        model: Name of the model's preset.
        arguments: Arguments of the model in place of the preset's, set as `arguments.name=value`.
        start: Run directory, `.keras` file or preset whose trained weights are the first ones; none if empty.
        symmetries: Whether each training board is changed by a random symmetry of Sudoku each time it is seen.
        min_steps: The number of Kuramoto steps of an update is drawn between this and `max_steps`.
        max_steps: See `min_steps`. 0 takes the model's own number for both.
        test_steps: Numbers of Kuramoto steps to evaluate at.
        test_boards: How many test boards an evaluation in training takes.
    """

    data: str = "9x9"
    model: str = "sudoku9_small"
    arguments: dict = dataclasses.field(default_factory=dict)
    start: str = ""
    symmetries: bool = True
    min_steps: int = 0
    max_steps: int = 0
    test_steps: list = dataclasses.field(default_factory=lambda: [16, 64])
    test_boards: int = 200

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.min_steps <= self.max_steps:
            raise ValueError(
                "`min_steps` must be at least 0 and at most `max_steps`. "
                f"Received {self.min_steps} and {self.max_steps}."
            )


PRESETS = {
    # No symmetries: they would turn train grids into test grids, of which there are only 288 in all.
    "sudoku4_quick": SudokuOptions(
        data="4x4",
        model="sudoku4_quick",
        symmetries=False,
        steps=1000,
        learning_rate=2e-3,
        min_steps=4,
        max_steps=24,
        evaluate_every=250,
        checkpoint_every=250,
        test_boards=1000,
    ),
    "sudoku9_small": SudokuOptions(
        steps=22_000,
        batch_size=32,
        learning_rate=2e-3,
        warmup_steps=200,
        average_momentum=0.998,
        min_steps=4,
        max_steps=16,
        evaluate_every=1000,
        checkpoint_every=500,
        test_steps=[16, 64, 128],
    ),
    # After `sudoku9_small`: more steps, for boards that need them.
    "sudoku9_small_long": SudokuOptions(
        start="runs/sudoku9_small",
        steps=2500,
        batch_size=32,
        learning_rate=5e-4,
        average_momentum=0.998,
        min_steps=12,
        max_steps=32,
        checkpoint_every=500,
        test_steps=[16, 64, 128],
    ),
    # The paper's: 100 epochs of 90 batches, always 16 steps, no symmetries.
    "sudoku9_paper": SudokuOptions(
        model="sudoku9_paper", symmetries=False, steps=9000, evaluate_every=900, checkpoint_every=900
    ),
}
for _base in ("sudoku9_small", "sudoku9_paper"):
    PRESETS[f"{_base}_symmetric"] = dataclasses.replace(PRESETS[_base], model=f"{_base}_symmetric")
    for _kind in ("iterative", "transformer"):
        # Without oscillators there is no number of steps to draw.
        PRESETS[f"{_base}_{_kind}"] = dataclasses.replace(
            PRESETS[_base], model=f"{_base}_{_kind}", min_steps=0, max_steps=0
        )


class SudokuExperiment(Experiment):
    """Trains a Sudoku model by the cross-entropy of all cells.

    Args:
        options: A `SudokuOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If the data set is unknown, or its boards do not fit the model.
    """

    def __init__(self, options, data_dir=None):
        self.options = options
        self.train = load(options.data, "train", data_dir)
        self.test = load(options.data, "test", data_dir)
        model = self.build_model()
        size = self.train["puzzle"].shape[1]
        if model.board_size != size:
            raise ValueError(
                f"The model '{options.model}' solves boards of size {model.board_size}, and '{options.data}' has "
                f"boards of size {size}."
            )
        self._noise_shape = (size, size, model.channels)
        self._own_steps = model.num_steps
        self._has_energy = model.has_energy
        self._solvers = {}
        if not self._has_energy and options.max_steps:
            raise ValueError(f"`max_steps` is for AKOrN; the model '{options.model}' has no Kuramoto steps.")

    def build_model(self):
        model = SudokuModel.from_preset(self.options.model, load_weights=False, **self.options.arguments)
        if self.options.start:
            weights = load_model(self.options.start).get_weights()
            if [w.shape for w in weights] != [tuple(w.shape) for w in model.weights]:
                raise ValueError(f"The model of `start`, '{self.options.start}', differs from '{self.options.model}'.")
            model.set_weights(weights)
        return model

    def batches(self, start):
        options = self.options
        count, box = len(self.train["puzzle"]), math.isqrt(self._noise_shape[0])
        if count < options.batch_size:
            raise ValueError(
                f"`batch_size` must be at most the {count} training boards. Received {options.batch_size}."
            )
        puzzles, solutions = tf.constant(self.train["puzzle"]), tf.constant(self.train["solution"])

        def batch(step):
            # Everything random depends on the seed and the step alone.
            seed = tf.stack([tf.constant(options.seed, tf.int64), step])
            rows = shuffled_rows(step, count, options)
            puzzle, solution = tf.gather(puzzles, rows), tf.gather(solutions, rows)
            if options.symmetries:
                puzzle, solution = random_symmetry(puzzle, solution, seed, box=box)
            examples = {"puzzle": puzzle, "solution": solution}
            shared = {}
            if self._has_energy:
                examples["noise"] = tf.random.stateless_normal((options.batch_size, *self._noise_shape), seed + 1)
                low, high = options.min_steps or self._own_steps, options.max_steps or self._own_steps
                shared["num_steps"] = tf.random.stateless_uniform((), seed + 2, low, high + 1, tf.int32)
            return examples, shared

        numbers = tf.data.Dataset.counter(start=start, dtype=tf.int64)
        return numbers.map(batch, num_parallel_calls=1).prefetch(2)

    def loss(self, model, examples, shared):
        solution, noise = examples["solution"], examples.get("noise")
        metrics = {}
        if self._has_energy:
            # A number of steps that never changes is no tensor: what is compiled for it is simpler.
            steps = shared["num_steps"] if self.options.max_steps else None
            logits, energies = model.run(
                examples["puzzle"], noise, steps, return_energy=True, max_steps=self.options.max_steps or None
            )
            last = energies[:, -1] if steps is None else tf.gather(energies, steps - 1, axis=1)
            metrics["energy"] = tf.reduce_mean(last)
        else:
            logits = model.run(examples["puzzle"])
        right = tf.argmax(logits, axis=-1, output_type=tf.int32) + 1 == solution
        metrics["accuracy"] = tf.reduce_mean(tf.cast(tf.reduce_all(right, axis=(1, 2)), tf.float32))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(solution - 1, logits)
        return tf.reduce_mean(losses), metrics

    def evaluate(self, model, strategy):
        boards = {name: value[: self.options.test_boards] for name, value in self.test.items()}
        results = {}
        for steps in self.options.test_steps if self._has_energy else [None]:
            # Kept from one evaluation to the next: compiling takes longer than solving.
            key = (id(model), steps)
            if key not in self._solvers:
                self._solvers[key] = BoardSolver(model, strategy, steps, batch_size=len(boards["puzzle"]))
            outcome = self._solvers[key](boards["puzzle"], seed=self.options.seed)
            scores = score(boards["puzzle"], boards["solution"], outcome["solution"])
            suffix = "" if steps is None else f"_{steps}_steps"
            results |= {f"{name}{suffix}": value for name, value in scores.items()}
        return results
