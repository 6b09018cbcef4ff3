"""The bounded loop: one loop, differentiable in reverse, with a body for each Keras backend.

`keras.ops.while_loop` has no reverse mode on JAX, and `keras.ops.fori_loop` and `keras.ops.scan` have none under XLA on
TensorFlow, so no single function of `keras.ops` can train on a TPU with every backend.
"""

import keras
from keras import ops


def static_int(value):
    """The Python integer that `value` is known to be now, or `None` for a tensor that has its value when it runs."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not hasattr(value, "dtype"):
        return None
    if len(getattr(value, "shape", ())) != 0 or isinstance(value, keras.KerasTensor):
        return None
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        constant = tf.get_static_value(value) if tf.is_tensor(value) else value
        return None if constant is None else int(constant)
    if backend == "jax":
        import jax

        return None if isinstance(value, jax.core.Tracer) else int(value)
    # A meta tensor (PyTorch's symbolic calls) has no value.
    return None if getattr(getattr(value, "device", None), "type", None) == "meta" else int(value)


def bounded_loop(step, state, num_steps, output_like=None, max_steps=None, remat=False, constants=(), weights=()):
    """Repeats `state, output = step(state, index, *constants)` and stacks the outputs.

    Differentiable in reverse on TensorFlow (eager, graph and XLA), JAX and PyTorch if `num_steps` is a Python integer
    or `max_steps` is given. The size of the compiled program does not grow with the number of steps.

    Args:
        step: Function from `(state, index, *constants)`, `index` a scalar int32 tensor or a Python integer, to
            `(state, output)`. The state keeps its structure, shapes and dtypes; the output is one tensor, or `None`
            where `output_like` is `None`. Weights that it uses must exist before the loop.
        state: A tensor or a nest of tensors.
        num_steps: Number of repetitions: a Python integer ≥ 0 or a scalar integer tensor.
        output_like: A tensor with the shape and dtype of one step's output, if the outputs are wanted.
        max_steps: Python integer, the most that a tensor `num_steps` can be. Needed for gradients through a number of
            steps that is a tensor, under XLA on TensorFlow and on JAX. The outputs then have `max_steps` rows, those
            from `num_steps` on are zero.
        remat: Recompute each step in the backward pass and keep only the states between the steps
            (`keras.remat`): less memory for about a third more time.
        constants: Tensors that each step is given. A step may use other tensors too, but with `remat` on TensorFlow
            gradients reach only the state, these and `weights`.
        weights: Keras variables that the step uses. On TensorFlow they are read before the loop, and a gradient keeps
            no copy of them for each step. Needed with `remat` there, and of no effect elsewhere.

    Returns:
        `(state, outputs)`: the last state, and the outputs stacked on a new first axis (`None` without `output_like`).

    Raises:
        ValueError: On JAX, if outputs are wanted with a traced `num_steps` and no `max_steps`.

    Example:

    >>> state, outputs = bounded_loop(lambda x, i: (2 * x, x), ops.ones(()), 3, output_like=ops.ones(()))
    >>> float(state), [float(y) for y in outputs]
    (8.0, [1.0, 2.0, 4.0])
    """
    known = static_int(num_steps)
    if known is not None:
        num_steps, max_steps = known, None
    if remat:
        step = _rematerialised(step, output_like is not None, list(weights))

    def step_with_constants(state, index):
        return step(state, index, *constants)

    if weights and keras.backend.backend() == "tensorflow":
        step_with_constants = _with_values(step_with_constants, list(weights))
    loops = {"tensorflow": _tensorflow_loop, "jax": _jax_loop, "torch": _torch_loop}
    return loops[keras.backend.backend()](step_with_constants, state, num_steps, output_like, max_steps)


def _rematerialised(step, has_output, weights):
    """`keras.remat` of a step.

    TensorFlow's function for it takes and returns tensors alone, no `None` and no nests, differentiates by nothing but
    its arguments, and inside a loop it can't deal with variables. So everything is an argument there.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.remat(step)

    def rematerialised(state, index, *constants):
        parts = len(keras.tree.flatten(state))

        def flat(index, *tensors):
            state_then = keras.tree.pack_sequence_as(state, tensors[:parts])
            constants_then = tensors[parts : parts + len(constants)]
            values = tensors[parts + len(constants) :]
            with keras.StatelessScope(state_mapping=list(zip(weights, values))):
                new, output = step(state_then, index, *constants_then)
            return (*keras.tree.flatten(new), *((output,) if has_output else ()))

        values = [weight.value for weight in weights]
        results = keras.remat(flat)(index, *keras.tree.flatten(state), *constants, *values)
        new = keras.tree.pack_sequence_as(state, list(results[:parts]))
        return new, results[-1] if has_output else None

    return rematerialised


