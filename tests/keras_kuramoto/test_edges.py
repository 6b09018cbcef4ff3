"""The edges of graphs, and the order of their nodes."""

import networkx
import numpy as np
import pytest

from keras_kuramoto.layers import AdditiveCoupling, KuramotoMemory
from keras_kuramoto.ops._edges import Edges, node_order


def graph(nodes, edges):
    result = networkx.Graph()
    result.add_nodes_from(nodes)
    result.add_edges_from(edges)
    return result


@pytest.mark.parametrize(
    ("nodes", "order"),
    [
        ([2, 0, 1], [0, 1, 2]),
        ([np.int64(1), np.int64(0)], [0, 1]),
        ([3, 1, 2], [3, 1, 2]),
        (["b", "a"], ["b", "a"]),
        # Nodes that have no order of their own.
        (["a", 1, (0, 1)], ["a", 1, (0, 1)]),
        ([], []),
    ],
)
def test_nodes_are_in_the_graphs_order_unless_they_are_the_numbers(nodes, order):
    assert node_order(graph(nodes, [])) == order


def test_an_edge_joins_the_units_that_its_nodes_are():
    numbered = graph([2, 0, 1], [(0, 1)])
    assert Edges(numbered).pairs.tolist() == [[0, 1]]
    assert Edges(graph(["b", 7, "a"], [("b", "a")])).pairs.tolist() == [[0, 2]]
    memory = KuramotoMemory("linear", numbered)
    memory.build((None, 3, 2))
    assert memory.edges.tolist() == AdditiveCoupling(numbered).edges.tolist() == [[0, 1]]


def test_edges_survive_their_configuration():
    edges = Edges(graph("abc", [("a", "c")]))
    copy = Edges(edges.config())
    assert (copy.pairs.tolist(), copy.num_nodes) == ([[0, 2]], 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (networkx.DiGraph([(0, 1)]), "undirected"),
        (networkx.MultiGraph([(0, 1), (0, 1)]), "parallel"),
        ([[0, 1, 2]], "edges, 2"),
        ([[0.0, 1.0]], "edges, 2"),
        ([[0], [1, 2]], "pairs of nodes"),
    ],
)
def test_no_graph(wrong, message):
    with pytest.raises(ValueError, match=message):
        Edges(wrong)
