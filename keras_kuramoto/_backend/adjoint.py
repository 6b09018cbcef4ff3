"""A loop of steps with its own reverse mode, which keeps few states: what the solvers run on.

How often the loop runs is known only when it has run, and a gradient needs the state at the start of every step. A loop
of the backend would keep that, and every stage of a step, for as many steps as there can be at the most. This one keeps
the states before some steps, as many as `checkpoints` says; its backward pass takes the steps between two of them once
more, and differentiates one step at a time. A loop of no more steps than that keeps each state and repeats none.
"""

import keras
from keras import ops


def adjoint_loop(field, begin, attempt, replay, state, constants, max_steps, checkpoints):
    """Steps from a state while there is an example that runs, differentiable in reverse.

    Args:
        field: Function of tensors that the steps call as `field(t, state, *constants)`, with the floats among the
            tensors that it uses beside its arguments, and Keras variables, getting their gradients too.
        begin: Function of `(field, constants, state)` that returns `(control, total)`: a dict of tensors, and the list
            of zeros to which each step adds.
        attempt: Function of `(field, constants, control, state)` that returns `(control, state, addition, record)`
            after an attempt at a step; `record` is a triple of tensors like `control["t"]`. Nothing differentiates it.
            `control["running"]` says which examples go on, `control["moved"]` which ones the attempt changed.
        replay: Function of `(field, constants, record, state)` that returns the `(state, addition)` of that attempt.
        state: List of tensors of floats, with the batch first.
        constants: List of tensors.
        max_steps: The most attempts that are made.
        checkpoints: The most states that the forward pass keeps.

    Returns:
        `(control, state, total)` after the last attempt. `control` has no gradient.
    """
    loops = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return loops[keras.backend.backend()](
        _Loop(begin, attempt, replay, max_steps, checkpoints), field, state, constants
    )


class _Loop:
    """The forward and the backward pass, on TensorFlow and JAX."""

    def __init__(self, begin, attempt, replay, max_steps, checkpoints):
        self.begin, self.attempt, self.replay = begin, attempt, replay
        self.max_steps = max_steps
        self.checkpoints = min(checkpoints, max_steps)
        self.max_stride = 1
        while self.max_stride * self.checkpoints < max_steps:
            self.max_stride *= 2

    def forward(self, field, constants, state, keep):
        """Runs the loop; with `keep`, returns what the backward pass needs as a second result."""
        control, total = self.begin(field, constants, state)
        kept = {}
        if keep:
            # The states before the steps 0, stride, 2 · stride, …, in any order, and `holder`, which step's each one
            # is. Where all slots are taken the stride doubles, and every second one is free again. The last slot takes
            # the states that are not to be kept.
            kept = {
                "steps": ops.zeros((), "int32"),
                "stride": ops.ones((), "int32"),
                "holder": ops.full((self.checkpoints,), -1, "int32"),
                "states": slots(self.checkpoints + 1, state),
                "records": slots(self.max_steps, [control["t"]] * 3),
            }

        def go_on(values):
            control = values[0]
            return ops.logical_and(ops.any(control["running"]), control["attempts"] < self.max_steps)

        def body(values):
            control, state, total, kept = values
            before = state
            control, state, addition, record = self.attempt(field, constants, control, state)
            total = [a + b for a, b in zip(total, addition)]
            if keep:
                kept = self.keep(kept, before, record, ops.any(control["moved"]))
            return control, state, total, kept

        control, state, total, kept = while_loop(go_on, body, (control, state, total, kept))
        if keep:
            kept = {**kept, "states": filled(kept["states"]), "records": filled(kept["records"])}
        return (control, state, total), kept

    def keep(self, kept, state, record, moved):
        step, stride, holder = kept["steps"], kept["stride"], kept["holder"]
        stride = ops.where(ops.equal(step, self.checkpoints * stride), 2 * stride, stride)
        # After an attempt that moved nothing, this is the same step again.
        wanted = ops.logical_and(ops.equal(step % stride, 0), ops.all(ops.not_equal(holder, step)))
        free = ops.logical_or(holder < 0, ops.not_equal(holder % stride, 0))
        slot = ops.where(wanted, _first_true(free), self.checkpoints)
        return {
            "steps": step + ops.cast(moved, "int32"),
            "stride": stride,
            "holder": ops.where(ops.equal(ops.arange(self.checkpoints, dtype="int32"), slot), step, holder),
            "states": write(kept["states"], slot, state),
            "records": write(kept["records"], step, list(record)),
        }

    def backward(self, field, constants, kept, pull, gradient, totals, zeros):
        """The gradients for the first state and the sources.

        Args:
            field: The vector field.
            constants: Its constants.
            kept: What `forward` kept.
            pull: Function of `(record, state, gradients)`, those for the state after the step and for its addition: the
                gradients for the state before it and for the sources.
            gradient: The gradient for the last state.
            totals: The gradient for the total, and so for each addition.
            zeros: Zeros like the sources.
        """
        stride, holder, records = kept["stride"], kept["holder"], kept["records"]
        repeats = self.max_stride > 1

        def segment(values):
            end, gradient, sources, between = values
            start = (end - 1) // stride * stride
            state = read(kept["states"], _first_true(ops.equal(holder, start)))

            def advance(values):
                step, state, between = values
                between = write(between, step - start, state)
                state, _ = self.replay(field, constants, read(records, step), state)
                return step + 1, state, between

            def reverse(values):
                step, gradient, sources = values
                before = read(between, step - start) if repeats else state
                gradient, more = pull(read(records, step), before, (gradient, totals))
                return step - 1, gradient, [a + b for a, b in zip(sources, more)]

            values = end - 1, gradient, sources
            if repeats:
                _, last, between = while_loop(lambda values: values[0] < end - 1, advance, (start, state, between))
                between = write(between, end - 1 - start, last)
                _, gradient, sources = while_loop(lambda values: values[0] >= start, reverse, values)
            else:
                _, gradient, sources = reverse(values)
            return start, gradient, sources, between

        between = slots(self.max_stride, gradient) if repeats else []
        values = while_loop(lambda values: values[0] > 0, segment, (kept["steps"], gradient, zeros, between))
        return values[1], values[2]


