"""Graphs of memories, as the edges of their normalised adjacency matrix."""

import dataclasses
import math

import numpy as np

from keras_kuramoto.ops._edges import node_order


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryGraph:
    """The nonzero entries of the matrix M that links memories: made by `memory_graph`.

    Attributes:
        num_nodes: p, the number of memories.
        sources: The memories μ that the edges leave, integers `(edges,)` in rising order.
        targets: The memories ν that they lead to, `(edges,)`.
        weights: M_μν, `(edges,)`.
        directed: Whether the graph has a direction, which says which energy is its own.

    Example:

    >>> graph = memory_graph(([0, 1], [1, 2], [1.0, 1.0]), num_nodes=3)
    >>> graph.num_nodes, len(graph.weights), graph.directed
    (3, 2, True)
    """

    num_nodes: int
    sources: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    directed: bool

    def matrix(self):
        """M as a full array, `(p, p)`.

        Example:

        >>> memory_graph(np.array([[0, 1], [1, 0]])).matrix()
        array([[0., 1.],
               [1., 0.]])
        """
        matrix = np.zeros((self.num_nodes, self.num_nodes))
        matrix[self.sources, self.targets] = self.weights
        return matrix

    def get_config(self):
        """The graph in lists, for configurations."""
        return {
            "num_nodes": self.num_nodes,
            "sources": self.sources.tolist(),
            "targets": self.targets.tolist(),
            "weights": self.weights.tolist(),
            "directed": self.directed,
        }

    @classmethod
    def from_config(cls, config):
        """The graph of a configuration."""
        arrays = {"sources": "int64", "targets": "int64", "weights": "float64"}
        return cls(**{**config, **{name: np.array(config[name], dtype) for name, dtype in arrays.items()}})


def memory_graph(graph, num_nodes=None, nodes=None, normalize=True):
    """The matrix M = D^(-1/2) A D^(-1/2) of a graph of memories, with no more than its nonzero entries in memory.

    A_μν is the weight of the edge from μ to ν; parallel edges add up, and a self-loop counts once. D holds the sums of
    A's rows, so for a directed graph the out-degrees on both sides. A memory without outgoing edges has the factor 1 in
    place of 1/√0. So edges into it keep their weight, and an isolated memory has a row and a column of zeros: it
    recalls itself for its share a of auto-association, and nothing for its share h.

    Args:
        graph: A NetworkX graph (directed or not, multigraph, with the edge attribute `weight` or without, with
            self-loops); an adjacency matrix `(p, p)`, NumPy or `scipy.sparse`; a tuple `(rows, columns, weights)` of
            the matrix's nonzero entries, where entries of the same place add up; or a `MemoryGraph`, which is returned
            as it is, or its configuration. A matrix is that of an undirected graph if it is symmetric.
        num_nodes: p. Needed for a tuple; elsewhere it is checked.
        nodes: The nodes of a NetworkX graph in the order of the memories. By default node i is memory i where the nodes
            are the integers from 0 to p - 1. Other nodes count in the order of `graph.nodes`, that in which they were
            added, as in `networkx.to_numpy_array`.
        normalize: `False` takes M = A.

    Returns:
        `MemoryGraph`.

    Raises:
        ValueError: If the graph is none of these, a weight is no real number, negative or not finite, the matrix is not
            square, a node does not exist, or the number of nodes is not `num_nodes`.

    Example:

    >>> graph = memory_graph(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]]))
    >>> [round(float(x), 4) for x in graph.weights]
    [0.7071, 0.7071, 0.7071, 0.7071]

    Reference: Burns, Semantically-correlated memories in a dense associative model, ICML 2024, Sec. 2.1.
    """
    if isinstance(graph, dict) and set(graph) == {field.name for field in dataclasses.fields(MemoryGraph)}:
        graph = MemoryGraph.from_config(graph)
    if isinstance(graph, MemoryGraph):
        return _checked_size(graph, num_nodes)
    if hasattr(graph, "is_directed") and hasattr(graph, "nodes"):
        size, sources, targets, weights = _networkx_edges(graph, nodes)
        directed = bool(graph.is_directed())
    else:
        if nodes is not None:
            raise ValueError("`nodes` orders the nodes of a NetworkX graph. Received it with another kind of graph.")
        size, sources, targets, weights = _matrix_edges(graph, num_nodes)
        directed = None
    sources, targets, weights = _merged(size, sources, targets, weights)
    if directed is None:
        there, back = _merged(size, sources, targets, weights), _merged(size, targets, sources, weights)
        directed = not all(np.array_equal(x, y) for x, y in zip(there, back))
    if normalize:
        degrees = np.bincount(sources, weights, minlength=size)
        factors = np.where(degrees > 0, degrees, 1.0) ** -0.5
        weights = factors[sources] * weights * factors[targets]
    return _checked_size(MemoryGraph(size, sources, targets, weights, directed), num_nodes)


