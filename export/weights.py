"""The weights of a served model as they are stored."""

import contextlib

import keras
import tensorflow as tf

#: What float32 weights are stored as.
DTYPES = ("float32", "float16")


class StoredWeights(tf.Module):
    """The weights of a Keras model as a SavedModel holds them. Whatever that is, the model computes in float32.

    With `"float16"` a weight keeps eleven binary digits, and takes half the room. A graph turns it back to float32
    once for each request, before any loop over steps.

    Args:
        model: A Keras model or layer.
        dtype: `"float32"` or `"float16"`, for the weights that are float32; others stay as they are.

    Raises:
        ValueError: If `dtype` is another one, or a weight is too large for it.

    Example:

    >>> layer = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.1))
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> with StoredWeights(model, "float16").used():
    ...     print(float(model(tf.constant([[1.0]]))[0, 0]))
    0.0999755859375
    """

    def __init__(self, model, dtype="float32"):
        super().__init__(name="weights")
        if dtype not in DTYPES:
            raise ValueError(f"Weights are stored as one of {', '.join(DTYPES)}. Received {dtype!r}.")
        self.dtype = dtype
        # Behind a function, so that the module's variables are saved and not Keras's objects.
        weights = list(model.weights)
        self._model_weights = lambda: weights
        # A module finds tf.Variables by itself, but not those inside Keras layers.
        self._stored = [self._store(weight) for weight in weights]

    def _store(self, weight):
        if weight.dtype != "float32" or self.dtype == "float32":
            return weight.value
        stored = tf.cast(weight.value, self.dtype)
        if not tf.reduce_all(tf.math.is_finite(stored)):
            raise ValueError(
                f"The weight '{weight.path}' has values beyond {self.dtype}'s largest, "
                f"{tf.as_dtype(self.dtype).max:g}. Store it as float32."
            )
        return tf.Variable(stored, trainable=False, name=weight.name)

    @contextlib.contextmanager
    def used(self):
        """A context in which the model computes with the weights as they are stored."""
        if self.dtype == "float32":
            yield
            return
        pairs = zip(self._model_weights(), self._stored)
        with keras.StatelessScope(state_mapping=[(weight, tf.cast(stored, weight.dtype)) for weight, stored in pairs]):
            yield
