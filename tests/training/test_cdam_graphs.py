"""Graphs that users bring in files, and their order."""

import json

import networkx as nx
import numpy as np
import pytest

from keras_kuramoto.ops import memory_graph
from training.__main__ import main
from training.cdam.graphs import in_order, read_graph

GML = """graph [
  node [ id 3{} ]
  node [ id 5{} ]
  node [ id 4 label "x" ]
  edge [ source 3 target 5 weight 2.5 ]
  edge [ source 5 target 4 ]
]"""


@pytest.fixture
def read(tmp_path):
    def read(name, text):
        (tmp_path / name).write_text(text)
        return read_graph(tmp_path / name)

    return read


@pytest.mark.parametrize("name", ["links", "edges"])
def test_node_link_data_of_all_versions_of_networkx(read, name):
    given = nx.path_graph(3)
    given.edges[0, 1]["weight"] = 2.5
    graph = read("graph.json", json.dumps(nx.node_link_data(given, edges=name)))
    assert list(graph.edges(data=True)) == [(0, 1, {"weight": 2.5}), (1, 2, {})]


def test_gml_nodes_are_named_by_their_labels_or_else_by_their_ids(read):
    graph = read("graph.gml", GML.format(' label "z"', ' label "y"'))
    assert list(graph.edges(data="weight")) == [("z", "y", 2.5), ("y", "x", None)]
    graph = read("graph.gml", GML.format("", ""))
    assert list(graph.edges(data="weight")) == [(3, 5, 2.5), (5, 4, None)]


def test_parallel_edges_of_graphml_add_up(read, tmp_path):
    given = nx.MultiGraph([("a", "b")] * 3 + [("b", "c")])
    nx.write_graphml(given, tmp_path / "graph.graphml")
    graph = in_order(read_graph(tmp_path / "graph.graphml"))
    np.testing.assert_array_equal(memory_graph(graph, normalize=False).matrix(), [[0, 3, 0], [3, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    "text",
    [
        "1 2\n2 3 4.5\n",
        "1,2\n2,3,4.5",
        "# a graph\n\n1, 2\n2 , 3,4.5 # the last edge",
        "1;2\n2;3;4.5",
        "1\t2\n2\t3\t4.5",
        "1 2 {}\n2 3 {'weight': 4.5}",
        "1,2\n2,3,{'weight': 4.5}",
    ],
)
def test_edge_lists_in_all_separators(read, text):
    graph = read("graph.txt", text)
    assert list(graph.edges(data="weight", default=1.0)) == [("1", "2", 1.0), ("2", "3", 4.5)]


def test_names_in_edge_lists_may_have_blanks(read):
    assert list(read("graph.csv", "New York,Los Angeles\n").edges) == [("New York", "Los Angeles")]


def test_nodes_come_in_the_order_of_the_memories():
    graph = nx.MultiGraph()
    graph.add_node(2, group="left")
    graph.add_edge(1, 0, weight=3.0)
    graph.add_edge(1, 0)
    ordered = in_order(graph)
    assert list(ordered) == [0, 1, 2]
    assert ordered.nodes[2]["group"] == "left"
    np.testing.assert_array_equal(
        memory_graph(ordered, normalize=False).matrix(), memory_graph(graph, normalize=False).matrix()
    )
    assert ordered.number_of_edges() == 2
    assert list(in_order(nx.DiGraph([("b", 1), (1, "a")]))) == ["b", 1, "a"]


def test_numbers_and_names_together(tmp_path):
    graph = nx.Graph([(1, "a"), ("a", "b"), ("b", 2)])
    (tmp_path / "graph.json").write_text(json.dumps(nx.node_link_data(graph, edges="edges")))
    options = ["--draws", "1", "--neurons", "50", "--steps", "3", "--a", "-0.5", "--h", "1.5"]
    command = ["cdam", "communities", "--graph", str(tmp_path / "graph.json"), "--out", str(tmp_path / "x"), *options]
    assert main(command) == 0
    (row,) = json.loads((tmp_path / "x/results.json").read_text())["strengths"]
    assert sorted(node for side in row["split"] for node in side) == ["1", "2", "a", "b"]


def with_weight(weight):
    return json.dumps(nx.node_link_data(nx.Graph([("a", "b"), ("b", "c", {"weight": weight})]), edges="edges"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.json", with_weight("heavy"), "edge from 'b' to 'c' has 'heavy'"),
        ("g.json", with_weight(-1.5), "edge from 'b' to 'c' has -1.5"),
        ("g.json", with_weight([1, 2]), "edge from 'b' to 'c' has [1, 2]"),
        ("g.json", with_weight(None), "edge from 'b' to 'c' has None"),
        ("g.txt", "a b\nb c -1.5", "edge from 'b' to 'c' has -1.5"),
        ("g.txt", "a b\nb c heavy", "line 2 is no edge"),
        ("g.txt", "a b\nb c 1 2", "line 2 is no edge"),
        ("g.txt", "a,b\n,c", "line 2 is no edge"),
        ("g.txt", "a b\nb", "line 2 is no edge"),
        ("g.txt", "a b {'weight': }", "line 1 is no edge"),
        ("g.json", "[]", "no graph"),
        ("g.json", '{"nodes": ["a"], "edges": []}', "no graph"),
        ("g.json", "{", "no graph"),
        ("g.gml", "graph [", "no graph"),
        ("g.gml", "graph [ ]", "without nodes"),
        ("g.graphml", "<graphml", "no graph"),
        ("g.txt", "# nothing", "without nodes"),
        ("g.txt", "a b", "at least three nodes"),
    ],
)
def test_bad_graphs_are_one_line_and_exit_code_2(name, text, message, tmp_path, capsys):
    (tmp_path / name).write_text(text)
    command = ["cdam", "communities", "--graph", str(tmp_path / name), "--out", str(tmp_path / "x")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(tmp_path / name) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()
