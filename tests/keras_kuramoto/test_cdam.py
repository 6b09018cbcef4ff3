"""Recall from memories that a graph links: parity with the author's code, the paper's claims, blocks, errors."""

import contextlib
import json

import keras
import networkx as nx
import numpy as np
import pytest
from backend_helpers import BACKEND, DATA, call, evaluate, float64_enabled, run_python, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto.layers.cdam_recall import CDAMRecall
from keras_kuramoto.ops.memory_graph import memory_graph

VECTORS = sorted(path.stem for path in DATA.glob("cdam_*.npz"))


def load(name):
    with np.load(DATA / f"{name}.npz") as file:
        return json.loads(str(file["config"])), {key: file[key] for key in file.files if key != "config"}


def reference_step(state, patterns, matrix, a, h, beta=1.0, eta=0.1, mean_scale=1.0):
    """Eq. 1 in NumPy, with patterns `(p, n)`; a and h numbers or `(batch, 1)`."""
    scores = beta * state @ patterns.T
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    recalled = a * (shares @ patterns) + h * (shares @ (matrix @ patterns))
    return state + eta * (recalled - mean_scale * patterns.mean(axis=0) - state)


def random_patterns(p, n, seed=0):
    return np.random.default_rng(seed).random((p, n)).astype("float32")


def directed_example():
    """Directed, with weights, a self-loop, a hub, sinks and an isolated memory: 11 memories."""
    matrix = np.zeros((11, 11))
    for source, target, weight in [(0, 1, 2.0), (1, 2, 1.0), (2, 2, 0.5), (2, 0, 1.0), (4, 9, 3.0), (9, 4, 1.0)]:
        matrix[source, target] = weight
    matrix[7, :7] = 1.0
    return matrix


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VECTORS)
def test_correlations_of_the_authors_code(name, dtype):
    config, arrays = load(name)
    with float64_enabled() if dtype == "float64" else contextlib.nullcontext():
        layer = CDAMRecall(
            arrays["xi"].T,
            arrays["adjacency"],
            a=config["a"],
            h=config["h"],
            beta=config["beta"],
            eta=config["eta"],
            num_steps=config["steps"],
            dtype=dtype,
        )
        state, correlations = call(lambda state: layer(state, return_correlations=True), arrays["state0"].astype(dtype))
    assert state.dtype == correlations.dtype == dtype
    expected = arrays["correlations"].swapaxes(0, 1)
    tolerance = 1e-3 if dtype == "float32" else 1e-5
    np.testing.assert_allclose(correlations[:, arrays["snapshot_steps"]], expected, atol=tolerance)
    np.testing.assert_allclose(state, arrays["state_T"], atol=1e-5 if dtype == "float32" else 1e-6)


def test_plain_retrieval_in_three_lines():
    digits = 2 * random_patterns(20, 64) - 1
    memory = CDAMRecall(digits, beta=4.0)
    recalled = to_numpy(memory(digits + np.random.default_rng(1).normal(0, 0.1, digits.shape)))
    np.testing.assert_allclose(recalled, digits, atol=1e-3)
    assert not memory.trainable_weights


def test_patterns_are_a_copy_of_the_array():
    patterns = np.eye(3, dtype="float32")
    layer = CDAMRecall(patterns)
    patterns[:] = 7.0
    np.testing.assert_array_equal(to_numpy(layer.patterns), np.eye(3))


