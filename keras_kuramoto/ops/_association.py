"""Pieces of the correlated dense associative memory as functions of arrays: correlations, mixing, energies.

States are `(batch, n)`, patterns `(p, n)`, and the edges of a memory graph are `(sources, targets, weights)`, each
`(edges,)`.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.precise import largest
from keras_kuramoto._checks import check_number
from keras_kuramoto.ops._blocks import softmax_sums
from keras_kuramoto.ops._range import at_least_float32, moderate

# Up to so many memories the matrix M is made in full where it is used.
FULL_MATRIX = 4096


def checked_patterns(patterns, dtype):
    """The NumPy array of patterns `(p, n)`, given as an array, a list or a tensor, that are to be kept in a dtype."""
    if not isinstance(patterns, np.ndarray):
        try:
            patterns = ops.convert_to_numpy(patterns) if hasattr(patterns, "dtype") else np.asarray(patterns)
        except ValueError as error:
            raise ValueError(f"`patterns` must have rows of one length: {error}") from error
    if patterns.dtype.kind not in "biuf" or patterns.ndim != 2 or 0 in patterns.shape:
        raise ValueError(
            "`patterns` must be an array (patterns, neurons), a pair of these two sizes, or a layer. "
            f"Received an array of the shape {patterns.shape} and of the dtype {patterns.dtype}."
        )
    # Without a temporary array of their size.
    lowest, highest = float(patterns.min()), float(patterns.max())
    with np.errstate(over="ignore"):
        if not np.isfinite(np.array([lowest, highest]).astype(dtype)).all():
            raise ValueError(
                f"`patterns` must be finite numbers of {dtype}. Received NaN, or entries from {lowest} to {highest}."
            )
    return patterns


def checked_strength(name, value, batch, dtype):
    """The strength of an association: a Python float, or a tensor of rank 0 to 2."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return check_number(name, value)
    value = ops.cast(value, dtype)
    shape = tuple(value.shape)
    sizes = (batch, 1) if len(shape) == 2 else (batch,)
    if len(shape) > 2 or 0 in shape[1:] or (shape and None not in (shape[0], batch) and shape[0] not in sizes):
        raise ValueError(
            f"`{name}` must be a number, or a tensor of the shape (), (batch,), (batch, steps) or (1, steps). "
            f"Received the shape {shape} for a batch of {batch}."
        )
    return value


def strength_at(value, index):
    """The strength in the step of that index, to be multiplied with `(batch, n)`."""
    rank = 0 if isinstance(value, float) else len(value.shape)
    if rank == 0:
        return value
    if rank == 1:
        return value[:, None]
    return ops.take(value, ops.reshape(ops.minimum(index, ops.shape(value)[1] - 1), (1,)), axis=1)


def products(state, patterns):
    """σ·ξ of each state with each pattern, `(batch, p)`."""
    return ops.einsum("bn,pn->bp", state, patterns)


def standardized(x):
    """Rows without their mean, divided by their norm; zero where a row is constant up to rounding.

    The products of standardised states and patterns are their Pearson correlations.
    """
    x = moderate(x)
    rounding = float(np.finfo(keras.backend.standardize_dtype(x.dtype)).eps)
    centred = x - ops.sum(x, axis=-1, keepdims=True) / x.shape[-1]
    squares = ops.sum(centred * centred, axis=-1, keepdims=True)
    varies = squares > (4 * rounding) ** 2 * ops.sum(x * x, axis=-1, keepdims=True)
    return ops.where(varies, centred / ops.sqrt(ops.where(varies, squares, ops.ones_like(squares))), ops.zeros_like(x))


def retrieval(patterns, beta, mean_scale, edges=None):
    """The function of `(state, a, h)` that computes softmax(β σ Ξ) Q - ξ̃ of Eq. 1.

    Args:
        patterns: The memories Ξ.
        beta: Inverse temperature.
        mean_scale: The share of the mean pattern ξ̃ that is subtracted.
        edges: Edges of the graph, or `None` to leave out the term in h of Q.

    Returns:
        Function of the state, `(batch, n)`, and of a and h, each a number or `(batch, 1)`, to `(batch, n)`.
    """
    count = patterns.shape[0]
    mix = None if edges is None else mixing(edges, count)

    def retrieve(state, a, h):
        shares = ops.softmax(beta * products(state, patterns))
        mixed = a * shares if mix is None else a * shares + h * mix(shares)
        # With the mean subtracted here, what nearly cancels are shares and not sums of patterns.
        return (mixed - mean_scale / count) @ patterns

    return retrieve


def block_retrieval(patterns, beta, mean_scale, block, edges=None, trained=False):
    """`retrieval` with the patterns read in blocks; edges and `trained` as for `softmax_sums`."""
    mean = mean_scale / patterns.shape[0] * ops.sum(at_least_float32(patterns), axis=0) if mean_scale else 0.0

    def retrieve(state, a, h):
        total, auto, across = softmax_sums(state, patterns, beta, block, edges, trained)
        return (a * auto if edges is None else a * auto + h * across) / total - mean

    return retrieve


def mixing(edges, count):
    """The function that multiplies rows of `(batch, count)` by M from the right."""
    sources, targets, weights = edges
    if count <= FULL_MATRIX:
        matrix = ops.scatter(ops.stack([sources, targets], axis=1), weights, (count, count))
        return lambda shares: shares @ matrix

    def mix(shares):
        along = ops.take(ops.transpose(shares), sources, axis=0) * weights[:, None]
        batch = ops.shape(shares)[0] if shares.shape[0] is None else shares.shape[0]
        return ops.transpose(ops.scatter(targets[:, None], along, (count, batch)))

    return mix


def energy(m, a, h, beta, edges=None, directed=False):
    """The energies of Eq. 2, or of Eq. 3 for a directed graph.

    Args:
        m: Overlaps with the memories, `(batch, p)`.
        a: Strength of the auto-association, a number or `(batch,)`.
        h: Strength of the hetero-association, likewise.
        beta: Inverse temperature.
        edges: Edges of the graph, or `None` to leave out the term in h.
        directed: Whether the graph has a direction.

    Returns:
        `(batch,)`.
    """
    own, own_top = _sum_exp(beta * m * m)
    if edges is None and not directed:
        return -a / beta * (ops.log(own) + own_top)
    if edges is None:
        pair, top = ops.zeros_like(own), own_top
    else:
        sources, targets, weights = edges
        pair, pair_top = _sum_exp(beta * (ops.take(m, sources, axis=1) * ops.take(m, targets, axis=1)), weights)
        if not directed:
            return -(a * (ops.log(own) + own_top) + h * (ops.log(pair) + pair_top)) / beta
        top = ops.where(own_top > pair_top, own_top, pair_top)
        pair = pair * ops.exp(_below(pair_top, top))
    total = a * own * ops.exp(_below(own_top, top)) + h * pair
    positive = total > 0
    value = -(ops.log(ops.where(positive, total, ops.ones_like(total))) + top) / beta
    return ops.where(positive, value, ops.full_like(value, math.inf))


def _sum_exp(x, weights=None):
    """Σ w exp(x - top) over the last axis, and top, the largest x."""
    top = ops.stop_gradient(largest(x, axis=-1))
    terms = ops.exp(_below(x, top[..., None]))
    return ops.sum(terms if weights is None else terms * weights, axis=-1), top


def _below(x, top):
    """x - top, which is 0 where both are the same infinity."""
    return ops.where(ops.isinf(top) & (x == top), ops.zeros_like(x), x - top)
