"""Sums over pairs of oscillators, against their definitions written out with one-hot matrices of the edges' ends."""

import numpy as np
import pytest
from backend_helpers import BACKEND, evaluate, float64_enabled, value_and_gradients
from keras import ops

from keras_kuramoto import potentials
from keras_kuramoto.ops.pairs import AllPairs, EdgePairs

NODES = 7
EDGES = [[0, 1], [3, 1], [2, 4], [0, 3], [6, 2], [4, 6]]  # node 5 has none
WAYS = ("edges", "matrix", "rows")
# JAX would compile every operation by itself otherwise.
IS_JAX = BACKEND == "jax"


@pytest.fixture(params=WAYS)
def graph(request):
    """The graph, with its sums along the edges, with whole matrices, or with two and three rows of one at a time."""
    graph = EdgePairs(EDGES, NODES, dense=request.param != "edges")
    if request.param == "rows":
        graph.small_entries, graph.block_entries = 0, 21
    return graph


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def adjacency(weights, edges=EDGES, nodes=NODES):
    """The symmetric matrices of weights (..., edges)."""
    matrix = np.zeros((*weights.shape[:-1], nodes, nodes))
    i, j = np.transpose(edges)
    matrix[..., i, j] = matrix[..., j, i] = weights
    return matrix


def energy(mu, linear, nonlinear, potential, edges=EDGES):
    """Σ a s + b φ(s) by `take` alone."""
    i, j = np.transpose(edges)
    s = ops.sum(ops.take(mu, i, axis=1) * ops.take(mu, j, axis=1), axis=-1)
    return ops.sum(linear * s + nonlinear * potential(s))


def coupling(mu, linear, nonlinear, potential, edges=EDGES, nodes=NODES):
    """The interaction by its definition, without a kernel of its own."""
    ends = [ops.convert_to_tensor(np.eye(nodes)[end], dtype=mu.dtype) for end in np.transpose(edges)]
    first, second = (ops.einsum("en,bnd->bed", end, mu) for end in ends)
    p = (linear + nonlinear * potential.derivative(ops.sum(first * second, axis=-1)))[..., None]
    return ops.einsum("en,bed->bnd", ends[0], p * second) + ops.einsum("en,bed->bnd", ends[1], p * first)


def test_sums_are_their_definitions(graph, rng):
    u, v = rng.standard_normal((2, 3, NODES, 4))
    weights = rng.standard_normal((3, len(EDGES)))
    i, j = np.transpose(EDGES)

    def run(u, v, weights):
        return (
            graph.products(u),
            graph.products(u, v),
            graph.matrix(weights),
            graph.neighbour_sum(weights, v),
            graph.neighbour_sum(weights[0], v),
        )

    with float64_enabled():
        results = evaluate(run, u, v, weights)
    wanted = (
        (u[:, i] * u[:, j]).sum(-1),
        (u[:, i] * v[:, j] + v[:, i] * u[:, j]).sum(-1),
        adjacency(weights),
        adjacency(weights) @ v,
        adjacency(weights[0]) @ v,
    )
    for result, expected in zip(results, wanted):
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, expected, atol=1e-14)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_interaction_and_its_gradient_are_those_of_the_definition(graph, name, rng):
    mu, upstream = rng.standard_normal((2, 3, NODES, 4))
    weights = rng.standard_normal((2, len(EDGES)))
    potential = potentials.get(name)

    def by_kernel(mu, linear, nonlinear, upstream):
        result = graph.interaction(mu, graph.loop_weights(linear), graph.loop_weights(nonlinear), potential)
        return ops.sum(result * upstream)

    def by_definition(mu, linear, nonlinear, upstream):
        return ops.sum(coupling(mu, linear, nonlinear, potential) * upstream)

    with float64_enabled():
        value, gradients = value_and_gradients(by_kernel, mu, *weights, upstream, compiled=True)
        expected, wanted = value_and_gradients(by_definition, mu, *weights, upstream, compiled=IS_JAX)
    assert value == pytest.approx(expected, rel=1e-12)
    for gradient, want in zip(gradients, wanted):
        assert gradient.dtype == np.float64
        np.testing.assert_allclose(gradient, want, atol=1e-12)


def test_interaction_is_the_slope_of_the_energy_and_its_gradient_equals_finite_differences(graph, rng):
    mu, upstream, direction = rng.standard_normal((3, 2, NODES, 3))
    weights, weights_direction = rng.standard_normal((2, 2, len(EDGES)))
    potential = potentials.get("tanh")

    def projected(mu, linear, nonlinear):
        result = graph.interaction(mu, graph.loop_weights(linear), graph.loop_weights(nonlinear), potential)
        return ops.sum(result * ops.convert_to_tensor(upstream))

    def along(function, directions):
        """The central difference along some directions."""
        changes = [np.zeros_like(mu), *np.zeros_like(weights)]
        changes[: len(directions)] = directions
        values = [
            evaluate(function, *(x + step * change for x, change in zip((mu, *weights), changes)))
            for step in (1e-5, -1e-5)
        ]
        return (values[0] - values[1]) / 2e-5

    with float64_enabled():
        value, gradients = value_and_gradients(projected, mu, *weights, compiled=IS_JAX)
        # Σ upstream · interaction is the derivative of the energy along `upstream`.
        assert value == pytest.approx(along(lambda *x: energy(*x, potential), [upstream]), rel=1e-7)
        difference = along(projected, [direction, *weights_direction])
    slope = sum((gradient * d).sum() for gradient, d in zip(gradients, (direction, *weights_direction)))
    assert slope == pytest.approx(difference, rel=1e-7)