def test_a_directed_graph_recalls_successors():
    layer = CDAMRecall(np.eye(5), nx.cycle_graph(5, create_using=nx.DiGraph), a=0.0, h=1.0, beta=60.0, eta=1.0)
    states = to_numpy(layer.trajectory(np.eye(5, dtype="float32")[:2], num_steps=4))
    assert states.shape == (2, 5, 5)
    np.testing.assert_array_equal(states.argmax(axis=2), [[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])


def test_memories_without_outgoing_edges_and_isolated_ones():
    matrix = memory_graph(directed_example()).matrix()
    assert matrix[7, 3] == 7**-0.5  # an edge into a memory without outgoing edges
    assert not matrix[10].any()
    patterns = random_patterns(11, 40)
    layer = CDAMRecall(patterns, directed_example(), a=0.0, h=1.0, beta=50.0, eta=1.0, num_steps=1)
    # The isolated memory recalls nothing, so that only the mean is left.
    np.testing.assert_allclose(to_numpy(layer(patterns[10:]))[0], -patterns.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("block_size", [4, 11])
@pytest.mark.parametrize("compiled", [True] if BACKEND == "jax" else [False, True])
def test_blocks_and_strengths_of_each_example(block_size, compiled):
    patterns, rng = random_patterns(11, 30), np.random.default_rng(1)
    layer = CDAMRecall(patterns, directed_example(), beta=2.0, eta=0.5, block_size=block_size, mean_scale=0.7)
    state = rng.random((3, 30)).astype("float32")
    a, h = rng.normal(size=3).astype("float32"), rng.normal(size=(3, 2)).astype("float32")
    result, correlations = call(
        lambda state, a, h: layer(state, a=a, h=h, num_steps=3, return_correlations=True),
        state,
        a,
        h,
        compiled=compiled,
    )
    expected, matrix = state, memory_graph(directed_example()).matrix()
    for step in range(3):
        strength = h[:, min(step, 1), None]
        expected = reference_step(expected, patterns, matrix, a[:, None], strength, 2.0, 0.5, 0.7)
    np.testing.assert_allclose(result, expected, atol=2e-5)
    np.testing.assert_allclose(correlations[:, 3], np.corrcoef(expected, patterns)[:3, 3:], atol=1e-4)
    np.testing.assert_allclose(correlations[:, 0], np.corrcoef(state, patterns)[:3, 3:], atol=1e-5)


def test_gradients_through_blocks_are_those_of_the_whole():
    patterns, state = random_patterns(11, 6), random_patterns(2, 6, seed=1)
    results = []
    for block_size in (4, 11):
        layer = CDAMRecall(
            patterns,
            directed_example(),
            a=0.5,
            h=0.8,
            beta=3.0,
            eta=0.6,
            num_steps=2,
            train_patterns=True,
            train_a=True,
            train_h=True,
            block_size=block_size,
        )
        assert len(layer.trainable_variables) == 3
        results.append(
            value_and_gradients(
                lambda state, layer=layer: ops.sum(ops.square(layer(state))),
                state,
                variables=layer.trainable_variables,
                compiled=True,
            )
        )
    (value, gradients), (expected_value, expected) = results
    assert value == pytest.approx(expected_value, rel=1e-5)
    for one, other in zip(gradients, expected):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_sparse_mixing_without_blocks(monkeypatch):
    patterns, state = random_patterns(11, 8), random_patterns(2, 8, seed=1)
    layer = CDAMRecall(patterns, directed_example(), a=0.3, h=0.7, beta=2.0)
    expected = to_numpy(layer(state, num_steps=2))
    monkeypatch.setattr("keras_kuramoto.ops._association.FULL_MATRIX", 1)
    np.testing.assert_allclose(to_numpy(layer(state, num_steps=2)), expected, atol=1e-6)


def test_mean_activity_vanishes_with_the_whole_mean_and_not_with_the_printed_one():
    n = 1000
    patterns = random_patterns(12, n)
    state = patterns + np.random.default_rng(1).uniform(-0.5, 0.5, patterns.shape).astype("float32")
    for a, h in [(1.0, 0.0), (0.5, 0.5), (-0.5, 1.5)]:
        means = []
        for scale in (1.0, 1 / n):
            layer = CDAMRecall(patterns, nx.cycle_graph(12), a=a, h=h, mean_scale=scale)
            means.append(abs(to_numpy(layer(state)).mean()))
        assert means[0] < 0.02
        assert means[1] > 0.4


def test_connected_components_are_retrieved():
    graph = nx.disjoint_union(nx.cycle_graph(5), nx.path_graph(4))
    inside = np.zeros((9, 9), bool)
    inside[:5, :5] = inside[5:, 5:] = True
    for a, h in [(0.0, 1.0), (0.2, 0.8)]:
        layer = CDAMRecall(random_patterns(9, 1000), graph, a=a, h=h, beta=0.1)
        correlations = to_numpy(layer.correlations(layer(layer.patterns)))
        least, most = np.where(inside, correlations, 1).min(axis=1), np.where(inside, -1, correlations).max(axis=1)
        # Every pattern of the trigger's component is recalled more than any other pattern.
        assert (least > most + 0.1).all()


def test_pure_retrieval_needs_one_of_both_kinds_of_association():
    patterns = random_patterns(6, 1000)
    graph = nx.cycle_graph(6, create_using=nx.DiGraph)

    def correlations(a, h, **options):
        layer = CDAMRecall(patterns, graph, a=a, h=h, beta=1.0, **options)
        return np.sort(to_numpy(layer.correlations(layer(patterns))), axis=1)

    # The patterns' mean is subtracted, so that the others are correlated negatively.
    for rows in (correlations(1.0, 0.0), correlations(0.0, 1.0, eta=1.0, num_steps=1)):
        assert rows[:, -1].min() > 0.9
        assert rows[:, -2].max() < 0.05
    assert correlations(0.5, 0.5)[:, -2].min() > 0.2


def test_the_halves_of_the_karate_club():
    graph = nx.karate_club_graph()
    for _, _, data in graph.edges(data=True):
        data["weight"] = 1.0
    layer = CDAMRecall(random_patterns(34, 1000), graph, a=-1.0, h=2.0)
    correlations = np.corrcoef(to_numpy(layer(layer.patterns)))
    # The halves are the signs of the first principal component of the attractors' correlations.
    first = np.linalg.svd(correlations - correlations.mean(axis=0))[0][:, 0] > 0
    club = np.array([graph.nodes[i]["club"] == "Mr. Hi" for i in graph])
    agreement = (first == club).mean()
    assert max(agreement, 1 - agreement) > 0.9


def test_stops_at_a_tolerance_for_each_example():
    patterns = random_patterns(5, 50)
    layer = CDAMRecall(patterns, beta=4.0, eta=0.5)
    state = np.stack([patterns[0], patterns[1] + 3.0])
    states = to_numpy(layer.trajectory(state, num_steps=40))
    moved = np.abs(np.diff(states, axis=1)).max(axis=2) < 1e-2
    steps = moved.argmax(axis=1) + 1
    assert 1 <= steps[0] < steps[1] < 40
    for compiled in {BACKEND == "jax", True}:
        result = call(lambda x: layer(x, num_steps=40, tolerance=1e-2), state, compiled=compiled)
        np.testing.assert_allclose(result, states[[0, 1], steps], atol=1e-5)
    value, (gradient,) = value_and_gradients(
        lambda x: ops.sum(ops.square(layer(x, num_steps=40, tolerance=1e-2))), state.astype("float32"), compiled=True
    )
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_a_number_of_steps_that_is_a_tensor():
    layer = CDAMRecall(random_patterns(5, 8), num_steps=7)
    state = random_patterns(2, 8, seed=1)
    result = call(lambda x, steps: layer(x, num_steps=steps), state, np.int32(3), compiled=True)
    np.testing.assert_allclose(result, to_numpy(layer(state, num_steps=3)), atol=1e-6)
    np.testing.assert_array_equal(to_numpy(layer(state, num_steps=0)), state)
    np.testing.assert_allclose(to_numpy(layer.trajectory(state))[:, -1], to_numpy(layer(state)), atol=1e-6)


@pytest.mark.parametrize("block_size", [4, 100])
def test_overlaps_and_correlations(block_size):
    patterns, state = random_patterns(11, 30), random_patterns(2, 30, seed=1)
    patterns[3] = 0.3
    layer = CDAMRecall(patterns, block_size=block_size)
    np.testing.assert_allclose(to_numpy(layer.overlaps(state)), state @ patterns.T / 30, atol=1e-6)
    correlations = to_numpy(layer.correlations(state))
    assert (correlations[:, 3] == 0).all()
    others = np.arange(11) != 3
    expected = np.corrcoef(state, patterns[others])[:2, 2:]
    np.testing.assert_allclose(correlations[:, others], expected, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("block_size", [4, 100])
def test_the_closest_pattern(block_size, compiled):
    patterns = random_patterns(11, 30)
    state = patterns[[10, 0, 5, 7]] + 0.2 * random_patterns(4, 30, seed=1)
    # As much like 5 as like 9: the first counts, also where rounding says otherwise.
    patterns[9] = patterns[5] + 1e-4 * random_patterns(1, 30, seed=2)[0]
    state[2] = patterns[9]
    layer = CDAMRecall(patterns, block_size=block_size)
    index, correlation = (to_numpy(x) for x in call(layer.closest, state, compiled=compiled))
    assert index.tolist() == [10, 0, 5, 7]
    np.testing.assert_allclose(correlation, to_numpy(layer.correlations(state))[range(4), index], atol=1e-6)
    with float64_enabled():
        nearest, _ = CDAMRecall(patterns, block_size=block_size, dtype="float64").closest(state[2:3], margin=1e-12)
        assert int(to_numpy(nearest)[0]) == 9


def test_energies():
    n, beta, a, h = 20, 3.0, 0.7, 0.4
    patterns, state = random_patterns(6, n), 2 * random_patterns(3, n, seed=1)
    m = state.astype("float64") @ patterns.T / n
    pairs = np.exp(beta * m[:, :, None] * m[:, None, :])
    own = np.exp(beta * m**2).sum(axis=1)
    matrix = memory_graph(nx.path_graph(6)).matrix()
    layer = CDAMRecall(patterns, nx.path_graph(6), a=a, h=h, beta=beta)
    expected = -(a * np.log(own) + h * np.log((matrix * pairs).sum(axis=(1, 2)))) / beta
    np.testing.assert_allclose(to_numpy(layer.energy(state)), expected, rtol=1e-5)
    cycle = nx.cycle_graph(6, create_using=nx.DiGraph)
    layer = CDAMRecall(patterns, cycle, a=a, h=h, beta=beta)
    along = (nx.to_numpy_array(cycle) * pairs).sum(axis=(1, 2))
    for strength in (a, -0.2):
        expected = -np.log(strength * own + h * along) / beta
        np.testing.assert_allclose(to_numpy(layer.energy(state, a=strength)), expected, rtol=1e-5)
    assert np.isposinf(to_numpy(layer.energy(state, a=-2.0))).all()
    strengths = np.array([0.1, 0.2, 0.3], "float32")
    expected = -np.log(strengths * own) / beta
    np.testing.assert_allclose(to_numpy(layer.energy(state, a=strengths, h=0.0)), expected, rtol=1e-4)


@pytest.mark.parametrize("block_size", [4, 100])
def test_saved_and_loaded_as_part_of_a_model(tmp_path, block_size):
    state, a = keras.Input((30,)), keras.Input(())
    layer = CDAMRecall(
        random_patterns(11, 30), directed_example(), h=0.5, block_size=block_size, num_steps=3, train_h=True
    )
    model = keras.Model([state, a], layer(state, a=a, return_correlations=True))
    assert model.outputs[0].shape == (None, 30)
    assert model.outputs[1].shape == (None, 4, 11)
    assert len(json.dumps(layer.get_config())) < 2000
    inputs = [random_patterns(2, 30, seed=1), np.array([0.5, -1.0], "float32")]
    expected = evaluate(lambda *x: model(list(x)), *inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for output, value in zip(evaluate(lambda *x: loaded(list(x)), *inputs), expected):
        np.testing.assert_allclose(output, value, atol=1e-6)
    copy = type(layer).from_config(layer.get_config())
    copy.set_weights(layer.get_weights())
    assert copy.get_config() == layer.get_config()
    np.testing.assert_allclose(copy.graph.matrix(), memory_graph(directed_example()).matrix(), rtol=1e-6)
    result = evaluate(lambda state, a: copy(state, a=a), *inputs)
    np.testing.assert_allclose(result, expected[0], atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_state_stays_float32_under_mixed_precision(policy):
    patterns, state = random_patterns(5, 8), random_patterns(2, 8, seed=1)
    layer = CDAMRecall(patterns, nx.cycle_graph(5), a=0.5, h=0.5, dtype=policy)
    result = layer(state)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    expected = CDAMRecall(patterns, nx.cycle_graph(5), a=0.5, h=0.5)(state)
    np.testing.assert_allclose(to_numpy(result), to_numpy(expected), atol=1e-6)


@pytest.mark.parametrize("graph", [None, nx.cycle_graph(4), nx.cycle_graph(4, create_using=nx.DiGraph)])
@pytest.mark.parametrize("block_size", [2, 100])
def test_no_states_at_all(block_size, graph):
    h = 0.0 if graph is None else 0.5
    layer = CDAMRecall(np.eye(4), graph, h=h, num_steps=3, block_size=block_size)
    nothing = np.zeros((0, 4), "float32")
    state, correlations = layer(nothing, return_correlations=True)
    index, correlation = layer.closest(nothing)
    assert state.shape == layer(nothing, tolerance=0.1).shape == layer.overlaps(nothing).shape == (0, 4)
    assert layer(nothing, a=np.zeros(0, "float32")).shape == (0, 4)
    assert correlations.shape == layer.trajectory(nothing).shape == (0, 4, 4)
    assert index.shape == correlation.shape == layer.energy(nothing).shape == (0,)
    assert keras.backend.standardize_dtype(index.dtype) == "int32"


@pytest.mark.parametrize("size", [1e20, 3e38, 1e-30])
@pytest.mark.parametrize("block_size", [2, 100])
def test_correlations_of_large_and_of_small_numbers(block_size, size):
    layer = CDAMRecall(np.eye(4), block_size=block_size)
    index, correlation = layer.closest([[0.0, size, 0.0, 0.0]])
    assert int(to_numpy(index)[0]) == 1
    assert float(to_numpy(correlation)[0]) == pytest.approx(1.0, abs=1e-6)
    patterns = CDAMRecall(np.float32(size) * np.eye(4, dtype="float32"), block_size=block_size)
    expected = np.where(np.eye(4, dtype=bool), 1.0, -1 / 3)
    np.testing.assert_allclose(to_numpy(patterns.correlations(np.eye(4))), expected, atol=1e-6)


def test_an_energy_beyond_all_numbers_is_infinite():
    state = np.array([[0.0, 1e20, 0.0, 0.0]], "float32")
    for graph in (None, nx.cycle_graph(4), nx.cycle_graph(4, create_using=nx.DiGraph)):
        assert np.isneginf(to_numpy(CDAMRecall(np.eye(4), graph).energy(state))).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("block_size", [2, 100])
def test_pixels_in_half_precision(block_size, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 784)).astype("uint8")
    options = {"a": 0.7, "h": 0.5, "num_steps": 3, "block_size": block_size}
    half = CDAMRecall(pixels, nx.path_graph(4), dtype=dtype, **options)
    full = CDAMRecall(pixels, nx.path_graph(4), **options)
    state, correlations = half(pixels, return_correlations=True)
    expected, expected_correlations = full(pixels, return_correlations=True)
    dtypes = [keras.backend.standardize_dtype(x.dtype) for x in (half.patterns, state, half.trajectory(pixels))]
    assert dtypes == [dtype] * 3
    # One rounding of the state, and of the graph's weights.
    rounding = {"float16": 2**-10, "bfloat16": 2**-7}[dtype]
    np.testing.assert_allclose(
        to_numpy(ops.cast(state, "float32")), to_numpy(expected), rtol=rounding, atol=256 * rounding
    )
    index, correlation = half.closest(pixels)
    assert to_numpy(index).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(to_numpy(correlation), 1.0, atol=1e-6)
    for value, right, tolerance in (
        (correlations, expected_correlations, rounding),
        (half.overlaps(pixels), full.overlaps(pixels), 1e-6),
        (half.energy(pixels), full.energy(pixels), 1e-6),
    ):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        np.testing.assert_allclose(to_numpy(value), to_numpy(right), rtol=tolerance, atol=tolerance)
    inputs = keras.Input((784,))
    outputs = half(inputs, return_correlations=True)
    assert [output.dtype for output in outputs] == [dtype, "float32"]


class Notebook(keras.layers.Layer):
    """A layer that holds memories, and learns the states it is shown."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.memories = self.add_weight(shape=(3, 4), initializer="ones", trainable=False)
        self.built = True

    def call(self, state, training=None):
        if training:
            self.memories.assign(self.memories + ops.sum(state))
        return state


def test_patterns_of_a_layer_that_learns():
    notebook = Notebook()
    layer = CDAMRecall(notebook)
    state = np.ones((1, 4), "float32")
    np.testing.assert_allclose(to_numpy(layer(state)), 1.0, atol=1e-5)
    layer(state, training=True)
    assert layer.patterns is notebook.memories
    np.testing.assert_allclose(to_numpy(notebook.memories), 5.0)


def test_patterns_by_an_initialiser_are_trained():
    layer = CDAMRecall((7, 5), train_patterns=True)
    patterns = to_numpy(layer.patterns)
    assert patterns.shape == (7, 5)
    assert 0 <= patterns.min() < patterns.max() <= 1
    assert len(layer.trainable_weights) == 1


P = np.ones((4, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CDAMRecall(np.ones(3)), "patterns"),
        (lambda: CDAMRecall(np.array([[1.0, np.nan]])), "NaN"),
        (lambda: CDAMRecall(np.array([[1.0, 1e5]]), dtype="float16"), "float16.*100000"),
        (lambda: CDAMRecall([["a", "b"]]), "patterns"),
        (lambda: CDAMRecall(keras.layers.Dense(2)), "memories"),
        (lambda: CDAMRecall(P, beta=0), "beta"),
        (lambda: CDAMRecall(P, eta=-1.0), "eta"),
        (lambda: CDAMRecall(P, a=np.nan), "`a`"),
        (lambda: CDAMRecall(P, num_steps=1.5), "num_steps"),
        (lambda: CDAMRecall(P, tolerance=0.0), "tolerance"),
        (lambda: CDAMRecall(P, h=1.0), "graph"),
        (lambda: CDAMRecall(P, train_h=True), "graph"),
        (lambda: CDAMRecall(P, nx.cycle_graph(5)), "5 nodes and 4 memories"),
        (lambda: CDAMRecall(P, -np.eye(4)), "negative"),
        (lambda: CDAMRecall(P, np.nan * np.eye(4)), "NaN"),
        (lambda: CDAMRecall(P, np.ones((4, 3))), "square"),
        (lambda: CDAMRecall(P, "cycle"), "NetworkX"),
        (lambda: CDAMRecall(P, ([0, 4], [1, 1], [1.0, 1.0])), "from 0 to 3"),
        (lambda: CDAMRecall(P, ([0], [1, 1], [1.0, 1.0])), "one length"),
        (lambda: CDAMRecall(P, ([0.5], [1.0], [1.0])), "integers"),
        (lambda: CDAMRecall(P)(np.ones((2, 4))), r"\(batch, 3\)"),
        (lambda: CDAMRecall(P)(np.full((2, 3), np.nan)), "NaN"),
        (lambda: CDAMRecall(P).closest(np.full((2, 3), np.inf)), "infinite"),
        (lambda: CDAMRecall(P)(np.ones((2, 3)), a=np.ones(3)), "`a`"),
        (lambda: CDAMRecall(P)(np.ones((2, 3)), h=0.5), "graph"),
        (lambda: CDAMRecall(P)(np.ones((2, 3)), num_steps=np.array([1, 2])), "num_steps"),
        (lambda: CDAMRecall(P, P[:3].T @ P[:3])(np.ones((2, 3))), "nodes"),
        (lambda: CDAMRecall(P).energy(np.ones((2, 3)), a=np.ones((2, 2))), "each step"),
    ],
)
def test_bad_input_raises(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SHARDED = """
import keras, numpy as np, jax
from keras.distribution import DeviceMesh, LayoutMap, ModelParallel
from keras_kuramoto.layers.cdam_recall import CDAMRecall
rng = np.random.default_rng(0)
patterns, state = rng.random((64, 24), dtype="float32"), rng.random((3, 24), dtype="float32")
index = np.arange(64)
cycle = (index, (index + 1) % 64, np.ones(64))
single = CDAMRecall(patterns, cycle, a=0.5, h=0.5, num_steps=3, block_size=64)(state)
mesh = DeviceMesh((4,), ("memories",))
layout = LayoutMap(mesh)
layout[".*patterns"] = ("memories", None)
with ModelParallel(layout_map=layout, batch_dim_name="memories").scope():
    layer = CDAMRecall(patterns, cycle, a=0.5, h=0.5, num_steps=3, block_size=64)
    values = [v.value for v in layer.non_trainable_variables]
    shapes = {shard.data.shape for shard in layer.patterns.value.addressable_shards}
    run = jax.jit(lambda values, state: layer.stateless_call([], values, state)[0])
    split = run(values, state)
    text = run.lower(values, state).compile().as_text()
assert shapes == {(16, 24)}, shapes
assert np.abs(np.asarray(single) - np.asarray(split)).max() < 1e-5
assert "all-reduce" in text
assert "f32[64,24]" not in text, "the patterns were gathered on one device"
print("fine")
"""


@pytest.mark.skipif(BACKEND != "jax", reason="Keras distributes weights over devices on JAX")
def test_patterns_split_over_devices():
    done = run_python("-c", SHARDED, XLA_FLAGS="--xla_force_host_platform_device_count=4")
    assert "fine" in done.stdout, done.stderr
