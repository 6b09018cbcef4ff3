"""The Sudoku experiment of the AKOrN paper, Sec. 6.2 and C.2."""

import dataclasses
import itertools
import math
import pathlib

import numpy as np
import tensorflow as tf
from keras import ops

from keras_kuramoto.models import SudokuModel
from training.datasets.sudoku import load, solve
from training.datasets.sudoku.augment import random_givens, random_symmetry
from training.datasets.sudoku.files import read_boards
from training.options import AdamOptions, option
from training.preset_experiment import PresetExperiment
from training.sudoku.solver import BoardSolver, score
from training.sudoku.voting import ATTEMPTS, SELECTIONS


@dataclasses.dataclass(frozen=True)
class SudokuOptions(AdamOptions):
    """Options of the Sudoku experiment, besides those of the loop and of Adam.

    Attributes:
        data: Data set to train on: a configuration of the builder `sudoku`, `"satnet_sudoku"` or `"rrn_sudoku"`.
        model: Name of the model's preset.
        arguments: Arguments of the model in place of the preset's, set as `arguments.name=value`.
        start: Run directory, `.keras` file or preset whose trained weights are the first ones; none if empty.
        symmetries: Whether each training board is changed by a random symmetry of Sudoku each time it is seen.
        more_givens: Half of the training boards get up to so many digits of their solutions more, see `random_givens`.
        min_steps: The number of Kuramoto steps of an update is drawn between this and `max_steps`.
        max_steps: See `min_steps`. 0 takes the model's own number for both.
        segments: A board stays for up to so many updates, each a segment of the steps: the next one goes on from the
            detached oscillators, and gradients reach back one segment. How many is drawn for each board, from 1 on;
            then another board takes its place. 0: every update has boards and initial oscillators of its own.
        segment_noise: Standard deviation of what is added to each component of the oscillators between two segments.
        test_data: Data set to evaluate on, or a text file of boards, one on each line or drawn; empty for the test
            boards of `data`.
        test_steps: Numbers of Kuramoto steps to evaluate at; without effect on a model without oscillators.
        test_boards: How many boards an evaluation takes, the first ones; 0 for all.
        attempt: How an answer is found: `"once"`, by one run of so many steps, or `"filling"`, by a run for every few
            cells.
        votes: Initial oscillators for each board, of whose answers one is kept.
        vote_by: Which one: `"solution"`, the first that breaks no rule, and else as `"sum"`; by the energy of all steps
            (`"sum"`, Σₜ Eₜ), the last energy (`"last"`) or its last change (`"unrest"`), the one with the lowest.
        test_batch: Boards that are solved at once, on all replicas.
    """

    data: str = option("9x9")
    model: str = option("sudoku9_small")
    arguments: dict = option({})
    start: str = option("")
    symmetries: bool = option(True)
    more_givens: int = option(0, least=0)
    min_steps: int = option(0, least=0)
    max_steps: int = option(0, least=0)
    segments: int = option(0, least=0)
    segment_noise: float = option(0.0, least=0)
    test_data: str = option("", evaluation=True)
    test_steps: list = option([16, 64], least=1, evaluation=True)
    test_boards: int = option(200, least=0, evaluation=True)
    attempt: str = option("once", choices=tuple(ATTEMPTS), evaluation=True)
    votes: int = option(1, least=1, evaluation=True)
    vote_by: str = option("sum", choices=tuple(SELECTIONS), evaluation=True)
    test_batch: int = option(250, least=1, evaluation=True)

    def __post_init__(self):
        super().__post_init__()
        if self.min_steps > self.max_steps:
            raise ValueError(
                f"`min_steps` must be at most `max_steps`. Received {self.min_steps} and {self.max_steps}."
            )
        if self.segment_noise and self.segments < 2:
            raise ValueError(
                f"`segment_noise` needs `segments` of at least 2. Received {self.segment_noise} and {self.segments}."
            )

    @classmethod
    def from_saved(cls, saved):
        # Until 0.2 two arguments of a model were not those of its layers.
        arguments = dict(saved.get("arguments", {}))
        baseline = saved.get("model", "").endswith(("_iterative", "_transformer"))
        for name, layer in (("heads", "attention" if baseline else "connectivity"), ("frequency", "natural_frequency")):
            if name in arguments:
                value = arguments.pop(name)
                arguments[layer] = None if value is None else {name: value}
        return super().from_saved({**saved, "arguments": arguments})


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
    # Few steps at first, which make many updates; then more of them, as boards that are hard need.
    "sudoku9_hard": SudokuOptions(
        data="9x9_mixed",
        model="sudoku9_hard",
        steps=6000,
        batch_size=32,
        learning_rate=2e-3,
        average_momentum=0.999,
        more_givens=12,
        min_steps=6,
        max_steps=12,
        evaluate_every=1000,
        checkpoint_every=500,
        test_steps=[32, 128],
        test_boards=500,
    ),
    # The paper's: 100 epochs of 90 batches, always 16 steps, no symmetries.
    "sudoku9_paper": SudokuOptions(
        model="sudoku9_paper", symmetries=False, steps=9000, evaluate_every=900, checkpoint_every=900
    ),
}
PRESETS["sudoku9_hard_long"] = dataclasses.replace(
    PRESETS["sudoku9_hard"], start="runs/sudoku9_hard", steps=2500, learning_rate=1e-3, min_steps=8, max_steps=24
)
# After both: each board for up to 16 segments of its steps, as recurrent solvers are trained.
PRESETS["sudoku9_hard_segments"] = dataclasses.replace(
    PRESETS["sudoku9_hard"], start="sudoku9_hard", steps=30_000, learning_rate=5e-4, weight_decay=0.1, segments=16
)
for _base in ("sudoku9_small", "sudoku9_paper"):
    PRESETS[f"{_base}_symmetric"] = dataclasses.replace(PRESETS[_base], model=f"{_base}_symmetric")
