"""The loop that trains every experiment.

An experiment brings its model, its batches and its loss; the loop turns many updates into one `tf.function`, runs them
on any strategy, and alone knows of averaged weights, checkpoints, logs and the progress bar.
"""

import contextlib
import json
import signal
import time

import keras
import numpy as np
import tensorflow as tf

from training import plots
from training.optimizers import cosine_adam
from training.strategies import is_chief
from training.update import Update, jit


class Experiment:
    """What the loop, and the commands that train and evaluate, ask of an experiment.

    A subclass is made from its options and `data_dir`, and has the methods below. What it reads of the data that is
    only needed for training, it reads in `examples`.

    Attributes:
        options: A `LoopOptions`.
        whole_batch_loss: Whether `loss` must see the whole batch, as one that contrasts examples must, and not a
            replica's share of it.
    """

    options = None
    whole_batch_loss = False

    def build_model(self):
        """A new Keras model with weights that depend on `options.seed` alone."""
        raise NotImplementedError

    def build_optimizer(self):
        """A new Keras optimizer: Adam with a cosine decay, for `AdamOptions`, unless an experiment has another."""
        return cosine_adam(self.options)

    # --- data -------------------------------------------------------------------------------------------------------

    def examples(self):
        """The training examples: a dictionary of arrays whose first axes have one length."""
        raise NotImplementedError

    def batch(self, examples, seed):
        """What an update takes, from its share of `examples`: `(examples, shared)`.

        Args:
            examples: Dictionary of tensors: the rows of `examples` that are this batch's.
            seed: Two integers, other ones for each batch: all that is random must depend on them alone.

        Returns:
            Two dictionaries: tensors with a first axis of `options.batch_size` examples, and tensors that all examples
            share.
        """
        del seed
        return examples, {}

    def batches(self, start):
        """The batches of the updates `start`, `start + 1`, …: an endless `tf.data.Dataset` of what `batch` returns.

        Each epoch shows all of `examples` in a new order. An experiment whose data does not fit into memory has another
        such data set. A batch must depend on its step alone, so that a resumed run sees what it would have seen; that
        is also what makes every strategy train on the same examples.

        Raises:
            ValueError: If there are fewer examples than a batch has.
        """
        options = self.options
        # As tensors outside of the pipeline, which would hold them as constants of its graph.
        examples = {name: tf.convert_to_tensor(values) for name, values in self.examples().items()}
        count = len(next(iter(examples.values())))
        if count < options.batch_size:
            raise ValueError(
                f"`batch_size` must be at most the {count} training examples. Received {options.batch_size}."
            )

        def batch(step):
            rows = shuffled_rows(step, count, options)
            seed = tf.stack([tf.constant(options.seed, tf.int64), step])
            return self.batch({name: tf.gather(values, rows) for name, values in examples.items()}, seed)

        numbers = tf.data.Dataset.counter(start=start, dtype=tf.int64)
        return numbers.map(batch, num_parallel_calls=1).prefetch(2)

    # --- training ---------------------------------------------------------------------------------------------------

    def outputs(self, model, examples, shared, training):
        """What the loss needs of the model: a tensor or a nest of tensors, each with the examples on its first axis.

        Runs on each replica, on its share of the batch, compiled by XLA.

        Args:
            model: The model.
            examples: The replica's share of what `batch` returns.
            shared: What all examples share.
            training: What to call the model with: whether dropout and the like are active.
        """
        raise NotImplementedError

    def loss(self, outputs, examples, shared):
        """`(loss, metrics)`: a scalar, and a dictionary of scalars.

        Losses that the model's layers add, such as regularizers, are added to it by the loop.

        Args:
            outputs: What `outputs` returned: for the replica's share of the batch, and the scalars are means over its
                examples; or, with `whole_batch_loss`, of all replicas, gathered.
            examples: The examples that these are the outputs for.
            shared: What all examples share.
        """
        raise NotImplementedError

    # --- evaluation -------------------------------------------------------------------------------------------------

    def check_model(self, model):
        """Raises a `ValueError` if a model is none that this experiment can evaluate."""

    def evaluate(self, model, strategy):
        """A dictionary of numbers to report, or of such dictionaries for what is only to be kept with the results."""
        raise NotImplementedError

    def summary(self, results):
        """What `evaluate` returned, as text for a person."""
        return "\n".join(_lines(results))

    def report(self, model, strategy):
        """What a finished run leaves besides its model: `(table, figures)`.

        Args:
            model: The model with the averaged weights.
            strategy: The `tf.distribute.Strategy`.

        Returns:
            A dictionary to be kept with the results, and one of Matplotlib figures by file name. Nothing by default.
        """
        del model, strategy
        return {}, {}


def _lines(results, indent=""):
    width = max(map(len, results), default=0)
    for name, value in results.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name:<{width}}  {value:.4f}"