def _first_true(condition):
    return ops.cast(ops.argmax(ops.cast(condition, "int32")), "int32")


def zeros_per_example(state):
    """Zeros `(batch,)` of the dtype of the first tensor of a list of them."""
    return ops.zeros_like(state[0][(slice(None), *[0] * (len(state[0].shape) - 1))])


def _is_float(value):
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(value.dtype))


def _merge(constants, floats):
    floats = iter(floats)
    return [next(floats) if _is_float(value) else value for value in constants]


def _tensorflow(loop, field, state, constants):
    import tensorflow as tf

    size = len(state)
    floats = [value for value in constants if _is_float(value)]
    # What else the vector field uses, in order that it gets a gradient: TensorFlow itself finds only the variables.
    traced = tf.function(lambda t, *tensors: field(t, list(tensors[:size]), *_merge(constants, tensors[size:])))
    captured = traced.get_concrete_function(zeros_per_example(state), *state, *floats).captured_inputs
    others = [value for value in captured if value.dtype.is_floating]
    structure = {}

    @tf.custom_gradient
    def solve(*tensors):
        # Tensors of their own: the field may use the given ones beside, which then have another gradient.
        floats = [tf.identity(value) for value in tensors[size : len(tensors) - len(others)]]
        merged = _merge(constants, floats)
        result, kept = loop.forward(field, merged, list(tensors[:size]), keep=True)
        structure["result"] = result

        def gradients(*upstream, variables=()):
            _, gradient, totals = keras.tree.pack_sequence_as(result, list(upstream))
            sources = [*floats, *others, *variables]

            def pull(record, state, upstream):
                state = [tf.identity(y) for y in state]
                with tf.GradientTape() as tape:
                    tape.watch([state, floats, others])
                    outputs = loop.replay(field, merged, record, state)
                found = tape.gradient(
                    tf.nest.flatten(outputs),
                    [*state, *sources],
                    output_gradients=tf.nest.flatten(upstream),
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                found = [tf.convert_to_tensor(value) for value in found]
                return found[: len(state)], found[len(state) :]

            zeros = [tf.zeros_like(value) for value in sources]
            gradient, found = loop.backward(field, merged, kept, pull, gradient, totals, zeros)
            inputs = [*gradient, *found[: len(floats) + len(others)]]
            return (inputs, found[len(floats) + len(others) :]) if variables else inputs

        return keras.tree.flatten(result), gradients

    flat = solve(*state, *floats, *others)
    return keras.tree.pack_sequence_as(structure["result"], list(flat))


def _jax(loop, field, state, constants):
    import jax

    field, others = jax.closure_convert(field, zeros_per_example(state), state, *constants)
    constants = [*constants, *others]

    @jax.custom_vjp
    def solve(state, floats):
        return loop.forward(field, _merge(constants, floats), state, keep=False)[0]

    def forward(state, floats):
        result, kept = loop.forward(field, _merge(constants, floats), state, keep=True)
        return result, (kept, floats)

    def backward(saved, upstream):
        kept, floats = saved
        _, gradient, totals = upstream

        def pull(record, state, upstream):
            def step(state, floats):
                return loop.replay(field, _merge(constants, floats), record, state)

            return jax.vjp(step, state, floats)[1](upstream)

        zeros = [jax.numpy.zeros_like(value) for value in floats]
        return loop.backward(field, _merge(constants, floats), kept, pull, gradient, totals, zeros)

    solve.defvjp(forward, backward)
    return solve(state, [value for value in constants if _is_float(value)])


def _torch(loop, field, state, constants):
    import torch
    from torch.utils.checkpoint import checkpoint

    wanted = torch.is_grad_enabled() and any(
        value.requires_grad for value in [*state, *constants, *field(zeros_per_example(state), state, *constants)]
    )
    first, records = state, []
    with torch.no_grad():
        control, total = loop.begin(field, constants, state)
        meta = state[0].device.type == "meta"
        for _ in range(1 if meta else loop.max_steps):
            if not meta and not bool(control["running"].any()):
                break
            control, state, addition, record = loop.attempt(field, constants, control, state)
            total = [a + b for a, b in zip(total, addition)]
            if wanted and (meta or bool(control["moved"].any())):
                records.append(record)
    if not wanted:
        return control, state, total

    # The same steps again, now that they are known, each one forgotten up to its start.
    def take(records, state, total):
        state, addition = loop.replay(field, constants, records, state)
        return state, [a + b for a, b in zip(total, addition)]

    def segment(records, state, total):
        for record in records:
            state, total = remembered(take, record, state, total)
        return state, total

    def remembered(function, records, state, total):
        return checkpoint(function, records, state, total, use_reentrant=False, preserve_rng_state=False)

    stride = -(-len(records) // loop.checkpoints)
    state, total = first, [torch.zeros_like(value) for value in total]
    for start in range(0, len(records), max(stride, 1)):
        if stride == 1:
            state, total = remembered(take, records[start], state, total)
        else:
            state, total = remembered(segment, records[start : start + stride], state, total)
    return control, state, total


# Loops without a reverse mode, and slots for states. Nothing is compiled in JAX's eager mode: each call would compile
# the loop anew, which takes longer than its steps one operation after the other.


def _compiling():
    import jax

    return isinstance(jax.numpy.zeros(()) + 0, jax.core.Tracer)


def while_loop(go_on, body, values):
    """`body` again and again while `go_on` is true, both functions of the nest `values`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def shaped(*values):
            new = body(values)
            # What a function has lost of the static shape.
            for old, value in zip(tf.nest.flatten(values), tf.nest.flatten(new)):
                if tf.is_tensor(value):
                    value.set_shape(old.shape)
            return new

        return tf.while_loop(lambda *values: go_on(values), shaped, values)
    if _compiling():
        import jax

        return jax.lax.while_loop(go_on, body, values)
    while bool(go_on(values)):
        values = body(values)
    return values


def slots(number, values):
    """Room for `number` lists of tensors like `values`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [
            tf.TensorArray(value.dtype, size=number, element_shape=value.shape, clear_after_read=False)
            for value in values
        ]
    if _compiling():
        return [ops.zeros((number, *value.shape), value.dtype) for value in values]
    return [None] * number


def write(slots, index, values):
    if keras.backend.backend() == "tensorflow":
        return [array.write(index, value) for array, value in zip(slots, values)]
    if _compiling():
        import jax

        return [jax.lax.dynamic_update_index_in_dim(a, value, index, 0) for a, value in zip(slots, values)]
    slots = list(slots)
    slots[int(index)] = values
    return slots


def filled(slots):
    """Slots that are only read from now on."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            # A TensorArray can neither leave a program that XLA has compiled nor be saved with a gradient.
            return [array.stack() for array in slots]
    return slots


def read(slots, index):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [array[index] if tf.is_tensor(array) else array.read(index) for array in slots]
    if _compiling():
        import jax

        return [jax.lax.dynamic_index_in_dim(a, index, 0, keepdims=False) for a in slots]
    return slots[int(index)]