# Both of the small ones are compared with the same baselines.
for _base, _size in (("sudoku9_small", "small"), ("sudoku9_hard", "small"), ("sudoku9_paper", "paper")):
    for _kind in ("iterative", "transformer"):
        # Without oscillators there is no number of steps to draw.
        PRESETS[f"{_base}_{_kind}"] = dataclasses.replace(
            PRESETS[_base], model=f"sudoku9_{_size}_{_kind}", min_steps=0, max_steps=0
        )


class SudokuExperiment(PresetExperiment):
    """Trains a Sudoku model by the cross-entropy of all cells.

    Args:
        options: A `SudokuOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If the preset, an argument of the model or the data set is unknown, the test boards do not fit the
            model, or what oscillators have is asked of a model without.
    """

    models = SudokuModel

    def __init__(self, options, data_dir=None):
        self.options, self.data_dir = options, data_dir
        model = self.new_model()
        self._size, self._channels = model.board_size, model.channels
        self._own_steps, self._has_energy = model.num_steps, model.has_energy
        if not self._has_energy:
            for name, least in (("max_steps", 0), ("votes", 1), ("segments", 0)):
                if getattr(options, name) > least:
                    raise ValueError(f"`{name}` is for AKOrN; the model '{options.model}' has no oscillators.")
        if options.max_steps and not options.min_steps and options.max_steps < self._own_steps:
            raise ValueError(
                f"`max_steps` must be at least the model's own {self._own_steps} steps where `min_steps` is 0. "
                f"Received {options.max_steps}."
            )
        self.test = self._fitting(self.test_boards(), options.test_data or options.data)
        self._solvers = {}

    def train_boards(self):
        """The boards to train on, a dictionary of `(boards, S, S)` arrays."""
        return load(self.options.data, "train", self.data_dir)

    def test_boards(self):
        """The boards to evaluate on, likewise."""
        name = self.options.test_data or self.options.data
        if not pathlib.Path(name).is_file():
            return load(name, "test", self.data_dir)
        puzzle = read_boards(name)
        solutions = [solve(board) for board in puzzle]
        for number, answer in enumerate(solutions, 1):
            if answer is None:
                raise ValueError(f"Board {number} of '{name}' has no solution.")
        return {"puzzle": puzzle, "solution": np.stack(solutions)}

    def _fitting(self, boards, name):
        size = boards["puzzle"].shape[1]
        if size != self._size:
            raise ValueError(
                f"The model '{self.options.model}' solves boards of size {self._size}, and '{name}' has boards of size "
                f"{size}."
            )
        return boards

    def examples(self):
        boards = self._fitting(self.train_boards(), self.options.data)
        return {name: boards[name] for name in ("puzzle", "solution")}

    def batch(self, examples, seed):
        options, shared = self.options, {}
        puzzle, solution = examples["puzzle"], examples["solution"]
        if options.symmetries:
            puzzle, solution = random_symmetry(puzzle, solution, seed, box=math.isqrt(self._size))
        if options.more_givens:
            puzzle = random_givens(puzzle, solution, options.more_givens, seed + 4)
        examples = {"puzzle": puzzle, "solution": solution}
        if self._has_energy:
            shape = (options.batch_size, self._size, self._size, self._channels)
            examples["noise"] = tf.random.stateless_normal(shape, seed + 1)
            low, high = options.min_steps or self._own_steps, options.max_steps or self._own_steps
            shared["num_steps"] = tf.random.stateless_uniform((), seed + 2, low, high + 1, tf.int32)
        if options.segments:
            drawn = tf.random.stateless_uniform((options.batch_size,), seed + 3, 1, options.segments + 1, tf.int32)
            examples["segments"] = drawn
        return examples, shared

    def rows(self, update):
        # Those of a batch may be of any update before.
        return None if self.options.segments else super().rows(update)

    def carried(self):
        options = self.options
        if not options.segments:
            return {}
        board = (options.batch_size, self._size, self._size)
        return {
            "puzzle": tf.TensorSpec(board, tf.int32),
            "solution": tf.TensorSpec(board, tf.int32),
            "noise": tf.TensorSpec((*board, self._channels), tf.float32),
            # How many there are still to be.
            "segments": tf.TensorSpec(board[:1], tf.int32),
        }

    def take_up(self, examples, shared, carried):
        if not carried:
            return examples
        goes_on = carried["segments"] > 0
        if self.options.segment_noise:
            # The model normalises them again, so that only what is tangent to the sphere matters.
            carried = {**carried, "noise": carried["noise"] + self.options.segment_noise * examples["noise"]}
        taken = {
            name: ops.where(ops.reshape(goes_on, (-1,) + (1,) * (len(old.shape) - 1)), old, examples[name])
            for name, old in carried.items()
        }
        return {**taken, "goes_on": goes_on}

    def carry(self, outputs, examples, shared):
        if "goes_on" not in examples:
            return {}
        boards = {name: examples[name] for name in ("puzzle", "solution")}
        return {**boards, "noise": outputs["oscillators"], "segments": examples["segments"] - 1}

    def outputs(self, model, examples, shared, training):
        if not self._has_energy:
            return {"logits": model.run(examples["puzzle"], training=training)}
        # A number of steps that never changes is no tensor: what is compiled for it is simpler.
        steps = shared["num_steps"] if self.options.max_steps else None
        logits, energies, *oscillators = model.run(
            examples["puzzle"],
            examples["noise"],
            num_steps=steps,
            return_energy=True,
            max_steps=self.options.max_steps or None,
            training=training,
            goes_on=examples.get("goes_on"),
            return_oscillators="goes_on" in examples,
        )
        last = energies[:, -1] if steps is None else ops.take(energies, steps - 1, axis=1)
        return dict(zip(("logits", "energy", "oscillators"), (logits, last, *oscillators)))

    def loss(self, outputs, examples, shared):
        logits, solution = outputs["logits"], examples["solution"]
        right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32") + 1, solution)
        metrics = {"accuracy": ops.mean(ops.cast(ops.all(right, axis=(1, 2)), "float32"))}
        if "energy" in outputs:
            metrics["energy"] = ops.mean(outputs["energy"])
        return ops.mean(ops.sparse_categorical_crossentropy(solution - 1, logits, from_logits=True)), metrics

    def check_model(self, model):
        if not isinstance(model, SudokuModel):
            raise ValueError(f"A {type(model).__name__} solves no boards; this experiment's model is a Sudoku model.")
        if model.board_size != self._size:
            raise ValueError(
                f"The model solves boards of size {model.board_size}, and the boards to evaluate on are of size "
                f"{self._size}."
            )

    def evaluate(self, model, strategy):
        """Of each number of steps: shares of boards and of blank cells that are right, and the mean energy.

        And, as a dictionary, the shares of boards by the number of their givens, from those with the fewest on.
        """
        options, results = self.options, {}
        puzzle, solution = [self.test[name][: options.test_boards or None] for name in ("puzzle", "solution")]
        givens = (puzzle > 0).sum((1, 2))
        for steps in options.test_steps if model.has_energy else [None]:
            # Kept from one evaluation to the next: compiling takes longer than solving.
            key = (id(model), steps)
            if key not in self._solvers:
                self._solvers[key] = BoardSolver(
                    model, strategy, steps, SELECTIONS[options.vote_by], ATTEMPTS[options.attempt], options.test_batch
                )
            outcome = self._solvers[key](puzzle, options.votes, options.seed)
            scores = score(puzzle, solution, outcome["solution"])
            if "energy" in outcome:
                scores["energy"] = float(outcome["energy"].mean())
            right = (outcome["solution"] == solution).all((1, 2))
            scores[_BY_GIVENS] = {span: float(right[chosen].mean()) for span, chosen in _groups(givens)}
            suffix = "" if steps is None else f"_{steps}_steps"
            results |= {f"{name}{suffix}": value for name, value in scores.items()}
        return results

    def trajectories(self, model):
        if not model.has_energy:
            return None
        puzzle = self.test["puzzle"][:_SHOWN]
        noise = tf.random.stateless_normal((*puzzle.shape, model.channels), (self.options.seed, 0))
        return model.run(tf.constant(puzzle), noise, return_energy=True)[1].numpy()

    def summary(self, results):
        options = self.options
        boards = len(self.test["puzzle"][: options.test_boards or None])
        tables = {name: value for name, value in results.items() if name.startswith(_BY_GIVENS)}
        lines = [
            f"{boards} boards of {options.test_data or options.data}, {options.votes} initial oscillators each; boards "
            "solved, in %, by givens:"
        ]
        for name, shares in tables.items():
            suffix = name.removeprefix(_BY_GIVENS)
            if len(lines) == 1:
                header = "".join(f"{span:>8}" for span in shares)
                lines.append(f"{'steps':>8}{'all':>8}{header}{'energy':>12}")
            cells = [results[f"board_accuracy{suffix}"], *shares.values()]
            steps = suffix.removeprefix("_").removesuffix("_steps") or "own"
            row = "".join(f"{100 * value:8.1f}" for value in cells)
            lines.append(f"{steps:>8}{row}{results.get(f'energy{suffix}', np.nan):12.1f}")
        return "\n".join(lines)


_BY_GIVENS = "board_accuracy_by_givens"
# Boards of which TensorBoard shows the energy.
_SHOWN = 16


def _groups(givens):
    """About five groups of boards by their number of givens: how a group is called, and which boards are in it."""
    edges = np.unique(np.linspace(givens.min(), givens.max() + 1, 6).astype(int))
    for low, high in itertools.pairwise(edges):
        chosen = (givens >= low) & (givens < high)
        if chosen.any():
            yield str(low) if high == low + 1 else f"{low}-{high - 1}", chosen