def test_a_graph_is_all_pairs_with_zero_weights_at_the_others(graph, rng):
    mu = rng.standard_normal((2, NODES, 3))
    weights = rng.standard_normal((2, len(EDGES)))
    every = AllPairs(NODES)
    everywhere = adjacency(weights)[:, *every.edges.T]
    potential = potentials.get("relu")

    def run(mu, weights, everywhere):
        return [
            chosen.interaction(mu, chosen.loop_weights(values[0]), chosen.loop_weights(values[1]), potential)
            for chosen, values in ((graph, weights), (every, everywhere))
        ]

    with float64_enabled():
        result, expected = evaluate(run, mu, weights, everywhere)
    np.testing.assert_allclose(result, expected, atol=1e-13)


def test_a_function_of_the_users_own_is_differentiated(graph, rng):
    mu = rng.standard_normal((2, NODES, 3))
    weights = rng.standard_normal((2, len(EDGES)))

    def squared(potential):
        def run(mu, linear, nonlinear):
            result = graph.interaction(mu, graph.loop_weights(linear), graph.loop_weights(nonlinear), potential)
            return ops.sum(result * result)

        return run

    with float64_enabled():
        value, gradients = value_and_gradients(
            squared(potentials.get(lambda s: s * s * s)), mu, *weights, compiled=IS_JAX
        )

        class Cubic(potentials.SeparablePotential):
            def derivative(self, products):
                return 3.0 * products * products

            def second_derivative(self, products):
                return 6.0 * products

        expected, wanted = value_and_gradients(squared(Cubic()), mu, *weights, compiled=IS_JAX)
    assert value == pytest.approx(expected, rel=1e-12)
    for gradient, want in zip(gradients, wanted):
        np.testing.assert_allclose(gradient, want, rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has graphs with an unknown batch size")
def test_unknown_batch_size(graph, rng):
    import tensorflow as tf

    mu = rng.standard_normal((3, NODES, 3))
    weights = rng.standard_normal((2, len(EDGES)))
    potential = potentials.get("relu")

    @tf.function(input_signature=[tf.TensorSpec((None, NODES, 3), tf.float64)])
    def run(mu):
        linear, nonlinear = (graph.loop_weights(tf.constant(value)) for value in weights)
        with tf.GradientTape() as tape:
            tape.watch(mu)
            result = graph.interaction(mu, linear, nonlinear, potential)
        return result, tape.gradient(result, mu), graph.neighbour_sum(graph.products(mu), mu)

    expected = coupling(*map(tf.constant, (mu, *weights)), potential)
    result, gradient, total = run(tf.constant(mu))
    assert gradient.shape == total.shape == mu.shape
    np.testing.assert_allclose(result, expected, atol=1e-13)


def test_pairs_choose_matrices_where_the_graph_has_many_edges():
    ring = [[i, (i + 1) % 100] for i in range(100)]
    assert not EdgePairs(ring, 100).dense
    assert EdgePairs(ring[:9], 10).dense
    assert AllPairs(100).dense


def test_a_graph_without_edges_has_no_interaction(rng):
    graph = EdgePairs([], 3)
    mu = rng.standard_normal((2, 3, 4)).astype("float32")
    none = np.zeros((0,), "float32")
    potential = potentials.get("relu")
    result = evaluate(
        lambda mu, w: graph.interaction(mu, graph.loop_weights(w), graph.loop_weights(w), potential), mu, none
    )
    np.testing.assert_array_equal(result, np.zeros_like(mu))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1], [2, 1], [1, 0]], r"once\. Received \[0, 1\] more than once|once\. Received \[1, 0\] more than once"),
        ([[0, 1], [2, 2]], r"two different nodes\. Received \[2, 2\]"),
        ([[0, 4]], "from 0 to 3. Received nodes from 0 to 4"),
        ([[-1, 2]], "from 0 to 3. Received nodes from -1 to 2"),
        ([[0, 1, 2]], r"Received int64 of the shape \(1, 3\)"),
        ([[0.0, 1.0]], "must be integers"),
    ],
)
def test_edges_that_are_none_raise(edges, message):
    with pytest.raises(ValueError, match=message):
        EdgePairs(edges, 4)


@pytest.mark.parametrize("num_nodes", [0, 2.0, True, None])
def test_number_of_nodes_must_be_a_positive_integer(num_nodes):
    with pytest.raises(ValueError, match="`num_nodes` must be a positive integer"):
        AllPairs(num_nodes)
