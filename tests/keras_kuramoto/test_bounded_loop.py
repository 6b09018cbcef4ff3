"""The bounded loop, and the number of steps of the layers that run on it."""

import re

import numpy as np
import pytest
from backend_helpers import BACKEND, array, assign, call, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto.layers import AttentionConnectivity, DenseConnectivity, KuramotoLayer, NaturalFrequency, Repeat
from keras_kuramoto.ops import bounded_loop

int32 = np.int32


def logistic(x, rate, steps, max_steps=None, remat=False):
    """x ← rate · x (1 − x), with the values before each step."""

    def step(x, index, rate):
        return rate * x * (1 - x), x

    return bounded_loop(step, x, steps, output_like=x, max_steps=max_steps, remat=remat, constants=(rate,))


def logistic_reference(x, rate, steps):
    """The states, and the derivatives of the last one for x and the rate, by the chain rule forwards."""
    states, by_x, by_rate = [x], 1.0, 0.0
    for _ in range(steps):
        slope = rate * (1 - 2 * x)
        by_x, by_rate = by_x * slope, x * (1 - x) + by_rate * slope
        x = rate * x * (1 - x)
        states.append(x)
    return states, by_x, by_rate


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize(
    ("kind", "steps"),
    [("int", 0), ("int", 1), ("int", 7), ("tensor", 0), ("tensor", 7), ("tensor at its bound", 7)],
)
def test_value_and_gradient(steps, kind, remat, compiled):
    states, by_x, by_rate = logistic_reference(0.3, 2.9, steps)
    if kind == "int":
        count, bound = steps, None
        value, gradients = value_and_gradients(
            lambda x, rate: logistic(x, rate, count, remat=remat)[0],
            np.float32(0.3),
            np.float32(2.9),
            compiled=compiled,
        )
    else:
        bound = 9 if kind == "tensor" else max(steps, 1)
        value, gradients = value_and_gradients(
            lambda x, rate, count: logistic(x, rate, count, bound, remat)[0],
            np.float32(0.3),
            np.float32(2.9),
            int32(steps),
            compiled=compiled,
        )
    # Seven float32 steps of a map that stretches by less than 2.9 each.
    np.testing.assert_allclose(value, states[-1], rtol=1e-5)
    np.testing.assert_allclose(gradients[0], by_x, rtol=1e-4)
    np.testing.assert_allclose(gradients[1], by_rate, rtol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_outputs_of_each_step_and_their_gradient(compiled):
    states, _, _ = logistic_reference(0.3, 2.9, 4)
    outputs = call(lambda x: logistic(x, 2.9, 4)[1], np.float32(0.3), compiled=compiled)
    np.testing.assert_allclose(outputs, states[:4], rtol=1e-5)
    # Only the second output counts: x₁ = rate · x (1 − x).
    _, gradients = value_and_gradients(lambda x: logistic(x, 2.9, 4)[1][1], np.float32(0.3), compiled=compiled)
    np.testing.assert_allclose(gradients[0], 2.9 * 0.4, rtol=1e-5)


@pytest.mark.parametrize("steps", [0, 4])
def test_outputs_beyond_a_compiled_number_of_steps_are_zero(steps):
    states, _, _ = logistic_reference(0.3, 2.9, steps)
    outputs = call(lambda x, count: logistic(x, 2.9, count, 6)[1], np.float32(0.3), int32(steps), compiled=True)
    np.testing.assert_allclose(outputs[:steps], states[:steps], rtol=1e-5)
    # PyTorch is not compiled, and knows the number.
    assert len(outputs) == (steps if BACKEND == "torch" else 6)
    assert (outputs[steps:] == 0).all()


def test_no_steps_leave_the_state_and_give_no_outputs():
    for steps in (0, ops.convert_to_tensor(int32(0))):
        x = ops.ones((2, 3))
        state, outputs = bounded_loop(lambda x, i: (2 * x, x), x, steps, output_like=x)
        assert (to_numpy(state) == 1).all()
        assert tuple(outputs.shape) == (0, 2, 3)


def test_state_may_be_a_nest_and_the_step_sees_its_index():
    def step(state, index):
        total, (count,) = state
        return (total + ops.cast(index, "float32"), (count + 1,)), None

    state = (ops.zeros(()), (ops.zeros((), dtype="int32"),))
    (total, (count,)), outputs = bounded_loop(step, state, 5)
    assert (float(total), int(count), outputs) == (10.0, 5, None)


def make_layer(rng, shape, **options):
    layer = KuramotoLayer(AttentionConnectivity(2), 4, NaturalFrequency(4), num_steps=5, **options)
    layer.build(shape, shape)
    assign(layer, rng)
    return layer


SHAPE = (3, 6, 8)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_scalar_tensor_gives_what_the_integer_gives(compiled):
    rng = np.random.default_rng(0)
    layer = make_layer(rng, SHAPE)
    x, c = array(rng, *SHAPE), array(rng, *SHAPE)
    for steps in (0, 3, 8):
        expected = layer(x, c, num_steps=steps, return_energy=True)
        state, energy = call(
            lambda x, c, count: layer(x, c, num_steps=count, return_energy=True, max_steps=8),
            x,
            c,
            int32(steps),
            compiled=compiled,
        )
        np.testing.assert_allclose(state, to_numpy(expected[0]), atol=1e-6)
        np.testing.assert_allclose(energy[:, :steps], to_numpy(expected[1]), rtol=1e-5, atol=1e-5)
        assert energy.shape[1] == (8 if compiled and BACKEND != "torch" else steps)
        assert (energy[:, steps:] == 0).all()


@pytest.mark.parametrize("steps", ["int", "tensor", "per example"])
def test_layer_gradients_under_the_compiler_match_eager_ones(steps):
    rng = np.random.default_rng(1)
    layer = make_layer(rng, SHAPE, train_step_size=True)
    x, c, probe = array(rng, *SHAPE), array(rng, *SHAPE), ops.convert_to_tensor(array(rng, *SHAPE))
    arguments = {"int": [], "tensor": [int32(4)], "per example": [np.array([4, 0, 2], "int32")]}[steps]

    def loss(x, c, count=4):
        state, energy = layer(x, c, num_steps=count, return_energy=True, max_steps=6)
        return ops.sum(state * probe) + 0.01 * ops.sum(energy)

    results = [
        value_and_gradients(loss, x, c, *arguments, variables=layer.trainable_variables, compiled=compiled)
        for compiled in (False, True)
    ]
    # Rounding: the compiler reorders sums of up to some hundred terms of size 1.
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4)
    for eager, compiled in zip(results[0][1], results[1][1]):
        assert np.abs(eager).max() > 0
        np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_rematerialised_steps_give_the_same_gradients(compiled):
    rng = np.random.default_rng(2)
    layer = make_layer(rng, SHAPE, train_step_size=True)
    x, c, probe = array(rng, *SHAPE), array(rng, *SHAPE), ops.convert_to_tensor(array(rng, *SHAPE))
    results = []
    for remat in (False, True):
        layer.remat = remat
        results.append(
            value_and_gradients(
                lambda x, c: ops.sum(layer(x, c) * probe), x, c, variables=layer.trainable_variables, compiled=compiled
            )
        )
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for kept, recomputed in zip(results[0][1], results[1][1]):
        assert np.abs(kept).max() > 0
        np.testing.assert_allclose(recomputed, kept, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_each_example_stops_after_its_own_number_of_steps(compiled):
    rng = np.random.default_rng(3)
    layer = make_layer(rng, SHAPE)
    x, c, counts = array(rng, *SHAPE), array(rng, *SHAPE), np.array([4, 0, 2], "int32")
    state, energy = call(
        lambda x, c, count: layer(x, c, num_steps=count, return_energy=True, max_steps=6),
        x,
        c,
        counts,
        compiled=compiled,
    )
    for example, steps in enumerate(counts):
        one = slice(example, example + 1)
        expected = to_numpy(layer(x[one], c[one], num_steps=int(steps)))[0]
        np.testing.assert_allclose(state[example], expected, atol=1e-6)
        # Once it has stopped, the energy is that of the last state.
        _, alone = layer(x[one], c[one], num_steps=int(steps) + 1, return_energy=True)
        np.testing.assert_allclose(energy[example, : steps + 1][:4], to_numpy(alone)[0][:4], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            energy[example, steps:4], np.broadcast_to(to_numpy(alone)[0, -1], 4 - steps), rtol=1e-5
        )


def test_a_number_of_steps_without_a_bound_runs_compiled():
    rng = np.random.default_rng(4)
    layer = make_layer(rng, SHAPE)
    x, c = array(rng, *SHAPE), array(rng, *SHAPE)
    state = call(lambda x, c, count: layer(x, c, num_steps=count), x, c, int32(7), compiled=True)
    np.testing.assert_allclose(state, to_numpy(layer(x, c, num_steps=7)), atol=1e-6)


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX needs a bound for results whose size depends on a traced number")
def test_energies_of_a_traced_number_of_steps_without_a_bound_say_what_to_do():
    rng = np.random.default_rng(5)
    layer = make_layer(rng, SHAPE)
    x, c = array(rng, *SHAPE), array(rng, *SHAPE)
    with pytest.raises(ValueError, match="max_steps"):
        call(lambda x, c, n: layer(x, c, num_steps=n, return_energy=True), x, c, int32(2), compiled=True)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch's programs are not compiled here")
@pytest.mark.parametrize("what", ["forward", "gradient"])
def test_compiled_program_does_not_grow_with_the_number_of_steps(what):
    layer = KuramotoLayer(DenseConnectivity(), 4, NaturalFrequency(4))
    layer.build((None, 8), (None, 8))

    def loss(x, steps):
        return ops.sum(layer(x, x, num_steps=steps, return_energy=True)[1])

    def size(steps):
        if BACKEND == "jax":
            import jax

            function = loss if what == "forward" else jax.grad(loss)
            return len(re.findall(r"\n", str(jax.make_jaxpr(lambda x: function(x, steps))(np.ones((2, 8), "float32")))))
        import tensorflow as tf

        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                result = loss(x, steps)
            return tape.gradient(result, x) if what == "gradient" else result

        definition = tf.function(run).get_concrete_function(tf.TensorSpec((2, 8))).graph.as_graph_def()
        return len(definition.node) + sum(len(function.node_def) for function in definition.library.function)

    assert size(4) == size(64) > 10


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow's loops keep lists of tensors")
def test_no_gradient_keeps_a_copy_of_the_weights_for_each_step():
    import tensorflow as tf

    layer = KuramotoLayer(AttentionConnectivity(2), 4, NaturalFrequency(4), train_step_size=True)
    x = tf.random.normal((3, 5, 8))
    layer.build(x.shape, x.shape)

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, x)[..., 0])
        return tape.gradient(loss, [weight.value for weight in layer.trainable_weights])

    kept = []
    for function in gradients.get_concrete_function(x).graph.as_graph_def().library.function:
        made_by = {node.name: node.op for node in function.node_def}
        # `name:output:index` is what a node of the function gives; a name alone is an argument.
        kept += [made_by.get(n.input[1].split(":")[0]) for n in function.node_def if n.op == "TensorListPushBack"]
    assert "Softmax" in kept
    assert "ReadVariableOp" not in kept


def test_repeat_applies_its_layer_as_often_as_asked():
    rng = np.random.default_rng(6)
    inner = DenseConnectivity()
    layer = Repeat(inner, num_steps=3)
    x = array(rng, 2, 6)
    matrix = np.eye(6)
    layer.build(x.shape)
    assign(layer, rng)
    for steps in (None, 0, 1, 5, int32(4)):
        matrix = np.linalg.matrix_power(to_numpy(inner.kernel), 3 if steps is None else int(steps))
        got = layer(x, num_steps=ops.convert_to_tensor(steps) if isinstance(steps, int32) else steps)
        np.testing.assert_allclose(to_numpy(got), x @ matrix, atol=1e-4)
