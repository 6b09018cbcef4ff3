"""The edges of an undirected graph, from whatever a user has."""

import numpy as np


def node_order(graph):
    """The nodes of a NetworkX graph in the order in which the library counts them: node i of the list is unit i.

    That is the graph's own order, in which the nodes were added, as in `networkx.to_numpy_array`. Only where the nodes
    are the integers from 0 to n - 1 it is theirs, so that node i is unit i however the graph was put together.

    Args:
        graph: The graph.

    Returns:
        List of the nodes.
    """
    nodes = list(graph.nodes)
    return sorted(nodes) if set(nodes) == set(range(len(nodes))) else nodes


class Edges:
    """Pairs of nodes, and the number of nodes where it is known.

    Args:
        graph: A `networkx.Graph`; integers `(edges, 2)`; or the configuration that `config` gives. The nodes of a
            graph count from 0 in the order of `node_order`, and the edges keep the graph's order. A list of edges
            leaves the number of nodes open.

    Attributes:
        pairs: NumPy int64 array `(edges, 2)`.
        num_nodes: N, or `None`.

    Raises:
        ValueError: If the graph is directed or has parallel edges, or is none of these.
    """

    def __init__(self, graph):
        self.num_nodes = None
        if isinstance(graph, Edges):
            self.pairs, self.num_nodes = graph.pairs, graph.num_nodes
            return
        if isinstance(graph, dict) and set(graph) == {"edges", "num_nodes"}:
            self.num_nodes = graph["num_nodes"]
            graph = graph["edges"]
        # What NetworkX's graphs have, so that it need not be imported.
        elif hasattr(graph, "is_directed") and hasattr(graph, "nodes"):
            if graph.is_directed() or graph.is_multigraph():
                raise ValueError(
                    f"`graph` must be undirected and without parallel edges. Received a {type(graph).__name__}."
                )
            index = {node: position for position, node in enumerate(node_order(graph))}
            self.num_nodes = len(index)
            graph = [[index[i], index[j]] for i, j in graph.edges]
        try:
            pairs = np.asarray(graph)
        except ValueError as error:
            raise ValueError(f"`graph` must be a graph or a list of pairs of nodes. Received {graph!r}.") from error
        if pairs.size == 0:
            pairs = np.zeros((0, 2), "int64")
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(
                "`graph` must be a NetworkX graph or integers of shape (edges, 2). Received "
                f"{type(graph).__name__} of shape {pairs.shape}."
            )
        self.pairs = pairs.astype("int64")

    def check(self, num_nodes):
        """Raises a `ValueError` unless the graph has this number of nodes, or may have it."""
        if self.num_nodes not in (None, num_nodes):
            raise ValueError(f"`graph` has {self.num_nodes} nodes, but the state has {num_nodes} oscillators.")
        if self.pairs.size and (self.pairs.min() < 0 or self.pairs.max() >= num_nodes):
            raise ValueError(
                f"`graph` has edges between nodes from {self.pairs.min()} to {self.pairs.max()}, but the state has "
                f"{num_nodes} oscillators."
            )

    def config(self):
        """What `Edges` makes the same edges of, as lists and numbers."""
        return {"edges": self.pairs.tolist(), "num_nodes": self.num_nodes}