class Trainer:
    """Runs an experiment in a run directory.

    Args:
        experiment: An `Experiment`.
        run: A `RunDirectory` that exists.
        strategy: A `tf.distribute.Strategy`.
        verbose: Whether to draw a progress bar and print evaluations (the chief only).

    Raises:
        ValueError: If the batch does not divide among the replicas, or the experiment has no batches of that size.
    """

    def __init__(self, experiment, run, strategy, verbose=True):
        self.experiment, self.run, self.strategy = experiment, run, strategy
        self.options = options = experiment.options
        self.chief = is_chief(strategy)
        self.verbose = verbose and self.chief
        if options.batch_size % strategy.num_replicas_in_sync:
            raise ValueError(
                f"`batch_size` must be a multiple of the number of replicas, {strategy.num_replicas_in_sync}. "
                f"Received {options.batch_size}."
            )
        # What is wrong with the data shows before a run is made.
        experiment.batches(0)
        self._update = update = Update(experiment, strategy)
        self.model, self.average, self.optimizer = update.model, update.average, update.optimizer
        weights = {id(v) for v in self.model.weights}
        self._state = {
            "model": [v.value for v in self.model.weights],
            "average": [v.value for v in self.average.weights],
            "optimizer": [v.value for v in self.optimizer.variables],
            # The states of random generators, such as dropout's.
            "seeds": [v.value for v in self.model.non_trainable_variables if id(v) not in weights],
        }
        self.checkpoint = tf.train.Checkpoint(**self._state)
        # Every worker takes part in saving, but only the chief's files are kept.
        directory = run.checkpoints if self.chief else run.path / f".worker-{id(self)}"
        self.manager = tf.train.CheckpointManager(self.checkpoint, str(directory), options.keep_checkpoints)
        self._compiled = tf.function(self._many_updates)

    @property
    def step(self):
        """Number of updates made."""
        return int(self.optimizer.iterations.numpy())

    def _many_updates(self, iterator, count):
        """The means of the metrics over some updates, in the order of the update's `metrics`."""
        # As many as there are metrics, which is known once an update is traced. Tracing another one to know it before
        # would take as long, and compiling it much longer.
        sums = tf.zeros([1])
        for _ in tf.range(count):
            tf.autograph.experimental.set_loop_options(shape_invariants=[(sums, tf.TensorShape([None]))])
            sums += self._update(next(iterator))
        return sums / tf.cast(count, tf.float32)

    def _batches(self, start):
        """The experiment's batches, divided among the replicas."""
        replicas = self.strategy.num_replicas_in_sync
        size = self.options.batch_size // replicas

        def pipeline(context):
            local = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * local

            def split(examples, shared):
                shares = {
                    name: tf.reshape(value[first * size : (first + local) * size], (local, size, *value.shape[1:]))
                    for name, value in examples.items()
                }
                copies = {name: tf.repeat(value[None], local, axis=0) for name, value in shared.items()}
                return tf.data.Dataset.from_tensor_slices((shares, copies))

            batches = self.experiment.batches(start)
            # A replica's share of each batch, in turn. Known to be endless, no batch is taken for a partial one.
            shares = batches.flat_map(split).prefetch(2 * local)
            return shares.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

        return iter(self.strategy.distribute_datasets_from_function(pipeline))

    # --- the run ----------------------------------------------------------------------------------------------------

    def restore(self):
        """Goes back to the latest checkpoint, if there is one.

        Returns:
            The number of updates made before it (0 without a checkpoint).

        Raises:
            ValueError: If the checkpoint is of another model.
        """
        latest = tf.train.latest_checkpoint(str(self.run.checkpoints))
        if latest is None:
            return 0
        saved = {name: tuple(shape) for name, shape in tf.train.list_variables(latest)}
        wanted = {
            f"{group}/{index}/.ATTRIBUTES/VARIABLE_VALUE": tuple(variable.shape)
            for group, variables in self._state.items()
            for index, variable in enumerate(variables)
            # Those that were written before the states of generators were kept have none.
            if group != "seeds" or any(name.startswith("seeds/") for name in saved)
        }
        saved = {name: shape for name, shape in saved.items() if name.split("/")[0] in self._state}
        if saved != wanted:
            raise ValueError(
                f"The checkpoint '{latest}' is of another model: it has {len(saved)} variables, this model and its "
                f"optimizer {len(wanted)}, or they differ in shape. Choose another --run-dir, or the options it was "
                "made with."
            )
        self.checkpoint.restore(latest).expect_partial()
        return self.step

    def train(self):
        """Trains from the present step to the last, evaluating and saving on the way.

        An interruption (Ctrl-C, SIGTERM) ends the updates in progress, saves a checkpoint and raises
        `KeyboardInterrupt`.

        Returns:
            The last evaluation, a dictionary.
        """
        options, results = self.options, {}
        if self.step >= options.steps:
            # A finished run that is resumed has nothing left but to write its model, such as for another version.
            self._write_model()
        writer = tf.summary.create_file_writer(str(self.run.logs)) if self.chief else tf.summary.create_noop_writer()
        iterator = self._batches(self.step)
        with writer.as_default(), _postponed_interrupt() as interrupted:
            bar = None
            while self.step < options.steps:
                if bar is None and self.verbose:
                    first = self.step
                    last = min(_next_multiple(first, options.evaluate_every), options.steps)
                    print(f"Updates {first + 1} to {last} of {options.steps}", flush=True)
                    bar = keras.utils.Progbar(last - first, unit_name="update")
                count = min(options.steps_per_call, options.steps - self.step)
                started = time.perf_counter()
                means = self._compiled(iterator, tf.constant(count)).numpy()
                metrics = dict(zip(self._update.metrics, means.tolist()))
                metrics["step_seconds"] = (time.perf_counter() - started) / count
                step = self.step
                for name, value in metrics.items():
                    tf.summary.scalar(f"train/{name}", value, step=step)
                shown = [(n, v) for n, v in metrics.items() if n not in ("step_seconds", "gradient_norm")]
                if bar is not None:
                    bar.update(step - first, values=shown)
                ending = step >= options.steps or interrupted()
                if ending or step % options.checkpoint_every == 0:
                    self.save()
                if interrupted():
                    self._write_model()
                    raise KeyboardInterrupt
                if ending or step % options.evaluate_every == 0:
                    bar = None
                    results = self.experiment.evaluate(self.average, self.strategy)
                    numbers = {name: value for name, value in results.items() if not isinstance(value, dict)}
                    for name, value in numbers.items():
                        tf.summary.scalar(f"test/{name}", value, step=step)
                    if self.verbose:
                        print("  " + "  ".join(f"{name} {value:.4f}" for name, value in numbers.items()), flush=True)
                    if self.chief:
                        self.run.add_result({"step": step, "train": metrics, "test": results})
                    self._write_model()
        self._report()
        return results

    def _report(self):
        table, figures = self.experiment.report(self.average, self.strategy)
        if not self.chief:
            return
        for name, figure in figures.items():
            plots.save(figure, self.run.path / name)
        if table:
            self.run.add_result({"step": self.step, "table": table})
            if self.verbose:
                print(json.dumps(table, indent=1), flush=True)

    def _write_model(self):
        """Writes the averaged weights as a Keras model, whole or not at all."""
        if self.chief:
            temporary = self.run.model.with_name(f"incomplete-{self.run.model.name}")
            self.average.save(temporary)
            temporary.replace(self.run.model)

    def save(self):
        """Writes a checkpoint of the present state."""
        self.manager.save(checkpoint_number=self.step)
        if not self.chief:
            tf.io.gfile.rmtree(self.manager.directory)


