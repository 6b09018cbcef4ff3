"""One update of an experiment, on any strategy."""

import keras
import tensorflow as tf


class Update:
    """Gradients, clipping, the optimizer's step and the averaged weights: all that one update is.

    State that a model changes by itself while it is trained, such as the statistics of batch normalisation or memories
    that learn, becomes the mean of what it is on the replicas after each update. Replicas train as one device does if
    the layers do not mix the examples of their shares, or are made with `synchronized=True`, as Keras'
    `BatchNormalization` can be; a model with such layers is not compiled by XLA, but on a TPU.

    Args:
        experiment: An `Experiment`.
        strategy: A `tf.distribute.Strategy`, whose number of replicas divides the batch.

    Attributes:
        model: The model that is trained.
        average: The model with the averaged weights.
        optimizer: The optimizer.
        metrics: Names of the metrics, known once an update is traced.
    """

    def __init__(self, experiment, strategy):
        self.experiment, self.strategy = experiment, strategy
        self.options = options = experiment.options
        with strategy.scope():
            keras.utils.set_random_seed(options.seed)
            self.model = experiment.build_model()
            self.average = experiment.build_model()
            self.average.set_weights(self.model.get_weights())
            self.optimizer = experiment.build_optimizer()
            self.optimizer.build(self.model.trainable_variables)
        self.metrics, self._changed = [], []

    def __call__(self, batch):
        """Makes the update.

        Args:
            batch: `(examples, shared)`, each replica's share.

        Returns:
            The metrics, a float32 tensor in the order of `metrics`.
        """
        metrics, state = self.strategy.run(self._replica_update, args=batch)
        for variable, values in zip(self._changed, state):
            self._assign_state(variable, values)
        metrics = {n: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, v, axis=None) for n, v in metrics.items()}
        done = tf.cast(self.optimizer.iterations.value, tf.float32)
        momentum = tf.minimum(self.options.average_momentum, (1.0 + done) / (10.0 + done))
        for average, variable in zip(self.average.weights, self.model.weights):
            if variable.trainable:
                self.strategy.extended.update(
                    average.value, lambda a, v, m: a.assign(v + m * (a - v)), args=(variable.value, momentum)
                )
            else:
                self.strategy.extended.update(average.value, lambda a, v: a.assign(v), args=(variable.value,))
        self.metrics[:] = metrics
        return tf.stack([tf.cast(value, tf.float32) for value in metrics.values()])

    def _outputs(self, examples, shared):
        """The outputs, the losses that layers add, and what the model changes by itself: the new values of its state.

        That state, such as statistics of batches, is assigned later: in here replicas can't meet.
        """
        variables = self.model.trainable_variables
        with keras.StatelessScope([(v, v.value) for v in variables], collect_losses=True) as scope:
            outputs = self.experiment.outputs(self.model, examples, shared, training=True)
            penalty = tf.add_n([tf.constant(0.0), *[tf.cast(value, tf.float32) for value in self.model.losses]])
        values = [(v, scope.get_current_value(v)) for v in self.model.non_trainable_variables]
        self._changed = [variable for variable, value in values if value is not None]
        return outputs, penalty, [value for _, value in values if value is not None]

    def _replica_gradients(self, examples, shared):
        """The gradients of the loss of the replica's share of the batch."""
        variables = [v.value for v in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            outputs, penalty, state = self._outputs(examples, shared)
            loss, metrics = self.experiment.loss(outputs, examples, shared)
            loss += tf.cast(penalty, loss.dtype)
        grads = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # Embeddings give sparse gradients, which strategies and the clipping treat in their own ways.
        return {"loss": loss, **metrics}, [tf.convert_to_tensor(grad) for grad in grads], state

    def _whole_batch_gradients(self, examples, shared):
        """The replica's part of the gradients of the loss of the whole batch, such that their mean is the gradient.

        The outputs are computed twice: what a compiled function keeps for its gradient can't leave it.
        """
        context = tf.distribute.get_replica_context()

        def gather(values):
            return tf.nest.map_structure(lambda value: context.all_gather(value, axis=0), values)

        outputs, penalty, _ = self._compile(self._outputs)(examples, shared)
        # Every replica has all outputs, and so the same loss; it follows the slopes of those that are its own.
        gathered = gather(outputs)
        with tf.GradientTape() as tape:
            tape.watch(_floats(gathered))
            loss, metrics = self.experiment.loss(gathered, gather(examples), shared)
        slopes = tape.gradient(loss, _floats(gathered), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # Not as `slope[first : first + size]`: a TPU's compiler must see how large the part is. It is as large as the
        # replica's own outputs, whose shape is known even where gathering has lost it.
        own = [tf.shape(output) for output in _floats(outputs)]
        first = context.replica_id_in_sync_group * own[0][0]
        slopes = [
            tf.slice(slope, tf.concat([first[None], tf.zeros_like(shape[1:])], 0), shape)
            for slope, shape in zip(slopes, own)
        ]
        grads, state = self._compile(self._pull_back)(examples, shared, slopes)
        return {"loss": loss + tf.cast(penalty, loss.dtype), **metrics}, grads, state

    def _pull_back(self, examples, shared, slopes):
        """The gradients that belong to slopes of the loss for the outputs, and the state."""
        variables = [v.value for v in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            outputs, penalty, state = self._outputs(examples, shared)
        # The mean over the replicas is yet to be taken.
        slopes = [self.strategy.num_replicas_in_sync * slope for slope in slopes]
        grads = tape.gradient(
            [*_floats(outputs), penalty],
            variables,
            output_gradients=[*slopes, tf.ones_like(penalty)],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return [tf.convert_to_tensor(grad) for grad in grads], state

    def _replica_update(self, examples, shared):
        # The share of a single replica is the whole batch.
        apart = self.experiment.whole_batch_loss and self.strategy.num_replicas_in_sync > 1
        gradients = self._whole_batch_gradients if apart else self._compile(self._replica_gradients)
        metrics, grads, state = gradients(examples, shared)
        context = tf.distribute.get_replica_context()
        # Clipping needs the gradient of the whole batch, and the optimizer will sum over the replicas once more.
        grads = context.all_reduce(tf.distribute.ReduceOp.MEAN, grads)
        norm = tf.linalg.global_norm(grads)
        if self.options.clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, self.options.clip_norm, use_norm=norm)
        scale = 1.0 / self.strategy.num_replicas_in_sync
        self.optimizer.apply([scale * grad for grad in grads], self.model.trainable_variables)
        return {**metrics, "gradient_norm": norm}, state

    def _compile(self, method):
        """Compiles what runs on a replica; not where layers in it sum over the replicas, which XLA's clusters can't.

        On one replica neither: random numbers are others in compiled functions, and a run would depend on the strategy.
        """
        meets = any(getattr(layer, "synchronized", False) for layer in self.model._flatten_layers())
        return method if meets else jit(self.strategy, method)

    def _assign_state(self, variable, values):
        """Gives a variable the mean of what it is on the replicas, whatever Keras would do; integers are alike."""
        if variable.value.dtype.is_floating:
            value = self.strategy.reduce(tf.distribute.ReduceOp.MEAN, values, axis=None)
        else:
            value = self.strategy.experimental_local_results(values)[0]
        self.strategy.extended.update(variable.value, lambda v, new: v.assign(new), args=(value,))


def _floats(values):
    """The tensors of a nest that can have gradients."""
    return [value for value in tf.nest.flatten(values) if value.dtype.is_floating]


def jit(strategy, function):
    """Compiles a function for one replica with XLA. Call it in the replica: each needs a compiled function of its own.

    Args:
        strategy: The `tf.distribute.Strategy` that runs it. On a TPU all of `strategy.run` is compiled already, and for
            one by the command `compile`.
        function: Function of tensors.

    Returns:
        The compiled function.
    """
    whole = isinstance(strategy, tf.distribute.TPUStrategy) or getattr(strategy, "compiles_replicas", False)
    return function if whole else tf.function(function, jit_compile=True)
