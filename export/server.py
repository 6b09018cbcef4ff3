"""What every served model has: signatures, golden cases, and what the Keras model answers to them."""

import keras
import tensorflow as tf


class Server(tf.Module):
    """The functions behind the signatures of an exported model. A subclass says which, and how they are checked.

    Attributes:
        kind: Name of such models for the server, unless another one is given.
        functions: Dictionary from names of signatures to `tf.function`s with an `input_signature`.

    Args:
        model: A Keras model, or a built layer, on the TensorFlow backend. Layers with a mixed precision policy are
            changed to float32: that is what CPUs are good at.

    Raises:
        ValueError: If Keras runs on another backend, or weights are in float64.
    """

    kind = None

    def __init__(self, model):
        super().__init__(name=f"{self.kind}_server")
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"Only Keras on TensorFlow can write a SavedModel. It runs on {keras.backend.backend()} here: set the "
                "environment variable KERAS_BACKEND to tensorflow. A model trained on another backend can be loaded "
                "there."
            )
        wide = [weight.path for weight in model.weights if weight.dtype == "float64"]
        if wide:
            raise ValueError(f"What is served computes in float32. Received weights in float64, such as '{wide[0]}'.")
        _change_to_float32(model)
        # Behind a function, so that the module's variables are saved and not Keras's objects.
        self._model = lambda: model
        # A module finds tf.Variables by itself, but not those inside Keras layers.
        self._weights = [weight.value for weight in model.weights]
        self.functions = {}

    @property
    def model(self):
        """The Keras model."""
        return self._model()

    def signatures(self):
        """The signatures as `tf.saved_model.save` takes them, a dictionary from names to concrete functions."""
        return {name: function.get_concrete_function() for name, function in self.functions.items()}

    def sample_cases(self):
        """Inputs for each signature, a list of `golden.Case` without outputs; some are to be rejected."""
        raise NotImplementedError

    def keras_answers(self, case):
        """What the Keras model answers to the inputs of a case, found in another way than by the signature.

        Args:
            case: A `golden.Case` that is not to be rejected.

        Returns:
            Dictionary from names to arrays, as the signature's outputs.
        """
        raise NotImplementedError

    def number_for_each(self, name, value, examples, limit=None):
        """One integer for each example, of a scalar or of as many: in the graph of a signature.

        Args:
            name: What the number is called in errors.
            value: int32 tensor, a scalar or `(batch,)`.
            examples: Tensor with the batch as first axis, checked before the number is.
            limit: Name of the attribute that has the largest number; `None` if any integer will do.

        Returns:
            `(batch,)` int32, and an error that names the limit if a number is not from 1 to that.
        """
        if limit is not None:
            most = getattr(self, limit)
            text = f"`{name}` must be from 1 to {most}, the limit `{limit}`. It is, lowest and highest:"
            # What is wrong with the examples is said first.
            with tf.control_dependencies([examples]):
                value = asserted(value, 1, most, text)
        return tf.broadcast_to(value, tf.shape(examples)[:1])

    def description(self):
        """What a client needs to know of the model, a dictionary for `export.json`."""
        raise NotImplementedError


def _change_to_float32(model):
    layers = list(model._flatten_layers())
    for layer in layers:
        if layer.compute_dtype != "float32":
            layer.dtype_policy = "float32"
    for layer in reversed(layers):
        # A sequential model keeps an input of the dtype that its first layer had, and would round to it.
        inputs = getattr(layer, "inputs", None) if isinstance(layer, keras.Sequential) else None
        if inputs and inputs[0].dtype in ("bfloat16", "float16"):
            shape, inner = inputs[0].shape, layer.layers
            for _ in range(len(inner) + 1):
                layer.pop(rebuild=False)
            for one in inner:
                layer.add(one, rebuild=False)
            layer.build(shape)


def check_limits(**limits):
    """Raises a `ValueError` for a limit, given by its name, that is no positive integer."""
    for name, value in limits.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`{name}` must be an integer of at least 1. Received {value!r}.")


def asserted(value, lowest, highest, text):
    """The tensor, and an error with `text` and its extremes unless all of it is from `lowest` to `highest`."""
    least, most = tf.reduce_min(value), tf.reduce_max(value)
    # Written so that NaN fails too.
    correct = tf.reduce_all(tf.logical_and(value >= lowest, value <= highest))
    with tf.control_dependencies([tf.debugging.Assert(correct, [text, least, most])]):
        return tf.identity(value)


def finite(name, value):
    """The tensor, and an error with its extremes unless all of it is finite."""
    largest = value.dtype.max
    return asserted(value, -largest, largest, f"The values of `{name}` must be finite. They are, lowest and highest:")


def one_for_each(name, value, state):
    """The tensor, and an error with its shape unless its first axis is as long as that of `state`."""
    text = f"`{name}` must have as many entries as there are states. Its shape:"
    same = tf.debugging.Assert(tf.shape(value)[0] == tf.shape(state)[0], [text, tf.shape(value)])
    with tf.control_dependencies([same]):
        return tf.identity(value)


def not_empty(value, text):
    """The tensor, and an error with `text` and its shape if its first axis has no entry."""
    shape = tf.shape(value)
    with tf.control_dependencies([tf.debugging.Assert(shape[0] > 0, [text, shape])]):
        return tf.identity(value)
