"""Functions applied to arrays in batches, on all replicas."""

import numpy as np
import tensorflow as tf

from training.update import jit


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
