"""A tiny experiment, and processes that train it through the command and are ended in many ways.

TensorFlow is imported once; each process is forked from there, before TensorFlow has done anything. As a script, kills
a training at random moments and compares the weights with those of a training that was left alone:

python tests/training/lives.py KILLS RUN_DIR
"""

import dataclasses
import os
import pathlib
import random
import signal
import sys
import time
import types

import keras
import numpy as np
import tensorflow as tf

from training import __main__ as command
from training.experiment import Experiment
from training.experiments import EXPERIMENTS
from training.options import AdamOptions, option

# A minute is what the slowest of these takes on a machine with much else to do.
PATIENCE = 240


@dataclasses.dataclass(frozen=True)
class LineOptions(AdamOptions):
    """Those of the tiny experiment.

    Attributes:
        width: Units of its hidden layer.
        spoilt: A row of the examples that is not a number.
        records: A file of TFRecords, 64 serialised `x`, that is read again for each batch.
    """

    width: int = option(4, least=1)
    spoilt: int = option(-1)
    records: str = option("")


class Records:
    """Rows of a file of TFRecords."""

    def __init__(self, file):
        self._file = file

    def __len__(self):
        return 64

    def read(self, rows):
        records = tf.data.TFRecordDataset(self._file).map(lambda one: tf.io.parse_tensor(one, "float32"))
        x = tf.gather(tf.ensure_shape(records.batch(len(self)).get_single_element(), (len(self), 4)), rows)
        return {"x": x, "y": tf.reduce_sum(x, 1)}


class LineExperiment(Experiment):
    """Least squares with a hidden layer and dropout."""

    def __init__(self, options, data_dir=None):
        del data_dir
        self.options = options
        rng = np.random.default_rng(0)
        self._x = rng.standard_normal((64, 4)).astype("float32")
        if options.spoilt >= 0:
            self._x[options.spoilt, 2] = np.nan

    def build_model(self):
        hidden = keras.layers.Dense(self.options.width, activation="tanh")
        return keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dropout(0.2), keras.layers.Dense(1)])

    def examples(self):
        return {"x": self._x, "y": self._x.sum(1)}

    def source(self):
        return Records(self.options.records) if self.options.records else super().source()

    def outputs(self, model, examples, shared, training):
        return model(examples["x"], training=training)[:, 0]

    def loss(self, outputs, examples, shared):
        return tf.reduce_mean(tf.square(outputs - examples["y"])), {}

    def evaluate(self, model, strategy):
        examples = self.examples()
        good = np.isfinite(examples["y"])
        error = model(examples["x"][good]).numpy()[:, 0] - examples["y"][good]
        return {"error": float(np.square(error).mean())}


OPTIONS = LineOptions(
    steps=400,
    batch_size=8,
    steps_per_call=2,
    evaluate_every=100,
    checkpoint_every=10,
    warmup_steps=5,
    learning_rate=0.01,
    best_metric="error",
    best_mode="min",
)
EXPERIMENTS["line"] = types.SimpleNamespace(
    help="the line", arguments={}, load=lambda: (LineExperiment, {"line": OPTIONS})
)


class Life:
    """A forked process that runs `python -m training line`.

    Args:
        run: Path of the run directory.
        *arguments: More arguments of the command.
        before: What the process does first.
        environment: Variables of its environment.
    """

    def __init__(self, run, *arguments, before=None, environment=None):
        run = pathlib.Path(run)
        run.parent.mkdir(parents=True, exist_ok=True)
        self.output = run.parent / f"output-{time.monotonic_ns()}.txt"
        self.started = time.monotonic()
        self.pid = os.fork()
        if self.pid:
            return
        code = 99
        try:
            os.environ.update(environment or {})
            file = os.open(self.output, os.O_WRONLY | os.O_CREAT, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            if before is not None:
                before()
            code = command.main(
                ["line", "--preset", "line", "--strategy", "cpu", "--run-dir", str(run), *map(str, arguments)]
            )
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def text(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def wait_for(self, condition, what="its time"):
        """Waits until something is so, while the process lives."""
        while not condition():
            if time.monotonic() > self.started + PATIENCE:
                self.kill()
                raise AssertionError(f"no {what}: {self.text()[-3000:]}")
            if self._ended():
                return False
            time.sleep(0.005)
        return True

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def _ended(self):
        if not hasattr(self, "status"):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return hasattr(self, "status")

    def end(self):
        """Waits for the end and returns the exit code, or minus the signal that killed it."""
        self.wait_for(lambda: False, "end")
        return os.waitstatus_to_exitcode(self.status)


def checkpoints(run):
    """The updates of the checkpoints of a run."""
    return sorted(int(path.name.split("-")[1]) for path in pathlib.Path(run).glob("checkpoints/update-*"))


def weights(run):
    """All that the newest checkpoint of a run holds, by name."""
    reader = tf.train.load_checkpoint(str(run / "checkpoints" / f"update-{checkpoints(run)[-1]:08d}" / "state"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def killed_again_and_again(run, kills, *arguments, seed=0):
    """Trains to the end, through kills at random moments of starting, training and writing.

    Returns:
        The updates of the newest checkpoint at each of the kills.
    """
    rng, at = random.Random(seed), []
    while len(at) < kills:
        life = Life(run, *arguments, *(["--resume"] if (run / "config.json").exists() else []))
        # One in four dies while it starts, the others while they train and write.
        if rng.random() < 0.75:
            before = max(checkpoints(run), default=0)
            life.wait_for(lambda before=before: max(checkpoints(run), default=0) > before)
            time.sleep(rng.uniform(0, 0.2))
        else:
            time.sleep(rng.uniform(0, 2))
        life.kill()
        if life.end() != -signal.SIGKILL:
            raise AssertionError(f"it ended before it was killed: {life.text()[-2000:]}")
        at.append(max(checkpoints(run), default=0))
    life = Life(run, *arguments, "--resume")
    assert life.end() == 0, life.text()
    return at


def differing(one, other):
    """Names of what is not the same, bit for bit, in the newest checkpoints of two runs."""
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return sorted(name for name in a if a[name].tobytes() != b[name].tobytes())


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[2])
    steps = ["--set", "steps=2000"]
    at = killed_again_and_again(path / "killed", int(sys.argv[1]), *steps)
    assert Life(path / "alone", *steps).end() == 0
    print(f"Killed {len(at)} times, when the newest checkpoint was of update {', '.join(map(str, at))}.")
    differ, count = differing(path / "killed", path / "alone"), len(weights(path / "alone"))
    print(f"{count - len(differ)} of {count} entries of the last checkpoint are the same, bit for bit.")
    sys.exit(bool(differ))
