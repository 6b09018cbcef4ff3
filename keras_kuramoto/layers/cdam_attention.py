"""Attention over keys that a graph links."""

import keras
from keras import ops

from keras_kuramoto._checks import check_number, check_positive
from keras_kuramoto.layers.layer import Layer, exactly
from keras_kuramoto.ops.memory_graph import memory_graph


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class CDAMAttention(Layer):
    """Dot-product attention in which a graph of the keys mixes the values: recall of Eq. 1 with keys and values.

        output = softmax(β q Kᵀ) (a V + h M V)

    A query that resembles a key draws, with the strength a, on that key's value and, with the strength h, on the values
    of the key's successors in the graph. With a = 1 and h = 0 this is the dot-product attention of Keras, and with
    queries, keys and values in one it is a step of `CDAMRecall` with η = 1 and without the mean pattern.

    The layer has no weights unless `a` or `h` is trained: projections and heads are what is around it, as with
    `keras.layers.Attention`. Called with one tensor it is self-attention, which `TransformerBlock` takes as it is.

    Args:
        graph: Graph of the keys, as for `keras_kuramoto.ops.memory_graph`, with as many nodes as there are keys. `None`
            for no graph, or one that is given at the call.
        a: Strength of the auto-association, any finite number.
        h: Strength of the hetero-association, any finite number.
        beta: β > 0, the factor of the scores; `None` for 1 / √channels.
        train_a: Whether `a` is trained, from the given start.
        train_h: Whether `h` is trained, from the given start.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        query: `(batch, queries, channels)`, or with heads `(batch, queries, heads, channels)`.
        value: `(batch, keys, value channels)`, or with heads on axis 2. By default the queries.
        key: `(batch, keys, channels)`, or with heads. By default the values.
        attention_mask: Booleans, `(queries, keys)` or `(batch, queries, keys)`: which keys a query sees. It draws on no
            value of the other keys, by the graph neither.
        links: M, `(keys, keys)` or `(batch, keys, keys)`, in place of the layer's graph: taken as it is, without
            normalisation. Row μ holds the weights of the edges from the key μ.
        return_attention_scores: Whether to return the weights of the keys too.

    Returns:
        `(batch, queries, value channels)`, with heads `(batch, queries, heads, value channels)`. With
        `return_attention_scores=True` a pair with softmax(β q Kᵀ), `(batch, queries, keys)`, with heads
        `(batch, heads, queries, keys)`.

    Raises:
        ValueError: If shapes do not fit each other or the graph, or h is not zero and there is no graph.

    Example:

    >>> import numpy as np
    >>> sequence = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> layer = CDAMAttention(sequence, a=0.0, h=1.0, beta=50.0)
    >>> [round(float(x), 2) for x in layer(np.eye(3)[None, :1], np.eye(3)[None])[0, 0]]
    [0.0, 1.0, 0.0]

    Reference: Burns, Semantically-correlated memories in a dense associative model, ICML 2024, Appendix A.1.
    """

    def __init__(self, graph=None, a=1.0, h=0.0, beta=None, train_a=False, train_h=False, **kwargs):
        super().__init__(**kwargs)
        self.graph = None if graph is None else memory_graph(graph)
        self.a, self.h = check_number("a", a), check_number("h", h)
        self.beta = None if beta is None else check_positive("beta", beta)
        self.train_a, self.train_h = train_a, train_h
        self._matrix = None if self.graph is None else self.graph.matrix()

    def build(self, query_shape, value_shape=None, key_shape=None):
        self._check_shapes(query_shape, value_shape or query_shape, key_shape or value_shape or query_shape)
        self._trained = {
            # Strengths of the softmax, which is not in half precision under a mixed policy.
            name: self.add_weight(name=name, shape=(), initializer=exactly(value), autocast=False)
            for name, value, trained in (("a", self.a, self.train_a), ("h", self.h, self.train_h))
            if trained
        }

    def _check_shapes(self, query, value, key):
        query, value, key = tuple(query), tuple(value), tuple(key)
        rank = len(query)
        fit = rank in (3, 4) and len(value) == len(key) == rank and query[-1] == key[-1]
        fit = fit and all(_same(x, y) for x, y in [(query[0], key[0]), (key[0], value[0]), (key[1], value[1])])
        if not fit or (rank == 4 and not query[2] == key[2] == value[2]):
            raise ValueError(
                "The query, the key and the value must be (batch, length, channels), or all (batch, length, heads, "
                "channels), with as many values as keys, and the channels of the query those of the key. "
                f"Received the shapes {query}, {key} and {value}."
            )
        if self.graph is not None and not _same(key[1], self.graph.num_nodes):
            raise ValueError(
                f"The graph must have one node for each key. Received {self.graph.num_nodes} nodes and {key[1]} keys."
            )

    def call(self, query, value=None, key=None, attention_mask=None, links=None, return_attention_scores=False):
        value = query if value is None else value
        key = value if key is None else key
        self._check_shapes(query.shape, value.shape, key.shape)
        heads = len(query.shape) == 4
        beta = query.shape[-1] ** -0.5 if self.beta is None else self.beta
        scores = beta * ops.einsum("bqhc,bkhc->bhqk" if heads else "bqc,bkc->bqk", query, key)
        # Under a mixed policy the softmax is in float32, as in Keras.
        scores = ops.cast(scores, self.variable_dtype)
        mask = None if attention_mask is None else self._mask(attention_mask, heads)
        if mask is not None:
            # Finite, so that a query that sees no key gets numbers.
            scores = ops.where(mask, scores, ops.full_like(scores, -1e30))
        shares = ops.softmax(scores)
        a, h = (
            ops.convert_to_tensor(self._trained[name]) if name in self._trained else getattr(self, name)
            for name in ("a", "h")
        )
        mixed = a * shares
        if not (isinstance(h, float) and h == 0):
            along = self._along_links(shares, links, heads)
            mixed = mixed + h * (along if mask is None else ops.where(mask, along, ops.zeros_like(along)))
        mixed = ops.cast(mixed, self.compute_dtype)
        result = ops.einsum("bhqk,bkhc->bqhc" if heads else "bqk,bkc->bqc", mixed, value)
        return (result, ops.cast(shares, self.compute_dtype)) if return_attention_scores else result

    def _mask(self, mask, heads):
        mask = ops.cast(mask, "bool")
        if len(mask.shape) not in (2, 3):
            raise ValueError(
                "`attention_mask` must be (queries, keys) or (batch, queries, keys). "
                f"Received the shape {tuple(mask.shape)}."
            )
        mask = mask[None] if len(mask.shape) == 2 else mask
        return mask[:, None] if heads else mask

    def _along_links(self, shares, links, heads):
        if links is None:
            if self._matrix is None:
                raise ValueError("Hetero-association (`h`) needs a `graph`, or `links` at the call. Received neither.")
            links = ops.convert_to_tensor(self._matrix, dtype=self.variable_dtype)
        links = ops.cast(links, self.variable_dtype)
        if len(links.shape) not in (2, 3) or not all(_same(size, shares.shape[-1]) for size in links.shape[-2:]):
            raise ValueError(
                "`links` must be (keys, keys) or (batch, keys, keys). "
                f"Received the shape {tuple(links.shape)} for {shares.shape[-1]} keys."
            )
        return shares @ (links[:, None] if heads and len(links.shape) == 3 else links)

    def compute_output_spec(
        self, query, value=None, key=None, attention_mask=None, links=None, return_attention_scores=False
    ):
        value = query if value is None else value
        key = value if key is None else key
        self._check_shapes(query.shape, value.shape, key.shape)
        result = keras.KerasTensor((*query.shape[:-1], value.shape[-1]), dtype=self.compute_dtype)
        if not return_attention_scores:
            return result
        shape = (query.shape[0], *query.shape[2:-1], query.shape[1], key.shape[1])
        return result, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_output_shape(self, query_shape, value_shape=None, key_shape=None):
        return (*query_shape[:-1], (value_shape or query_shape)[-1])

    def argument(self, name):
        if name == "graph":
            return None if self.graph is None else self.graph.get_config()
        return super().argument(name)


def _same(one, other):
    return None in (one, other) or one == other