def shuffled_rows(step, count, options):
    """The rows of a batch: each epoch, all of a data set in a new order, that depends on the seed alone.

    Args:
        step: int64 scalar tensor, the number of the update.
        count: Number of rows of the data set, at least `options.batch_size`.
        options: A `LoopOptions`.

    Returns:
        int32 tensor `(batch_size,)`.
    """
    per_epoch = count // options.batch_size
    epoch, within = step // per_epoch, step % per_epoch
    seed = tf.stack([tf.constant(options.seed, tf.int64), -1 - epoch])
    order = tf.random.experimental.stateless_shuffle(tf.range(count), seed)
    return order[within * options.batch_size :][: options.batch_size]


class BatchRunner:
    """Applies a function to arrays in batches, on all replicas, compiled once.

    Args:
        strategy: A `tf.distribute.Strategy`.
        function: Function of tensors with a first axis of equal length, to a dictionary of such tensors.
        batch_size: Length of a batch, over all replicas; the last one is filled up and cut again.

    Example:

    >>> runner = BatchRunner(make_strategy("cpu"), lambda x: {"double": 2 * x}, batch_size=4)
    >>> runner([np.arange(6)])["double"].tolist()
    [0, 2, 4, 6, 8, 10]
    """

    def __init__(self, strategy, function, batch_size):
        self.strategy = strategy
        self.share = -(-batch_size // strategy.num_replicas_in_sync)
        self.size = self.share * strategy.num_replicas_in_sync
        self._run = tf.function(
            lambda *values: strategy.run(lambda *share: jit(strategy, function)(*share), args=values)
        )

    def __call__(self, arrays):
        """Returns a dictionary of NumPy arrays for a list of NumPy arrays with first axes of equal length."""
        count = len(arrays[0])
        pieces = []
        for start in range(0, count, self.size):
            rows = np.arange(start, start + self.size) % count
            outputs = self._run(*[self._distribute(array[rows]) for array in arrays])
            pieces.append(
                {name: self.strategy.gather(v, axis=0).numpy()[: count - start] for name, v in outputs.items()}
            )
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def _distribute(self, array):
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(array[context.replica_id_in_sync_group * self.share :][: self.share])
        )


def _next_multiple(value, factor):
    return (value // factor + 1) * factor


@contextlib.contextmanager
def _postponed_interrupt():
    """Notes SIGINT and SIGTERM instead of raising, so that a checkpoint never holds half an update."""
    seen = []
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # Not in the main thread: there is nothing to postpone.
            previous[number] = signal.signal(number, lambda *_: seen.append(True))
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
