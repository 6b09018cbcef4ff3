"""Sums over pairs of oscillators: the interactions of a Kuramoto memory, over all pairs or the edges of a graph."""

import functools

import numpy as np
from keras import ops

from keras_kuramoto._backend.loop import bounded_loop

# With fewer of all pairs joined by an edge than this, sums along the edges are faster than matrix products. Measured on
# two CPU cores with TensorFlow's XLA, graphs of 1,094 nodes, 10 examples.
DENSE_FROM = 0.1


class EdgePairs:
    """The undirected edges of a graph, and sums over them.

    A weight for each edge makes a symmetric N × N matrix, zero where there is no edge. Where the graph has many edges,
    the sums are products with that matrix, else they run along the edges. `loop_weights` brings weights into the form
    that `weighted_sum` and `interaction` want, once for many calls.

    Args:
        edges: Integers `(edges, 2)`, each pair of nodes once, in either order.
        num_nodes: Number of nodes N.
        dense: Whether to compute with matrices; where `None`, if at least a tenth of all pairs are edges.

    Attributes:
        edges: NumPy int32 array `(edges, 2)`, as given.
        num_nodes: N.
        num_pairs: E, the number of edges.
        dense: Whether the sums are computed with matrices.
        block_entries: The most entries of a matrix that `interaction` works on at a time: so many that they stay in the
            processor's cache, with the four times as many that its gradient needs.
        small_entries: With matrices of no more entries than this, `interaction` works on all examples at a time.

    Raises:
        ValueError: If `num_nodes` is not a positive integer, or if `edges` has another shape, holds a node that does
            not exist, an edge from a node to itself, or one edge twice.

    Example:

    >>> triangle = EdgePairs([[0, 1], [1, 2], [0, 2]], num_nodes=3)
    >>> matrix = triangle.matrix(ops.array([1.0, 2.0, 3.0]))
    >>> ops.convert_to_numpy(matrix).tolist()
    [[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]
    """

    block_entries = 600_000
    small_entries = 65_536

    def __init__(self, edges, num_nodes, dense=None):
        _check_num_nodes(num_nodes)
        self.edges = _check_edges(np.asarray(edges), num_nodes)
        self.num_nodes = num_nodes
        self.num_pairs = len(self.edges)
        self.dense = 2 * self.num_pairs >= DENSE_FROM * num_nodes**2 if dense is None else dense

    def products(self, u, v=None):
        """uᵢ·uⱼ for each pair (i, j); with `v` the derivative of that along v, uᵢ·vⱼ + vᵢ·uⱼ.

        Args:
            u: Tensor `(batch, N, D)`.
            v: Tensor of the same shape, or `None`.

        Returns:
            Tensor `(batch, E)`.

        Example:

        >>> u = ops.array([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]])
        >>> [round(float(s), 3) for s in AllPairs(3).products(u)[0]]
        [0.0, 0.6, 0.8]
        """
        if not self.dense:
            return ops.transpose(self._edge_products(_nodes_first(u), None if v is None else _nodes_first(v)))
        first, second = (u, u) if v is None else _tangent(u, v)
        return self._entries(first @ ops.swapaxes(second, -1, -2))

    def matrix(self, weights):
        """The symmetric matrix with one weight for each pair, zero elsewhere.

        Args:
            weights: Tensor `(E,)` or `(batch, E)`.

        Returns:
            Tensor `(N, N)` or `(batch, N, N)`.
        """
        size = self.num_nodes
        i, j = self.edges.T
        leading = ops.shape(weights)[:-1]
        columns = ops.transpose(ops.reshape(weights, (-1, self.num_pairs)))
        upper = ops.scatter((i * size + j)[:, None], columns, (size * size, ops.shape(columns)[1]))
        upper = ops.reshape(ops.transpose(upper), (*leading, size, size))
        return upper + ops.swapaxes(upper, -1, -2)

    def neighbour_sum(self, weights, v):
        """Σⱼ wᵢⱼ vⱼ over the neighbours j of each node i.

        Args:
            weights: Tensor `(E,)` or, other ones for each example, `(batch, E)`.
            v: Tensor `(batch, N, D)`.

        Returns:
            Tensor `(batch, N, D)`.
        """
        if len(weights.shape) == 1:
            return self.weighted_sum(self.loop_weights(weights), v)
        if self.dense:
            return self.matrix(weights) @ v
        return _batch_first(self._edge_sum(ops.transpose(weights), _nodes_first(v)))

    def loop_weights(self, weights):
        """Weights in the form that `weighted_sum` and `interaction` want.

        Args:
            weights: Tensor `(E,)`.

        Returns:
            A tensor: the matrix where `dense`, else the weights themselves.
        """
        return self.matrix(weights) if self.dense else weights

    def weighted_sum(self, weights, v):
        """`neighbour_sum` with weights in the form that `loop_weights` gives them.

        Args:
            weights: A result of `loop_weights`.
            v: Tensor `(batch, N, D)`.

        Returns:
            Tensor `(batch, N, D)`.
        """
        if self.dense:
            return ops.einsum("ij,bjd->bid", weights, v)
        return _batch_first(self._edge_sum(weights[:, None], _nodes_first(v)))

    def interaction(self, mu, linear, nonlinear, potential):
        """Σⱼ (Aᵢⱼ + Bᵢⱼ φ'(μᵢ·μⱼ)) μⱼ, the gradient of Σ A μᵢ·μⱼ + B φ(μᵢ·μⱼ) over the pairs.

        The gradient is written by hand: it keeps nothing but the arguments, and the derivatives of all pairs are never
        in memory at the same time. On large matrices it works on some rows of one example at a time, which then stay
        in the processor's cache.

        Args:
            mu: Oscillators, `(batch, N, D)`.
            linear: A, a result of `loop_weights`.
            nonlinear: B, a result of `loop_weights`.
            potential: φ: an object with the methods `derivative` and `second_derivative`, functions of a tensor
                without weights of their own.

        Returns:
            Tensor `(batch, N, D)`.

        Example:

        >>> class Square:
        ...     def derivative(self, s):
        ...         return s
        ...
        ...     def second_derivative(self, s):
        ...         return ops.ones_like(s)
        >>> pairs = AllPairs(2)
        >>> mu = ops.array([[[1.0, 0.0], [0.6, 0.8]]])
        >>> a, b = pairs.loop_weights(ops.zeros((1,))), pairs.loop_weights(ops.ones((1,)))
        >>> [[round(float(x), 2) for x in row] for row in pairs.interaction(mu, a, b, Square())[0]]
        [[0.36, 0.48], [0.6, 0.0]]
        """
        forward, backward = (
            (self._matrix_forward, self._matrix_backward) if self.dense else (self._edge_forward, self._edge_backward)
        )

        @ops.custom_gradient
        def interaction(mu, linear, nonlinear):
            def gradient(*arguments, upstream=None):
                # PyTorch hands over the arguments again, and the gradient by its name.
                return backward(mu, linear, nonlinear, potential, arguments[0] if upstream is None else upstream)

            return forward(mu, linear, nonlinear, potential), gradient

        return interaction(mu, linear, nonlinear)

    # Along the edges. The examples are on the last axis, so that what belongs to one node lies side by side.

    def _ends(self, u):
        return (ops.take(u, end, axis=0) for end in self.edges.T)

    def _edge_products(self, u, v=None):
        ui, uj = self._ends(u)
        if v is None:
            return ops.sum(ui * uj, axis=1)
        vi, vj = self._ends(v)
        return ops.sum(ui * vj + vi * uj, axis=1)

    def _edge_sum(self, weights, v):
        vi, vj = self._ends(v)
        weights = ops.expand_dims(weights, 1)
        # Not `ops.segment_sum`, which makes float32 of float64 on PyTorch.
        ends = np.concatenate(self.edges.T)[:, None]
        return ops.scatter(ends, ops.concatenate([weights * vj, weights * vi], axis=0), ops.shape(v))

    def _edge_forward(self, mu, linear, nonlinear, potential):
        mu = _nodes_first(mu)
        p = linear[:, None] + nonlinear[:, None] * potential.derivative(self._edge_products(mu))
        return _batch_first(self._edge_sum(p, mu))

    def _edge_backward(self, mu, linear, nonlinear, potential, upstream):
        mu, v = _nodes_first(mu), _nodes_first(upstream)
        s, t = self._edge_products(mu), self._edge_products(mu, v)
        slope = potential.derivative(s)
        p = linear[:, None] + nonlinear[:, None] * slope
        q = nonlinear[:, None] * potential.second_derivative(s) * t
        return (
            _batch_first(self._edge_sum(p, v) + self._edge_sum(q, mu)),
            ops.sum(t, axis=1),
            ops.sum(slope * t, axis=1),
        )

    # With matrices: some rows at a time.

    def _entries(self, matrices):
        """The entries of the pairs: (batch, N, N) to (batch, E)."""
        i, j = self.edges.T
        return ops.take(ops.reshape(matrices, (-1, self.num_nodes**2)), i * self.num_nodes + j, axis=1)

    def _matrix_forward(self, mu, linear, nonlinear, potential):
        def forward(rows, mu):
            s = mu[:, rows] @ ops.swapaxes(mu, 1, 2)
            return (linear[rows] + nonlinear[rows] * potential.derivative(s)) @ mu, ()

        return self._by_rows(forward, [mu])[0]

    def _matrix_backward(self, mu, linear, nonlinear, potential, upstream):
        # With P = A + B φ'(s) and tᵢⱼ = vᵢ·μⱼ + μᵢ·vⱼ, v the upstream gradient and P symmetric: the gradient for μ is
        # P v + (B φ''(s) t) μ, and half of t and of φ'(s) t, summed over the examples, are those for A and B.
        def backward(rows, mu, v):
            s = mu[:, rows] @ ops.swapaxes(mu, 1, 2)
            first, second = _tangent(mu, v)
            t = first[:, rows] @ ops.swapaxes(second, 1, 2)
            slope, b = potential.derivative(s), nonlinear[rows]
            result = (linear[rows] + b * slope) @ v + (b * potential.second_derivative(s) * t) @ mu
            return result, (ops.sum(slope * t, axis=0),)

        result, (gradient,) = self._by_rows(backward, [mu, upstream], [nonlinear])
        return result, ops.einsum("bid,bjd->ij", upstream, mu), 0.5 * gradient

    def _by_rows(self, function, tensors, totals_like=()):
        """Some rows at a time, those of one example after the other.

        Args:
            function: Function of `(rows, *tensors)`, `rows` a slice of the nodes: the rows of the result for the
                examples in `tensors`, and tensors to be summed over the examples.
            tensors: The tensors, with the examples first. The result has the shape of the first one.
            totals_like: Tensors whose rows have the shapes of those to be summed.

        Returns:
            The result, and the tuple of the sums.
        """
        if self.num_nodes**2 <= self.small_entries:
            return function(slice(None), *tensors)
        size = -(-self.num_nodes // -(-(self.num_nodes**2) // self.block_entries))
        blocks = [slice(start, min(start + size, self.num_nodes)) for start in range(0, self.num_nodes, size)]
        parts = [self._by_example(functools.partial(function, rows), rows, tensors, totals_like) for rows in blocks]
        results, totals = zip(*parts)
        return ops.concatenate(results, axis=1), tuple(ops.concatenate(total, axis=0) for total in zip(*totals))

    def _by_example(self, function, rows, tensors, totals_like):
        def step(totals, index):
            result, additions = function(*(tensor[index][None] for tensor in tensors))
            return tuple(total + addition for total, addition in zip(totals, additions)), result[0]

        totals = tuple(ops.zeros_like(total[rows]) for total in totals_like)
        totals, results = bounded_loop(step, totals, ops.shape(tensors[0])[0], output_like=tensors[0][0, rows])
        return results, totals


class AllPairs(EdgePairs):
    """All pairs of nodes i < j, in the order (0, 1), (0, 2), …, (1, 2), …: the edges of the complete graph.

    Args:
        num_nodes: Number of nodes N.

    Example:

    >>> AllPairs(4).num_pairs
    6
    """

    def __init__(self, num_nodes):
        _check_num_nodes(num_nodes)
        super().__init__(np.stack(np.triu_indices(num_nodes, k=1), axis=1), num_nodes, dense=True)


def _nodes_first(u):
    return ops.transpose(u, (1, 2, 0))


def _batch_first(u):
    return ops.transpose(u, (2, 0, 1))


def _tangent(u, v):
    """Two factors whose product with the second one transposed is u vᵀ + v uᵀ."""
    return ops.concatenate([u, v], axis=-1), ops.concatenate([v, u], axis=-1)


def _check_num_nodes(num_nodes):
    if not isinstance(num_nodes, int) or isinstance(num_nodes, bool) or num_nodes < 1:
        raise ValueError(f"`num_nodes` must be a positive integer. Received {num_nodes!r}.")


def _check_edges(edges, num_nodes):
    if edges.size == 0:
        edges = np.zeros((0, 2), "int32")
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        raise ValueError(
            f"`edges` must be integers of the shape (edges, 2). Received {edges.dtype} of the shape {edges.shape}."
        )
    if edges.size and not 0 <= edges.min() <= edges.max() < num_nodes:
        raise ValueError(
            f"`edges` must join nodes from 0 to {num_nodes - 1}. Received nodes from {edges.min()} to {edges.max()}."
        )
    loops = edges[edges[:, 0] == edges[:, 1]]
    if len(loops):
        raise ValueError(f"`edges` must join two different nodes. Received {loops[0].tolist()}.")
    low, high = np.sort(edges.astype("int64"), axis=1).T
    _, first, counts = np.unique(low * num_nodes + high, return_index=True, return_counts=True)
    if (counts > 1).any():
        twice = edges[first[counts > 1][0]].tolist()
        raise ValueError(f"`edges` must hold each pair of nodes once. Received {twice} more than once.")
    return edges.astype("int32")
