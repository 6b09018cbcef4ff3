"""A `tf.distribute` strategy under which TensorFlow traces what one of many TPU chips runs, without a chip."""

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.python.distribute.one_device_strategy import OneDeviceExtended


class ReplicaStrategy(tf.distribute.Strategy):
    """One replica of several, which meets the others in XLA's collectives, as under `TPUStrategy`.

    Nothing runs under it: it is for `tf.function(…, jit_compile=True).experimental_get_compiler_ir`. `TPUStrategy`
    itself asks for a TPU as soon as it is made.

    Args:
        replicas: Number of replicas.
    """

    # As on a TPU, all that a replica runs is one program.
    compiles_replicas = True

    def __init__(self, replicas):
        super().__init__(_Extended(self, replicas))


class _Extended(OneDeviceExtended):
    def __init__(self, strategy, replicas):
        super().__init__(strategy, "/cpu:0")
        self._replicas = replicas

    @property
    def _num_replicas_in_sync(self):
        return self._replicas

    def _call_for_each_replica(self, fn, args, kwargs):
        with tf.device(self._device), _Context(self._container_strategy(), xla.replica_id()):
            return fn(*args, **kwargs)

    def _reduce_to(self, reduce_op, value, destinations, options):
        del destinations, options
        total = _sum(value, self._replicas)
        if reduce_op == tf.distribute.ReduceOp.MEAN:
            total *= tf.cast(1.0 / self._replicas, total.dtype)
        return total

    def _batch_reduce_to(self, reduce_op, value_destination_pairs, options):
        return [self._reduce_to(reduce_op, value, to, options) for value, to in value_destination_pairs]

    def _replica_ctx_all_reduce(self, reduce_op, value, options=None):
        return tf.nest.map_structure(lambda one: self._reduce_to(reduce_op, one, None, options), value)


class _Context(tf.distribute.ReplicaContext):
    def all_gather(self, value, axis, options=None):
        """As under `TPUStrategy`: the sum of arrays of all replicas, each 0 but for its own part."""
        del options
        count = self.num_replicas_in_sync

        def gather(one):
            one = tf.convert_to_tensor(one)
            own = tf.reshape(tf.one_hot(self.replica_id_in_sync_group, count), [count] + [1] * len(one.shape))
            parts = _sum(tf.cast(own, one.dtype) * one[None], count)
            return tf.concat(tf.unstack(parts), axis)

        return tf.nest.map_structure(gather, value)


def _sum(value, replicas):
    return gen_xla_ops.xla_all_reduce(value, [list(range(replicas))], "Add", "CrossReplica")
