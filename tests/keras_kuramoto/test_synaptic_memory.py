"""Memories that learn: the author's simulation, the closed forms, training, replicas, saving, and errors."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import BACKEND, DATA, array, float64_enabled, run_python, to_numpy
from keras import ops

from keras_kuramoto import learning_rules
from keras_kuramoto.layers.cdam_recall import CDAMRecall
from keras_kuramoto.layers.synaptic_memory import SynapticMemory
from keras_kuramoto.solvers import FixedStepSolver


@pytest.fixture(scope="module")
def published():
    with np.load(DATA / "synaptic_dynamics.npz") as file:
        arrays = {name: file[name] for name in file.files if name != "config"}
        return json.loads(str(file["config"])), arrays


def learn(layer, states):
    """The memories after each of the states; a graph on TensorFlow, where a loop in Python takes long."""
    states = ops.convert_to_tensor(states, dtype=layer.variable_dtype)
    function = layer.learn
    if BACKEND == "tensorflow":
        import tensorflow as tf

        function = tf.function(layer.learn, jit_compile=True)
    return function(states, return_trajectory=True)


def show(layer, states):
    """A call with `training=True`, compiled on JAX, which would compile every operation by itself otherwise."""
    if BACKEND != "jax":
        return layer(states, training=True)
    import jax

    variables = layer.non_trainable_variables
    fixed = [variable.value for variable in layer.trainable_variables]
    call = jax.jit(lambda values, states: layer.stateless_call(fixed, values, states, training=True))
    result, values = call([variable.value for variable in variables], states)
    for variable, value in zip(variables, values):
        variable.assign(value)
    return result


def one_step(memories, states, tau, beta, bias=0.0):
    """Eq. 14 in NumPy: an Euler step of length 1, the mean over the states."""
    change = np.zeros_like(memories)
    for v in states:
        z = beta * memories @ v
        w = np.exp(z - z.max())
        change += (w / w.sum())[:, None] * (-memories + bias + v)
    return memories + change / len(states) / tau


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_the_authors_simulation(published, dtype, tolerance):
    config, arrays = published
    with float64_enabled():
        layer = SynapticMemory(arrays["memories0"], tau=config["tau"], beta=config["beta"], dtype=dtype)
        # Clamped in turn, one in each step.
        states = np.tile(arrays["targets"], (config["steps"] // len(arrays["targets"]), 1))
        memories = learn(layer, states)
        targets = arrays["targets"].astype(dtype)
        similarity = learning_rules.cosine_similarity(memories, targets)
        initial = learning_rules.cosine_similarity(arrays["memories0"].astype(dtype), targets)
        theory = learning_rules.expected_similarity(initial, np.arange(config["steps"]), config["tau"])
        assert all(keras.backend.standardize_dtype(x.dtype) == dtype for x in (memories, similarity, theory))
        np.testing.assert_allclose(to_numpy(layer.memories), arrays["memories_T"], rtol=0, atol=tolerance)
        np.testing.assert_allclose(to_numpy(similarity), arrays["similarity"], rtol=0, atol=tolerance)
        np.testing.assert_allclose(to_numpy(theory), arrays["similarity_theory"], rtol=0, atol=tolerance)
        # The author's own figure is 3.6e-3. Most of it is Eq. 40's assumption of equal norms.
        assert np.abs(to_numpy(similarity) - to_numpy(theory)).max() < 4e-3


def test_calls_one_after_another_are_the_loop(published):
    config, arrays = published
    states = np.tile(arrays["targets"], (3, 1)).astype("float32")
    together, apart = (SynapticMemory(arrays["memories0"], tau=config["tau"]) for _ in range(2))
    trajectory = to_numpy(together.learn(states, return_trajectory=True))
    for state, memories in zip(states, trajectory):
        apart(state[None], training=True)
        np.testing.assert_allclose(to_numpy(apart.memories), memories, rtol=0, atol=1e-5)
    last = SynapticMemory(arrays["memories0"], tau=config["tau"]).learn(states)
    np.testing.assert_allclose(to_numpy(last), trajectory[-1], rtol=0, atol=1e-5)


def test_similarity_is_closer_to_theory_as_tau_grows(published):
    _, arrays = published
    targets = arrays["targets"].astype("float32")
    closed_form, equal_norms = [], []
    for tau in (50, 200):
        layer = SynapticMemory(arrays["memories0"], tau=tau)
        similarity = learning_rules.cosine_similarity(learn(layer, np.tile(targets, (2 * tau, 1))), targets)
        times = np.arange(1, 8 * tau + 1)
        memories = learning_rules.expected_memories(arrays["memories0"].astype("float32"), targets, times, tau)
        exact = learning_rules.cosine_similarity(memories, targets)
        initial = learning_rules.cosine_similarity(arrays["memories0"].astype("float32"), targets)
        simple = learning_rules.expected_similarity(initial, times, tau)
        closed_form.append(np.abs(to_numpy(similarity) - to_numpy(exact)).max())
        equal_norms.append(np.abs(to_numpy(similarity) - to_numpy(simple)).max())
    # A step of 1/τ: the difference from Eq. 34 falls in proportion.
    np.testing.assert_allclose(closed_form[0] / closed_form[1], 4.0, rtol=0.05)
    assert closed_form[1] < 1e-3
    assert equal_norms[1] < equal_norms[0]


def test_probabilities_set_the_pace_and_not_the_end(published):
    _, arrays = published
    old, targets = arrays["memories0"], arrays["targets"]
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    order = np.repeat(np.arange(4), [4, 2, 1, 1])
    layer = SynapticMemory(old, tau=40)
    states = np.tile(targets[np.random.default_rng(0).permutation(order)], (500, 1)).astype("float32")
    trajectory = to_numpy(learn(layer, states))
    times = np.arange(1, 4001)
    expected = to_numpy(
        learning_rules.expected_memories(old.astype("float32"), targets.astype("float32"), times, 40, probabilities)
    )
    # Entries are of size 1; eight events of a cycle, each a fortieth.
    assert np.abs(trajectory - expected).max() < 0.1
    # Eq. 25: the Hebbian coupling of the targets. Row μ has come as far as exp(-4000 p_μ / 40), 4e-6 at the most.
    coupling = to_numpy(learning_rules.hebbian_coupling(layer.memories))
    np.testing.assert_allclose(coupling, targets.T @ targets / 4, rtol=0, atol=1e-4)


def test_a_batch_makes_the_mean_of_its_changes():
    rng = np.random.default_rng(1)
    old, states, bias = rng.standard_normal((3, 5)), rng.standard_normal((4, 2, 5)), rng.standard_normal((3, 5))
    layer = SynapticMemory(old, tau=7.0, beta=0.5, bias=bias)
    recalled = to_numpy(layer(states.astype("float32"), training=True))
    new = one_step(old, states.reshape(-1, 5), 7.0, 0.5, bias)
    np.testing.assert_allclose(to_numpy(layer.memories), new, rtol=0, atol=1e-6)
    # What is recalled is attention to the memories before they learn.
    z = 0.5 * states @ old.T
    w = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    np.testing.assert_allclose(recalled, w @ old, rtol=0, atol=1e-6)
    np.testing.assert_allclose(to_numpy(SynapticMemory(old, beta=0.5).selection(states)), w, rtol=0, atol=1e-6)
    change = one_step(new, states.reshape(-1, 5), 7.0, 0.5, bias) - new
    np.testing.assert_allclose(to_numpy(layer.change(states)), change, rtol=0, atol=1e-6)
    # Neither a call that is no training nor a frozen layer learns.
    layer(states.astype("float32"))
    layer.trainable = False
    layer(states.astype("float32"), training=True)
    np.testing.assert_allclose(to_numpy(layer.memories), new, rtol=0, atol=1e-6)


def test_large_beta_selects_one_memory_and_leaves_the_others_alone():
    layer = SynapticMemory(np.eye(3), tau=2.0, beta=1e4)
    layer(np.array([[2.0, 1.0, 0.0]], "float32"), training=True)
    np.testing.assert_array_equal(to_numpy(layer.memories), [[1.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])


def test_integrated_in_time():
    old, states = np.array([[10.0, -2.0, 0.5], [-10.0, 0.0, 0.0]]), np.array([[9.0, 1, 3], [12.0, 0, 1]], "float32")
    layer = SynapticMemory(old, tau=3.0, bias=0.25, t1=2.0, solver=FixedStepSolver("rk4", num_steps=4))
    show(layer, states)
    # The first memory alone is selected, and decays exponentially to each of the states.
    decay = np.exp(-2.0 / 3.0)
    expected = decay * old + (1 - decay) * (states.mean(axis=0) + 0.25)
    np.testing.assert_allclose(to_numpy(layer.memories), [expected[0], old[1]], rtol=0, atol=1e-3)
    # One Euler step is what a layer without a solver makes.
    rng = np.random.default_rng(5)
    old, states = rng.standard_normal((3, 5)), array(rng, 4, 5)
    euler = SynapticMemory(old, tau=3.0, bias=0.25, t1=0.5, solver=FixedStepSolver("euler", num_steps=1))
    plain = SynapticMemory(old, tau=3.0, bias=0.25, t1=0.5)
    for layer in (euler, plain):
        show(layer, states)
    np.testing.assert_allclose(to_numpy(euler.memories), to_numpy(plain.memories), rtol=0, atol=1e-6)
    copy = SynapticMemory.from_config(json.loads(json.dumps(euler.get_config())))
    assert copy.get_config() == euler.get_config()
    assert copy.solver.num_steps == 1


def make_model(layer):
    state = keras.Input((5,))
    return keras.Model(state, keras.layers.Dense(2, kernel_initializer="ones")(layer(state)))


def test_learns_inside_fit():
    rng = np.random.default_rng(2)
    old, states = rng.standard_normal((3, 5)), array(rng, 7, 5)
    layer = SynapticMemory(old, tau=5.0, beta=1.0)
    model = make_model(layer)
    model.compile("sgd", "mse")
    # The last batch is a partial one.
    model.fit(states, array(rng, 7, 2), batch_size=4, shuffle=False, verbose=0)
    expected = one_step(one_step(old, states[:4], 5.0, 1.0), states[4:], 5.0, 1.0)
    np.testing.assert_allclose(to_numpy(layer.memories), expected, rtol=0, atol=1e-6)
    assert len(model.trainable_variables) == 2
    model.evaluate(states, array(rng, 7, 2), verbose=0)
    model.predict(states, verbose=0)
    np.testing.assert_allclose(to_numpy(layer.memories), expected, rtol=0, atol=1e-6)


def test_memories_are_saved_with_the_model(tmp_path):
    rng = np.random.default_rng(3)
    layer = SynapticMemory(array(rng, 3, 5), tau=5.0, bias=array(rng, 3, 5))
    model = make_model(layer)
    states = array(rng, 4, 5)
    model(states, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for first, second in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    # And goes on from there.
    model(states, training=True)
    loaded(states, training=True)
    np.testing.assert_array_equal(to_numpy(loaded.layers[1].memories), to_numpy(layer.memories))


def test_a_graph_of_memories_that_learn_while_it_recalls(tmp_path):
    rng = np.random.default_rng(6)
    size = 40
    old = np.linalg.qr(rng.standard_normal((size, 3)))[0].T * np.sqrt(size)
    new = (old + 0.4 * rng.standard_normal(old.shape)).astype("float32")
    cycle = np.roll(np.eye(3), 1, axis=1)
    synapses = SynapticMemory(old, tau=0.5, beta=2.0)
    state = keras.Input((size,))
    recall = CDAMRecall(synapses, cycle, a=0.0, h=1.0, beta=1.0, eta=1.0, num_steps=1, mean_scale=0.0)
    model = keras.Model(state, recall(state))
    # A new version of a memory recalls the old version of its successor.
    np.testing.assert_allclose(to_numpy(model(new)), old[[1, 2, 0]], rtol=0, atol=1e-4)
    for _ in range(20):
        model(new, training=True)
    # Each row is shown in a third of the time: (1 - 2/3)^20 is left of the difference.
    np.testing.assert_allclose(to_numpy(model(new)), new[[1, 2, 0]], rtol=0, atol=1e-4)
    assert len(model.trainable_weights) == 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(to_numpy(loaded(new)), to_numpy(model(new)), rtol=0, atol=1e-6)


def test_memories_that_are_only_counted_start_nearly_orthogonal():
    layer = SynapticMemory(4)
    layer.build((None, 400))
    memories = to_numpy(layer.memories)
    # Cosines of random vectors have the standard deviation 1/√400.
    np.testing.assert_allclose(memories @ memories.T / 400, np.eye(4), rtol=0, atol=0.3)
    config = SynapticMemory(4, bias=0.5, tau=3, t1=0.5).get_config()
    assert SynapticMemory.from_config(json.loads(json.dumps(config))).get_config() == config


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_memories_stay_float32_under_mixed_precision(policy):
    layer = SynapticMemory(np.eye(3), tau=1e4, dtype=policy)
    recalled = layer(ops.ones((2, 3), dtype=layer.compute_dtype), training=True)
    assert keras.backend.standardize_dtype(recalled.dtype) == layer.memories.dtype == "float32"
    # A change of 1e-5 that bfloat16 would lose.
    assert 0 < to_numpy(layer.memories)[0, 1] < 1e-4


def test_an_empty_share_of_a_batch_changes_nothing():
    layer = SynapticMemory(np.eye(3))
    layer(np.zeros((0, 3), "float32"), training=True)
    np.testing.assert_array_equal(to_numpy(layer.memories), np.eye(3))


def test_closed_forms():
    with float64_enabled():
        old, targets = np.random.default_rng(4).standard_normal((2, 3, 6))
        times, p, tau = np.array([0.0, 3.0, 1e6]), np.array([0.2, 0.3, 0.5]), 4.0
        e = np.exp(-times[:, None] * p / tau)[..., None]
        memories = to_numpy(learning_rules.expected_memories(old, targets, times, tau, p))
        np.testing.assert_allclose(memories, e * old + (1 - e) * targets, rtol=1e-12)
        old *= np.linalg.norm(targets, axis=1, keepdims=True) / np.linalg.norm(old, axis=1, keepdims=True)
        alpha = learning_rules.cosine_similarity(old, targets)
        memories = learning_rules.expected_memories(old, targets, times, tau, p)
        # With equal norms Eq. 40 is the similarity of Eq. 34.
        np.testing.assert_allclose(
            to_numpy(learning_rules.expected_similarity(alpha, times, tau, p)),
            to_numpy(learning_rules.cosine_similarity(memories, targets)),
            rtol=1e-12,
        )
    # Opposite vectors cancel on the way; a zero vector has no direction.
    assert np.isfinite(to_numpy(learning_rules.expected_similarity([-1.0], [np.log(2)], 1.0))).all()
    assert float(learning_rules.cosine_similarity(np.zeros((1, 2)), np.ones((1, 2)))[0]) == 0


# Two logical processors, as two replicas with half of each batch each.
REPLICAS = """
import keras, numpy as np, sys
import tensorflow as tf
from keras_kuramoto.layers.synaptic_memory import SynapticMemory

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
old, states, y = rng.standard_normal((3, 5)), rng.standard_normal((8, 5)).astype("float32"), np.zeros((8, 2), "float32")