def _checked_size(graph, num_nodes):
    if num_nodes is not None and graph.num_nodes != num_nodes:
        raise ValueError(
            f"The graph must have one node for each memory. Received {graph.num_nodes} nodes and {num_nodes} memories."
        )
    return graph


def _networkx_edges(graph, nodes):
    nodes = node_order(graph) if nodes is None else list(nodes)
    index = {node: i for i, node in enumerate(nodes)}
    if len(index) != len(nodes) or set(index) != set(graph.nodes):
        raise ValueError("`nodes` must name each node of the graph once.")
    edges = list(graph.edges(data="weight", default=1.0))
    sources = np.array([index[source] for source, _, _ in edges], dtype="int64")
    targets = np.array([index[target] for _, target, _ in edges], dtype="int64")
    weights = np.array([_real_number(weight) for _, _, weight in edges], dtype="float64")
    _check_weights(weights, lambda i: edges[i])
    if not graph.is_directed():
        other_way = sources != targets
        sources, targets, weights = (
            np.concatenate([sources, targets[other_way]]),
            np.concatenate([targets, sources[other_way]]),
            np.concatenate([weights, weights[other_way]]),
        )
    return len(nodes), sources, targets, weights


def _matrix_edges(graph, num_nodes):
    if hasattr(graph, "tocoo"):
        graph = graph.tocoo()
        shape, entries = graph.shape, (graph.row, graph.col, graph.data)
    elif isinstance(graph, tuple):
        if len(graph) != 3 or num_nodes is None:
            raise ValueError(
                "The entries of a matrix are given as `(rows, columns, weights)`, together with `num_nodes`. "
                f"Received {len(graph)} arrays and num_nodes={num_nodes}."
            )
        shape, entries = (num_nodes, num_nodes), graph
    else:
        matrix = _array(graph)
        if matrix.dtype.kind not in "biuf" or matrix.ndim != 2:
            raise ValueError(
                "`graph` must be a NetworkX graph, an adjacency matrix (p, p) of real numbers, or a tuple (rows, "
                f"columns, weights). Received {graph!r}."
            )
        shape, rows_and_columns = matrix.shape, np.nonzero(matrix)
        entries = (*rows_and_columns, matrix[rows_and_columns])
    if shape[0] != shape[1]:
        raise ValueError(
            f"An adjacency matrix must be square. Received the shape {tuple(shape)}. For a list of edges pass "
            "`networkx.DiGraph(edges)` or `networkx.Graph(edges)`."
        )
    sources, targets, weights = (_array(entry) for entry in entries)
    if weights.ndim != 1 or not sources.shape == targets.shape == weights.shape:
        raise ValueError(
            "Rows, columns and weights must be vectors of one length. "
            f"Received the shapes {sources.shape}, {targets.shape} and {weights.shape}."
        )
    if len(weights):
        if sources.dtype.kind not in "iu" or targets.dtype.kind not in "iu":
            raise ValueError(f"Rows and columns must be integers. Received {sources.dtype} and {targets.dtype}.")
        if min(sources.min(), targets.min()) < 0 or max(sources.max(), targets.max()) >= shape[0]:
            raise ValueError(f"Rows and columns must be from 0 to {shape[0] - 1}. Received others.")
        if weights.dtype.kind not in "biuf":
            raise ValueError(f"The weights of a memory graph must be real numbers. Received {weights.dtype}.")
    weights = weights.astype("float64")
    _check_weights(weights, lambda i: (int(sources[i]), int(targets[i]), float(weights[i])))
    return shape[0], sources.astype("int64"), targets.astype("int64"), weights


def _array(value):
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"A graph's matrix and its entries must be arrays of numbers. Received {value!r}.") from error


def _real_number(value):
    """The float that a weight is. NaN if it is text, a list, complex, or another thing."""
    try:
        array = np.asarray(value)
        return float(value) if array.ndim == 0 and array.dtype.kind not in "cSU" else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _check_weights(weights, edge):
    """Raises a `ValueError` that names the first edge with a bad weight: `edge(i)` is its source, target and weight."""
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        source, target, weight = edge(wrong[0])
        raise ValueError(
            "The weights of a memory graph must be real numbers that are neither negative, infinite nor NaN. "
            f"The edge from {source!r} to {target!r} has {weight!r}."
        )


def _merged(size, sources, targets, weights):
    """The entries sorted by source and then target, those of one place added up."""
    places, inverse = np.unique(sources * size + targets, return_inverse=True)
    return places // size, places % size, np.bincount(inverse, weights, minlength=len(places))
