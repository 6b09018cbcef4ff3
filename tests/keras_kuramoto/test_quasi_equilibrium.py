"""Recall in quasi-equilibrium: the equations, the energy, attention, Jacobians, saving, and errors."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import BACKEND, array, evaluate, float64_enabled, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto import learning_rules
from keras_kuramoto.lagrangians import FunctionLagrangian, SoftmaxLagrangian
from keras_kuramoto.layers.quasi_equilibrium_memory import HebbianMemory, QuasiEquilibriumMemory
from keras_kuramoto.layers.synaptic_memory import SynapticMemory
from keras_kuramoto.solvers import FixedStepSolver

NUM_MEMORIES, SIZE = 3, 5
EULER = FixedStepSolver("euler", num_steps=1)


@keras.saving.register_keras_serializable(package="test_quasi_equilibrium")
def quartic(x):
    return ops.sum(x**4 / 4 + x * x / 2, axis=-1)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# The activations of v and h in NumPy, for each pair of generating functions.
LAGRANGIANS = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": softmax,
    "quartic": lambda x: x**3 + x,
}
PAIRS = [("linear", "softmax"), ("tanh", "tanh"), ("sigmoid", "relu"), ("softmax", "tanh"), ("quartic", "tanh")]


def matrix(rng):
    return rng.standard_normal((NUM_MEMORIES, SIZE))


def make(name, rng, dtype="float32", **arguments):
    """A layer with biases, and what its equation says in NumPy: `(layer, drive)`, for states `(batch, SIZE)`."""
    arguments = {"use_bias": True, "use_field": True, "dtype": dtype, **arguments}
    memories = matrix(rng)
    if name == "hebbian":
        layer = HebbianMemory(memories, beta=1.5, **arguments)
    elif name == "identity":
        layer = QuasiEquilibriumMemory(None, "sigmoid", "tanh", **arguments)
    else:
        visible, hidden = (quartic if part == "quartic" else part for part in name)
        layer = QuasiEquilibriumMemory(memories, visible, hidden, **arguments)
    layer.build((None, SIZE))
    bias, field = (0.3 * rng.standard_normal(vector.shape) for vector in (layer.bias, layer.field))
    layer.bias.assign(bias)
    layer.field.assign(field)

    def drive(v):
        if name == "hebbian":
            # Eq. 21 with J of Eq. 22.
            return field + np.tanh(1.5 * v @ (memories.T @ memories / NUM_MEMORIES) + bias)
        if name == "identity":
            return field + np.tanh(LAGRANGIANS["sigmoid"](v) + bias)
        g, f = (LAGRANGIANS[part] for part in name)
        return field + f(g(v) @ memories.T + bias) @ memories

    return layer, drive


each_kind = pytest.mark.parametrize("name", [*PAIRS, "identity", "hebbian"], ids=str)


@each_kind
def test_equation_energy_and_jacobian(name):
    rng = np.random.default_rng(0)
    with float64_enabled():
        layer, drive = make(name, rng, "float64", tau=2.0)
        v = rng.standard_normal((4, SIZE))
        shift = 1e-5

        def compute(v):
            directions = ops.eye(SIZE, dtype="float64")
            plus, minus = (
                ops.reshape(layer.update(ops.reshape(v[:, None] + s * directions, (-1, SIZE))), (-1, SIZE, SIZE))
                for s in (shift, -shift)
            )
            velocity = layer.vector_field(v)
            rise = (layer.energy(v + shift * velocity) - layer.energy(v - shift * velocity)) / (2 * shift)
            columns = (plus - minus) / (2 * shift) - directions
            return velocity, layer.update(v), layer.energy_rate(v), rise, layer.jacobian(v), columns

        velocity, update, rate, rise, jacobian, columns = evaluate(compute, v)
        assert all(x.dtype == "float64" for x in (velocity, update, rate, jacobian))
        np.testing.assert_allclose(update, drive(v), rtol=1e-9)
        np.testing.assert_allclose(velocity, (drive(v) - v) / 2.0, rtol=1e-9)
        # Central differences: an error of 1e-10, and rounding over the shift.
        np.testing.assert_allclose(rate, rise, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(jacobian, np.swapaxes(columns, 1, 2), rtol=1e-6, atol=1e-7)
        assert np.all(rate <= 0)


@each_kind
def test_energy_never_rises(name):
    rng = np.random.default_rng(1)
    layer, _ = make(name, rng, t1=4.0, solver=FixedStepSolver("rk4", num_steps=64))
    v = 2 * array(rng, 6, SIZE)
    state, energies = evaluate(lambda v: layer(v, return_energy=True), v)
    assert state.shape == v.shape
    assert energies.shape == (6, 17)
    # float32 rounding of energies of size 10.
    assert np.diff(energies).max() <= 1e-5
    assert np.all(energies[:, -1] < energies[:, 0])


def test_the_energy_is_eq_3():
    rng = np.random.default_rng(2)
    layer, _ = make(("tanh", "tanh"), rng)
    v = array(rng, 4, SIZE)
    memories, bias, field = (to_numpy(x) for x in (layer.memories, layer.bias, layer.field))
    h = np.tanh(v) @ memories.T + bias
    expected = ((v - field) * np.tanh(v) - np.log(np.cosh(v))).sum(-1) - np.log(np.cosh(h)).sum(-1)
    np.testing.assert_allclose(to_numpy(layer.energy(v)), expected, rtol=0, atol=1e-5)


def test_one_euler_step_is_attention():
    rng = np.random.default_rng(3)
    beta, tau = 0.7, 3.0
    memories = rng.standard_normal((NUM_MEMORIES, SIZE)).astype("float32")
    layer = QuasiEquilibriumMemory(
        memories, "linear", SoftmaxLagrangian(beta), tau=tau, t1=tau, solver=EULER, name="attention"
    )
    v = array(rng, 4, SIZE)
    recalled = to_numpy(layer(v))
    scores = ops.softmax(beta * ops.matmul(v, ops.transpose(memories)))
    np.testing.assert_allclose(recalled, to_numpy(ops.matmul(scores, memories)), rtol=0, atol=1e-6)
    # The modern Hopfield update, and Keras' own attention with the memories as keys and values.
    keys = ops.convert_to_tensor(memories[None])
    query = ops.convert_to_tensor(beta * v[None])
    attention = keras.layers.Attention()([query, keys, keys])[0]
    np.testing.assert_allclose(recalled, to_numpy(attention), rtol=0, atol=1e-6)
    np.testing.assert_allclose(recalled, to_numpy(layer.update(v)), rtol=0, atol=1e-6)


def test_jacobian_of_tanh_neurons():
    rng = np.random.default_rng(4)
    memories = matrix(rng)
    layer = QuasiEquilibriumMemory(memories, "tanh", "tanh")
    v = rng.standard_normal((1, SIZE))
    # Eq. 28, and Eq. 29 at the fixed point 0.
    inner = memories.T @ np.diag(1 - np.tanh(memories @ np.tanh(v[0])) ** 2) @ memories
    expected = -np.eye(SIZE) + inner @ np.diag(1 - np.tanh(v[0]) ** 2)
    np.testing.assert_allclose(to_numpy(layer.jacobian(v))[0], expected, rtol=0, atol=1e-5)
    origin = to_numpy(layer.jacobian(np.zeros((1, SIZE))))[0]
    np.testing.assert_allclose(origin, -np.eye(SIZE) + memories.T @ memories, rtol=0, atol=1e-5)


def test_hyperbolic_fixed_points():
    origin = np.zeros((1, SIZE), "float32")
    rows = np.linalg.qr(np.random.default_rng(5).standard_normal((SIZE, SIZE)))[0]
    for scales, hyperbolic in (([2.0, 3.0, 0.5], True), ([2.0, 1.0, 0.5], False)):
        # The eigenvalues of ΞᵀΞ are the squares of the scales, and two zeros.
        layer = QuasiEquilibriumMemory(np.array(scales)[:, None] * rows[:3], "tanh", "tanh")
        assert layer.is_hyperbolic(origin).tolist() == [hyperbolic]
    layer = QuasiEquilibriumMemory(2 * rows[:3], "tanh", "tanh", t1=50.0, solver=FixedStepSolver("rk4", num_steps=64))
    moving = array(np.random.default_rng(6), 2, SIZE)
    with pytest.raises(ValueError, match="must be fixed points"):
        layer.is_hyperbolic(moving)
    # Stable fixed points: all eigenvalues are negative.
    stable = evaluate(layer, moving)
    assert layer.is_hyperbolic(stable).all()
    assert np.linalg.eigvals(to_numpy(layer.jacobian(stable))).real.max() < 0


def test_marchenko_pasturs_edges():
    # α = 1/9 < 1/4: beyond the zeros, the spectrum of ΞᵀΞ is above 1, and the fixed point 0 is hyperbolic.
    rng = np.random.default_rng(7)
    hidden, visible = 100, 900
    memories = rng.standard_normal((hidden, visible)) / np.sqrt(hidden)
    spectrum = np.linalg.eigvalsh(memories @ memories.T)
    lower, upper = learning_rules.marchenko_pastur_edges(hidden / visible)
    assert (lower, upper) == (4.0, 16.0)
    # The edges fluctuate by N_h^(-2/3), here 5 %.
    np.testing.assert_allclose([spectrum[0], spectrum[-1]], [lower, upper], rtol=0.1)
    assert learning_rules.marchenko_pastur_edges(1 / 4)[0] == 1.0
    jacobian = -np.eye(40) + memories[:, :40].T @ memories[:, :40]
    assert learning_rules.is_hyperbolic(jacobian)
    with pytest.raises(ValueError, match="`load` must be a positive number"):
        learning_rules.marchenko_pastur_edges(0)
    with pytest.raises(ValueError, match="must be square"):
        learning_rules.is_hyperbolic(np.ones((2, 3)))


def test_hebbian_neurons_recall_a_memory():
    rng = np.random.default_rng(8)
    memories = np.where(np.linalg.qr(rng.standard_normal((16, 16)))[0][:2] > 0, 1.0, -1.0)
    layer = HebbianMemory(memories, beta=2.0, t1=20.0)
    start = 0.3 * memories[0] + 0.1 * rng.standard_normal(16)
    recalled = evaluate(layer, start[None].astype("float32"))[0]
    assert np.all(np.sign(recalled) == memories[0])


def test_gradients_reach_memories_and_biases():
    rng = np.random.default_rng(9)
    layer, _ = make(("tanh", "softmax"), rng, solver=FixedStepSolver("euler", num_steps=2))
    v = array(rng, 2, SIZE)
    variables, compiled = layer.trainable_variables, BACKEND == "jax"
    _, gradients = value_and_gradients(lambda v: ops.sum(layer(v) ** 2), v, variables=variables, compiled=compiled)
    assert len(gradients) == 4
    assert all(np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-4 for gradient in gradients)


@pytest.mark.parametrize(
    "factory",
    [
        lambda: QuasiEquilibriumMemory(NUM_MEMORIES, use_bias=True, use_field=True, tau=2.0, t1=0.5, solver=EULER),
        lambda: QuasiEquilibriumMemory(np.ones((NUM_MEMORIES, SIZE)), "tanh", SoftmaxLagrangian(2.0), solver=EULER),
        lambda: QuasiEquilibriumMemory(None, FunctionLagrangian(quartic), "tanh", solver=FixedStepSolver("heun")),
        lambda: QuasiEquilibriumMemory(SynapticMemory(NUM_MEMORIES, tau=3.0, beta=1.0), solver=EULER),
        lambda: HebbianMemory(NUM_MEMORIES, beta=0.5, use_bias=True, solver=EULER),
    ],
    ids=["number", "array", "identity", "layer", "hebbian"],
)
def test_configuration_saving_and_symbolic_calls(factory, tmp_path):
    layer = factory()
    state = keras.Input((SIZE,))
    output, energies = layer(state, return_energy=True)
    assert output.shape == (None, SIZE)
    assert energies.shape == (None, 17)
    model = keras.Model(state, output)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    v = array(np.random.default_rng(10), 2, SIZE)
    np.testing.assert_array_equal(evaluate(loaded.layers[-1].update, v), evaluate(layer.update, v))
    config = layer.get_config()
    copy = type(layer).from_config(json.loads(json.dumps(config)))
    copy.build((None, SIZE))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(evaluate(copy.energy, v), evaluate(layer.energy, v))


def test_recalls_what_another_layer_learns(tmp_path):
    rng = np.random.default_rng(11)
    synapses = SynapticMemory(matrix(rng), tau=2.0, beta=1.0)
    recall = QuasiEquilibriumMemory(synapses, "linear", SoftmaxLagrangian(4.0), solver=EULER)
    state = keras.Input((SIZE,))
    model = keras.Model(state, [synapses(state), recall(state)])
    v = array(rng, 2, SIZE)
    before = to_numpy(recall.update(v))
    model(v, training=True)
    assert recall.memories is synapses.memories
    assert np.abs(to_numpy(recall.update(v)) - before).max() > 1e-3
    # They are one weight, that no gradient trains, after loading too.
    assert len(model.weights) == 1
    assert not model.trainable_weights
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert len(loaded.weights) == 1
    np.testing.assert_array_equal(to_numpy(loaded.weights[0]), to_numpy(synapses.memories))


def test_state_stays_float32_under_mixed_precision():
    layer = QuasiEquilibriumMemory(2 * np.eye(SIZE), solver=EULER, dtype="mixed_bfloat16")
    exact = QuasiEquilibriumMemory(2 * np.eye(SIZE), solver=EULER)
    v = array(np.random.default_rng(12), 2, SIZE)
    result = layer(v)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(result), to_numpy(exact(v)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memories": 0}, "`memories` must be at least 1"),
        ({"memories": np.full((2, 3), np.nan)}, "`memories` must be finite"),
        ({"tau": 0.0}, "`tau` must be a positive number"),
        ({"t1": -1.0}, "`t1` must be a positive number"),
        ({"hidden_lagrangian": "abacus"}, "A Lagrangian must be one of"),
        ({"solver": "tsit5"}, "`solver` must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        QuasiEquilibriumMemory(**{"memories": 3, **arguments})


def test_bad_arguments_of_hebbian_neurons():
    with pytest.raises(ValueError, match="`beta` must be a positive number"):
        HebbianMemory(2, beta=0.0)
    with pytest.raises(ValueError, match="`memories` must be a number, an array, or a layer"):
        HebbianMemory(None)


def test_bad_states():
    layer = QuasiEquilibriumMemory(np.eye(3))
    with pytest.raises(ValueError, match="memories have 3 neurons, the state 4"):
        layer(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match=r"must be \(batch, neurons\)"):
        QuasiEquilibriumMemory(np.eye(3))(np.ones((1, 2, 3), "float32"))
    layer = QuasiEquilibriumMemory(np.eye(3))
    with pytest.raises(ValueError, match="NaN"):
        layer(np.full((1, 3), np.nan, "float32"))
    with pytest.raises(ValueError, match=r"must be \(batch, 3\)"):
        layer.energy(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match="must be a layer with a weight `memories`"):
        QuasiEquilibriumMemory(keras.layers.Dense(3))(np.ones((1, 3), "float32"))
