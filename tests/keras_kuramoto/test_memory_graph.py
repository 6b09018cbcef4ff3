"""Graphs of memories: all the kinds in which one can be given, the order of the nodes, and weights that are none."""

import json

import networkx as nx
import numpy as np
import pytest
from backend_helpers import DATA, to_numpy

from keras_kuramoto.layers.cdam_recall import CDAMRecall
from keras_kuramoto.ops.memory_graph import MemoryGraph, memory_graph


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("cdam_*.npz")))
def test_normalised_matrix_of_the_authors_code(name):
    arrays = np.load(DATA / f"{name}.npz")
    np.testing.assert_allclose(memory_graph(arrays["adjacency"]).matrix(), arrays["M"], atol=1e-7)


def graphs():
    """The same weighted multigraph in all kinds in which it can be given: (given, adjacency matrix)."""
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(4))
    graph.add_edge(0, 1, weight=2.0)
    graph.add_edge(0, 1)
    graph.add_edge(2, 1)
    graph.add_edge(2, 2, weight=0.5)
    directed = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "c")])
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1.0]])
    scipy_like = type("COO", (), {"tocoo": lambda self: self, "shape": (3, 3)})()
    scipy_like.row, scipy_like.col, scipy_like.data = np.nonzero(chain)[0], np.nonzero(chain)[1], np.ones(3)
    matrix = np.array([[0, 3, 0, 0], [3, 0, 1, 0], [0, 1, 0.5, 0], [0, 0, 0, 0]])
    return {
        "multigraph": (graph, matrix),
        "matrix": (matrix, matrix),
        "directed": (directed, chain),
        "scipy": (scipy_like, chain),
        "entries": ((np.array([0, 1, 2, 2]), np.array([1, 2, 2, 2]), np.array([1, 1, 0.25, 0.75])), chain),
    }


@pytest.mark.parametrize("kind", list(graphs()))
def test_kinds_of_graphs(kind):
    graph, adjacency = graphs()[kind]
    result = memory_graph(graph, num_nodes=len(adjacency))
    degrees = adjacency.sum(axis=1)
    factors = np.where(degrees > 0, degrees, 1.0) ** -0.5
    np.testing.assert_allclose(result.matrix(), factors[:, None] * adjacency * factors, rtol=1e-12)
    assert result.directed is (kind not in ("multigraph", "matrix"))
    np.testing.assert_array_equal(memory_graph(graph, len(adjacency), normalize=False).matrix(), adjacency)
    assert memory_graph(result) is result
    config = json.loads(json.dumps(result.get_config()))
    for copy in (MemoryGraph.from_config(config), memory_graph(config)):
        np.testing.assert_array_equal(copy.matrix(), result.matrix())
        assert copy.directed == result.directed


def test_nodes_of_networkx_count_in_the_order_in_which_they_were_added():
    graph = nx.DiGraph([("c", "a"), ("a", 1)])
    np.testing.assert_array_equal(memory_graph(graph, normalize=False).matrix(), nx.to_numpy_array(graph))
    ordered = memory_graph(graph, nodes=["a", 1, "c"], normalize=False).matrix()
    np.testing.assert_array_equal(ordered, nx.to_numpy_array(graph, nodelist=["a", 1, "c"]))


def test_nodes_from_0_on_are_their_own_numbers():
    graph = nx.Graph()
    graph.add_nodes_from([2, 0, 1])
    graph.add_edge(0, 1)
    np.testing.assert_array_equal(memory_graph(graph).matrix(), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    # So unit 0 recalls unit 1, and unit 2 nothing.
    layer = CDAMRecall(np.eye(3), graph, a=0.0, h=1.0, beta=50.0, eta=1.0, num_steps=1, mean_scale=0.0)
    np.testing.assert_allclose(to_numpy(layer(np.eye(3))), [[0, 1, 0], [1, 0, 0], [0, 0, 0]], atol=1e-6)
    # From 1 on they are names like others.
    shifted = nx.relabel_nodes(graph, {0: 1, 1: 2, 2: 3})
    np.testing.assert_array_equal(memory_graph(shifted).matrix(), nx.to_numpy_array(shifted))


def weighted(weight):
    graph = nx.Graph([("a", "b"), ("b", "c")])
    graph.edges["b", "c"]["weight"] = weight
    return graph


@pytest.mark.parametrize("weight", [2, 2.5, True, np.float32(0.5), np.array(3.0), 0])
def test_weights_are_real_numbers_of_any_kind(weight):
    assert memory_graph(weighted(weight), normalize=False).matrix()[1, 2] == float(weight)


@pytest.mark.parametrize(
    "weight", ["heavy", "2.5", -1, np.nan, np.inf, 1 + 2j, np.complex64(1), [1, 2], [1, [2]], None]
)
def test_an_error_names_the_edge_whose_weight_is_none(weight):
    with pytest.raises(ValueError, match=r"real numbers that are.*The edge from 'b' to 'c' has") as error:
        memory_graph(weighted(weight))
    assert repr(weight) in str(error.value)


def coo(rows, columns, data):
    """What `scipy.sparse` hands over."""
    matrix = type("COO", (), {"tocoo": lambda self: self, "shape": (3, 3)})()
    matrix.row, matrix.col, matrix.data = np.array(rows), np.array(columns), np.array(data)
    return matrix


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (([0], [1], [1j]), "real numbers. Received complex128"),
        (coo([0], [1], [1 + 1j]), "real numbers. Received complex128"),
        (np.eye(3) * 1j, "real numbers"),
        (([0], [1], ["heavy"]), "real numbers"),
        (([0], [1], [[1.0, 2.0]]), "one length"),
        (([0, 1], [1, 2], [[1.0], [1.0, 2.0]]), "arrays of numbers"),
        ((0, 1, 1.0), "one length"),
        ([[0, 1], [1]], "arrays of numbers"),
        (([0, 1], [1, 2], [1.0, -2.0]), r"edge from 1 to 2 has -2\.0"),
        (coo([0, 2], [1, 0], [1.0, np.inf]), "edge from 2 to 0 has inf"),
        (np.array([[0, np.nan, 0]] * 3), "edge from 0 to 1 has nan"),
        (([0], [3], [1.0]), "from 0 to 2"),
    ],
)
def test_matrices_and_entries_that_are_no_weights(graph, message):
    with pytest.raises(ValueError, match=message):
        memory_graph(graph, num_nodes=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: memory_graph(([0], [1], [1.0])), "num_nodes"),
        (lambda: memory_graph(np.eye(2), nodes=[0, 1]), "nodes"),
        (lambda: memory_graph(nx.path_graph(3), nodes=[0, 1]), "nodes"),
    ],
)
def test_arguments_that_do_not_fit_the_graph(make, message):
    with pytest.raises(ValueError, match=message):
        make()