def make():
    keras.utils.set_random_seed(0)
    layer = SynapticMemory(old, tau=5.0, beta=1.0)
    x = keras.Input((5,))
    return layer, keras.Model(x, keras.layers.Dense(2)(layer(x)))

def fitted():
    layer, model = make()
    model.compile("sgd", "mse")
    model.fit(states, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return layer

def looped(strategy):
    layer, model = make()
    def replica(index):
        x = tf.gather(tf.constant(states), index)
        model(x, training=True)
        # As read in this replica.
        return tf.convert_to_tensor(layer.memories.value)
    @tf.function
    def step(index):
        return strategy.run(replica, args=(index,))
    for _ in range(2):
        for half in (0, 4):
            share = lambda context: half + 2 * context.replica_id_in_sync_group + tf.range(2)
            copies = step(strategy.experimental_distribute_values_from_function(share))
    copies = strategy.experimental_local_results(copies)
    assert all(np.array_equal(copies[0], copy) for copy in copies)
    return layer

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = fitted().memories.numpy()
with mirrored.scope():
    two = fitted().memories.numpy()
    three = looped(mirrored).memories.numpy()
assert mirrored.num_replicas_in_sync == 2 and np.abs(one - old).max() > 0.1
# Sums in another order.
np.testing.assert_allclose(two, one, rtol=0, atol=1e-6)
np.testing.assert_allclose(three, one, rtol=0, atol=1e-6)
"""


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute is TensorFlow's")
def test_replicas_learn_what_one_device_learns_from_the_whole_batch():
    done = run_python("-c", REPLICAS)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": 0.0}, "`tau` must be a positive number. Received 0.0"),
        ({"tau": float("nan")}, "`tau` must be a positive number"),
        ({"beta": -1}, "`beta` must be a positive number. Received -1"),
        ({"t1": float("inf")}, "`t1` must be a positive number"),
        ({"memories": 0}, "`memories` must be at least 1"),
        ({"memories": np.ones(3)}, r"`memories` must be the number of memories, or an array \(memories, neurons\)"),
        ({"memories": np.full((2, 3), np.nan)}, "`memories` must be finite"),
        ({"memories": "abacus"}, "`memories` must be finite"),
        ({"bias": np.ones((2, 2))}, r"`bias` must be a number or of the memories' shape \(3, 3\)"),
        ({"solver": "tsit5"}, "`solver` must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SynapticMemory(**{"memories": np.eye(3), **arguments})


def test_bad_states():
    layer = SynapticMemory(np.eye(3))
    with pytest.raises(ValueError, match="NaN"):
        layer(np.array([[np.nan, 0.0, 0.0]], "float32"), training=True)
    np.testing.assert_array_equal(to_numpy(layer.memories), np.eye(3))
    with pytest.raises(ValueError, match=r"memories have 3 neurons. Received states of the shape \(1, 4\)"):
        layer(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match=r"must be \(steps, neurons\)"):
        layer.learn(np.ones((2, 4, 3), "float32"))
    with pytest.raises(ValueError, match=r"\(batch, ..., neurons\)"):
        SynapticMemory(3)(np.ones(4, "float32"))


def test_bad_arguments_of_the_closed_forms():
    with pytest.raises(ValueError, match=r"same sizes \(N_h, N_v\)"):
        learning_rules.expected_memories(np.ones((2, 3)), np.ones((3, 2)), [0.0], 1.0)
    with pytest.raises(ValueError, match="`probabilities` must be 2 numbers"):
        learning_rules.expected_similarity([0.5, 0.5], [0.0], 1.0, [0.5, 0.6])
    with pytest.raises(ValueError, match="`probabilities` must be 2 numbers"):
        learning_rules.expected_similarity([0.5, 0.5], [0.0], 1.0, [1.5, -0.5])
    with pytest.raises(ValueError, match="`tau` must be a positive number"):
        learning_rules.expected_similarity([0.5, 0.5], [0.0], 0)
