"""What an experiment brings: its model, its batches, its loss and its evaluation."""

import tensorflow as tf

from training.optimizers import cosine_adam


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

    def source(self):
        """Where the training examples are read by their rows: by default `InMemory(self.examples())`.

        An experiment whose examples do not fit into memory has another one, such as an `ImageStream`: an object with a
        length and a method `read`, which takes `(count,)` integers in a graph and returns a dictionary of tensors.
        """
        return InMemory(self.examples())

    def batch(self, examples, seed):
        """What an update takes, from its share of `examples`: `(examples, shared)`.

        What is made of one example must not depend on others: a worker reads only those of its share.

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

        Each epoch shows all of `source` in a new order. A batch must depend on its step alone, so that a resumed run
        sees what it would have seen; that is also what makes every strategy train on the same examples.

        Raises:
            ValueError: If there are fewer examples than a batch has.
        """
        return self.shares(start, 0, 1)

    def shares(self, start, worker, workers):
        """What one of several workers reads: its share of each of `batches`, one after the other.

        It reads only its own rows. The other rows of `batch` are zeros there, since what is random in it is drawn for
        all examples at once, and are left out afterwards.

        Args:
            start: The first update.
            worker: Which worker.
            workers: How many there are; they divide `options.batch_size`.

        Returns:
            An endless `tf.data.Dataset` of what `batch` returns, with examples from `worker * batch_size / workers` on.
        """
        options, source = self.options, self.source()
        if len(source) < options.batch_size:
            raise ValueError(
                f"`batch_size` must be at most the {len(source)} training examples. Received {options.batch_size}."
            )
        size = options.batch_size // workers
        before, after = worker * size, options.batch_size - (worker + 1) * size

        def whole(value):
            return tf.pad(value, [(before, after)] + [(0, 0)] * (len(value.shape) - 1))

        def batch(step):
            rows = shuffled_rows(step, len(source), options)[before:][:size]
            seed = tf.stack([tf.constant(options.seed, tf.int64), step])
            examples, shared = self.batch({name: whole(value) for name, value in source.read(rows).items()}, seed)
            return {name: value[before:][:size] for name, value in examples.items()}, shared

        numbers = tf.data.Dataset.counter(start=start, dtype=tf.int64)
        return numbers.map(batch, num_parallel_calls=1).prefetch(2)

    def rows(self, update):
        """Which examples the batch of an update has, by their rows in `source`; `None` if that is not known.

        Args:
            update: Number of updates made before it.
        """
        if type(self).shares is not Experiment.shares:
            return None
        return shuffled_rows(tf.constant(update, tf.int64), len(self.source()), self.options).numpy().tolist()

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

    # --- from one update to the next --------------------------------------------------------------------------------

    def carried(self):
        """What is carried from one update to the next, such as states in which a long calculation goes on.

        A checkpoint holds it, and each replica that of its share of the batch.

        Returns:
            Dictionary of `tf.TensorSpec`, whose first axis is that of the batch's examples. All is zero before the
            first update. Nothing by default.
        """
        return {}

    def take_up(self, examples, shared, carried):
        """The examples of an update, of those of its batch and what was carried.

        Runs on each replica, on its share, compiled by XLA, and so does `carry`. What is random belongs into `batch`.

        Args:
            examples: The replica's share of what `batch` returns.
            shared: What all examples share.
            carried: What `carry` returned in the update before, a dictionary of tensors.

        Returns:
            The examples that `outputs`, `loss` and `carry` get. By default those of the batch.
        """
        del shared, carried
        return examples

    def carry(self, outputs, examples, shared):
        """What the next update takes up. It is detached: gradients do not reach back into this update.

        Args:
            outputs: What `outputs` returned.
            examples: What `take_up` returned.
            shared: What all examples share.

        Returns:
            Dictionary of tensors, with the entries of `carried`.
        """
        del outputs, examples, shared
        return {}

    # --- evaluation -------------------------------------------------------------------------------------------------

    def check_model(self, model):
        """Raises a `ValueError` if a model is none that this experiment can evaluate."""

    def evaluate(self, model, strategy):
        """A dictionary of numbers to report, or of such dictionaries for what is only to be kept with the results."""
        raise NotImplementedError

    def summary(self, results):
        """What `evaluate` returned, as text for a person."""
        return "\n".join(_lines(results))

    def trajectories(self, model):
        """The energy along some trajectories of evaluation: an array `(examples, steps)`, or `None` by default.

        Args:
            model: The model with the averaged weights.
        """
        del model

    def report(self, model, strategy):
        """What a finished run leaves besides its model: `(table, figures)`.

        Args:
            model: The model with the averaged weights.
            strategy: The `tf.distribute.Strategy`.

        Returns:
            A dictionary to be kept with the results, and one by file name of Matplotlib figures or of functions that
            write a file at a path. Nothing by default.
        """
        del model, strategy
        return {}, {}


class InMemory:
    """Examples in memory, that are read by their rows.

    Args:
        examples: Dictionary of arrays whose first axes have one length.

    Example:

    >>> source = InMemory({"x": [10, 20, 30]})
    >>> len(source), source.read([2, 0])["x"].numpy().tolist()
    (3, [30, 10])
    """

    def __init__(self, examples):
        # As tensors outside of a pipeline, which would hold them as constants of its graph.
        self._examples = {name: tf.convert_to_tensor(values) for name, values in examples.items()}

    def __len__(self):
        return len(next(iter(self._examples.values())))

    def read(self, rows):
        """The examples of some rows.

        Args:
            rows: `(count,)` integers.

        Returns:
            Dictionary of tensors.
        """
        return {name: tf.gather(values, rows) for name, values in self._examples.items()}


def _lines(results, indent=""):
    width = max(map(len, results), default=0)
    for name, value in results.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name:<{width}}  {value:.4f}"


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
