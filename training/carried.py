"""What an experiment carries from one update to the next."""

import tensorflow as tf


class Carried:
    """Variables for what is carried, on each replica those of its share of the batch: nothing is exchanged.

    Args:
        specs: Dictionary of `tf.TensorSpec` with a first axis of all the batch's examples, as `Experiment.carried`
            gives it. All is zero at first.
        strategy: A `tf.distribute.Strategy`, whose number of replicas divides the batch.

    Attributes:
        variables: List of what a checkpoint holds, one for each entry: the values of the whole batch, so that a run may
            go on with another number of replicas. They are those of the last `collect`.

    Example:

    >>> carried = Carried({"state": tf.TensorSpec((4, 2), tf.float32)}, tf.distribute.get_strategy())
    >>> carried.assign({"state": tf.ones((4, 2))})
    >>> carried.collect()
    >>> float(carried.variables[0].numpy().sum())
    8.0
    """

    def __init__(self, specs, strategy):
        self._strategy = strategy
        replicas = strategy.num_replicas_in_sync
        with strategy.scope():
            self._own = {
                name: tf.Variable(
                    tf.zeros((spec.shape[0] // replicas, *spec.shape[1:]), spec.dtype),
                    trainable=False,
                    synchronization=tf.VariableSynchronization.ON_READ,
                    aggregation=tf.VariableAggregation.NONE,
                    name=name,
                )
                for name, spec in specs.items()
            }
        self.variables = [_WholeBatch(self, name, spec.shape) for name, spec in specs.items()]
        self.collected = {}
        self._read_all = tf.function(lambda: strategy.run(self.read))
        self._assign_all = tf.function(lambda values: strategy.run(self.assign, args=(values,)))

    def read(self):
        """In a replica: the values of its share, a dictionary of tensors."""
        return {name: variable.read_value() for name, variable in self._own.items()}

    def assign(self, values):
        """In a replica: gives its share new values.

        Args:
            values: Dictionary of tensors.
        """
        for name, variable in self._own.items():
            variable.assign(values[name])

    def collect(self):
        """Brings the shares of all replicas together, for `variables`. All workers have to call it."""
        if self._own:
            shares = self._read_all()
            self.collected = {name: self._strategy.gather(share, axis=0).numpy() for name, share in shares.items()}

    def assign_whole(self, name, values):
        """Gives each replica its share of the values of a whole batch. All workers have to call it.

        Args:
            name: Which entry.
            values: Array.
        """

        def share(context):
            size = len(values) // context.num_replicas_in_sync
            return tf.constant(values[context.replica_id_in_sync_group * size :][:size])

        values = self._strategy.experimental_distribute_values_from_function(share)
        self._assign_all({**self._read_all(), name: values})


class _WholeBatch:
    """An entry of all replicas together, with what `Checkpoints` asks of a variable."""

    def __init__(self, carried, name, shape):
        self._carried, self._name, self.shape = carried, name, shape

    def numpy(self):
        return self._carried.collected[self._name]

    def assign(self, values):
        self._carried.assign_whole(self._name, values)