def _with_values(step, weights):
    """A step that takes weights as they are now.

    What is read within a loop is a tensor of each step to TensorFlow, which keeps all of them for the gradient.
    """
    import tensorflow as tf

    # Not Keras' `convert_to_tensor`, which leaves a variable of TensorFlow's as it is.
    mapping = [(weight, tf.convert_to_tensor(weight.value)) for weight in weights]

    def with_values(state, index):
        with keras.StatelessScope(state_mapping=mapping):
            return step(state, index)

    return with_values


def _tensorflow_loop(step, state, num_steps, output_like, max_steps):
    import tensorflow as tf

    if num_steps == 0 if isinstance(num_steps, int) else max_steps == 0:
        # XLA can't differentiate a loop that never runs.
        return state, None if output_like is None else tf.zeros(
            [0, *tf.unstack(tf.shape(output_like))], output_like.dtype
        )
    bound = max_steps if max_steps is not None else num_steps
    arrays = ()
    if output_like is not None:
        arrays = (tf.TensorArray(output_like.dtype, size=bound, element_shape=output_like.shape),)

    def body(index, state, arrays):
        state, output = step(state, index)
        return index + 1, state, tuple(array.write(index, output) for array in arrays)

    count = tf.cast(num_steps, tf.int32)
    _, state, arrays = tf.while_loop(
        lambda index, *_: index < count,
        body,
        (tf.constant(0), state, arrays),
        # XLA can only differentiate a loop if it knows how often it runs at the most.
        maximum_iterations=bound if isinstance(bound, int) else None,
    )
    return state, arrays[0].stack() if arrays else None


def _jax_loop(step, state, num_steps, output_like, max_steps):
    import jax

    if isinstance(num_steps, int) and num_steps <= 512 and not isinstance(jax.numpy.zeros(()) + 0, jax.core.Tracer):
        # Nothing is being compiled now. JAX would compile a loop anew for each call, which takes longer than all these
        # steps one operation after the other.
        return _plain_loop(step, state, num_steps, output_like)
    if isinstance(num_steps, int):
        return jax.lax.scan(step, state, jax.numpy.arange(num_steps, dtype="int32"))
    if max_steps is not None:
        idle = None if output_like is None else jax.numpy.zeros_like(output_like)

        def guarded(state, index):
            return jax.lax.cond(index < num_steps, step, lambda state, index: (state, idle), state, index)

        return jax.lax.scan(guarded, state, jax.numpy.arange(max_steps, dtype="int32"))
    if output_like is not None:
        raise ValueError(
            "A loop that keeps an output of every step has a result whose size depends on `num_steps`, which JAX can "
            "only compile if it knows a bound. Give `max_steps` (an integer), or `num_steps` as a Python integer."
        )
    return jax.lax.fori_loop(0, num_steps, lambda index, state: step(state, index)[0], state), None


def _torch_loop(step, state, num_steps, output_like, max_steps):
    return _plain_loop(step, state, int(num_steps), output_like, max_steps)


def _plain_loop(step, state, num_steps, output_like, max_steps=None):
    outputs = []
    for index in range(num_steps):
        state, output = step(state, index)
        outputs.append(output)
    if output_like is None:
        return state, None
    outputs.extend([ops.zeros_like(output_like)] * (0 if max_steps is None else max_steps - num_steps))
    return state, ops.stack(outputs) if outputs else ops.zeros((0, *output_like.shape), output_like.dtype)
